"""Lineage: what a model was made of, by what, where and why, so that it can be made again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.values import PipelineRun, Value
from airflow_mlops.specs.train import TrainingSpec

__all__ = ["RECORD_TAG", "UNKNOWN", "CodeModule", "Environment", "TrainingRecord", "packages_digest", "read_packages"]

RECORD_TAG = "mlops.record_digest"
"""The tag of a run and of a version that says which record is theirs."""

UNKNOWN = "unknown"
"""Stands for the commit of a module when git could not be asked."""


@dataclass(frozen=True, kw_only=True)
class CodeModule:
    """A module that the estimator, the training function or the preprocessing comes from.

    :param import_path: as the spec names it.
    :param digest: of the module's source file.
    :param commit: of the git repository that the file is in; empty: it is in none; ``unknown``: git could not tell.
    :param is_dirty: whether a file of that repository was not as the commit has it, or this one is in no commit.
    :param remote: where that repository was cloned from, without credentials; empty: from nowhere.
    """

    import_path: str
    digest: str
    commit: str = ""
    is_dirty: bool = False
    remote: str = ""

    @property
    def revision(self) -> str:
        """The commit as people read it, with a note when it is not all of the code."""
        if self.commit in ("", UNKNOWN):
            return self.commit or "in no repository"
        return f"commit {self.commit[:12]}{' with changes' if self.is_dirty else ''}"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a process computes with.

    :param python: its version.
    :param platform: the operating system and the processor's family.
    :param blas: the libraries of linear algebra, each with the kind of processor that it computes for: another kind
        gives other last bits.
    :param packages_digest: of the list of all installed distributions, which is kept beside the record.
    """

    python: str
    platform: str
    blas: str
    packages_digest: str


@dataclass(frozen=True, kw_only=True)
class TrainingRecord(Value):
    """Everything that a training depended on, and the circumstances that it ran in.

    :param run: the pipeline's run, with the try that trained.
    :param training: as it was used, with the parameters of this run. Its seed is the seed.
    :param split: the rows, by their digests, and how they were parted.
    :param fingerprint: of data, code and parameters; see :func:`~airflow_mlops.core.training.model.fingerprint`.
    :param model_digest: of the model's files: what came of it.
    :param code: the modules that the spec names.
    :param n_threads: the most threads that a library of the process could compute with, or the model's ``n_jobs``.
    :param reasons: of the decision to train; empty where nobody decided.
    :param champion_version: who served then; ``None``: nobody.
    :param durations_s: seconds by phase.
    :param package_version: of this package.
    """

    schema_version = 2

    model_name: str
    run: PipelineRun
    training: TrainingSpec
    split: DatasetSplit
    fingerprint: str
    model_digest: str
    code: tuple[CodeModule, ...]
    environment: Environment
    n_threads: int
    reasons: tuple[Reason, ...] = ()
    champion_version: int | None = None
    started_at: datetime
    durations_s: dict[str, float] = field(default_factory=dict)
    package_version: str

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "reasons": as_reasons(fields.get("reasons", []), stage="retraining")}


def packages_digest(packages: str) -> str:
    """Return the SHA-256 of a list of distributions, which is that of the file that it is kept in."""
    return f"sha256:{hashlib.sha256(packages.encode()).hexdigest()}"


def read_packages(packages: str) -> dict[str, str]:
    r"""Return the versions by name that a list of distributions has.

    :param packages: lines in the requirements format, such as ``numpy==2.4.6``.

    >>> read_packages("numpy==2.4.6\npandas==2.3.3\n")
    {'numpy': '2.4.6', 'pandas': '2.3.3'}
    """
    pairs = (line.partition("==") for line in packages.splitlines() if "==" in line)
    return {name: version for name, _, version in pairs}
