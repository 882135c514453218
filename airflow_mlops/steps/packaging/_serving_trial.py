"""A trial of a running server: golden rows, malformed requests, latency and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from airflow_mlops.adapters.scoring_server import ScoringServer, request_body
from airflow_mlops.core.packaging.serving_check import (
    GOLDEN_ROWS,
    Answer,
    AnswerFault,
    ServingCheck,
    ServingFootprint,
    fault_of,
    judge_answers,
    latency_quantiles,
)
from airflow_mlops.specs.serving_check import ServingCheckSpec
from airflow_mlops.steps.packaging._malformed_requests import Case, malformed_requests
from airflow_mlops.steps.registry.models import LoadedModel

__all__ = ["choose_golden_rows", "try_out"]

_WARM_UP = 10
"""How many requests of one row are not measured."""


def choose_golden_rows(frame: Any, columns: Iterable[str], serving_check: ServingCheckSpec) -> Any:
    """Return the columns that the model reads, of rows drawn by the seed and of the first with a null in each column.

    :param frame: the held-out rows.
    """
    frame = frame[list(columns)]
    n_rows = min(serving_check.n_golden_rows, len(frame))
    places = set(np.random.default_rng(serving_check.seed).choice(len(frame), size=n_rows, replace=False).tolist())
    for name in frame.columns:
        is_null = frame[name].isna().to_numpy()
        if is_null.any():
            places.add(int(is_null.argmax()))
    return frame.iloc[sorted(places)].reset_index(drop=True)


def try_out(
    server: ScoringServer, loaded: LoadedModel, rows: Any, types: Mapping[str, str], serving_check: ServingCheckSpec
) -> tuple[list[ServingCheck], ServingFootprint]:
    """Ask a server everything; stop at the first request that is not answered at all.

    :param loaded: the same model in this process.
    :param rows: the golden rows.
    :param types: the columns' Arrow types, by name.
    """
    trial, expected = _Trial(server, serving_check), loaded.predict(rows)
    golden = Case(body=request_body(rows), expected=expected, may_refuse=False)
    trial.check(GOLDEN_ROWS, [golden])
    singles = [
        Case(body=request_body(rows.iloc[[place]]), expected=expected[[place]], may_refuse=False)
        for place in np.resize(np.arange(len(rows)), _WARM_UP + serving_check.n_requests)
    ]
    answers = trial.check("single_rows", singles)
    p50, p95 = latency_quantiles([answer.seconds for answer in answers[_WARM_UP:]])
    batch_ms = None
    for name, cases in malformed_requests(loaded, rows, types, serving_check.batch_rows):
        answers = trial.check(name, cases, is_judged=name not in serving_check.allow)
        if name == "huge_batch" and answers and answers[0].predictions is not None:
            batch_ms = answers[0].seconds * 1000
    memory_mb = server.peak_memory_mb()
    trial.check("golden_rows_afterwards", [golden], even_now=True)
    return trial.checks, ServingFootprint(
        start_s=server.start_s, latency_p50_ms=p50, latency_p95_ms=p95, batch_ms=batch_ms, memory_mb=memory_mb
    )


class _Trial:
    """Asks, judges, and keeps the checks."""

    def __init__(self, server: ScoringServer, serving_check: ServingCheckSpec) -> None:
        self.checks: list[ServingCheck] = []
        self._server, self._serving, self._is_answered = server, serving_check, True

    def check(self, name: str, cases: list[Case], *, is_judged: bool = True, even_now: bool = False) -> list[Answer]:
        """Ask until an answer is wrong, and return the right ones if all of them are.

        :param even_now: ask even if an earlier request was not answered.
        """
        if not cases or not (self._is_answered or even_now):
            return []
        answers: list[Answer] = []
        fault: AnswerFault | None = None
        for case in cases:
            answer = self._server.ask(case.body, method=case.method, content_type=case.content_type)
            answers.append(answer)
            fault = fault_of(
                answer,
                case.expected,
                may_refuse=case.may_refuse,
                rtol=self._serving.rtol,
                atol=self._serving.atol,
            )
            if fault:
                break
        self._is_answered = self._is_answered and answers[-1].status is not None
        self.checks.append(
            judge_answers(name, answers, fault, expected=case.wanted, column=case.about, is_judged=is_judged)
        )
        return [] if fault else answers
