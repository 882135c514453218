"""Whether a packaged model serves: what its server answered, against what the model itself answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.report import check_predictions
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentence_of, sentences_of
from airflow_mlops.errors import EvaluationError, ServingCheckError, bounded_lines
from airflow_mlops.specs.serving_check import ServingCheckSpec

__all__ = [
    "GOLDEN_ROWS",
    "Answer",
    "AnswerFault",
    "Expected",
    "ServingCheck",
    "ServingCheckReport",
    "ServingFootprint",
    "equal_predictions",
    "fault_of",
    "judge_answers",
    "judge_footprint",
    "judge_start",
    "latency_quantiles",
]

GOLDEN_ROWS = "golden_rows"
"""The check without which nothing passes."""

Expected = Literal["predictions", "predictions_or_error", "error"]
"""Which answer is right: the model's own predictions, these or a refusal, a refusal."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server gave to one request.

    :param status: the HTTP status; ``None`` where no answer came.
    :param predictions: ``None`` where there are none.
    :param problem: in their place, the error's code or why no answer came; never a value of the data.
    :param seconds: from the request to its answer.
    """

    status: int | None
    predictions: NDArray[np.generic] | None = None
    problem: str = ""
    seconds: float = 0.0


_PASSED, _FAILED = "PASSED", "FAILED"


@dataclass(frozen=True, kw_only=True)
class AnswerFault:
    """What is wrong with an answer.

    :param kind: ``no_answer``; ``status``: an error, or no predictions, where there must be some; ``accepted``: it
        should have been refused; ``malformed``: no prediction for each row; ``other``: others than the model's own.
    :param status: the HTTP status.
    :param problem: the server's words, or what is malformed; never a value of the data.
    :param n_wrong: how many predictions there are that should not be.
    :param n_rows: that were to be predicted.
    """

    kind: Literal["no_answer", "status", "accepted", "malformed", "other"]
    status: int | None = None
    problem: str = ""
    n_wrong: int | None = None
    n_rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class ServingCheck:
    """One thing that the server was asked, and what came of it.

    :param found: in numbers; its subject is the check's name.
    :param is_judged: whether a failure counts; ``False`` for what the spec allows.
    """

    found: Reason
    is_judged: bool = True

    @property
    def name(self) -> str:
        """What was asked, such as ``golden_rows``."""
        return self.found.subject

    @property
    def passed(self) -> bool:
        """Whether the server did as it must."""
        return self.found.verdict == _PASSED

    def __str__(self) -> str:
        return sentence_of(self.found)


@dataclass(frozen=True, kw_only=True)
class ServingFootprint:
    """What it costs to serve the model; ``None`` for what could not be measured.

    :param start_s: until the server answered for the first time.
    :param latency_p50_ms: median of the requests of one row.
    :param latency_p95_ms: 95th percentile of the same.
    :param batch_ms: of the huge batch.
    :param memory_mb: peak of resident memory, summed over the server's processes, in million bytes.
    :param size_mb: of the model's files, in million bytes.
    """

    start_s: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    batch_ms: float | None = None
    memory_mb: float | None = None
    size_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class ServingCheckReport(Value):
    """How the packaged model did in a scoring server of its own.

    :param settings_digest: of the spec that it was tried by.
    :param n_golden_rows: how many rows both predicted.
    :param log_uri: the end of the server's log, below the storage root; empty where nothing failed.
    """

    schema_version = 2
    formerly = "ServingReport"

    model_name: str
    model_uri: str
    model_digest: str
    split_digest: str
    settings_digest: str
    env_manager: str
    n_golden_rows: int
    checks: tuple[ServingCheck, ...]
    footprint: ServingFootprint
    log_uri: str = ""
    report_uri: str = ""

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        checks = fields.get("checks")
        return {**fields, "checks": list(map(_as_check, checks)) if isinstance(checks, list | tuple) else checks}

    @property
    def is_ok(self) -> bool:
        """Whether the golden rows were predicted alike, and nothing else that is judged failed."""
        has_evidence = any(check.name == GOLDEN_ROWS and check.passed for check in self.checks)
        return has_evidence and not self.reasons

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What failed and is judged, with what was expected."""
        return tuple(check.found for check in self.checks if check.is_judged and not check.passed)

    def require_ok(self) -> None:
        """Go on, or stop the pipeline.

        :raises ServingCheckError: when the model does not serve as it must.
        """
        if self.is_ok:
            return
        raise ServingCheckError(
            f"{self.model_name}: {self.model_uri} does not serve as it must: {len(self.reasons)} of {len(self.checks)} "
            f"check(s) failed.\n{bounded_lines(sentences_of(self.reasons))}\n"
            f"The champion stays. Report: {self.report_uri}, the server's log: {self.log_uri}. Fix the model or its "
            f"environment, or the budgets and `allow` of the serving check."
        )


