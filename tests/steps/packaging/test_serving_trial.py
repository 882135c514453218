"""A real server of a model that misbehaves by what it is asked, and only where it is served."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from airflow_mlops.adapters import scoring_server
from airflow_mlops.adapters.scoring_server import ScoringServer
from airflow_mlops.core.packaging.serving_check import AnswerFault, ServingCheck
from airflow_mlops.specs import ServingCheckSpec
from airflow_mlops.steps.packaging._malformed_requests import malformed_requests
from airflow_mlops.steps.packaging._serving_trial import choose_golden_rows, try_out
from airflow_mlops.steps.registry.models import LoadedModel
from tests.steps.serving_cases import FRAME, TARGET, package
from tests.steps.serving_models import HANGS, LIES, RAISES, Moody

NUMBER = {"x": "double"}
QUICK = {"n_requests": 20, "batch_rows": 100}
MOODY = LoadedModel(who="The model", model=Moody().fit(FRAME, TARGET), columns=("x",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringServer]:
    folder = tmp_path_factory.mktemp("server")
    with scoring_server.serving(package(Moody(), folder), ServingCheckSpec(), folder=folder) as started:
        yield started


def _try(server: ScoringServer, *values: float, **settings: object) -> dict[str, ServingCheck]:
    rows = pd.DataFrame({"x": values})
    checks, _ = try_out(server, MOODY, rows, NUMBER, ServingCheckSpec.parse({**QUICK, **settings}))
    return {check.name: check for check in checks}


def _fault(check: ServingCheck) -> AnswerFault:
    return AnswerFault(**check.found.facts["fault"])


def test_a_model_that_answers_null_with_nan_does_so_silently_and_nothing_else_is_wrong_with_it(server: ScoringServer):
    checks = _try(server, 1.0, 2.0, 3.0)
    failed = {name: _fault(check) for name, check in checks.items() if not check.passed}
    accepted = AnswerFault(kind="accepted", status=200, n_wrong=1)
    assert failed == {"null_value": accepted, "not_finite": accepted}
    assert [checks[name].found.facts["column"] for name in failed] == ["x", "x"]
    assert list(checks) == [
        "golden_rows",
        "single_rows",
        "reordered_columns",
        "extra_column",
        "missing_column",
        "null_value",
        "wrong_type",
        "not_finite",
        "empty_batch",
        "huge_batch",
        "broken_json",
        "wrong_content_type",
        "wrong_method",
        "golden_rows_afterwards",
    ]
    for name, n_requests, n_refused in (("single_rows", 30, 0), ("broken_json", 4, 4)):
        found = checks[name].found
        assert (found.observed, found.required, found.n, found.facts["n_refused"]) == (0, 0, n_requests, n_refused)


def test_what_is_allowed_is_reported_and_not_judged(server: ScoringServer):
    checks = _try(server, 1.0, allow=["null_value"])
    assert not checks["null_value"].passed
    assert [name for name, check in checks.items() if not check.is_judged] == ["null_value"]


def test_a_server_is_measured(server: ScoringServer):
    _, footprint = try_out(server, MOODY, FRAME, NUMBER, ServingCheckSpec(**QUICK))
    assert footprint.start_s == server.start_s
    assert 0 < footprint.latency_p50_ms <= footprint.latency_p95_ms
    assert footprint.batch_ms > 0
    assert footprint.size_mb is None


def test_a_server_that_predicts_something_else_is_found(server: ScoringServer):
    checks = _try(server, 1.0, LIES)
    n_wrong = {"golden_rows": 2, "single_rows": 1, "huge_batch": 100, "golden_rows_afterwards": 2}
    for name, number in n_wrong.items():
        assert _fault(checks[name]) == AnswerFault(kind="other", status=200, n_wrong=number, n_rows=number)
        assert (checks[name].found.observed, checks[name].found.required) == (1, 0)


def test_a_difference_within_the_tolerance_is_none(server: ScoringServer):
    assert _try(server, 1.0, LIES, atol=1.1)["golden_rows"].passed


def test_a_model_that_raises_only_in_the_server_is_found_and_what_it_says_is_not_shown(server: ScoringServer):
    checks = _try(server, 1.0, RAISES)
    assert _fault(checks["golden_rows"]) == AnswerFault(kind="status", status=400, problem="BAD_REQUEST", n_rows=2)
    assert checks["golden_rows"].found.facts["expected"] == "predictions"
    assert not any("s3cret" in str(check) for check in checks.values())


def test_a_request_that_hangs_fails_and_nothing_more_is_asked_but_the_golden_rows(server: ScoringServer):
    impatient = ScoringServer(server._url, server._process, server.start_s, timeout_s=0.5)
    checks = _try(impatient, HANGS)
    silent = AnswerFault(kind="no_answer", problem="within 0.5 s", n_rows=1)
    assert {name: _fault(check) for name, check in checks.items()} == {
        "golden_rows": silent,
        "golden_rows_afterwards": silent,
    }


def _odd(frame: pd.DataFrame, types: dict[str, str]) -> dict[str, list]:
    numbers = list(frame.columns[[kind == "double" for kind in types.values()]])
    model = Ridge().fit(frame[numbers], np.arange(len(frame)))
    reads_numbers = LoadedModel(who="The model", model=_Reads(model, numbers), columns=tuple(frame.columns))
    return dict(malformed_requests(reads_numbers, frame, types, batch_rows=7))


class _Reads:
    def __init__(self, model, columns):
        self.model, self.columns = model, columns

    def predict(self, frame):
        return self.model.predict(frame[self.columns])


def test_mistakes_are_made_in_each_column_of_the_kind_that_they_fit():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 1.0], "t": ["u", None]})
    odd = _odd(frame, {"a": "double", "b": "double", "t": "string"})
    about = {name: [case.about for case in cases] for name, cases in odd.items()}
    assert about["missing_column"] == about["null_value"] == about["wrong_type"] == ["a", "b", "t"]
    assert about["unknown_category"] == ["t"]
    assert about["not_finite"] == ["a", "a", "b", "b", "a", "b"]


def test_what_the_model_itself_can_answer_may_be_answered_and_the_rest_may_not():
    frame = pd.DataFrame({"a": [1.0, 2.0], "t": ["u", "v"]})
    odd = _odd(frame, {"a": "double", "t": "string"})
    assert [case.expected is None for case in odd["null_value"]] == [True, False]
    assert odd["empty_batch"][0].wanted == "error"
    assert odd["unknown_category"][0].wanted == "predictions_or_error"
    assert not odd["reordered_columns"][0].may_refuse
    assert len(odd["huge_batch"][0].expected) == 7


def test_of_a_wide_table_the_first_columns_stand_for_all():
    frame = pd.DataFrame({f"c{number}": [1.0, 2.0] for number in range(30)})
    odd = _odd(frame, dict.fromkeys(frame.columns, "double"))
    assert len(odd["missing_column"]) == len(odd["null_value"]) == 20


def test_golden_rows_are_drawn_by_the_seed():
    frame = pd.DataFrame({"x": np.arange(1000.0), "other": 1})
    chosen = [choose_golden_rows(frame, ["x"], ServingCheckSpec(seed=seed)) for seed in (0, 0, 1)]
    assert chosen[0].equals(chosen[1])
    assert not chosen[0].equals(chosen[2])
    assert [list(rows.columns) for rows in chosen] == [["x"]] * 3
    assert len(chosen[0]) == 50


def test_the_first_null_of_each_column_is_among_the_golden_rows():
    frame = pd.DataFrame({"x": np.arange(1000.0), "t": ["a"] * 1000})
    frame.loc[[700, 900], "x"] = np.nan
    frame.loc[800, "t"] = None
    rows = choose_golden_rows(frame, ["x", "t"], ServingCheckSpec(n_golden_rows=1))
    assert rows["x"].isna().sum() == 1
    assert rows["t"].isna().sum() == 1
    assert len(rows) in (2, 3)


def test_of_few_rows_all_are_golden():
    assert choose_golden_rows(FRAME, ["x"], ServingCheckSpec()).equals(FRAME)
