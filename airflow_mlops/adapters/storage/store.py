"""The storage root: snapshots, splits, reports, journals and ledgers as files under readable paths."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from airflow_mlops.errors import IntegrityError, SpecError, UnavailableError

__all__ = ["AppendOnlyLog", "Place", "Storage", "Watermark", "write_document"]


class Place(Protocol):
    """What an append-only log needs of the place that it is kept in; a :class:`Storage` is one."""

    def describe(self) -> dict[str, Any]:
        """Return what it is built from, for another process. It may hold secrets."""

    def path(self, *parts: str) -> object:
        """Return where an object is, for messages."""

    def exists(self, *parts: str) -> bool:
        """Return whether an object is there."""

    def names(self, *parts: str) -> list[str]:
        """Return the names in a folder, sorted."""

    def read_json(self, *parts: str) -> Any:
        """Read a JSON document."""

    def create_json(self, document: object, *parts: str) -> bool:
        """Write a JSON document if there is none, and return whether this call wrote it."""


class Storage:
    """A folder that everything which must outlive a run is kept in.

    Files appear whole or not at all: they are written beside their place and moved there.

    :param root: an absolute path, or a ``file://`` URI.
    :param journals: where append-only logs are kept instead of below the root.
    :raises SpecError: when the root is of a kind that is not supported, or is relative.
    """

    def __init__(self, root: str, journals: Place | None = None) -> None:
        path = root.removeprefix("file://")
        if "://" in path:
            raise SpecError(f"storage_root {root!r}: only local folders are supported so far. Give an absolute path.")
        self.root = Path(os.path.normpath(os.path.expanduser(path)))
        if not self.root.is_absolute():
            raise SpecError(f"storage_root {root!r} is relative, so every process would see another one. Write it out.")
        self.journals: Place = self if journals is None else journals

    def describe(self) -> dict[str, Any]:
        """Return what it is built from, as a place of journals."""
        return {"root": str(self.root)}

    def path(self, *parts: str) -> Path:
        """Return the place of an object below the root.

        :raises SpecError: when a part would lead outside the root.
        """
        path = self.root.joinpath(*parts)
        if not Path(os.path.normpath(path)).is_relative_to(self.root):
            raise SpecError(f"{'/'.join(parts)!r} lies outside the storage root.")
        return path

    def exists(self, *parts: str) -> bool:
        """Return whether an object is there.

        :raises UnavailableError: when the storage does not let one look.
        """
        path = self.path(*parts)
        try:
            path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unavailable(path, error) from error
        return True

    def read_json(self, *parts: str) -> Any:
        """Read a JSON document.

        :raises IntegrityError: when it is missing or is not JSON.
        :raises UnavailableError: when the storage does not let it be read.
        """
        path = self.path(*parts)
        try:
            return json.loads(path.read_text())
        except FileNotFoundError as error:
            raise IntegrityError(f"{path} is missing from the storage.") from error
        except ValueError as error:
            raise IntegrityError(f"{path} is damaged: {error}") from error
        except OSError as error:
            raise _unavailable(path, error) from error

    def write_text(self, text: str, *parts: str) -> str:
        """Write a file, replacing it whole if it is there, and return its path."""
        path = self.path(*parts)
        with _staged(path) as staged:
            staged.write_text(text)
            staged.replace(path)
        return str(path)

    def write_json(self, document: object, *parts: str) -> str:
        """Write a JSON document, replacing it whole if it is there, and return its path."""
        path = self.path(*parts)
        with _staged(path) as staged:
            write_document(staged, document)
            staged.replace(path)
        return str(path)

    def create_json(self, document: object, *parts: str) -> bool:
        """Write a JSON document if there is none at this place; two writers can't both succeed.

        Once this returns, a power cut does not undo it.

        :returns: whether this call wrote it.
        """
        path = self.path(*parts)
        with _staged(path) as staged:
            write_document(staged, document)
            _sync(staged)
            try:
                os.link(staged, path)
            except FileExistsError:
                return False
            for folder in path.relative_to(self.root).parents:  # any of them may be new
                _sync(self.root / folder)
            return True

    @contextlib.contextmanager
    def staging(self, *parts: str) -> Iterator[Path]:
        """Give a new folder below this one to fill; what is not published when the block ends is gone.

        :raises UnavailableError: when the storage can't be written.
        """
        with _staged(self.path(*parts, "new")) as staged:
            staged.mkdir()
            yield staged

    def publish(self, staged: Path, *parts: str) -> str:
        """Make a filled folder appear under its name, and return its path.

        A folder that is there already stays: names say what the content is, so it is the same one.
        """
        final = self.path(*parts)
        try:
            staged.rename(final)
        except OSError:
            if not final.is_dir():
                raise
        return str(final)

    def log(self, *parts: str) -> AppendOnlyLog:
        """Return the append-only log that is kept in this folder."""
        return AppendOnlyLog(self.journals, parts)

    def names(self, *parts: str) -> list[str]:
        """Return the names in a folder, sorted; none when there is no such folder."""
        path = self.path(*parts)
        try:
            return sorted(entry.name for entry in path.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unavailable(path, error) from error


class AppendOnlyLog:
    """Numbered JSON documents (``000001.json``, ``000002.json`` …), each of them created exclusively."""

    def __init__(self, place: Place, parts: tuple[str, ...]) -> None:
        self._place, self._parts = place, parts

    def __len__(self) -> int:
        """Return how many entries there are.

        :raises IntegrityError: when one is missing.
        """
        return len(self._names())

    def entries(self) -> list[Any]:
        """Return all entries in order.

        :raises IntegrityError: when one is missing or damaged.
        """
        with ThreadPoolExecutor(8) as readers:  # a place may be far away
            return list(readers.map(lambda name: self._place.read_json(*self._parts, name), self._names()))

    def settle(self, number: int) -> None:
        """Note that what the entry with this number says has been carried out.

        :raises UnavailableError: when that can't be noted.
        """
        try:
            self._place.create_json({}, *self._parts, f"{number:06d}.settled")
        except UnavailableError as error:
            raise UnavailableError(
                f"Entry {number} of {self._place.path(*self._parts)} is written, holds and was carried out; only the "
                f"note of that could not be written ({error.__cause__}). Check the storage and its free space, then "
                f"retry: nothing is done twice."
            ) from error

    def is_settled(self, number: int) -> bool:
        """Return whether what the entry says is known to have been carried out."""
        return self._place.exists(*self._parts, f"{number:06d}.settled")

    def append(self, document: object, *, number: int) -> bool:
        """Write the entry with this number.

        :returns: ``False`` when somebody else wrote it first.
        """
        return self._place.create_json(document, *self._parts, _entry_name(number))

    def _names(self) -> list[str]:
        names = [name for name in self._place.names(*self._parts) if name.endswith(".json")]
        for number, name in enumerate(names, start=1):
            if name != _entry_name(number):
                raise IntegrityError(
                    f"{self._place.path(*self._parts)}: entry {number} is missing, the next one is {name}. "
                    f"Restore it from a backup; nothing was changed."
                )
        return names


class Watermark:
    """How far somebody has come with files that arrive: their stamps, announced and then handled.

    What is announced but not confirmed is announced again, so that a crash in between loses nothing.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._place = storage, ("watermarks", f"{name}.json")

    def handled(self) -> dict[str, str]:
        """Return the stamps of the files that were handled, by name."""
        return dict(self._read()["handled"])

    def announce(self, stamps: Mapping[str, str]) -> None:
        """Note which files somebody is about to be told of."""
        self._storage.write_json({**self._read(), "announced": dict(stamps)}, *self._place)

    def confirm(self, stamps: Mapping[str, str] | None = None) -> None:
        """Note that they have been told: those with these stamps, or all that were announced."""
        note = self._read()
        told = note["announced"] if stamps is None else stamps
        announced = {name: stamp for name, stamp in note["announced"].items() if told.get(name) != stamp}
        self._storage.write_json({"handled": {**note["handled"], **told}, "announced": announced}, *self._place)

    def _read(self) -> dict[str, dict[str, str]]:
        if not self._storage.exists(*self._place):
            return {"handled": {}, "announced": {}}
        note: dict[str, dict[str, str]] = self._storage.read_json(*self._place)
        return note


def _entry_name(number: int) -> str:
    return f"{number:06d}.json"


def write_document(path: Path, document: object) -> None:
    """Write a JSON document as everything here is written; it must not be seen yet."""
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _staged(final: Path) -> Iterator[Path]:
    """Give a place beside ``final`` to write to, and clean it up afterwards.

    :raises UnavailableError: when the storage can't be written.
    """
    staged = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield staged
    except OSError as error:
        if isinstance(error, UnavailableError):
            raise
        raise _unavailable(final, error) from error
    finally:
        if staged.is_dir():
            shutil.rmtree(staged, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)


def _unavailable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"The storage at {path} can't be used: {error.strerror or error}. Nothing was changed. "
        f"Check [mlops] storage_root, its permissions and its free space, then retry."
    )
