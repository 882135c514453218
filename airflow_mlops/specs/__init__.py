"""What a user writes: frozen pydantic models, in Python or YAML."""

from __future__ import annotations

from airflow_mlops.specs.data import AthenaSpec, CsvSpec, DatasetSpec, FeatureTable
from airflow_mlops.specs.evaluate import FairnessRules, GateSpec, SliceRules, Thresholds
from airflow_mlops.specs.export import ExportSpec
from airflow_mlops.specs.inference import InferenceLogSpec
from airflow_mlops.specs.monitor import (
    AssetTrigger,
    DriftTrigger,
    MonitoringSpec,
    NewDataTrigger,
    PerformanceTrigger,
    ScheduleTrigger,
)
from airflow_mlops.specs.notify import NotificationSpec
from airflow_mlops.specs.performance import PerformanceSlices, PerformanceSpec, WindowRule
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.specs.predict import BatchScoringSpec, PredictionSpec, TableOutput
from airflow_mlops.specs.promote import PromotionSpec
from airflow_mlops.specs.retrain import RetrainPolicy
from airflow_mlops.specs.rollout import RolloutSpec
from airflow_mlops.specs.runner import CommandRunner, InProcessRunner, PythonRunner
from airflow_mlops.specs.server import ServerSpec
from airflow_mlops.specs.serving import ServingCheckSpec
from airflow_mlops.specs.split import LeakageSpec, SplitSpec
from airflow_mlops.specs.train import EarlyStoppingSpec, TrainingSpec
from airflow_mlops.specs.tune import Choices, FloatRange, IntRange, TuningSpec
from airflow_mlops.specs.validate import PolicySpec, ServingSpec, ValidationSpec

__all__ = [
    "AssetTrigger",
    "AthenaSpec",
    "BatchScoringSpec",
    "Choices",
    "CommandRunner",
    "CsvSpec",
    "DatasetSpec",
    "DriftTrigger",
    "EarlyStoppingSpec",
    "ExportSpec",
    "FairnessRules",
    "FeatureTable",
    "FloatRange",
    "GateSpec",
    "InProcessRunner",
    "InferenceLogSpec",
    "IntRange",
    "LeakageSpec",
    "MonitoringSpec",
    "NewDataTrigger",
    "NotificationSpec",
    "PerformanceSlices",
    "PerformanceSpec",
    "PerformanceTrigger",
    "PipelineSpec",
    "PolicySpec",
    "PredictionSpec",
    "PromotionSpec",
    "PythonRunner",
    "RetrainPolicy",
    "RolloutSpec",
    "ScheduleTrigger",
    "ServerSpec",
    "ServingCheckSpec",
    "ServingSpec",
    "SliceRules",
    "SplitSpec",
    "TableOutput",
    "Thresholds",
    "TrainingSpec",
    "TuningSpec",
    "ValidationSpec",
    "WindowRule",
]
