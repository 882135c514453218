"""Which datasets and models a step read and wrote, for whoever draws the graph of all of them.

Names stay the same from run to run, so that there is one graph; what changes is the version:

=========== =================================== ===================================================
namespace   name                                version
=========== =================================== ===================================================
``file``    a path; ``s3://bucket`` and a key   none
``mlops``   ``<dataset>/snapshot``, and         the digest of its rows
            ``<dataset>/accepted``: what a
            quarantine left of it
``mlops``   ``<dataset>/quarantine``            none
``mlops``   ``<dataset>/split/<part>``          the digest of its rows
``mlops``   ``<model>/predictions``             the digest of its rows
``mlmodel`` ``<model>/challenger``              the digest of its files
``mlmodel`` ``<model>/registered``              the version's number
``mlmodel`` ``<model>``: the champion           the version's number
=========== =================================== ===================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.monitoring.performance_report import PerformanceReport
from airflow_mlops.core.registry.journal import ModelVersion, PromotionRecord
from airflow_mlops.core.scoring.batch import PredictionBatch
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.validation.findings import Check, ValidationReport
from airflow_mlops.core.values import Value

__all__ = ["MODELS", "LineageDataset", "StepLineage", "champion_name", "lineage_of"]

DATA, MODELS = "mlops", "mlmodel"
_GLOB = re.compile(r"[*?\[{]")


@dataclass(frozen=True, kw_only=True)
class LineageDataset:
    """A dataset or a model, by the names of OpenLineage.

    :param version: what tells it from what had the same name before; empty: nothing does.
    :param uri: where it lies; empty where the name says so.
    :param checks: what was found out about it.
    """

    namespace: str
    name: str
    version: str = ""
    uri: str = ""
    n_rows: int | None = None
    columns: tuple[Column, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepLineage:
    """What a step read, and what it wrote.

    :param query: what was asked of the database of the connection ``conn_id``, where it read from one.
    """

    inputs: tuple[LineageDataset, ...] = ()
    outputs: tuple[LineageDataset, ...] = ()
    query: str = ""
    conn_id: str = ""


def lineage_of(value: Value, *, given: Sequence[Value] = ()) -> StepLineage:
    """Return what a step read and wrote.

    :param value: what came of it.
    :param given: the data and the models that it was given.
    """
    read = [dataset for each in given for dataset in _written(each)]
    written = tuple(_written(value))
    if isinstance(value, DatasetSnapshot):
        source = {name: str(value.source.get(name) or "") for name in ("query", "conn_id")}
        return StepLineage(inputs=tuple(_sources(value)), outputs=written, **(source if source["query"] else {}))
    if isinstance(value, TrainedModel):
        read = [dataset for dataset in read if not dataset.name.endswith("/split/test")]
    if isinstance(value, ValidationReport):
        read = [replace(dataset, checks=value.checks) for dataset in read]
    if isinstance(value, (DriftReport, PerformanceReport, PredictionBatch)):
        read += _asked(value)
    return StepLineage(inputs=tuple(read), outputs=tuple(each for each in written if each not in read))


def champion_name(model_name: str) -> str:
    """Return the name of a model's champion, which is that of its asset.

    >>> champion_name("Churn EU")
    'Churn%20EU'
    """
    return quote(model_name, safe="")


def _written(value: Value) -> Iterator[LineageDataset]:
    """Give what a value stands for, whether a step made it or was given it."""
    if isinstance(value, DatasetSnapshot):
        yield _snapshot(value)
    elif isinstance(value, DatasetSplit):
        yield from _parts(value)
    elif isinstance(value, ValidationReport):
        yield from _left_by_quarantine(value)
    elif isinstance(value, PredictionBatch):
        name = f"{value.model_name}/predictions"
        yield _data(name, value.digest, value.uri, value.n_rows, value.columns)
    elif isinstance(value, TrainedModel):
        yield _model(value.model_name, "/challenger", value.model_digest, value.model_uri)
    elif isinstance(value, ModelVersion):
        uri = f"models:/{value.model_name}/{value.model_version}"
        yield _model(value.model_name, "/registered", str(value.model_version), uri)
    elif isinstance(value, PromotionRecord) and value.action != "mark_unhealthy":
        yield _champion(value.model_name, value.to_version)


def _data(name: str, version: str, uri: str, n_rows: int, columns: tuple[Column, ...] = ()) -> LineageDataset:
    return LineageDataset(namespace=DATA, name=name, version=version, uri=uri, n_rows=n_rows, columns=columns)


def _model(model_name: str, suffix: str, version: str, uri: str) -> LineageDataset:
    return LineageDataset(namespace=MODELS, name=champion_name(model_name) + suffix, version=version, uri=uri)


def _champion(model_name: str, version: int) -> LineageDataset:
    return _model(model_name, "", str(version), f"models:/{model_name}/{version}")


def _snapshot(snapshot: DatasetSnapshot) -> LineageDataset:
    kind = "accepted" if "rest_of" in snapshot.source else "snapshot"
    name = f"{snapshot.dataset}/{kind}"
    return _data(name, snapshot.digest, snapshot.uri, snapshot.n_rows, snapshot.columns)


def _parts(split: DatasetSplit) -> Iterator[LineageDataset]:
    if split.recipe:  # a split that was made before recipes were noted does not say of which dataset it is
        for name, part in split.parts.items():
            yield _data(f"{split.recipe.dataset}/split/{name}", part.digest, part.uri, part.n_rows, split.columns)


def _left_by_quarantine(report: ValidationReport) -> Iterator[LineageDataset]:
    if report.accepted and report.quarantine:
        yield _snapshot(report.accepted)
        name = f"{report.accepted.dataset}/quarantine"
        yield _data(name, "", report.quarantine.uri, report.quarantine.n_rows)


def _asked(value: DriftReport | PerformanceReport | PredictionBatch) -> list[LineageDataset]:
    """Return the version that was compared with, looked at, or asked."""
    version = value.champion_version if isinstance(value, DriftReport) else value.model_version
    return [] if version is None else [_champion(value.model_name, version)]


def _sources(snapshot: DatasetSnapshot) -> Iterator[LineageDataset]:
    """Give the folder, the file or the prefix that files came from. A table's name is in its query, for a parser."""
    path = str(snapshot.source.get("path") or "")
    if path.startswith("s3://"):
        bucket, _, key = path.removeprefix("s3://").partition("/")
        yield LineageDataset(namespace=f"s3://{bucket}", name=_fixed_part(key) or "/")
    elif path:
        yield LineageDataset(namespace="file", name=_fixed_part(path) or "/")


def _fixed_part(path: str) -> str:
    """Return the folder above the first wildcard.

    >>> _fixed_part("/in/2026-*/x.csv"), _fixed_part("/in/x.csv"), _fixed_part("/in/")
    ('/in', '/in/x.csv', '/in')
    """
    found = _GLOB.search(path)
    return (path[: found.start()].rpartition("/")[0] if found else path).rstrip("/")
