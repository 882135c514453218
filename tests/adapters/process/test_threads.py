from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from airflow_mlops.adapters.process.threads import blas_kernels, count_threads, limited_threads, thread_variables

CHILD = """
import json
from sklearn.linear_model import Ridge
from airflow_mlops.adapters.process.threads import count_threads

print(json.dumps(count_threads(Ridge())))
"""


def test_libraries_that_are_limited_count_for_what_they_are_limited_to():
    with limited_threads(1):
        assert count_threads(Ridge()) == 1


@pytest.mark.parametrize("n_jobs", [2, 5])
def test_the_jobs_of_a_model_count_when_they_are_more(n_jobs: int):
    with limited_threads(1):
        assert count_threads(RandomForestRegressor(n_jobs=n_jobs)) == n_jobs
        assert count_threads(Pipeline([("model", RandomForestRegressor(n_jobs=n_jobs))])) == n_jobs


def test_as_many_jobs_as_there_are_processors_count_as_such():
    with limited_threads(1):
        assert count_threads(RandomForestRegressor(n_jobs=-1)) >= 1
        assert count_threads(LogisticRegression()) == 1


def test_a_model_that_tells_no_parameters_counts_as_its_libraries():
    with limited_threads(1):
        assert count_threads(object()) == 1


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_new_process_computes_with_what_the_variables_say(n_threads: int):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        env=os.environ | thread_variables(n_threads),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == n_threads


def test_the_linear_algebra_names_the_processor_that_it_computes_for():
    assert "openblas" in blas_kernels()
