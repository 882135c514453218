"""Continuous training of models as something a data engineer declares, on Apache Airflow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from airflow_mlops._version import __version__

if TYPE_CHECKING:
    from airflow_mlops.assets import alarm_asset, model_asset
    from airflow_mlops.pipelines.batch_scoring import BatchScoring
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining
    from airflow_mlops.pipelines.insertion import insert_task
    from airflow_mlops.specs import (
        AssetTrigger,
        AthenaSpec,
        BatchScoringSpec,
        Choices,
        CommandRunner,
        CsvSpec,
        DatasetSpec,
        DriftTrigger,
        EarlyStoppingSpec,
        ExportSpec,
        FairnessRules,
        FeatureTable,
        FloatRange,
        GateSpec,
        IntRange,
        LeakageSpec,
        MonitoringSpec,
        NewDataTrigger,
        NotificationSpec,
        PerformanceSlices,
        PerformanceSpec,
        PerformanceTrigger,
        PolicySpec,
        PredictionSpec,
        PromotionSpec,
        PythonRunner,
        RetrainPolicy,
        RolloutSpec,
        ScheduleTrigger,
        ServerSpec,
        ServingCheckSpec,
        ServingSpec,
        SliceRules,
        SplitSpec,
        TableOutput,
        Thresholds,
        TrainingSpec,
        TuningSpec,
        ValidationSpec,
        WindowRule,
    )

_LAZY = {
    "AssetTrigger": "airflow_mlops.specs",
    "AthenaSpec": "airflow_mlops.specs",
    "BatchScoring": "airflow_mlops.pipelines.batch_scoring",
    "BatchScoringSpec": "airflow_mlops.specs",
    "CommandRunner": "airflow_mlops.specs",
    "Choices": "airflow_mlops.specs",
    "ContinuousTraining": "airflow_mlops.pipelines.continuous_training",
    "CsvSpec": "airflow_mlops.specs",
    "DatasetSpec": "airflow_mlops.specs",
    "FairnessRules": "airflow_mlops.specs",
    "ExportSpec": "airflow_mlops.specs",
    "DriftTrigger": "airflow_mlops.specs",
    "EarlyStoppingSpec": "airflow_mlops.specs",
    "FeatureTable": "airflow_mlops.specs",
    "FloatRange": "airflow_mlops.specs",
    "GateSpec": "airflow_mlops.specs",
    "IntRange": "airflow_mlops.specs",
    "LeakageSpec": "airflow_mlops.specs",
    "MonitoringSpec": "airflow_mlops.specs",
    "NewDataTrigger": "airflow_mlops.specs",
    "NotificationSpec": "airflow_mlops.specs",
    "PerformanceSlices": "airflow_mlops.specs",
    "PerformanceSpec": "airflow_mlops.specs",
    "PerformanceTrigger": "airflow_mlops.specs",
    "PolicySpec": "airflow_mlops.specs",
    "PredictionSpec": "airflow_mlops.specs",
    "PromotionSpec": "airflow_mlops.specs",
    "PythonRunner": "airflow_mlops.specs",
    "RetrainPolicy": "airflow_mlops.specs",
    "RolloutSpec": "airflow_mlops.specs",
    "ScheduleTrigger": "airflow_mlops.specs",
    "ServerSpec": "airflow_mlops.specs",
    "ServingCheckSpec": "airflow_mlops.specs",
    "ServingSpec": "airflow_mlops.specs",
    "SliceRules": "airflow_mlops.specs",
    "SplitSpec": "airflow_mlops.specs",
    "TableOutput": "airflow_mlops.specs",
    "Thresholds": "airflow_mlops.specs",
    "TrainingSpec": "airflow_mlops.specs",
    "TuningSpec": "airflow_mlops.specs",
    "ValidationSpec": "airflow_mlops.specs",
    "alarm_asset": "airflow_mlops.assets",
    "insert_task": "airflow_mlops.pipelines.insertion",
    "model_asset": "airflow_mlops.assets",
    "WindowRule": "airflow_mlops.specs",
}

__all__ = [
    "AssetTrigger",
    "AthenaSpec",
    "BatchScoring",
    "BatchScoringSpec",
    "Choices",
    "CommandRunner",
    "ContinuousTraining",
    "CsvSpec",
    "DatasetSpec",
    "DriftTrigger",
    "EarlyStoppingSpec",
    "ExportSpec",
    "FairnessRules",
    "FeatureTable",
    "FloatRange",
    "GateSpec",
    "IntRange",
    "LeakageSpec",
    "MonitoringSpec",
    "NewDataTrigger",
    "NotificationSpec",
    "PerformanceSlices",
    "PerformanceSpec",
    "PerformanceTrigger",
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
    "__version__",
    "alarm_asset",
    "insert_task",
    "model_asset",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
