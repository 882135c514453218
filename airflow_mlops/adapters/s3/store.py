"""S3 as the place of journals and ledgers: small JSON objects, each created exclusively."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import botocore.exceptions

from airflow_mlops.adapters.s3.objects import REFUSALS, S3Access, open_client
from airflow_mlops.errors import IntegrityError, SpecError, UnavailableError

__all__ = ["S3Place"]

_CONFLICT, _THERE_IS_ONE, _MISSING = "ConditionalRequestConflict", "PreconditionFailed", ("NoSuchKey", "404")
_TRIES = 5


@dataclass(frozen=True)
class S3Place:
    """A folder on S3 that append-only logs are kept in.

    An object is created by a conditional PUT (``If-None-Match: *``), so two writers can't both succeed. S3 answers a
    PUT once it is stored durably, and lists and reads what was put before.

    :param access: what S3 is reached with.
    :param root: such as ``s3://bucket/mlops``.
    :raises SpecError: when the root is no path on S3.
    """

    access: S3Access
    root: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"s3://[^/*?\[\]]+(/.*)?", self.root):
            raise SpecError(f"{self.root!r} is no folder on S3. Write s3://bucket/folder in [mlops] journal_root.")

    def describe(self) -> dict[str, Any]:
        """Return what it is built from, secrets too."""
        return asdict(self)

    def path(self, *parts: str) -> str:
        """Return the URI of an object."""
        return "/".join((self.root.rstrip("/"), *parts))

    def exists(self, *parts: str) -> bool:
        """Return whether an object is there.

        :raises UnavailableError: when S3 does not answer.
        """
        with self._translated(*parts) as where:
            try:
                self._s3.head_object(**where)
            except botocore.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
        return True

    def names(self, *parts: str) -> list[str]:
        """Return the names in a folder, sorted; none when there is no such folder.

        :raises UnavailableError: when S3 does not answer.
        """
        with self._translated(*parts, "") as where:
            bucket, folder = where["Bucket"], where["Key"]
            found = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder, Delimiter="/")
            pages = list(found)
        files = [each["Key"] for page in pages for each in page.get("Contents", ())]
        folders = [each["Prefix"].rstrip("/") for page in pages for each in page.get("CommonPrefixes", ())]
        return sorted(key.removeprefix(folder) for key in (*files, *folders) if key != folder)

    def read_json(self, *parts: str) -> Any:
        """Read a JSON document.

        :raises IntegrityError: when it is missing or is not JSON.
        :raises UnavailableError: when S3 does not answer.
        """
        with self._translated(*parts) as where:
            try:
                content = self._s3.get_object(**where)["Body"].read()
            except botocore.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    raise IntegrityError(f"{self.path(*parts)} is missing from the storage.") from error
                raise
        try:
            return json.loads(content)
        except ValueError as error:
            raise IntegrityError(f"{self.path(*parts)} is damaged: {error}") from error

    def create_json(self, document: object, *parts: str) -> bool:
        """Write a JSON document if there is none at this place; two writers can't both succeed.

        A retry of a PUT whose answer was lost may find its own object: whoever is told ``False`` looks what is there.

        :returns: whether this call is known to have written it.
        :raises UnavailableError: when S3 does not answer.
        """
        body = json.dumps(document, indent=2, allow_nan=False).encode()
        with self._translated(*parts) as where:
            for attempt in range(_TRIES):
                try:
                    self._s3.put_object(**where, Body=body, IfNoneMatch="*", ContentType="application/json")
                except botocore.exceptions.ClientError as error:
                    if _code(error) == _THERE_IS_ONE:
                        return False
                    if _code(error) != _CONFLICT or attempt == _TRIES - 1:
                        raise
                else:
                    break
        return True

    @cached_property
    def _s3(self) -> Any:
        return open_client(self.access)

    @contextlib.contextmanager
    def _translated(self, *parts: str) -> Iterator[dict[str, str]]:
        """Give bucket and key, and turn what S3 answers into this package's errors."""
        bucket, _, key = self.path(*parts).removeprefix("s3://").partition("/")
        try:
            yield {"Bucket": bucket, "Key": key}
        except botocore.exceptions.ClientError as error:
            code = _code(error)
            if code == "NoSuchBucket":
                raise SpecError(
                    f"{self.root}: there is no such bucket. Nothing was changed. Fix [mlops] journal_root."
                ) from error
            if code in REFUSALS:
                raise SpecError(
                    f"{self.root}: S3 refuses it ({code}). Nothing was changed. Let the user or role of [mlops] "
                    f"journal_conn_id s3:ListBucket, s3:GetObject and s3:PutObject there."
                ) from error
            raise self._unavailable(code) from error
        except botocore.exceptions.NoCredentialsError as error:
            raise SpecError(
                f"{self.root}: there are no credentials. Nothing was changed. Set [mlops] journal_conn_id to a "
                f"connection of type aws that has them, or give the machine a role."
            ) from error
        except botocore.exceptions.BotoCoreError as error:
            raise self._unavailable(type(error).__name__) from error

    def _unavailable(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"The storage at {self.root} can't be used: {why}. Nothing was changed. Check that S3 answers, then retry."
        )


def _code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
