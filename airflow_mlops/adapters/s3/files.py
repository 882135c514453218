"""S3 as a file system that objects are read through, by Arrow."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow.fs
from fsspec.implementations.arrow import ArrowFSWrapper

from airflow_mlops.adapters.s3.objects import S3Access
from airflow_mlops.errors import DataError, UnavailableError

__all__ = ["open_filesystem"]


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
