"""S3 as a source: which objects there are, and a file system to read them through."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import pyarrow.fs
from botocore.config import Config
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.utils import glob_translate

from airflow_mlops.core.data import SourceFile
from airflow_mlops.errors import DataError, SpecError, UnavailableError, bounded

__all__ = ["REFUSALS", "S3Access", "list_objects", "open_client", "open_filesystem"]

REFUSALS = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403")
"""Error codes that say that one may not."""

_MISSING = ("NoSuchBucket", "NoSuchKey", "404")


@dataclass(frozen=True, kw_only=True)
class S3Access:
    """What S3 is reached with. Without keys it is what the machine has: environment, profile or role.

    :param endpoint_url: another service that speaks S3, such as ``http://minio:9000``.
    :param timeout_s: how long to wait for a connection and for an answer.
    """

    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    endpoint_url: str | None = None
    timeout_s: float = 30.0
    max_attempts: int = 3


def list_objects(access: S3Access, path: str, *, recursive: bool = False) -> list[SourceFile]:
    """Return the objects that an ``s3://`` path stands for, sorted by name: one, a folder's, or a glob's.

    Names that begin with a dot or an underscore are left out, and so are folders with such names.

    :param recursive: whether a folder stands for what is in its folders too.
    :returns: with the ETag, the size and the time of each object as its stamp; none when nothing matches.
    :raises SpecError: when there is no such bucket.
    :raises DataError: when S3 refuses to list it.
    :raises UnavailableError: when S3 does not answer.
    """
    bucket, key = _parts(path)
    prefix = re.split(r"[*?\[]", key, maxsplit=1)[0]
    try:
        pages = open_client(access).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        objects = [found for page in pages for found in page.get("Contents", ())]
    except botocore.exceptions.ClientError as error:
        raise _refused(error, f"s3://{bucket}/{prefix}") from error
    except botocore.exceptions.NoCredentialsError as error:
        raise SpecError(
            f"s3://{bucket} can't be listed: there are no credentials. Set data.conn_id to an Airflow connection of "
            f"type aws that has them, or give the machine a role."
        ) from error
    except botocore.exceptions.BotoCoreError as error:
        raise UnavailableError(
            f"S3 does not answer for s3://{bucket}/{prefix}: {error}. Nothing was read; try again."
        ) from error
    is_meant = _matcher(key, {str(found["Key"]) for found in objects}, recursive=recursive)
    meant = [found for found in objects if is_meant(str(found["Key"])) and _is_visible(str(found["Key"]), prefix)]
    return [_source_file(bucket, found) for found in sorted(meant, key=lambda found: str(found["Key"]))]


def open_filesystem(access: S3Access, path: str) -> Any:
    """Return S3 as an fsspec file system that streams; its paths begin with ``s3://``.

    Its attribute ``failure`` is what it last failed with, explained: an engine that it is given to would
    report that as bad data.

    :param path: what is read, for messages.
    """
    where: dict[str, Any] = {}
    if access.endpoint_url:
        scheme, _, host = access.endpoint_url.rpartition("://")
        where = {"scheme": scheme or "https", "endpoint_override": host.rstrip("/")}
    if access.access_key:
        where |= {
            "access_key": access.access_key,
            "secret_key": access.secret_key,
            "session_token": access.session_token,
        }
    if access.region:
        where["region"] = access.region
    s3 = pyarrow.fs.S3FileSystem(
        connect_timeout=access.timeout_s,
        request_timeout=access.timeout_s,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=access.max_attempts),
        **where,
    )
    return _S3Files(s3, path)


def _meaning(error: OSError, path: str) -> DataError | UnavailableError:
    said = str(error).splitlines()[0][:300]
    if isinstance(error, FileNotFoundError) or "NOT_FOUND" in said or "NO_SUCH_KEY" in said:
        return DataError(
            f"The files at {path!r} changed while they were read: one is gone. Nothing was kept; run again."
        )
    if any(mark in said for mark in ("ACCESS_DENIED", "HTTP status: 403", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT")):
        return DataError(
            f"The files at {path!r}: S3 refuses to give them. Nothing was kept. Let data.conn_id's user or role "
            f"s3:GetObject there, or name another connection."
        )
    return UnavailableError(f"The files at {path!r}: S3 does not answer: {said}. Nothing was kept; try again.")


class _S3Files(ArrowFSWrapper):  # type: ignore[misc]
    """Opens objects for reading, and remembers when S3 failed, which an engine would report as bad data."""

    protocol = ("s3",)
    cachable = False

    def __init__(self, fs: pyarrow.fs.S3FileSystem, path: str) -> None:
        super().__init__(fs)
        self._path = path
        self.failure: DataError | UnavailableError | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("s3://")  # the base class takes what follows a question mark for parameters

    def info(self, path: str, **_: Any) -> Any:
        """Return what is known of an object."""
        with self.watched():
            return super().info(path)

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the path itself: it is one of a list, and what looks like a pattern in it is its name."""
        return [path]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Keep what fails in the block."""
        try:
            yield
        except OSError as error:
            self.failure = _meaning(error, self._path)
            raise

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, seekable: bool = True, **_: Any) -> Any:
        with self.watched():
            return _S3File(self.fs.open_input_file(self._strip_protocol(path)), self)


class _S3File:
    """An object that several threads may read from at once.

    DuckDB's threads share one open file, and each of them seeks and then reads. With one position for all of them, a
    thread gets the bytes that another one has asked for: a damaged file, or rows that nobody wrote. So a position
    that a thread has sought belongs to that thread, and its next read is a request of its own.
    """

    def __init__(self, file: Any, filesystem: _S3Files) -> None:
        self._file, self._filesystem = file, filesystem
        self._position = 0
        self._sought: dict[int, int] = {}  # by thread

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Choose where this thread reads next."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size()}[whence]
        position: int = start + offset
        self._position = self._sought[threading.get_ident()] = position
        return position

    def tell(self) -> int:
        """Return where the last seek or read ended."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the bytes from where this thread has sought, or from where the last read ended."""
        start = self._sought.pop(threading.get_ident(), None)
        if start is None:  # threads that take turns instead of seeking: then no earlier seek counts
            self._sought.clear()
            start = self._position
        with self._filesystem.watched():
            data: bytes = self._file.read_at(self._file.size() - start if size < 0 else size, start)
        self._position = start + len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _S3File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _parts(path: str) -> tuple[str, str]:
    parts = urlsplit(path.replace("#", "%23").replace("?", "%3F"))
    key = path.removeprefix(f"{parts.scheme}://{parts.netloc}").lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or re.search(r"[*?\[]", parts.netloc):
        raise SpecError(f"{path!r} is no path on S3. Write s3://bucket/folder/*.parquet in data.path.")
    return parts.netloc, key


