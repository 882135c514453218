"""Whether a model in another format answers as the model itself does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.values import Value
from airflow_mlops.errors import ConversionError

__all__ = [
    "MISSING_TEXT",
    "Answers",
    "ConversionReport",
    "ConversionStatus",
    "InputKind",
    "Parity",
    "compare_answers",
    "input_kinds",
    "judge_parity",
    "not_converted",
]

InputKind = Literal["number", "text"]
"""What a column is in the other format: numbers and booleans are floating-point numbers there."""

MISSING_TEXT = "(missing)"
"""What an exported model is given for a missing text: its strings have no NULL. A missing number is NaN."""

_NUMBERS = ("int", "uint", "float", "double", "half", "decimal", "bool")
_TEXTS = ("string", "large_string", "string_view", "dictionary", "null")


class ConversionStatus(StrEnum):
    """What became of a conversion."""

    KEPT = "KEPT"
    REFUSED = "REFUSED"
    UNSUPPORTED = "UNSUPPORTED"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model says of some rows.

    :param labels: ``(n_rows,)``, the predicted classes; ``None`` for a model of numbers.
    :param numbers: ``(n_rows, n_columns) float64``, probabilities by class, or the predicted numbers; ``None`` for a
        model that gives labels alone.
    """

    labels: NDArray[np.generic] | None = None
    numbers: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.labels if self.labels is not None else self.numbers if self.numbers is not None else ())


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How the answers in another format differ from the model's own.

    :param n_rows: that were compared.
    :param n_odd_rows: how many of them were made for it: values missing or never seen.
    :param n_label_mismatches: rows with another label.
    :param n_beyond: rows with a number beyond the tolerance.
    :param max_difference: the largest one, in the unit of the tolerance; infinite where a number became NaN.
    """

    n_rows: int
    n_odd_rows: int = 0
    n_label_mismatches: int
    n_beyond: int
    max_difference: float


@dataclass(frozen=True, kw_only=True)
class ConversionReport(Value):
    """What became of a conversion, and why.

    :param settings_digest: of the export's spec.
    :param parity: the comparison; ``None`` where there was nothing to compare.
    :param inputs: the columns that the exported model reads, in order: name and kind.
    :param artifact_uri: the folder of the kept file in the tracking server; empty where nothing was kept.
    :param artifact_digest: of that folder's files, as they were read back.
    """

    schema_version = 2
    formerly = "ExportReport"

    model_name: str
    run_id: str
    model_digest: str
    split_digest: str
    format: str
    settings_digest: str
    tolerance: float
    status: ConversionStatus
    reasons: tuple[Reason, ...]
    parity: Parity | None = None
    inputs: tuple[tuple[str, InputKind], ...] = ()
    artifact_uri: str = ""
    artifact_digest: str = ""
    n_bytes: int = 0
    report_uri: str = ""
    run_url: str = ""

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "reasons": as_reasons(fields.get("reasons"), stage="packaging")}

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that the model exists in."""
        return ("skops", self.format) if self.status is ConversionStatus.KEPT else ("skops",)


def input_kinds(columns: Sequence[Column]) -> dict[str, InputKind]:
    """Return what each column is in a format that knows numbers and texts alone.

    :raises ConversionError: when a column is neither, such as a timestamp.
    """
    kinds: dict[str, InputKind] = {}
    for column in columns:
        if column.type.startswith(_NUMBERS):
            kinds[column.name] = "number"
        elif column.type.startswith(_TEXTS):
            kinds[column.name] = "text"
        else:
            raise ConversionError(
                f"feature {column.name!r} is of type {column.type}, and only numbers, booleans and text can be inputs"
            )
    return kinds


def compare_answers(*, reference: Answers, current: Answers, tolerance: float, n_odd_rows: int = 0) -> Parity:
    """Compare the answers to the same rows.

    Numbers that are no probabilities are measured by the range of the model's answers, so that a tolerance means the
    same for a price and for a rate. A NaN is beyond every tolerance.

    :param reference: the model's own.
    :param current: those of the exported model.

    >>> reference = Answers(numbers=np.array([[10.0], [30.0]]))
    >>> current = Answers(numbers=np.array([[10.0], [30.5]]))
    >>> compare_answers(reference=reference, current=current, tolerance=0.02).max_difference
    0.025
    """
    n_mismatches, differences = 0, np.zeros(0)
    if reference.labels is not None and current.labels is not None:
        n_mismatches = int((reference.labels != current.labels).sum())
    if reference.numbers is not None and current.numbers is not None:
        unit = 1.0 if reference.labels is not None else _range(reference.numbers)
        differences = _by_row(reference.numbers, current.numbers) / unit
    return Parity(
        n_rows=len(reference),
        n_odd_rows=n_odd_rows,
        n_label_mismatches=n_mismatches,
        n_beyond=int((differences > tolerance).sum()),
        max_difference=float(differences.max(initial=0.0)),
    )


def judge_parity(parity: Parity, *, tolerance: float) -> tuple[ConversionStatus, tuple[Reason, ...]]:
    """Decide whether the exported model may stand for the model, with the numbers.

    :returns: KEPT only when no row differs; no rows are no evidence.
    """
    n_rows, refused = parity.n_rows, ConversionStatus.REFUSED
    if not n_rows:
        return refused, (_found("rows", refused, observed=0, required=1, n=0),)
    reasons = []
    if parity.n_label_mismatches:
        reasons.append(_found("labels", refused, observed=parity.n_label_mismatches, required=0, n=n_rows))
    known: dict[str, Any] = {
        "setting": "conversion.tolerance",
        "observed": parity.max_difference,
        "required": tolerance,
    }
    facts = {"n_beyond": parity.n_beyond, "n_odd_rows": parity.n_odd_rows}
    if parity.n_beyond:
        reasons.append(_found("tolerance", refused, **known, n=n_rows, facts=facts))
    if reasons:
        return refused, tuple(reasons)
    return ConversionStatus.KEPT, (_found("tolerance", ConversionStatus.KEPT, **known, n=n_rows, facts=facts),)


def not_converted(status: ConversionStatus, form: str, problem: str) -> Reason:
    """Return the reason of a model that can't be converted, or whose converted form does not run.

    :param form: the format.
    :param problem: why not, in the words of the library.
    """
    return _found("conversion", status, subject=form, facts={"problem": problem})


def _found(rule: str, status: ConversionStatus, **numbers: Any) -> Reason:
    return Reason(stage="packaging", rule=rule, verdict=status.value, **numbers)


def _by_row(reference: NDArray[np.float64], current: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's largest difference; infinite where a number is NaN, or there are more or fewer of them."""
    if reference.shape != current.shape:
        return np.full(len(reference), np.inf)
    differences: NDArray[np.float64] = np.abs(current - reference).max(axis=1)
    return np.where(np.isnan(differences), np.inf, differences)


def _range(numbers: NDArray[np.float64]) -> float:
    """Return the range of the answers; of constant ones, their size."""
    if not numbers.size:
        return 1.0
    return float(np.ptp(numbers)) or float(np.abs(numbers).max()) or 1.0
