"""DuckDB: finds for each logged prediction the label that came later."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, name, stored
from airflow_mlops.adapters.duckdb_engine.joins.point_in_time import family
from airflow_mlops.core.monitoring.performance_report import LabelCounts
from airflow_mlops.core.scoring.inference_log import OWN_PREFIX, InferenceColumn, Role
from airflow_mlops.errors import DataError, bounded, did_you_mean
from airflow_mlops.specs.performance import PerformanceSpec

__all__ = ["LoggedOutcomes", "open_outcomes"]

_MEMORY_LIMIT = "512MB"  # what the joins need more than that goes to disk
_SLACK = timedelta(minutes=5)
"""So far the clocks of two machines may be apart."""

_ANSWERING = (Role.CHAMPION, Role.CANARY, Role.BATCH)
_DAY = r"^\d{4}-\d\d-\d\d"
_UNKNOWN_MOMENT = str(-(2**62))
_N_EXAMPLES = 3

Keys = list[Any]
"""Keys as text; several columns make a list each."""


@dataclass(frozen=True, kw_only=True)
class LoggedOutcomes:
    """Predictions of a version, each once, and what became of them.

    :param n_repeated: predictions that were logged more than once.
    :param n_future: predictions whose time lies after the check.
    :param examples: ids, or entities, of labels and of predictions, where the log knows none of the labels'.
    """

    labels: LabelCounts
    n_repeated: int
    n_future: int
    examples: tuple[Keys, Keys] | None
    _engine: duckdb.DuckDBPyConnection
    _joined: str

    def between(self, start: datetime, end: datetime) -> pa.Table:
        """Return the predictions of a time span, the oldest first.

        :returns: ``at_us`` (microseconds since 1970 in UTC), ``prediction``, ``score``, ``label`` (null: none has
            come), ``contradicts``, ``is_early`` (known before the prediction), and ``c0``, ``c1`` … for the columns
            that were asked for.
        """
        span = f"at_us >= {_micros(start)} AND at_us < {_micros(end)}"
        rows = self._joined.replace("{answered}", f"(FROM answered WHERE {span})")
        return self._engine.sql(f"{rows} ORDER BY at_us, id").to_arrow_table()


@contextlib.contextmanager
def open_outcomes(
    files: Sequence[str],
    labels: str | None,
    spec: PerformanceSpec,
    *,
    recent: Sequence[str],
    model_version: int,
    start: datetime,
    now: datetime,
    columns: Sequence[str] = (),
) -> Iterator[LoggedOutcomes]:
    """Read a version's part of the log and all labels, and join them.

    What a shadow said does not count. Of a prediction that was logged more than once the last answer counts. Memory is
    bounded: the columns that are needed are read, and what is too much goes to disk.

    :param files: all of the log, at least one.
    :param labels: the Parquet file with the labels; ``None``: none has come.
    :param recent: those of the files that may have rows since ``start``; at least one.
    :param start: earlier predictions are left out.
    :param now: the time of the check. What became known later is not known.
    :param columns: features that are wanted too.
    :raises DataError: when a column is not there, or no time.
    :raises IntegrityError: when a file is damaged.
    :raises UnavailableError: when a file is gone, or memory or disk do not suffice.
    """
    advice = "Nothing was decided. Fix the labels, or `performance`."
    with connect("The inference log", memory_limit=_MEMORY_LIMIT, advice=advice) as engine:
        n_read, n_future = _read_predictions(engine, recent, spec, model_version, start, now, columns)
        counts = _read_labels(engine, labels, spec, now) if labels else LabelCounts()
        n_kept = _count(engine, "FROM answered")
        examples = None
        if labels:
            # All of the log, not only the recent files or this version: a label of an older prediction is not unknown.
            counts = _with_unknown(engine, counts, files, spec)
            if counts.n_unknown and counts.n_unknown == _count(engine, "FROM labels"):
                examples = _examples(engine, spec)
        yield LoggedOutcomes(
            labels=counts,
            n_repeated=n_read - n_kept,
            n_future=n_future,
            examples=examples,
            _engine=engine,
            _joined=_joined(spec, len(columns)) if labels else _unlabelled(len(columns)),
        )


def _read_predictions(
    engine: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    spec: PerformanceSpec,
    model_version: int,
    start: datetime,
    now: datetime,
    columns: Sequence[str],
) -> tuple[int, int]:
    """Keep each prediction once, and return how many were read, and how many of those lie in the future."""
    _require("The inference log", [*spec.entity, *columns], _types(engine, stored(files)), hidden=OWN_PREFIX)
    selected = {
        "id": InferenceColumn.ID.value,
        "at_us": _moment(InferenceColumn.AT),
        "prediction": InferenceColumn.PREDICTION.value,
        "score": InferenceColumn.SCORE.value,
        **{f"e{place}": name(column) for place, column in enumerate(spec.entity)},
        **{f"c{place}": name(column) for place, column in enumerate(columns)},
    }
    rows = (
        f"SELECT {_as(selected)} FROM {stored(files)} WHERE {InferenceColumn.MODEL_VERSION} = {int(model_version)} "
        f"AND {InferenceColumn.ROLE} IN ({', '.join(literal(role.value) for role in _ANSWERING)})"
    )
    same = "id, at_us" if spec.tolerance else "id"  # an id that is scored again and again is another prediction
    logged, later = f"FROM ({rows}) WHERE at_us >= {_micros(start)}", f"at_us > {_micros(now + _SLACK)}"
    engine.execute(
        f"CREATE TEMP TABLE answered AS {logged} AND NOT {later} "
        # Of a repeated prediction the last answer counts, and any answer before a failed one.
        f"QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY prediction IS NULL, at_us DESC, score) = 1"
    )
    return _count(engine, f"{logged} AND NOT {later}"), _count(engine, f"{logged} AND {later}")


def _read_labels(engine: duckdb.DuckDBPyConnection, parquet: str, spec: PerformanceSpec, now: datetime) -> LabelCounts:
    """Keep for each prediction what its last label says."""
    types, logged = _types(engine, stored(parquet)), _types(engine, "answered")
    _require("The labels", spec.label_columns, types)
    for place, column in enumerate(spec.entity):
        if family(types[column]) != family(logged[f"e{place}"]):
            raise DataError(
                f"The labels: {column!r} is {types[column]}, in the inference log it is {logged[f'e{place}']}. Nothing "
                f"was decided. Cast it where the labels come from."
            )
    moments = [column for column in (spec.known_at, spec.labels.timestamp if spec.tolerance else None) if column]
    for column in moments:
        if types[column] == "VARCHAR":
            _require_moments(engine, parquet, column)
        elif not types[column].startswith(("DATE", "TIMESTAMP")):
            raise DataError(
                f"The labels: {column!r} is {types[column]}, a date or a timestamp is required. Nothing was decided. "
                f"Fix the source."
            )
    value = name(spec.label)
    selected = {
        **_keys(spec),
        # A NaN is a label that is not there, and would be the largest of all values.
        "value": f"NULLIF({value}, 'nan')" if types[spec.label] in ("DOUBLE", "FLOAT") else value,
        "known_us": f"coalesce({_moment(name(moments[0]))}, {_UNKNOWN_MOMENT})" if moments else _UNKNOWN_MOMENT,
    }
    rows = f"(SELECT {_as(selected)} FROM {stored(parquet)})"
    later = f"known_us > {_micros(now + _SLACK)}"
    n_rows, n_null, n_future = engine.execute(
        f"SELECT count(*), count(*) FILTER (value IS NULL), count(*) FILTER (value IS NOT NULL AND {later}) FROM {rows}"
    ).fetchall()[0]
    # In two levels: within a time the labels of a key agree or contradict each other; of all times the last one counts.
    # A correction is thus told from a contradiction.
    keys = ", ".join(_keys(spec))
    engine.execute(
        f"CREATE TEMP TABLE labels AS SELECT {keys}, arg_max(low, known_us) AS value, "
        f"arg_max(low <> high, known_us) AS contradicts, max(known_us) AS known_us, sum(n) AS n, "
        f"min(low) <> max(high) AS varies FROM ("
        f"SELECT {keys}, known_us, min(value) AS low, max(value) AS high, count(*) AS n FROM {rows} "
        f"WHERE value IS NOT NULL AND NOT {later} GROUP BY ALL) GROUP BY {keys}"
    )
    repeated, changed, contradicting = engine.execute(
        "SELECT coalesce(sum(n) - count(*), 0), count(*) FILTER (varies AND NOT contradicts), "
        "count(*) FILTER (contradicts) FROM labels"
    ).fetchall()[0]
    return LabelCounts(
        n_rows=n_rows,
        n_null=n_null,
        n_future=n_future,
        n_repeated=int(repeated),
        n_changed=changed,
        n_contradicting=contradicting,
    )


def _require_moments(engine: duckdb.DuckDBPyConnection, parquet: str, column: str) -> None:
    """See that texts, which SQLite has in place of times, are such, and not dates in a form that has two meanings."""
    text = name(column)
    is_moment = f"regexp_matches({text}, {literal(_DAY)}) AND TRY_CAST({text} AS TIMESTAMPTZ) IS NOT NULL"
    odd = f"FROM {stored(parquet)} WHERE {text} IS NOT NULL AND NOT ({is_moment})"
    n_odd = _count(engine, odd)
    if n_odd:
        examples = [row[0] for row in engine.execute(f"SELECT DISTINCT {text} {odd} ORDER BY 1 LIMIT 3").fetchall()]
        raise DataError(
            f"The labels: {column!r} is text, of which {n_odd} value(s) are no date or timestamp in ISO 8601, such as "
            f"{bounded(examples)}. Nothing was decided. Fix the source: 2026-01-31 or 2026-01-31 12:00:00 is required."
        )


def _with_unknown(
    engine: duckdb.DuckDBPyConnection, counts: LabelCounts, files: Sequence[str], spec: PerformanceSpec
) -> LabelCounts:
    """Count the labels of ids, or of entities, that the whole log does not have, whoever scored them."""
    keys = _log_keys(spec)
    on = " AND ".join(f"l.{key} = k.{key}" for key in keys)
    known = f"(SELECT DISTINCT {_as(keys)} FROM {stored(files)})"
    n_unknown = _count(engine, f"FROM labels AS l ANTI JOIN {known} AS k ON {on}")
    return LabelCounts(**{**vars(counts), "n_unknown": n_unknown})


def _keys(spec: PerformanceSpec) -> dict[str, str]:
    """Return by what a label is told from others, as SQL over the labels."""
    keys = {"id": f"{name(spec.id)}::VARCHAR"} if spec.id else {}
    keys |= {f"e{place}": name(column) for place, column in enumerate(spec.entity)}
    return keys | ({"of_us": _moment(name(str(spec.labels.timestamp)))} if spec.tolerance else {})


def _log_keys(spec: PerformanceSpec) -> dict[str, str]:
    """Return the same over the log, without the time."""
    if spec.id:
        return {"id": InferenceColumn.ID.value}
    return {f"e{place}": name(column) for place, column in enumerate(spec.entity)}


def _join(spec: PerformanceSpec) -> str:
    on = " AND ".join(f"p.{key} = l.{key}" for key in _log_keys(spec))
    # With a tolerance, the first label at or after the prediction. Whether it is near enough is asked after the join:
    # a later one must not take its place.
    kind, later = ("ASOF LEFT", " AND p.at_us <= l.of_us") if spec.tolerance else ("LEFT", "")
    return f"{kind} JOIN labels AS l ON {on}{later}"


def _joined(spec: PerformanceSpec, n_columns: int) -> str:
    within = f"l.of_us - p.at_us <= {spec.tolerance // timedelta(microseconds=1)}" if spec.tolerance else "true"
    # Known well before its prediction was made: a clock is wrong, or what was predicted was known.
    early = f"l.known_us > {_UNKNOWN_MOMENT} AND l.known_us < p.at_us - {_SLACK // timedelta(microseconds=1)}"
    selected = {
        "id": "p.id",
        "at_us": "p.at_us",
        "prediction": "prediction",
        "score": "score",
        "label": f"CASE WHEN {within} THEN l.value END",
        "contradicts": f"coalesce({within} AND l.contradicts, false)",
        "is_early": f"coalesce({within} AND {early}, false)",
        **_wanted(n_columns),
    }
    return f"SELECT {_as(selected)} FROM {{answered}} AS p {_join(spec)}"


def _unlabelled(n_columns: int) -> str:
    """Return the same, in the same order, where no label has come."""
    known = {each: each for each in ("id", "at_us", "prediction", "score")}
    none = {"label": "NULL::VARCHAR", "contradicts": "false", "is_early": "false"}
    return f"SELECT {_as({**known, **none, **_wanted(n_columns)})} FROM {{answered}}"


def _wanted(n_columns: int) -> dict[str, str]:
    return {f"c{place}": f"c{place}" for place in range(n_columns)}


def _examples(engine: duckdb.DuckDBPyConnection, spec: PerformanceSpec) -> tuple[Keys, Keys]:
    """Return a few keys of the labels and of the predictions, for whoever looks for what tells them apart."""
    keys = ", ".join(f"{key}::VARCHAR" for key in _log_keys(spec))
    found = []
    for table in ("labels", "answered"):
        rows = engine.execute(f"SELECT DISTINCT {keys} FROM {table} ORDER BY ALL LIMIT {_N_EXAMPLES}").fetchall()
        found.append([row[0] if len(row) == 1 else list(row) for row in rows])
    return found[0], found[1]


def _types(engine: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    relation = engine.sql(f"FROM {table}")
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


def _require(subject: str, columns: Sequence[str], types: Mapping[str, str], *, hidden: str = "") -> None:
    for column in columns:
        if column not in types:
            known = [each for each in types if not (hidden and each.startswith(hidden))]
            raise DataError(
                f"{subject}: the column {column!r} is not there. Columns: {bounded(known, 20)}."
                f"{did_you_mean(column, known)} Nothing was decided."
            )


def _as(selected: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {name(alias)}" for alias, sql in selected.items())


def _moment(column: str) -> str:
    """Return a time in microseconds since 1970; the engine's time zone is UTC, and so are times without one."""
    return f"epoch_us({column}::TIMESTAMPTZ)"


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _count(engine: duckdb.DuckDBPyConnection, sql: str) -> int:
    rows: list[tuple[Any, ...]] = engine.execute(f"SELECT count(*) {sql}").fetchall()
    return int(rows[0][0])
