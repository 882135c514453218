"""DuckDB: questions about the inference log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, stored
from airflow_mlops.adapters.duckdb_engine.profiles.cells import number_literal
from airflow_mlops.core.rollout.online_validation import LATENCY_EDGES_MS, RolloutSide
from airflow_mlops.core.scoring.inference_log import Role

__all__ = ["count_sides"]

_DECILES = [step / 10 for step in range(1, 10)]
_MAX_LABELS = 50
_NUMBERS = ("DOUBLE", "FLOAT", "BIGINT", "INTEGER")


def count_sides(
    files: Sequence[str], *, since: datetime, until: datetime, champion: int, challenger: int, role: Role
) -> tuple[RolloutSide, RolloutSide]:
    """Count what two versions were asked and answered in the same time.

    :param files: of the model's log; none where nothing was asked.
    :param since: the first time that belongs, with a zone, as ``until``, the first one that does not.
    :param role: the challenger's.
    :returns: the champion's side and the challenger's.
    :raises UnavailableError: when the log can't be read now.
    """
    versions = {Role.CHAMPION: champion, role: challenger}
    if not files:
        return RolloutSide(model_version=champion), RolloutSide(model_version=challenger)
    wanted = " OR ".join(
        f"(mlops_role = {literal(each.value)} AND mlops_model_version = {version})"
        for each, version in versions.items()
    )
    rows = (
        f"SELECT mlops_role AS role, mlops_request_id AS request, mlops_error AS error, mlops_latency_ms AS latency, "
        f"mlops_prediction AS prediction FROM {stored(files)} "
        f"WHERE ({wanted}) AND mlops_at >= {_moment(since)} AND mlops_at < {_moment(until)}"
    )
    with connect(f"The inference log with {files[0]}") as connection:
        connection.execute(f"CREATE TEMP TABLE rows AS {rows}")
        sides = [_side(connection, each, version) for each, version in versions.items()]
    return sides[0], sides[1]


def _side(connection: duckdb.DuckDBPyConnection, role: Role, version: int) -> RolloutSide:
    mine = f"rows WHERE role = {literal(role.value)}"
    counted = connection.execute(
        f"SELECT count(*), count(*) FILTER (failed), histogram(latency, {_numbers(LATENCY_EDGES_MS)}) FROM "
        f"(SELECT bool_or(error IS NOT NULL) AS failed, max(latency) AS latency FROM {mine} GROUP BY request)"
    ).fetchall()
    n_requests, n_failed, latencies = counted[0]
    places = {edge: place for place, edge in enumerate(LATENCY_EDGES_MS)}
    return RolloutSide(
        model_version=version,
        n_requests=n_requests,
        n_failed=n_failed,
        latencies={places.get(edge, len(places)): n for edge, n in (latencies or {}).items() if n},
        predictions=_predictions(connection, mine),
    )


def _predictions(connection: duckdb.DuckDBPyConnection, mine: str) -> dict[str, int]:
    """Count predictions by label; numbers of which there are many by the deciles of the champion's."""
    kind = connection.table("rows").select("prediction").types[0]
    if str(kind) in _NUMBERS:
        number = "prediction::DOUBLE"
        finite = f"FILTER (isfinite({number}))"
        n_different, edges = connection.execute(
            f"SELECT approx_count_distinct({number}), quantile_disc({number}, {_DECILES}) {finite} FROM rows "
            f"WHERE role = 'champion'"
        ).fetchall()[0]
        if n_different > _MAX_LABELS:
            uppers = [*sorted(set(edges)), math.nextafter(math.inf, 0)]
            n_bad, counted = connection.execute(
                f"SELECT count(*) FILTER (NOT isfinite({number})), "
                f"histogram({number}, {_numbers(uppers)}) {finite} FROM {mine}"
            ).fetchall()[0]
            found = counted or {}
            labelled = {f"up to {upper:.6g}": found.get(upper, 0) for upper in uppers[:-1]}
            return {**labelled, f"above {uppers[-2]:.6g}": found.get(uppers[-1], 0), "not finite": n_bad}
    rows = connection.execute(
        f"SELECT prediction::VARCHAR, count(*) FROM {mine} AND prediction IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 "
        f"LIMIT {_MAX_LABELS}"
    ).fetchall()
    return dict(rows)


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(map(number_literal, values)) + "]"


def _moment(at: datetime) -> str:
    return f"{literal(at)}::TIMESTAMPTZ"
