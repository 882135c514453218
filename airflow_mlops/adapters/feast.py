"""Feast: a feature store that joins what it knows to the rows to train on."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops.errors import DataError, SpecError, UnavailableError, bounded, did_you_mean
from airflow_mlops.extras import importing

__all__ = ["FeastFeatures"]

_ROW, _MOMENT = "mlops_row", "event_timestamp"
_CHUNK_ROWS = 500_000


@dataclass(frozen=True, kw_only=True)
class FeastFeatures:
    """A :class:`~airflow_mlops.steps.data.features.FeatureSource` over a Feast store.

    Its offline store does the join. The rows go to Feast in chunks, so that they are never held whole. Feast's
    ``duckdb`` offline store and those of databases are meant for that; its default for files holds all of a view's
    rows in memory.

    :param repository: the folder with ``feature_store.yaml``.
    :param features: such as ``weather:temperature``; the columns are named ``weather__temperature``. How long a
        value is used is the feature view's ``ttl``.
    :param version: of what the store knows, such as the date of its last load. A split is made anew when it changes.
    """

    repository: str
    features: tuple[str, ...]
    version: str

    @property
    def digests(self) -> dict[str, str]:
        """What the features are made from: Feast has no digest of its own, so it is what the user says."""
        return dict.fromkeys(self.features, self.version)

    @contextlib.contextmanager
    def historical_features(self, rows: str, *, timestamp: str) -> Iterator[pa.RecordBatchReader]:
        """Stream the rows in their order, each with the features of its time.

        :raises SpecError: when the store has no such feature, or there is no such store.
        :raises DataError: when the rows lack a column that the features are found by.
        :raises UnavailableError: when the store does not answer.
        """
        store, keys = self._open()
        file = pq.ParquetFile(rows)
        missing = [column for column in (*keys, timestamp) if column not in file.schema_arrow.names]
        if missing:
            raise DataError(
                f"Feast finds {bounded(self.features)} by columns that the dataset does not have: {bounded(missing)}. "
                f"Columns: {bounded(file.schema_arrow.names, 20)}. Nothing was joined."
            )
        chunks = (
            self._joined(store, pa.Table.from_batches([batch]), keys, timestamp)
            for batch in file.iter_batches(batch_size=_CHUNK_ROWS)
        )
        first = next(chunks, None)
        if first is None:
            raise DataError("There are no rows to find features for. Nothing was joined.")
        batches = (batch for table in chain([first], chunks) for batch in table.cast(first.schema).to_batches())
        yield pa.RecordBatchReader.from_batches(first.schema, batches)

    def _open(self) -> tuple[Any, list[str]]:
        with importing("feast", asked_by=f"The feature store at {self.repository}"):
            feast = importlib.import_module("feast")
        try:
            store = feast.FeatureStore(repo_path=self.repository)
            wanted = [feature.partition(":")[::2] for feature in self.features]
            views = {view: store.get_feature_view(view) for view, _ in wanted}
        except (feast.errors.FeastObjectNotFoundException, FileNotFoundError) as error:
            raise SpecError(f"Feast at {self.repository}: {error}. Nothing was joined.") from error
        except Exception as error:
            raise self._unavailable(error) from error
        for view, name in wanted:
            known = [field.name for field in views[view].features]
            if name not in known:
                raise SpecError(
                    f"Feast at {self.repository}: {view!r} has no feature {name!r}, only {bounded(known, 20)}."
                    f"{did_you_mean(name, known)} Nothing was joined."
                )
        return store, list(dict.fromkeys(column.name for view in views.values() for column in view.entity_columns))

    def _joined(self, store: Any, rows: pa.Table, keys: list[str], timestamp: str) -> pa.Table:
        entities = rows.select(keys).to_pandas()
        entities[_MOMENT] = pd.to_datetime(rows[timestamp].to_pandas(date_as_object=False), utc=True)
        entities[_ROW] = np.arange(len(entities))
        complete = entities.dropna()
        if complete.empty:
            raise DataError(
                f"All of {len(entities)} rows have a null in {bounded([*keys, timestamp])}, by which Feast finds "
                f"features. Nothing was joined. Fix the source, or leave those rows out."
            )
        # A column with a null has become one of floats; Feast finds a key only by its own type.
        complete = complete.astype({key: rows.schema.field(key).type.to_pandas_dtype() for key in keys})
        try:
            found = store.get_historical_features(complete, list(self.features), full_feature_names=True).to_arrow()
        except Exception as error:
            raise self._unavailable(error) from error
        # Feast promises no order, and its store for files leaves out rows that nothing was known of.
        place = np.full(len(entities), -1)
        place[found[_ROW].to_numpy()] = np.arange(found.num_rows)
        picked = found.take(pa.array(place, mask=place < 0))
        for feature in self.features:
            name = feature.replace(":", "__")
            rows = rows.append_column(name, picked[name])
        return rows

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"Feast at {self.repository} gave no features: {type(error).__name__}: {error}. Nothing was joined."
        )
