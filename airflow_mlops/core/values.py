"""What every value shares: frozen, JSON both ways, versioned, and a digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airflow_mlops.errors import IntegrityError

__all__ = ["PipelineRun", "Value", "digest_of"]


def digest_of(document: object) -> str:
    """Return the SHA-256 of a JSON document, the same however its keys are ordered.

    :param document: what :func:`json.dumps` takes; no NaN and no infinity, which JSON has no word for.
    :returns: ``sha256:`` and 64 hexadecimal digits.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


_STORED = "_stored_document"

_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(cls: type) -> TypeAdapter[Any]:
    """Return pydantic's reader and writer of a value; making one takes milliseconds, so each is made once."""
    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A result that is stored, passed between tasks and compared.

    ``to_dict`` gives a small JSON document with ``kind`` and ``schema_version``; ``from_dict`` reads it
    back and refuses a document of another kind or of a newer version.
    """

    schema_version: ClassVar[int] = 1
    formerly: ClassVar[str] = ""
    """The class's name in older versions, which stands as ``kind`` in what they stored."""

    # JSON has no word for NaN and infinity, and a metric that is one of them must not become null.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings", extra="forbid")

    def to_dict(self) -> dict[str, Any]:
        """Return the value as a JSON document; one that was read from an older document as that very document.

        Digests are of documents as they were stored. A value keeps the document that it was read from, so that what
        referred to it by its digest still does once the package reads a newer form.
        """
        stored: dict[str, Any] | None = self.__dict__.get(_STORED)
        if stored is not None:
            return dict(stored)
        fields: dict[str, Any] = json.loads(_adapter(type(self)).dump_json(self))
        return {"kind": type(self).__name__, "schema_version": self.schema_version, **fields}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read what :meth:`to_dict` wrote; a value of this class is returned as it is.

        :raises IntegrityError: when the document is of another kind, of a newer version, or damaged.
        """
        if isinstance(document, cls):
            return document
        if not isinstance(document, Mapping):
            raise IntegrityError(f"Expected a {cls.__name__} document, found {type(document).__name__}.")
        fields: dict[str, Any] = dict(document)
        kind, version = fields.pop("kind", None), fields.pop("schema_version", None)
        if kind is None or kind not in (cls.__name__, cls.formerly):
            raise IntegrityError(f"Expected a {cls.__name__} document, found one of kind {kind!r}.")
        if not isinstance(version, int) or version > cls.schema_version:
            raise IntegrityError(
                f"{cls.__name__}: the document has schema version {version!r}, this package reads up to "
                f"{cls.schema_version}. Upgrade airflow-mlops."
            )
        is_older = version < cls.schema_version
        try:
            value: Self = _adapter(cls).validate_python(cls._upgrade(fields) if is_older else fields)
        except ValidationError as error:
            raise IntegrityError(f"{cls.__name__}: the document is damaged: {error}") from error
        if is_older:
            object.__setattr__(value, _STORED, dict(document))  # no field: `replace` makes a new value without it
        return value

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a document of an older schema version as the present one has them.

        What is not as that version wrote it is returned as it is, and then found to be damaged.
        """
        return fields

    @property
    def content_digest(self) -> str:
        """The digest of the whole document, as it was stored where it was read from an older one."""
        return digest_of(self.to_dict())


@dataclass(frozen=True, kw_only=True)
class PipelineRun(Value):
    """One run of a pipeline, as every record names it.

    :param pipeline: the DAG's id, or the model's name outside Airflow.
    :param run_id: the DAG run's id; a retry of a task keeps it.
    :param trigger: what started the run: ``manual``, ``scheduled``, ``new_data``, ``drift``, ``performance``, or the
        name of another DAG's asset; several of them where they came together.
    :param actor: the person or the service that started it.
    :param try_number: of the task that this is, from 1; no identity is made of it.
    """

    pipeline: str
    run_id: str
    trigger: str = "manual"
    actor: str = "unknown"
    try_number: int = 1

    def step_key(self, step: str, *digests: str) -> str:
        """Return the identity of one step of this run: the same on every try, another for other inputs."""
        return digest_of([self.pipeline, self.run_id, step, *digests])
