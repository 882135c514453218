"""Batch scoring: many rows scored at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.predict import PredictionSpec

if TYPE_CHECKING:
    from airflow_mlops.core.scoring.batch import PredictionBatch
    from airflow_mlops.core.values import PipelineRun

__all__ = ["BatchPredictOperator"]


class BatchPredictOperator(StepOperator):
    """Score the rows of a snapshot by the champion, or by a version that is named.

    Gives a :class:`~airflow_mlops.core.scoring.batch.PredictionBatch`. A retry writes nothing twice, and a batch is of
    one version. See :func:`~airflow_mlops.steps.scoring.predict.predict_batch`.

    :param snapshot: what :class:`~airflow_mlops.operators.SnapshotDatasetOperator` gave. (templated)
    :param prediction: a :class:`~airflow_mlops.specs.PredictionSpec`, or its settings. (templated)
    :param data: a :class:`~airflow_mlops.specs.DatasetSpec`, or its settings, whose ``features`` and ``feature_tables``
        make the rows that are scored; by default they are the snapshot's own. (templated)
    """

    template_fields = ("snapshot", "prediction", "data", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        snapshot: Document,
        prediction: PredictionSpec | Mapping[str, Any],
        data: DatasetSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.prediction = prediction
        self.data = data

    def call_step(self, run: PipelineRun) -> PredictionBatch:
        """Score the rows."""
        from airflow_mlops.core.data.snapshot import DatasetSnapshot
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.steps.scoring.predict import predict_batch

        return predict_batch(
            DatasetSnapshot.from_dict(self.snapshot),
            PredictionSpec.parse(self.prediction),
            data=None if self.data is None else DatasetSpec.parse(self.data),
            connections=AirflowConnections(),
            platform=self.platform(),
            run=run,
        )
