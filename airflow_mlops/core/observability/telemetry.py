"""Metrics of a platform: which ones there are, and how they are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["MAX_COLUMNS", "METRICS", "Measurement", "Metric", "MetricKind", "clean_tag"]

MAX_COLUMNS = 20
"""Of so many columns, and of so many metrics of a model, a value is sent: a dashboard's memory is not a data lake."""

_MAX_TAG = 60
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-/]")


class MetricKind(StrEnum):
    """A gauge says what is, a counter what was added."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What can be sent.

    :param name: without the prefix that Airflow gives all its metrics.
    :param tags: the names of its tags, in the order in which they follow the name where there are no tags.
    :param description: one line, for people.
    """

    name: str
    kind: MetricKind
    tags: tuple[str, ...]
    description: str


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One value that is sent.

    :param tags: in the order of the metric's.
    """

    metric: Metric
    value: float
    tags: Mapping[str, str]

    @property
    def flat_name(self) -> str:
        """The name for a backend without tags: the tags' values follow it, a dot in them being two underscores.

        >>> metric = METRICS["mlops.drift.psi"]
        >>> Measurement(metric=metric, value=0.1, tags={"model_name": "co2", "column": "co2.last"}).flat_name
        'mlops.drift.psi.co2.co2__last'
        """
        return ".".join([self.metric.name, *(re.sub(r"[./]", "__", tag) for tag in self.tags.values())])


def clean_tag(value: object) -> str:
    """Return what a tag's value may be in each of StatsD, InfluxDB and OpenTelemetry.

    >>> clean_tag("CO2, ppm"), clean_tag("")
    ('CO2__ppm', 'none')
    """
    return _UNSAFE.sub("_", str(value))[:_MAX_TAG] or "none"


def _metrics(*rows: tuple[str, MetricKind, str, str]) -> dict[str, Metric]:
    return {
        f"mlops.{name}": Metric(name=f"mlops.{name}", kind=kind, tags=tuple(tags.split()), description=description)
        for name, kind, tags, description in rows
    }


_GAUGE, _COUNTER = MetricKind.GAUGE, MetricKind.COUNTER

METRICS: Mapping[str, Metric] = _metrics(
    ("data.rows", _GAUGE, "dataset", "rows of the last snapshot"),
    ("data.newest_row_timestamp_seconds", _GAUGE, "dataset", "time of its newest row, in seconds since 1970"),
    ("data.age_seconds", _GAUGE, "dataset", "age of its newest row when the run looked"),
    ("validation.verdict", _GAUGE, "dataset verdict", "1 for the verdict of the last validation, 0 for the others"),
    ("validation.findings", _GAUGE, "dataset", "what the last validation found"),
    ("validation.quarantined_rows", _GAUGE, "dataset", "rows that it set aside"),
    ("drift.status", _GAUGE, "model_name data status", "1 for the status of the last drift check, 0 for the others"),
    ("drift.columns", _GAUGE, "model_name data", "columns that have drifted"),
    ("drift.psi", _GAUGE, "model_name data column", "population stability index"),
    ("drift.jensen_shannon", _GAUGE, "model_name data column", "Jensen-Shannon distance"),
    ("drift.wasserstein", _GAUGE, "model_name data column", "Wasserstein distance, of numbers"),
    ("drift.domain_score", _GAUGE, "model_name data", "how well old rows are told from new ones; 0.5 is not at all"),
    ("performance.status", _GAUGE, "model_name status", "1 for the status of the last check, 0 for the others"),
    ("performance.value", _GAUGE, "model_name metric", "of the champion, in the newest window whose labels are due"),
    ("performance.at_blessing", _GAUGE, "model_name metric", "of the same version, on its held-out rows"),
    ("performance.label_coverage", _GAUGE, "model_name", "share of that window's answers whose truth is known"),
    ("monitoring.alert", _GAUGE, "model_name", "1 if the last check of production gave an alert, else 0"),
    ("retrain.should_retrain", _GAUGE, "model_name", "1 if the last decision was to train, else 0"),
    ("retrain.decisions", _COUNTER, "model_name decision", "decisions, retrain or wait"),
    ("training.models", _COUNTER, "model_name", "models that were trained"),
    ("evaluation.value", _GAUGE, "model_name metric side", "challenger, champion, baseline on the same rows"),
    ("gate.verdict", _GAUGE, "model_name verdict", "1 for the gate's last verdict, 0 for the others"),
    ("gate.observed", _GAUGE, "model_name rule subject", "what a rule of the gate found at its last verdict"),
    ("gate.required", _GAUGE, "model_name rule subject", "what that rule requires, in the same unit"),
    ("gate.decisions", _COUNTER, "model_name verdict", "verdicts of the gate"),
    ("rollout.verdict", _GAUGE, "model_name verdict", "1 for the verdict of the last check of a rollout"),
    ("champion.version", _GAUGE, "model_name", "the version that serves"),
    ("champion.changes", _COUNTER, "model_name action", "promotions, rollbacks, and marks of unhealthy versions"),
    ("champion.data_to_champion_seconds", _GAUGE, "model_name", "from its newest row to its promotion"),
    ("prediction.rows", _COUNTER, "model_name", "rows that batch scoring has scored"),
)
"""Every metric that this package sends, by its name."""
