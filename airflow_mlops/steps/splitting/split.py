"""Split: the rows to train on, those to tune on, and those that are held out."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from airflow_mlops.adapters import arrow, duckdb_engine
from airflow_mlops.adapters.duckdb_engine.joins import splits
from airflow_mlops.adapters.storage.store import Storage, write_document
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.splitting.split import LEFT_OUT, TEST, TRAIN, VALIDATION, DatasetPart, DatasetSplit, SplitRecipe
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError, IntegrityError
from airflow_mlops.specs.data import DatasetSpec, FeatureTable
from airflow_mlops.specs.split import SplitSpec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.data.features import FeatureSource, feature_dataset, feature_rows, feature_source
from airflow_mlops.steps.data.snapshot import check_snapshot
from airflow_mlops.steps.platform import folder_name, short
from airflow_mlops.steps.splitting._sides import SidesOf, choose_sides

__all__ = ["load_training_profile", "split_dataset", "split_snapshot"]

log = logging.getLogger(__name__)

_MAX_STRATA = 50
_PROFILE = "train_profile.json"
_MEND = (
    "Clear the task `split` of the run that trained the champion, which counts it again; restore it from a backup; or "
    "promote a version that was trained on other data."
)
_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}


def split_snapshot(
    snapshot: DatasetSnapshot,
    data: DatasetSpec,
    split: SplitSpec,
    *,
    storage: Storage,
    connections: Connections | None = None,
    run: PipelineRun,
) -> DatasetSplit:
    """Make the rows to train on, with what the declared feature tables join to them; see :func:`split_dataset`.

    :param connections: opens the connections that feature tables name; ``None``: there are none.
    """
    source = feature_source(data, dataset=snapshot.dataset, storage=storage, connections=connections, run=run)
    return split_dataset(snapshot, data, split, storage=storage, source=source)


def split_dataset(
    snapshot: DatasetSnapshot,
    data: DatasetSpec,
    split: SplitSpec,
    *,
    storage: Storage,
    source: FeatureSource | None = None,
) -> DatasetSplit:
    """Make the rows to train on from a snapshot, and hold some of them back.

    The same rows make the same parts, and a split that is there already is returned as it is. Where its profile of the
    rows to train on is missing or can't be used, it is counted again.

    :param source: what is joined to the rows; see :func:`~airflow_mlops.steps.data.features.feature_source`. It is
        required where ``data`` has feature tables.
    :raises DataError: when the features can't be made, a part would be empty, or a row has no value in a column
        that decides its side.
    :raises SpecError: when a column that the split names is not there.
    :raises IntegrityError: when the snapshot's rows are not those that it is named by, or a profile is missing and the
        split's rows are gone or changed too.
    """
    settings = split.model_dump(mode="json", exclude={"leakage"})  # the check looks at parts, and makes none
    digests = dict(source.digests) if source else {}
    joined = {**data.model_dump(mode="json", include={"feature_tables"}), "digests": digests} if digests else {}
    key = digest_of([snapshot.digest, data.features, data.timestamp, joined, settings])
    place = ("splits", folder_name(snapshot.dataset), short(key))
    if storage.exists(*place):
        known = DatasetSplit.from_dict(storage.read_json(*place, "split.json"))
        _mend_profile(known, storage)
        return known
    check_snapshot(snapshot)
    with storage.staging(*place[:-1]) as staged:
        with _rows_on_file(snapshot, data, staged, storage, source) as rows:
            result = _part(rows, snapshot, data, split, staged, storage.path(*place))
        recipe = SplitRecipe(
            dataset=snapshot.dataset,
            snapshot_uri=snapshot.uri,
            features=data.features,
            feature_tables=tuple(_from_its_snapshot(table, snapshot.dataset) for table in data.feature_tables),
            split=split,
        )
        result = dataclasses.replace(result, feature_digests=digests, recipe=recipe)
        write_document(staged / "split.json", result.to_dict())
        storage.publish(staged, *place)
    counts = " ".join(f"n_{name}={part.n_rows}" for name, part in result.parts.items())
    log.info("split made: method=%s %s n_left_out=%d cut=%s", split.method, counts, result.n_left_out, result.cut)
    return result


def _from_its_snapshot(table: FeatureTable, dataset: str) -> FeatureTable:
    """Return a feature table as it lies in the storage: without the source that it was copied from."""
    source = DatasetSpec(
        path=feature_dataset(dataset, table.name), timestamp=table.source.timestamp, features=table.source.features
    )
    return table.model_copy(update={"source": source})


@contextlib.contextmanager
def _rows_on_file(
    snapshot: DatasetSnapshot, data: DatasetSpec, staged: Path, storage: Storage, source: FeatureSource | None
) -> Iterator[str]:
    """Give a Parquet file with the rows to train on. A query for them runs once, however often they are looked at."""
    if data.features is None and not data.feature_tables and not (source and source.digests):
        yield snapshot.data_uri
        return
    path = staged / "features.parquet"
    with feature_rows(snapshot, data, storage=storage, source=source) as rows:
        arrow.stage_rows(rows, path)
    yield str(path)
    path.unlink()


def _part(
    rows: str, snapshot: DatasetSnapshot, data: DatasetSpec, split: SplitSpec, staged: Path, final: Path
) -> DatasetSplit:
    """Write the parts' files, and say what they are."""
    sides = choose_sides(rows, data, split)
    files = {name: staged / f"{name}.parquet" for side, name in _NAMES.items() if side in sides.wanted}
    writers, n_left_out = _write_parts(rows, sides.of, files)
    _require_rows(split, {name: writer.n_rows for name, writer in writers.items()}, n_left_out)
    made = {
        name: DatasetPart(
            uri=str(final / f"{name}.parquet"),
            digest=writer.digest,
            n_rows=writer.n_rows,
            file_digest=writer.file_digest,
        )
        for name, writer in writers.items()
    }
    profile = _profile(files["train"], writers["train"])
    write_document(staged / _PROFILE, profile.to_dict())
    groups = {name: splits.count_groups(str(file), split.group) for name, file in files.items() if split.group}
    return DatasetSplit(
        snapshot_digest=snapshot.digest,
        method=split.method,
        cut=sides.cut,
        columns=_sum_nulls([writer.columns for writer in writers.values()]),
        timestamp=data.timestamp,
        train=made["train"],
        test=made["test"],
        validation=made.get("validation"),
        validation_cut=sides.validation_cut,
        gap=split.gap,
        n_left_out=n_left_out,
        key=split.key,
        group=split.group,
        n_groups=groups,
        n_strata=len(sides.strata),
        strata=sides.strata[:_MAX_STRATA],
        stratify=split.stratify,
    )


