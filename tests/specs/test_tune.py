from __future__ import annotations

import json

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import TuningSpec

ALPHA = {"type": "float", "low": 0.01, "high": 10.0, "log": True}


def test_a_space_of_every_kind_survives_the_way_through_json():
    space = {
        "alpha": ALPHA,
        "max_iter": {"type": "int", "low": 10, "high": 100},
        "layers": {"type": "categorical", "choices": [[8], [8, 4], None]},
    }
    spec = TuningSpec.parse({"space": space, "metric": "r2"})
    assert spec.space["alpha"].high == 10.0
    assert TuningSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"type": "float", "low": 1.0, "high": 0.5}, r"space\.alpha\.float: `low` 1\.0 must be below `high` 0\.5"),
        ({"type": "int", "low": 3, "high": 3}, r"space\.alpha\.int: `low` 3 must be below `high` 3"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, r"space\.alpha\.float: `log` needs a `low` above 0"),
        ({"type": "float", "low": 0, "high": float("inf")}, r"space\.alpha\.float\.high: must be a finite"),
        ({"type": "float", "low": 0, "hihg": 1}, r"space\.alpha\.float\.hihg: unknown key\. Did you mean 'high'\?"),
        ({"type": "int", "low": 0.5, "high": 3}, r"space\.alpha\.int\.low: must be a valid integer"),
        ({"type": "categorical", "choices": ["a"]}, r"space\.alpha\.categorical\.choices: "),
        ({"type": "flaot", "low": 0, "high": 1}, r"space\.alpha: .*'flaot'"),
    ],
)
def test_a_mistake_in_the_space_is_named_with_its_path(dimension, message):
    with pytest.raises(SpecError, match=message):
        TuningSpec.parse({"space": {"alpha": dimension}, "metric": "r2"})


@pytest.mark.parametrize(
    "settings", [{"space": {}}, {"n_trials": 0}, {"timeout_s": 0}, {"n_folds": 1}, {"pruning": "yes"}, {"metric": ""}]
)
def test_a_search_that_tries_or_judges_nothing_is_refused(settings):
    with pytest.raises(SpecError, match=f"{next(iter(settings))}: "):
        TuningSpec.parse({"space": {"alpha": ALPHA}, "metric": "r2", **settings})
