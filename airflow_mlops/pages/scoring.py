"""The page of a batch of predictions."""

from __future__ import annotations

from airflow_mlops.adapters.documents.html import report_page
from airflow_mlops.core.scoring.batch import PredictionBatch
from airflow_mlops.specs.predict import PredictionSpec

__all__ = ["prediction_page"]


def prediction_page(batch: PredictionBatch, prediction: PredictionSpec) -> str:
    """Draw what was scored, by what, and where the predictions are."""
    table = prediction.output and f"{prediction.output.table} ({prediction.output.conn_id})"
    columns = [(column.name, column.type, column.n_null) for column in batch.columns]
    return report_page(
        title=f"Predictions of {batch.model_name} v{batch.model_version}",
        verdict="WRITTEN",
        facts={
            "Rows": batch.n_rows,
            "Rows' snapshot": batch.snapshot_digest,
            "Model": f"models:/{batch.model_name}/{batch.model_version}",
            "Model's digest": batch.model_digest,
            "File": batch.data_uri,
            "File's digest": batch.digest,
            "Table": table or "none",
            "Logged": f"{batch.n_logged} rows",
            "Predicted at": f"{batch.started_at:%Y-%m-%d %H:%M:%S %Z}",
            "Took": f"{(batch.ended_at - batch.started_at).total_seconds():.1f} s",
        },
        reasons=(),
        tables={"Columns": ([("Column", "Type", "Null")], columns)},
    )
