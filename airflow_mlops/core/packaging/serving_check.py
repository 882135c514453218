"""Whether a packaged model serves: what its server answered, against what the model itself answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.report import check_predictions
from airflow_mlops.core.values import Value
from airflow_mlops.errors import EvaluationError, ServingError, bounded_lines
from airflow_mlops.specs.serving import ServingCheckSpec

__all__ = [
    "GOLDEN_ROWS",
    "Answer",
    "ServingCheck",
    "ServingFootprint",
    "ServingReport",
    "equal_predictions",
    "fault_of",
    "judge_footprint",
    "latency_quantiles",
]

GOLDEN_ROWS = "golden_rows"
"""The check without which nothing passes."""


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


@dataclass(frozen=True, kw_only=True)
class ServingCheck:
    """One thing that the server was asked, and what came of it.

    :param is_judged: whether a failure counts; ``False`` for what the spec allows.
    """

    name: str
    passed: bool
    observed: str
    expected: str
    is_judged: bool = True

    def __str__(self) -> str:
        return f"{self.name}: found {self.observed}, expected {self.expected}."


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
class ServingReport(Value):
    """How the packaged model did in a scoring server of its own.

    :param settings_digest: of the spec that it was tried by.
    :param n_golden_rows: how many rows both predicted.
    :param log_uri: the end of the server's log, below the storage root; empty where nothing failed.
    """

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

    @property
    def is_ok(self) -> bool:
        """Whether the golden rows were predicted alike, and nothing else that is judged failed."""
        has_evidence = any(check.name == GOLDEN_ROWS and check.passed for check in self.checks)
        return has_evidence and not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """What failed and is judged, with what was expected."""
        return tuple(str(check) for check in self.checks if check.is_judged and not check.passed)

    def require_ok(self) -> None:
        """Go on, or stop the pipeline.

        :raises ServingError: when the model does not serve as it must.
        """
        if self.is_ok:
            return
        raise ServingError(
            f"{self.model_name}: {self.model_uri} does not serve as it must: {len(self.reasons)} of {len(self.checks)} "
            f"check(s) failed.\n{bounded_lines(self.reasons)}\n"
            f"The champion stays. Report: {self.report_uri}, the server's log: {self.log_uri}. Mend the model or its "
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
) -> str:
    """Return what is wrong with an answer; empty when nothing is.

    :param expected: ``(n_rows,)``, what the model itself predicts; ``None`` when it must be refused.
    :param may_refuse: whether an error status is right as well.
    """
    if answer.status is None:
        return f"no answer ({answer.problem})"
    if answer.status >= 400 and may_refuse:
        return ""
    if answer.predictions is None:
        return f"HTTP status {answer.status} {answer.problem}".rstrip()
    if expected is None:
        return f"{len(answer.predictions)} prediction(s) in place of an error"
    try:
        observed = check_predictions("The server", answer.predictions, len(expected))
    except EvaluationError as error:
        return str(error).rstrip(".")
    n_other = int((~equal_predictions(expected, observed, rtol=rtol, atol=atol)).sum())
    return f"{n_other} of {len(expected)} prediction(s) that are not the model's own" if n_other else ""


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


def judge_footprint(footprint: ServingFootprint, serving: ServingCheckSpec) -> tuple[ServingCheck, ...]:
    """Return a check for each budget. What could not be measured is not within its budget."""
    checks = []
    for field in fields(footprint):
        budget, measured = getattr(serving, f"max_{field.name}"), getattr(footprint, field.name)
        if budget is None:
            continue
        checks.append(
            ServingCheck(
                name=field.name,
                passed=measured is not None and measured <= budget,
                observed="not measured" if measured is None else f"{measured:.4g}",
                expected=f"at most {budget:g}",
            )
        )
    return tuple(checks)
