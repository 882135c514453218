"""A version made again from its record: is it the same, and if not, what is different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.registry.training_record import UNKNOWN, CodeModule, Environment, read_packages
from airflow_mlops.core.values import Value
from airflow_mlops.errors import ReproductionError, bounded

__all__ = [
    "Agreement",
    "Difference",
    "DifferenceKind",
    "ReproductionReport",
    "compare_code",
    "compare_environments",
    "compare_outputs",
    "compare_params",
]

_MAX_LISTED = 10
_COMPUTING = (
    "catboost",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skops",
    "torch",
    "xgboost",
)


class DifferenceKind(StrEnum):
    """What a difference is of."""

    DATA = "data"
    CODE = "code"
    ENVIRONMENT = "environment"
    PARAMETERS = "parameters"
    THREADS = "threads"
    PREDICTIONS = "predictions"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as the record has it.

    :param subject: what it is.
    :param recorded: as the record has it.
    :param found: as it is now.
    """

    kind: DifferenceKind
    subject: str
    recorded: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What two models say of the same rows.

    :param is_exact: whether all answers are the same to the bit.
    :param is_within: whether none is further away than the tolerance.
    :param n_differing: rows in which the answers are not the same.
    :param max_absolute: the largest difference; ``None`` where answers are no numbers or can't be set side by side.
    :param max_relative: the largest difference, in parts of the larger of the two answers.
    """

    is_exact: bool
    is_within: bool
    n_rows: int
    n_differing: int
    max_absolute: float | None = None
    max_relative: float | None = None

    def __str__(self) -> str:
        if self.is_exact:
            return f"the same in all {self.n_rows} rows, bit for bit"
        sizes = f", by at most {self.max_absolute:.3g} (relative {self.max_relative:.3g})" if self.max_absolute else ""
        return f"{self.n_differing} of {self.n_rows} rows differ{sizes}"


@dataclass(frozen=True, kw_only=True)
class ReproductionReport(Value):
    """What came of making a version again.

    Whether it is reproduced is a matter of what the two models predict. Everything else that differs is listed, as it
    may be why they do not agree, but libraries and code may change without changing a model.

    :param agreement: of the stored model and the one that was made again; ``None`` when none could be made.
    :param tolerance: how far predictions may be apart, in parts of their size; 0: bit for bit.
    :param n_threads: that the version was trained with.
    """

    model_name: str
    model_version: int
    is_reproduced: bool
    agreement: Agreement | None
    tolerance: float
    n_threads: int
    differences: tuple[Difference, ...]
    record_digest: str

    def __str__(self) -> str:
        required = "bit for bit" if self.tolerance == 0 else f"within {self.tolerance:g}"
        verdict = "reproduced" if self.is_reproduced else "NOT reproduced"
        found = str(self.agreement) if self.agreement else "none, no model could be made to compare with"
        return (
            f"{self.model_name} v{self.model_version} {verdict}. Predictions: {found}. Required: {required}, as it was "
            f"trained with {self.n_threads} thread(s)."
        )

    def table(self) -> list[str]:
        """Return the differences as lines of text, in columns under a heading; none where there are none."""
        rows = [("kind", "what", "recorded", "found")] if self.differences else []
        rows += [(each.kind.value, each.subject, each.recorded, each.found) for each in self.differences]
        widths = [max(len(row[place]) for row in rows) for place in range(3)] if rows else []
        return [
            "  ".join([*(text.ljust(width) for text, width in zip(row[:3], widths, strict=True)), row[3]])
            for row in rows
        ]

    def require_reproduced(self) -> None:
        """Go on, or fail.

        :raises ReproductionError: when it is not reproduced.
        """
        if not self.is_reproduced:
            kinds = bounded(dict.fromkeys(each.kind.value for each in self.differences))
            raise ReproductionError(
                f"{self.model_name} v{self.model_version} could not be reproduced. What differs: {kinds}. The registry "
                f"was not touched. Restore what the table names, then run it again."
            )


def compare_outputs(*, stored: NDArray[np.generic], again: NDArray[np.generic], tolerance: float) -> Agreement:
    """Compare what two models say of the same rows.

    A number may be away by ``tolerance`` times its own size, or times the root mean square of all stored answers
    where that is larger, so that the unit of the target does not matter. Labels have to be equal.

    :param stored: ``(n_rows,)`` or ``(n_rows, n_outputs)``, numbers or text, without NaN.
    :param again: the same of the other model.
    :param tolerance: 0: bit for bit.

    >>> str(compare_outputs(stored=np.array([1.0, 2.0]), again=np.array([1.0, 2.5]), tolerance=1e-6))
    '1 of 2 rows differ, by at most 0.5 (relative 0.2)'
    """
    n_rows = len(stored)
    if stored.shape != again.shape:
        return Agreement(is_exact=False, is_within=False, n_rows=n_rows, n_differing=n_rows)
    is_exact = stored.dtype == again.dtype and stored.tobytes() == again.tobytes()
    differing = (stored != again).reshape(n_rows, -1).any(axis=1)
    n_differing = int(differing.sum())
    if not all(np.issubdtype(each.dtype, np.number) for each in (stored, again)):
        return Agreement(is_exact=is_exact, is_within=n_differing == 0, n_rows=n_rows, n_differing=n_differing)
    a, b = stored.astype(np.float64), again.astype(np.float64)
    gap, size = np.abs(a - b), np.maximum(np.abs(a), np.abs(b))
    relative = np.divide(gap, size, out=np.zeros_like(gap), where=size > 0)
    allowed = tolerance * np.maximum(size, np.sqrt(np.mean(a**2)))
    return Agreement(
        is_exact=is_exact,
        is_within=is_exact or bool((gap <= allowed).all()),
        n_rows=n_rows,
        n_differing=n_differing,
        max_absolute=float(gap.max(initial=0.0)),
        max_relative=float(relative.max(initial=0.0)),
    )


def compare_environments(
    *, recorded: Environment, found: Environment, recorded_packages: str, found_packages: str
) -> tuple[Difference, ...]:
    """Return in what two environments differ; of the distributions at most ten, those that compute first.

    :param recorded_packages: the list of distributions that belongs to the record.
    :param found_packages: the one of now.
    """
    names = ("python", "platform", "blas")
    pairs = [(name, getattr(recorded, name), getattr(found, name)) for name in names]
    before, now = read_packages(recorded_packages), read_packages(found_packages)
    changed = sorted(
        (name for name in before.keys() | now.keys() if before.get(name) != now.get(name)),
        key=lambda name: (name not in _COMPUTING, name),
    )
    pairs += [
        (name, before.get(name, "not installed"), now.get(name, "not installed")) for name in changed[:_MAX_LISTED]
    ]
    more = len(changed) - _MAX_LISTED
    if more > 0:
        pairs.append((f"{more} more packages", "other versions", "see environment.txt of the MLflow run"))
    return _of_kind(DifferenceKind.ENVIRONMENT, pairs)


def compare_params(*, recorded: Mapping[str, str], found: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return in which parameters two fitted models differ, at most ten, as when a library changed a default.

    :param recorded: of the stored model, by name, as text.
    :param found: of the model that was made again.
    """
    names = sorted(recorded.keys() | found.keys())
    pairs = [(name, recorded.get(name, "(none)"), found.get(name, "(none)")) for name in names]
    return _of_kind(DifferenceKind.PARAMETERS, pairs)[:_MAX_LISTED]


def compare_code(*, recorded: CodeModule, found: CodeModule, knows_commit: bool) -> tuple[Difference, ...]:
    """Return whether a module, or the commit that it is of, is another one.

    :param knows_commit: whether the repository here has the commit of the record, to say how to get back to it.
    """
    before, now = (f"{module.digest[:19]}…, {module.revision}" for module in (recorded, found))
    if before != now and recorded.commit not in ("", UNKNOWN) and not knows_commit:
        now += "; the recorded commit is not known here"
    return _of_kind(DifferenceKind.CODE, [(recorded.import_path, before, now)])


def _of_kind(kind: DifferenceKind, pairs: Sequence[tuple[str, str, str]]) -> tuple[Difference, ...]:
    return tuple(
        Difference(kind=kind, subject=subject, recorded=recorded, found=found)
        for subject, recorded, found in pairs
        if recorded != found
    )
