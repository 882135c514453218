"""Thin operators, one per step: build what it needs, call it, record, then return, raise or skip."""

from __future__ import annotations

from airflow_mlops.operators.approve import ApprovePromotionOperator
from airflow_mlops.operators.data import PruneSnapshotsOperator, SnapshotDatasetOperator
from airflow_mlops.operators.evaluate import BlessModelOperator, EvaluateModelOperator
from airflow_mlops.operators.export import ExportModelOperator
from airflow_mlops.operators.monitor import DriftCheckOperator, RaiseAlarmOperator
from airflow_mlops.operators.performance import PerformanceCheckOperator
from airflow_mlops.operators.predict import BatchPredictOperator
from airflow_mlops.operators.promote import PromoteModelOperator, RegisterModelOperator, RollbackModelOperator
from airflow_mlops.operators.retrain import DecideRetrainOperator
from airflow_mlops.operators.rollout import CanaryAnalysisOperator, DeployModelOperator
from airflow_mlops.operators.serving import ValidateServingOperator
from airflow_mlops.operators.split import CheckLeakageOperator, SplitDatasetOperator
from airflow_mlops.operators.train import TrainModelOperator
from airflow_mlops.operators.tune import TuneModelOperator
from airflow_mlops.operators.validate import ValidateDataOperator

__all__ = [
    "ApprovePromotionOperator",
    "BatchPredictOperator",
    "BlessModelOperator",
    "CanaryAnalysisOperator",
    "CheckLeakageOperator",
    "DecideRetrainOperator",
    "DeployModelOperator",
    "DriftCheckOperator",
    "EvaluateModelOperator",
    "ExportModelOperator",
    "PerformanceCheckOperator",
    "PromoteModelOperator",
    "PruneSnapshotsOperator",
    "RaiseAlarmOperator",
    "RegisterModelOperator",
    "RollbackModelOperator",
    "SnapshotDatasetOperator",
    "SplitDatasetOperator",
    "TrainModelOperator",
    "TuneModelOperator",
    "ValidateDataOperator",
    "ValidateServingOperator",
]
