"""The model card: what is known of a version, where it falls short, and what nobody measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.evaluation.report import EvaluationReport, SliceComparison
from airflow_mlops.core.monitoring.drift_report import DriftReport, DriftStatus
from airflow_mlops.core.packaging.conversion import ConversionReport
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.registry.training_record import TrainingRecord
from airflow_mlops.core.stats.metrics import worsening
from airflow_mlops.core.training.model import choose_features
from airflow_mlops.core.training.tuning import TuningResult
from airflow_mlops.core.validation.findings import Outcome, ValidationReport
from airflow_mlops.errors import bounded

__all__ = ["CardColumn", "ModelCard"]

_FEW_ROWS = 1000
_FEW_ROWS_OF_A_CLASS = 50
_LOW_RECALL = 0.5
_MUCH_WORSE = 0.25
_MOSTLY_NULL = 0.5
_N_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class CardColumn:
    """A column of the rows that the model was made from.

    :param role: ``target``, ``feature``, ``timestamp``, ``key``, ``group``, or ``not used``.
    :param null_fraction: of all parts, in [0, 1].
    :param importance: what the score loses without it; ``None`` where that was not measured.
    """

    name: str
    role: str
    type: str
    null_fraction: float
    importance: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The records of how a version came to be, together.

    :param description: what the model is for, in the words of its pipeline; empty where they were not given.
    :param reasons: of the gate.
    :param snapshot: ``None`` where the storage does not have it any more, as with the reports after it where the
        run made none.
    """

    version: ModelVersion
    description: str
    record: TrainingRecord
    evaluation: EvaluationReport
    reasons: tuple[Reason, ...]
    snapshot: DatasetSnapshot | None = None
    validation: ValidationReport | None = None
    drift: DriftReport | None = None
    tuning: TuningResult | None = None
    serving_check: ServingCheckReport | None = None
    conversion: ConversionReport | None = None

    @property
    def source(self) -> str:
        """Where the rows came from, with the connection's name in place of what it holds; empty where it is unknown."""
        noted = self.snapshot.source if self.snapshot else {}
        place = next((str(noted[kind]) for kind in ("path", "query", "function") if noted.get(kind)), "")
        return f"{place} (connection {noted['conn_id']})" if noted.get("conn_id") else place

    @property
    def validated(self) -> str:
        """The validation's verdict, and what it is made of; empty where the run made none."""
        if self.validation is None:
            return ""
        outcomes = [check.outcome for check in self.validation.checks]
        n_others = len(self.validation.findings) - outcomes.count(Outcome.BROKEN)  # each broken one is a finding too
        others = f"; {n_others} finding(s) beside them" if n_others else ""
        met = f"{outcomes.count(Outcome.MET)} of {len(outcomes)} expectation(s) met"
        return f"{self.validation.verdict}, {met}{others}"

    @property
    def columns(self) -> list[CardColumn]:
        """The target, the features by falling importance, and then what is not trained on."""
        features = choose_features(self.record.training, self.record.split)
        worth = {each.feature: each.importance for each in self.evaluation.importance}
        n_rows = sum(part.n_rows for part in self.record.split.parts.values())
        found = [
            CardColumn(
                name=column.name,
                role=self._role(column, features),
                type=column.type,
                null_fraction=column.n_null / n_rows,
                importance=worth.get(column.name),
            )
            for column in self.record.split.columns
        ]
        ranks = {"target": 0, "feature": 1}
        return sorted(found, key=lambda column: (ranks.get(column.role, 2), -(column.importance or 0.0)))

    @property
    def limits(self) -> list[str]:
        """Where the model falls short, as far as the records tell."""
        return [
            *self._limits_of_data(),
            *self._limits_of_slices(),
            *self._limits_of_classes(),
            *self._limits_of_fairness(),
            *self._limits_of_lineage(),
        ]

    @property
    def not_measured(self) -> list[str]:
        """What the evaluation could have told and did not, and why."""
        found = self.evaluation
        is_drift_known = self.drift and self.drift.status in (DriftStatus.STABLE, DriftStatus.DRIFTED)
        gaps = {
            "Slices: gate.slices names none.": not found.slices,
            "Fairness: gate.fairness names no protected attribute.": not found.fairness,
            "Calibration: there are no probabilities of two classes.": (
                found.task == "classification" and not found.calibration_errors
            ),
            "Errors by time: the rows have no timestamp.": found.timeline is None,
            "Importance of features.": not found.importance,
            "Against a champion: there was none.": found.champion_version is None,
            "Against the champion: it could not be scored.": found.champion_error is not None,
            "Drift since the champion's data: there was nothing to compare with, or too little.": not is_drift_known,
            "How it serves: the run had no serving check.": self.serving_check is None,
        }
        return [text for text, is_gap in gaps.items() if is_gap]

    def _role(self, column: Column, features: tuple[str, ...]) -> str:
        split = self.record.split
        roles = {
            "target": (self.record.training.target,),
            "feature": features,
            "timestamp": (split.timestamp,),
            "key": split.key,
            "group": split.group,
        }
        return next((role for role, names in roles.items() if column.name in names), "not used")

    def _limits_of_data(self) -> Iterator[str]:
        split, snapshot = self.record.split, self.snapshot
        for verb, n_rows in (("It was trained on", split.train.n_rows), ("It was judged on", split.test.n_rows)):
            if n_rows < _FEW_ROWS:
                yield f"{verb} {n_rows} rows only: small differences can't be seen, and rare cases are missing."
        if snapshot and snapshot.window_start:
            window = f"{snapshot.window_start:%Y-%m-%d} to {snapshot.window_end:%Y-%m-%d}"
            yield f"It knows nothing of other times than those of its data, {window}."
        empty = [c.name for c in self.columns if c.role == "feature" and c.null_fraction >= _MOSTLY_NULL]
        if empty:
            yield f"Features that are null in at least half of the rows: {bounded(empty, _N_SHOWN)}."
        moved = [column.name for column in self.drift.columns if column.is_drifted] if self.drift else []
        if moved:
            yield f"Moved since the data that the champion was trained on, and may move on: {bounded(moved, _N_SHOWN)}."
        if self.validation and self.validation.findings:
            texts = [str(finding) for finding in self.validation.findings]
            yield f"The data broke rules that the policy lets pass: {bounded(texts, _N_SHOWN)}."

    def _limits_of_slices(self) -> Iterator[str]:
        if not self.evaluation.slices:
            return
        first = self.evaluation.comparisons[0]
        worse = [part for part in self.evaluation.slices if self._is_much_worse(part)]
        if worse:
            texts = [f"{part.name} ({part.challenger:.4g}, n={part.n_rows})" for part in worse]
            yield (
                f"{first.metric} is {first.challenger:.4g} over all rows, and clearly worse in "
                f"{bounded(texts, _N_SHOWN)}."
            )
        lost = [part for part in self.evaluation.slices if self._is_shown_worse(part)]
        if lost:
            texts = [f"{part.name} ({part.against_champion})" for part in lost]
            yield f"Shown to be worse than the champion in {bounded(texts, _N_SHOWN)}."

    def _is_much_worse(self, part: SliceComparison) -> bool:
        """Return whether a slice is worse than all rows by a quarter, or was found to be among the worst."""
        first = self.evaluation.comparisons[0]
        by = worsening(first.direction, part.challenger - first.challenger)
        return by > 0 and (part.is_found or by > _MUCH_WORSE * abs(first.challenger))

    def _is_shown_worse(self, part: SliceComparison) -> bool:
        direction, interval = self.evaluation.comparisons[0].direction, part.against_champion
        return interval is not None and min(worsening(direction, end) for end in (interval.low, interval.high)) > 0

    def _limits_of_classes(self) -> Iterator[str]:
        classes = self.evaluation.classes
        rare = [f"{each.label} ({each.n_rows})" for each in classes if each.n_rows < _FEW_ROWS_OF_A_CLASS]
        missed = [f"{each.label} ({each.recall:.2g})" for each in classes if each.recall < _LOW_RECALL]
        if rare:
            yield f"Classes with fewer than {_FEW_ROWS_OF_A_CLASS} rows to judge by: {bounded(rare, _N_SHOWN)}."
        if missed:
            yield f"Classes of which less than half is found (recall): {bounded(missed, _N_SHOWN)}."

    def _limits_of_fairness(self) -> Iterator[str]:
        for report in self.evaluation.fairness:
            small = [group.name for group in report.groups if not group.is_judged]
            if small:
                yield f"Groups of {report.attribute} that are too small to be judged: {bounded(small, _N_SHOWN)}."

    def _limits_of_lineage(self) -> Iterator[str]:
        changed = [module.import_path for module in self.record.code if module.is_dirty]
        if changed:
            yield f"Trained by code that is in no commit: {bounded(changed, _N_SHOWN)}."
        if self.record.n_threads > 1:
            yield (
                f"Trained with {self.record.n_threads} threads: trained again it predicts the same within a tolerance, "
                f"not to the bit."
            )
