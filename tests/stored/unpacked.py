"""Puts an archive of stored things into a folder, as if they had been stored there."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from tests.stored.cases import ROOT

ARCHIVE = Path(__file__).with_name("0.1.0.dev1.tar.gz")


def unpack(archive: Path, folder: Path, mlflow_database: Path) -> None:
    """Unpack an archive, and let all paths in it begin with this folder.

    What digests vouch for has no paths in it and stays to the byte, but for the records of training: theirs are
    computed anew, here and not by the package, and put in the place of the old ones.

    :param folder: an empty one.
    :param mlflow_database: one with tables and nothing in them.
    """
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    rows = _moved((folder / "mlflow.sql").read_text(), folder)
    for file in folder.glob("artifacts/*/artifacts/training_record.json"):
        before = file.read_text()
        file.write_text(_moved(before, folder))
        rows = rows.replace(digest_of(json.loads(before)), digest_of(json.loads(file.read_text())))
    for file in (*folder.glob("storage/**/*.json"), *folder.glob("backtest/**/*.json")):
        file.write_text(_moved(file.read_text(), folder))
    shutil.copy(mlflow_database, folder / "mlflow.db")
    with closing(sqlite3.connect(folder / "mlflow.db")) as db:
        db.executescript(f"BEGIN;\n{rows}COMMIT;\n")


def digest_of(document: object) -> str:
    """Return the digest of a document as version 0.1.0 computed it."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _moved(text: str, folder: Path) -> str:
    return text.replace(str(ROOT), str(folder))
