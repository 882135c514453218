"""Local files as a source: which there are, and whether they have arrived whole."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from airflow_mlops.errors import DataError, bounded

__all__ = ["file_stamps", "source_files"]


def source_files(path: str) -> list[Path]:
    """Return the files that a path, a folder or a glob stands for, sorted by name.

    Names that begin with a dot are left out: that is how a file looks that is still being written.

    :raises DataError: when there is none, or one of them is empty.
    """
    files = _matching(path)
    if not files:
        raise DataError(f"No file matches {path!r}. Nothing was read. Deliver the data there, or mend data.path.")
    empty = [file.name for file in files if file.stat().st_size == 0]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(files)} file(s) at {path!r} are empty (0 bytes): {bounded(empty)}. Nothing was "
            f"read and the champion stays. Deliver them again, or remove them."
        )
    return files


def file_stamps(path: str) -> dict[str, str]:
    """Return a stamp for each file that is there now, by name; the stamp changes when the file does."""
    stamps = {}
    for file in _matching(path):
        try:
            status = file.stat()
        except FileNotFoundError:
            continue  # taken away between the two looks
        stamps[str(file)] = f"{status.st_size}-{status.st_mtime_ns}"
    return stamps


def _matching(path: str) -> list[Path]:
    path = os.path.expanduser(os.path.expandvars(path))
    pattern = os.path.join(glob.escape(path), "*") if os.path.isdir(path) else path
    return [Path(name) for name in sorted(glob.glob(pattern)) if os.path.isfile(name)]
