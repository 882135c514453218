"""Specs that ask for every step that there is."""

from __future__ import annotations

from typing import Any


def full_settings() -> dict[str, Any]:
    """Return the settings of a pipeline that leaves no step out."""
    return {
        "model_name": "full",
        "description": "Everything.",
        "data": {"path": "/inbox", "timestamp": "day"},
        "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "y"}}]},
        "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.1}},
        "tuning": {"space": {"alpha": {"type": "float", "low": 0.01, "high": 10.0}}, "metric": "mean_absolute_error"},
        "gate": {"metrics": {"mean_absolute_error": {}}},
        "conversion": {},
        "promotion": {"approval": "required", "approvers": ["ada"]},
        "rollout": {},
        "performance": {
            "labels": {"path": "l.csv"},
            "label": "y",
            "id": "id",
            "maturity": "P1D",
            "metrics": {"mean_absolute_error": {}},
        },
        "triggers": [{"type": "drift"}, {"type": "performance"}],
        "notifications": [{"notifier": "package.module:Notifier", "settings": {"text": "{{ mlops.text }}"}}],
    }


def full_scoring() -> dict[str, Any]:
    """Return the settings of a batch scoring that leaves no step out."""
    return {
        "model_name": "full",
        "key": "id",
        "data": {"path": "/inbox"},
        "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "id"}}]},
    }
