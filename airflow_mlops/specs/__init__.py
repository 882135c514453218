"""What a user writes: frozen pydantic models, in Python or YAML."""

from __future__ import annotations

from airflow_mlops.specs.data import AthenaSpec, CsvSpec, DatasetSpec
from airflow_mlops.specs.evaluate import BudgetRules, FairnessRules, GateSpec, SliceRules, Thresholds
from airflow_mlops.specs.export import ExportSpec
from airflow_mlops.specs.features import FeatureTable
from airflow_mlops.specs.monitor import MonitoringSpec, NewDataTrigger, ScheduleTrigger
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.specs.promote import PromotionSpec
from airflow_mlops.specs.split import LeakageSpec, SplitSpec
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.validate import PolicySpec, ServingSpec, ValidationSpec

__all__ = [
    "AthenaSpec",
    "BudgetRules",
    "CsvSpec",
    "DatasetSpec",
    "ExportSpec",
    "FairnessRules",
    "FeatureTable",
    "GateSpec",
    "LeakageSpec",
    "MonitoringSpec",
    "NewDataTrigger",
    "PipelineSpec",
    "PolicySpec",
    "PromotionSpec",
    "ScheduleTrigger",
    "ServingSpec",
    "SliceRules",
    "SplitSpec",
    "Thresholds",
    "TrainingSpec",
    "ValidationSpec",
]