def equal_predictions(
    expected: NDArray[np.generic], observed: NDArray[np.generic], *, rtol: float, atol: float
) -> NDArray[np.bool_]:
    """Return which predictions are the same: numbers within a tolerance, labels exactly.

    :param expected: ``(n_rows,)``, by the model itself.
    :param observed: ``(n_rows,)``, by its server.
    :param rtol: a fraction of the expected number.
    :param atol: added to that.
    :returns: ``(n_rows,) bool``; NaN is never the same.

    >>> equal_predictions(np.array([1.0, 2.0]), np.array([1.001, 2.1]), rtol=0.01, atol=0.0)
    array([ True, False])
    """
    if expected.dtype.kind == "f" and observed.dtype.kind in "iuf":
        return np.asarray(np.isclose(observed.astype(float), expected.astype(float), rtol=rtol, atol=atol))
    return np.asarray(expected.astype(object) == observed.astype(object), dtype=bool)


def fault_of(
    answer: Answer, expected: NDArray[np.generic] | None, *, may_refuse: bool, rtol: float, atol: float
) -> AnswerFault | None:
    """Return what is wrong with an answer; ``None`` when nothing is.

    :param expected: ``(n_rows,)``, what the model itself predicts; ``None`` when it must be refused.
    :param may_refuse: whether an error status is right as well.
    """
    status, n_rows = answer.status, None if expected is None else len(expected)
    if status is None:
        return AnswerFault(kind="no_answer", problem=answer.problem, n_rows=n_rows)
    if status >= 400 and may_refuse:
        return None
    if answer.predictions is None:
        return AnswerFault(kind="status", status=status, problem=answer.problem, n_rows=n_rows)
    if expected is None:
        return AnswerFault(kind="accepted", status=status, n_wrong=len(answer.predictions))
    try:
        observed = check_predictions("The server", answer.predictions, len(expected))
    except EvaluationError as error:
        return AnswerFault(kind="malformed", status=status, problem=str(error).rstrip("."), n_rows=n_rows)
    n_other = int((~equal_predictions(expected, observed, rtol=rtol, atol=atol)).sum())
    return AnswerFault(kind="other", status=status, n_wrong=n_other, n_rows=n_rows) if n_other else None


def judge_answers(
    name: str,
    answers: Sequence[Answer],
    fault: AnswerFault | None,
    *,
    expected: Expected,
    column: str = "",
    is_judged: bool = True,
) -> ServingCheck:
    """Return the check of some requests: how many were answered wrongly, of which none may be.

    :param answers: up to the first that was wrong.
    :param fault: what was wrong with the last one; ``None``: all were right.
    :param column: that the last request was about; empty: about none.
    """
    facts: dict[str, Any] = {
        "expected": expected,
        "n_refused": sum(answer.predictions is None for answer in answers),
        "fault": asdict(fault) if fault else None,
        "column": column if fault else "",
    }
    return _check(
        "answers", name, passed=not fault, is_judged=is_judged, observed=int(fault is not None), required=0,
        n=len(answers), facts=facts,
    )  # fmt: skip


def judge_start(start_s: float | None, *, timeout_s: float, problem: str = "") -> ServingCheck:
    """Return the check whether the server answered in time.

    :param start_s: until its first answer; ``None``: it gave none.
    :param problem: why not.
    """
    facts = {"problem": problem} if problem else {}
    return _check("start", "start", passed=start_s is not None, observed=start_s, required=timeout_s, facts=facts)


def _check(rule: str, name: str, *, passed: bool, is_judged: bool = True, **numbers: Any) -> ServingCheck:
    verdict = _PASSED if passed else _FAILED
    return ServingCheck(
        found=Reason(stage="packaging", rule=rule, verdict=verdict, subject=name, **numbers), is_judged=is_judged
    )


def _as_check(document: Any) -> Any:
    """Return a check that a report of version 1 has in words; what is none, as it is."""
    try:
        name, observed, expected = document["name"], document["observed"], document["expected"]
        found = Reason(
            stage="packaging",
            rule="recorded",
            verdict=_PASSED if document["passed"] else _FAILED,
            subject=name,
            observed=observed,
            required=expected,
            recorded=f"{name}: found {observed}, expected {expected}.",
        )
    except (KeyError, TypeError):
        return document
    return {"found": found, "is_judged": document.get("is_judged", True)}


def latency_quantiles(seconds: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """Return median and 95th percentile in milliseconds; nothing of nothing.

    Both are the smallest latency that at least this fraction of the requests did not exceed: the inverse of the
    empirical distribution, type 1 of Hyndman and Fan (1996), which never lies between two measurements.

    >>> latency_quantiles([0.001] * 19 + [0.5])
    (1.0, 1.0)
    """
    if not seconds:
        return None, None
    p50, p95 = np.quantile(np.asarray(seconds) * 1000, [0.5, 0.95], method="inverted_cdf")
    return float(p50), float(p95)


def judge_footprint(footprint: ServingFootprint, serving_check: ServingCheckSpec) -> tuple[ServingCheck, ...]:
    """Return a check for each budget. What could not be measured is not within its budget."""
    checks = []
    for field in fields(footprint):
        budget, measured = getattr(serving_check, f"max_{field.name}"), getattr(footprint, field.name)
        if budget is None:
            continue
        passed = measured is not None and measured <= budget
        setting = f"serving_check.max_{field.name}"
        checks.append(_check("budget", field.name, passed=passed, observed=measured, required=budget, setting=setting))
    return tuple(checks)