def open_client(access: S3Access) -> Any:
    """Return boto3's client; it may be shared by threads."""
    return boto3.client(
        "s3",
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        aws_session_token=access.session_token,
        region_name=access.region,
        endpoint_url=access.endpoint_url,
        config=Config(
            connect_timeout=access.timeout_s,
            read_timeout=access.timeout_s,
            retries={"max_attempts": access.max_attempts, "mode": "standard"},
            s3={"addressing_style": "path" if access.endpoint_url else "auto"},
        ),
    )


def _matcher(key: str, keys: set[str], *, recursive: bool) -> Callable[[str], object]:
    if re.search(r"[*?\[]", key):
        return re.compile(glob_translate(key)).match
    if key in keys and not key.endswith("/"):
        return lambda name: name == key
    folder = key.rstrip("/") + "/" if key else ""
    return lambda name: name.startswith(folder) and (recursive or "/" not in name[len(folder) :])


def _is_visible(key: str, prefix: str) -> bool:
    below = key[prefix.rfind("/") + 1 :]
    return not key.endswith("/") and not any(part.startswith((".", "_")) for part in below.split("/"))


def _source_file(bucket: str, found: dict[str, Any]) -> SourceFile:
    stamp = f"{str(found['ETag']).strip(chr(34))}-{found['Size']}-{found['LastModified'].isoformat()}"
    return SourceFile(path=f"s3://{bucket}/{found['Key']}", size=int(found["Size"]), stamp=stamp)


def _refused(error: botocore.exceptions.ClientError, place: str) -> SpecError | DataError | UnavailableError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    if code in _MISSING:
        return SpecError(f"{place}: there is no such bucket ({code}). Nothing was read. Mend data.path.")
    if code in REFUSALS:
        return DataError(
            f"{place}: S3 refuses to list it ({code}). Nothing was read. Let data.conn_id's user or role "
            f"s3:ListBucket and s3:GetObject there, or name another connection."
        )
    return UnavailableError(f"{place}: S3 answers {bounded([code])}. Nothing was read; try again.")
