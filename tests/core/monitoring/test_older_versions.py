"""Reports that the version before wrote, in which reasons were sentences."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_mlops.core.monitoring.drift_report import DriftReport, DriftStatus
from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError


def test_a_drift_report_of_version_1_keeps_its_sentences():
    report = DriftReport.from_dict(
        {
            "kind": "DriftReport",
            "schema_version": 1,
            "model_name": "m",
            "status": "DRIFTED",
            "reasons": ["1 of 2 features drifted.", "Feature x: PSI 3, limit 0.1."],
            "current_digest": "sha256:5",
            "columns": [
                {"name": "x", "statistics": {"psi": 3.0}, "is_drifted": True, "reason": "PSI 3, limit 0.1"},
                {"name": "y", "statistics": {"psi": "NaN"}, "is_drifted": False, "reason": ""},
                {"name": "z", "statistics": {}, "is_drifted": False},
            ],
        }
    )
    assert report.status is DriftStatus.DRIFTED
    assert sentences_of(report.reasons) == ("1 of 2 features drifted.", "Feature x: PSI 3, limit 0.1.")
    assert [sentences_of(column.reasons) for column in report.columns] == [("PSI 3, limit 0.1",), (), ()]
    assert DriftReport.from_dict(report.to_dict()).reasons == report.reasons


def test_a_performance_report_of_version_1_keeps_its_sentences():
    report = PerformanceReport.from_dict(
        {
            "kind": "PerformanceReport",
            "schema_version": 1,
            "model_name": "m",
            "model_version": 3,
            "status": "SUSPECT",
            "reasons": ["Worse: accuracy."],
            "checked_at": "2026-01-31T12:00:00Z",
            "windows": [
                {
                    "start": "2026-01-01T00:00:00Z",
                    "end": "2026-01-08T00:00:00Z",
                    "status": "DEGRADED",
                    "reasons": ["Worse: accuracy.", "Labels such as 3."],
                }
            ],
        }
    )
    assert report.status is PerformanceStatus.SUSPECT
    assert str(report) == "m v3: SUSPECT. Worse: accuracy."
    assert sentences_of(report.windows[0].reasons) == ("Worse: accuracy.", "Labels such as 3.")
    assert PerformanceReport.from_dict(report.to_dict()) == report


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (PerformanceReport, {"windows": 1}),
        (PerformanceReport, {"windows": [1]}),
        (DriftReport, {"columns": 1}),
        (DriftReport, {"columns": "x"}),
    ],
)
def test_a_damaged_report_of_version_1_is_called_damaged(kind: type[Value], part: dict[str, Any]):
    with pytest.raises(IntegrityError, match="the document is damaged"):
        kind.from_dict({"kind": kind.__name__, "schema_version": 1, **part})
