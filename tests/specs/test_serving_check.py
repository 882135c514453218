from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import ServingCheckSpec


def test_by_default_nothing_has_a_budget_and_nothing_is_allowed():
    serving = ServingCheckSpec()
    budgets = [name for name in ServingCheckSpec.model_fields if name.startswith("max_")]
    assert len(budgets) == 6
    assert all(getattr(serving, name) is None for name in budgets)
    assert serving.allow == ()
    assert serving.env_manager == "local"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"env_manager": "conda"}, "env_manager"),
        ({"allow": ["nulls"]}, "allow.0"),
        ({"n_requests": 5}, "n_requests"),
        ({"n_golden_rows": 0}, "n_golden_rows"),
        ({"max_memory_mb": float("inf")}, "max_memory_mb"),
        ({"max_latency_p50_ms": 0}, "max_latency_p50_ms"),
        ({"atol": float("nan")}, "atol"),
        ({"request_timeout_s": 0}, "request_timeout_s"),
        ({"max_latency_p50": 3}, "Did you mean 'max_latency_p50_ms'?"),
    ],
)
def test_a_setting_that_decides_nothing_is_refused_with_its_path(settings, words):
    with pytest.raises(SpecError, match="ServingCheckSpec") as caught:
        ServingCheckSpec.parse(settings)
    assert words in str(caught.value)
