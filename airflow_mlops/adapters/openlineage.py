"""Datasets and models in OpenLineage's words."""

from __future__ import annotations

from typing import Any

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset as assertions,
)
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    datasource_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from airflow_mlops.core.observability.dataset_lineage import LineageDataset
from airflow_mlops.core.validation.findings import Check, Outcome, Severity
from airflow_mlops.core.wording.validation import found_and_expected

__all__ = ["as_input", "as_output"]

_SEVERITIES = {Severity.CRITICAL: "error", Severity.WARNING: "warn", Severity.INFO: "info"}


def as_input(dataset: LineageDataset) -> InputDataset:
    """Return a dataset that was read, with what was found out about it."""
    checked = [_assertion(check) for check in dataset.checks if check.outcome is not Outcome.UNCHECKED]
    found: dict[str, Any] = {}
    if checked:
        found["dataQualityAssertions"] = assertions.DataQualityAssertionsDatasetFacet(assertions=checked)
    return InputDataset(namespace=dataset.namespace, name=dataset.name, facets=_facets(dataset), inputFacets=found)


def as_output(dataset: LineageDataset) -> OutputDataset:
    """Return a dataset that was written, with the number of its rows."""
    counted: dict[str, Any] = {}
    if dataset.n_rows is not None:
        counted["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=dataset.n_rows
        )
    return OutputDataset(namespace=dataset.namespace, name=dataset.name, facets=_facets(dataset), outputFacets=counted)


def _facets(dataset: LineageDataset) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    if dataset.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=dataset.version)
    if dataset.uri:
        facets["dataSource"] = datasource_dataset.DatasourceDatasetFacet(name=dataset.namespace, uri=dataset.uri)
    if dataset.columns:
        fields = [
            schema_dataset.SchemaDatasetFacetFields(name=column.name, type=column.type) for column in dataset.columns
        ]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    return facets


def _assertion(check: Check) -> assertions.Assertion:
    actual, expected = found_and_expected(check.found)
    return assertions.Assertion(
        assertion=check.rule,
        success=check.outcome is Outcome.MET,
        column=check.column,
        severity=_SEVERITIES[check.severity],
        expected=expected,
        actual=actual,
    )
