from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def page() -> str:
    from airflow_mlops.adapters.evidently import drift_page

    rng = np.random.default_rng(0)
    reference = pd.DataFrame({"constant": 1.0, "temperature_c": rng.uniform(size=80)})
    return drift_page(reference=reference, current=reference.assign(temperature_c=500 + rng.uniform(size=80)))


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
    assert '"value": "2", "label": "Columns"' in page
