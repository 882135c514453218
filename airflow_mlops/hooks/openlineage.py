"""OpenLineage: what Airflow's provider for it is told. Only that provider calls this, so it is installed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Asset
    from openlineage.client.event_v2 import Dataset

    from airflow_mlops.core.observability.dataset_lineage import StepLineage
    from airflow_mlops.core.values import Value

__all__ = ["convert_asset", "operator_lineage"]

log = logging.getLogger(__name__)


def convert_asset(asset: Asset, lineage_context: Any) -> Dataset | None:  # noqa: ARG001  # Airflow's signature
    """Return a model's asset, or that of its alerts, as a dataset, for Airflow; ``None`` where it names no model."""
    from openlineage.client.event_v2 import Dataset

    from airflow_mlops.core.observability.dataset_lineage import MODELS

    uri = urlsplit(asset.uri)
    return Dataset(namespace=MODELS, name=f"{uri.netloc}{uri.path}".rstrip("/")) if uri.netloc else None


def operator_lineage(
    value: Value | None, *, given: Sequence[Value], inlets: Iterable[Any], outlets: Iterable[Any]
) -> OperatorLineage[Any, Any]:
    """Return what a task read and wrote: its step, and what the DAG's author wrote down beside.

    :param value: what came of the step; ``None``: nothing.
    :param inlets: the task's; OpenLineage asks for them only where an operator says nothing.
    :param outlets: the task's.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_mlops.adapters.openlineage import as_input, as_output
    from airflow_mlops.core.observability.dataset_lineage import StepLineage, lineage_of

    found = lineage_of(value, given=given) if value is not None else StepLineage()
    inputs = [*map(as_input, found.inputs), *_tables(found)]
    outputs = [as_output(each) for each in found.outputs]
    return OperatorLineage(inputs=[*inputs, *_others(inlets, inputs)], outputs=[*outputs, *_others(outlets, outputs)])


def _others(assets: Iterable[Any], known: Sequence[Dataset]) -> list[Dataset]:
    """Return the assets that have a converter and are not known already."""
    from airflow.providers.common.compat.openlineage.utils.utils import translate_airflow_asset
    from airflow.sdk import Asset

    translated = [translate_airflow_asset(asset, None) for asset in assets if isinstance(asset, Asset)]
    names = {(each.namespace, each.name) for each in known}
    return [each for each in translated if each is not None and (each.namespace, each.name) not in names]


def _tables(found: StepLineage) -> list[Dataset]:
    """Return the tables that a query read, as OpenLineage's own parser finds them."""
    if not found.query:
        return []
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.sqlparser import get_openlineage_facets_with_sql
    from airflow.sdk import BaseHook

    try:
        connection: Any = BaseHook.get_connection(found.conn_id)
        hook = connection.get_hook()
        if isinstance(hook, DbApiHook):
            parsed = get_openlineage_facets_with_sql(hook, found.query, found.conn_id, None)
            return list(parsed.inputs) if parsed else []
    except Exception as error:  # the rows are copied; which tables they were in is not worth a failure
        log.warning("tables not told to OpenLineage: conn_id=%s error=%s", found.conn_id, type(error).__name__)
    return []
