"""Local files as a source: which there are, and whether they have arrived whole."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from airflow_mlops.core.data.snapshot import SourceFile
from airflow_mlops.errors import SpecError, UnavailableError

__all__ = ["file_stamps", "list_files"]


def list_files(path: str, *, recursive: bool = False) -> list[SourceFile]:
    """Return the files that a path, a folder or a glob (``**`` too) stands for now, sorted by name.

    Names that begin with a dot are left out, because that is how a file looks that is still being written,
    and so are those that begin with an underscore, and folders with such names.

    :param recursive: whether a folder stands for what is in its folders too.
    :raises UnavailableError: when the disk does not let one look.
    """
    try:
        return [file for file in map(_source_file, _matching(path, recursive=recursive)) if file]
    except OSError as error:
        raise UnavailableError(
            f"The files at {path!r} can't be looked at: {error.strerror or error}. Nothing was read; try again."
        ) from error


def file_stamps(path: str, *, recursive: bool = False) -> dict[str, str]:
    """Return a stamp for each file that is there now, by name; the stamp changes when the file does.

    :param recursive: whether a folder stands for what is in its folders too.
    :raises SpecError: when the path is not on this machine.
    :raises UnavailableError: when the disk does not let one look.
    """
    if "://" in path.removeprefix("file://"):
        raise SpecError(f"{path!r} can't be watched: it is neither on this machine nor on s3://. Fix the path.")
    return {file.path: file.stamp for file in list_files(path, recursive=recursive)}


def _source_file(file: Path) -> SourceFile | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None  # taken away between the two checks
    return SourceFile(path=str(file), size=status.st_size, stamp=f"{status.st_size}-{status.st_mtime_ns}")


def _matching(path: str, *, recursive: bool) -> list[Path]:
    path = os.path.expanduser(os.path.expandvars(path.removeprefix("file://")))
    if os.path.isfile(path):
        return [Path(path)]
    is_folder = os.path.isdir(path)
    below = os.path.join("**", "*") if recursive else "*"
    pattern = os.path.join(glob.escape(path), below) if is_folder else path
    fixed = path if is_folder else os.path.dirname(re.split(r"[*?\[]", path, maxsplit=1)[0])
    found = sorted(set(glob.glob(pattern, recursive=True)))
    return [Path(name) for name in found if _is_visible(name, fixed) and os.path.isfile(name)]


def _is_visible(name: str, fixed: str) -> bool:
    """Return whether no part of a name is hidden; the part that the user wrote out may be."""
    parts = os.path.relpath(name, fixed or ".").split(os.sep)
    return not any(part.startswith((".", "_")) for part in parts if part not in (".", ".."))
