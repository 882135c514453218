from __future__ import annotations

import pytest

from airflow_mlops import alert_asset, model_asset


def test_a_model_and_its_alerts_are_two_datasets():
    pytest.importorskip("openlineage")
    from airflow_mlops.hooks.openlineage import convert_asset

    found = [convert_asset(asset, None) for asset in (model_asset("churn eu"), alert_asset("churn eu"))]
    assert [(each.namespace, each.name) for each in found if each] == [
        ("mlmodel", "churn%20eu"),
        ("mlmodel", "churn%20eu/alert"),
    ]
