"""Arrow: the types that Parquet gives back as it took them."""

from __future__ import annotations

import pyarrow as pa

from airflow_mlops.errors import DataError

__all__ = ["kept_batch", "kept_schema"]


def kept_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema in types that Parquet keeps, each of them in its one usual form.

    What is read back is then of the type that was written, and equal values have equal digests whether a
    library calls their text ``string``, ``large_string`` or ``dictionary``.

    :raises DataError: when Parquet can't hold a column.
    """
    fields = []
    for column in schema:
        kept = _kept_type(column.type)
        if kept is None:
            raise DataError(
                f"Column {column.name!r} is of type {column.type}, which Parquet can't hold. Nothing was kept. Cast it "
                f"to text or to numbers where it is read, or leave it out."
            )
        fields.append(pa.field(column.name, kept))
    return pa.schema(fields)


def kept_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows in the types of a schema that :func:`kept_schema` made.

    :raises DataError: when a value does not fit: it would be another one afterwards.
    """
    if batch.schema.types == schema.types:
        return batch
    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        values = column.storage if isinstance(column, pa.ExtensionArray) else column
        try:
            columns.append(values if values.type == field.type else values.cast(field.type))
        except pa.ArrowException as error:
            raise DataError(
                f"Column {field.name!r} can't be kept as {field.type}: {error}. Nothing was kept. Cast it where it "
                f"comes from, or leave it out."
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _kept_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type that stands for this one, ``None`` when there is none."""
    of = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _kept_type(kind.storage_type)
    if of.is_dictionary(kind) or of.is_run_end_encoded(kind):
        return _kept_type(kind.value_type)
    if of.is_large_string(kind) or of.is_string_view(kind):
        return pa.string()
    if of.is_large_binary(kind) or of.is_binary_view(kind):
        return pa.binary()
    if of.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", tz=kind.tz)
    if of.is_timestamp(kind) and kind.unit == "ns" and kind.tz:
        return pa.timestamp("us", tz=kind.tz)  # the engine can't compare nanoseconds that have a time zone
    if of.is_time32(kind):
        return pa.time32("ms")
    if of.is_date64(kind):
        return pa.date32()
    if of.is_float16(kind):
        return pa.float32()
    if of.is_decimal32(kind) or of.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if of.is_nested(kind):
        return _kept_nested(kind)
    return None if of.is_interval(kind) else kind


def _kept_nested(kind: pa.DataType) -> pa.DataType | None:
    of = pa.types
    if of.is_union(kind) or not kind.num_fields:
        return None
    if of.is_list_view(kind) or of.is_large_list_view(kind):
        return kind  # Parquet keeps it, and Arrow can't cast one that has nulls
    if of.is_map(kind):
        key, item = _kept_type(kind.key_type), _kept_type(kind.item_type)
        return pa.map_(key, item) if key is not None and item is not None else None
    children = [(field.name, _kept_type(field.type)) for field in map(kind.field, range(kind.num_fields))]
    if any(kept is None for _, kept in children):
        return None
    return pa.struct(children) if of.is_struct(kind) else pa.list_(pa.field(*children[0]))