def _write_parts(
    rows: str, sides_of: SidesOf, files: Mapping[str, Path]
) -> tuple[dict[str, arrow.ParquetDigestWriter], int]:
    """Write every row to the file of its side, and return the closed writers and how many rows are in no part."""
    n_left_out = 0
    with contextlib.ExitStack() as stack:
        schema = arrow.schema_of(rows)
        writers = {name: stack.enter_context(arrow.ParquetDigestWriter(file, schema)) for name, file in files.items()}
        for side, some in arrow.part_rows(rows, sides_of):
            if side == LEFT_OUT:
                n_left_out += some.num_rows
            else:
                writers[_NAMES[side]].write(some)
    return writers, n_left_out


def _profile(parquet: Path, writer: arrow.ParquetDigestWriter) -> DatasetProfile:
    """Count the rows to train on. What a model is asked is compared with that."""
    columns = duckdb_engine.profile_columns(
        str(parquet), writer.columns, writer.sample, spreads=writer.spreads, is_ordered=writer.is_ordered
    )
    return DatasetProfile(snapshot_digest=writer.digest, n_rows=writer.n_rows, columns=columns)


def _mend_profile(split: DatasetSplit, storage: Storage) -> None:
    """Count the rows to train on again where their profile is missing or can't be used."""
    try:
        load_training_profile(split, storage=storage)
    except IntegrityError as damage:
        log.warning("profile of the split counted again: damage=%s", damage)
    else:
        return
    train = split.train
    arrow.check_rows(train.uri, train.digest)
    folder = Path(train.uri).parent
    with storage.staging(str(folder.parent)) as staged:
        parquet = staged / "train.parquet"
        with arrow.ParquetDigestWriter(parquet, arrow.schema_of(train.uri)) as writer:
            for block in arrow.read_blocks(train.uri):
                writer.write(block)
        storage.write_json(_profile(parquet, writer).to_dict(), str(folder / _PROFILE))


def load_training_profile(split: DatasetSplit, *, storage: Storage) -> DatasetProfile:
    """Return the profile of the rows that a split gives to train on.

    :raises IntegrityError: when the storage does not have it, it can't be read, or it is of other rows.
    """
    path = str(Path(split.train.uri).with_name(_PROFILE))
    if not storage.exists(path):
        raise IntegrityError(
            f"{path} is missing: the profile of the rows that the champion was trained on. Nothing was decided. {_MEND}"
        )
    try:
        profile = DatasetProfile.from_dict(storage.read_json(path))
    except IntegrityError as error:
        raise IntegrityError(f"{path} can't be used: {error} Nothing was decided. {_MEND}") from error
    if profile.snapshot_digest != split.train.digest:
        raise IntegrityError(f"{path} is of other rows than the split's. Nothing was decided. {_MEND}")
    return profile


def _require_rows(split: SplitSpec, n_rows: Mapping[str, int], n_left_out: int) -> None:
    if all(n_rows.values()):
        return
    tuning = f", {n_rows['validation']} to tune on" if "validation" in n_rows else ""
    gap = f" The gap of {split.gap} leaves out {n_left_out} rows." if split.gap else ""
    hint = {
        "time": "Take more rows, another fraction or a smaller gap; rows of one time are never parted.",
        "group": f"Whole groups of {', '.join(split.group)} are drawn: it takes more of them, or another seed.",
    }.get(split.method, "Take more rows or another fraction; rows that are equal are never parted.")
    raise DataError(
        f"The split by {split.method} with test_fraction {split.test_fraction} leaves {n_rows['train']} rows to "
        f"train on{tuning} and {n_rows['test']} to evaluate. {'All' if tuning else 'Both'} need some; nothing was "
        f"trained.{gap} {hint}"
    )


def _sum_nulls(columns: Sequence[Sequence[Column]]) -> tuple[Column, ...]:
    """Return the columns with the nulls of all parts."""
    return tuple(
        Column(name=same[0].name, type=same[0].type, n_null=sum(column.n_null for column in same))
        for same in zip(*columns, strict=True)
    )
