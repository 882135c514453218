from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.core.stats.drift_statistics import population_stability_index
from airflow_mlops.errors import DataError


@pytest.fixture(scope="module")
def comparison():
    from airflow_mlops.adapters.evidently import compare_frames

    rng = np.random.default_rng(0)
    reference = pd.DataFrame(
        {"constant": 1.0, "temperature_c": rng.uniform(size=80), "city": rng.choice(["Ulm", "Bonn"], 80)}
    )
    current = reference.assign(temperature_c=500 + rng.uniform(size=80))
    return compare_frames(reference=reference, current=current, numeric=["constant", "temperature_c"])


@pytest.fixture
def page(comparison) -> str:
    return comparison.page


def test_the_page_stands_alone_and_names_the_columns(page):
    assert page.lstrip().lower().startswith(("<!doctype html", "<html"))
    assert "temperature_c" in page
    assert "constant" in page


def test_the_page_shows_each_frame_as_what_it_is(page):
    """Libraries disagree on the order of the two, and a page that swaps them looks just as good."""
    found = dict(re.findall(r'"(reference|current)_distribution": \{"x": \[([\d.]+),', page))
    assert 0 <= float(found["reference"]) < 1
    assert 500 <= float(found["current"]) < 501


def test_the_page_counts_the_columns_that_drifted(page):
    assert '"value": "1", "label": "Drifted Columns"' in page
    assert '"value": "3", "label": "Columns"' in page


def test_its_verdicts_are_read_with_their_methods_and_limits(comparison):
    found = {column.name: column for column in comparison.columns}
    assert {name: column.is_drifted for name, column in found.items()} == {
        "constant": False,
        "temperature_c": True,
        "city": False,
    }
    assert found["temperature_c"].statistics == {"K-S p_value": pytest.approx(0.0, abs=1e-9)}
    (reason,) = found["temperature_c"].reasons
    assert (reason.rule, reason.facts, reason.required) == ("evidently", {"method": "K-S p_value"}, 0.05)
    assert reason.observed == found["temperature_c"].statistics["K-S p_value"]


def test_what_it_can_not_compare_is_an_error_that_says_so():
    from airflow_mlops.adapters.evidently import compare_frames

    reference = pd.DataFrame({"x": np.arange(50.0)})
    with pytest.raises(DataError, match=r"Evidently can't compare the samples: .*Nothing was decided. Name the column"):
        compare_frames(reference=reference, current=reference.assign(x=np.nan), numeric=["x"])


def test_on_clean_categories_its_population_stability_index_is_ours():
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    rng = np.random.default_rng(0)
    sides = [rng.choice(list("abcd"), 5000, p=shares) for shares in ([0.4, 0.3, 0.2, 0.1], [0.3, 0.3, 0.2, 0.2])]
    kinds = DataDefinition(categorical_columns=["x"])
    before, now = (Dataset.from_pandas(pd.DataFrame({"x": side}), data_definition=kinds) for side in sides)
    theirs = Report([ValueDrift(column="x", method="psi")]).run(now, before).dict()["metrics"][0]["value"]
    reference, current = (dict(zip(*np.unique(side, return_counts=True), strict=True)) for side in sides)
    ours = population_stability_index(reference=reference, current=current)
    assert ours == pytest.approx(float(theirs), abs=5e-4)  # half a row in each bin
