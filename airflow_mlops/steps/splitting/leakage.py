"""Leakage: does the training part know what a model won't know when it predicts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.documents.html import Figure, report_page
from airflow_mlops.adapters.duckdb_engine.joins import splits
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.splitting.leakage import LeakageFinding, LeakageReport
from airflow_mlops.core.splitting.split import DatasetPart, DatasetSplit
from airflow_mlops.core.training.model import choose_features
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.core.wording.numbers import shown
from airflow_mlops.core.wording.splitting import found_and_expected
from airflow_mlops.errors import SpecError, bounded, did_you_mean
from airflow_mlops.specs.split import LeakageSpec
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.platform import Platform

__all__ = ["check_leakage", "check_split", "leakage_page"]

log = logging.getLogger(__name__)

_SAMPLE_ROWS = 20_000
_MIN_DISTINCT_FRACTION = 0.1

_N_NAMES = 10

_reason = partial(Reason, stage="splitting")

Found = tuple[list[LeakageFinding], int, list[Reason]]
"""Findings, how many comparisons were made, and notes on what could not be judged."""


def check_split(
    split: DatasetSplit, training: TrainingSpec, leakage: LeakageSpec, *, platform: Platform, run: PipelineRun
) -> LeakageReport:
    """Look for leakage among what a training is trained on; see :func:`check_leakage`."""
    features = choose_features(training, split)
    return check_leakage(split, leakage, target=training.target, features=features, platform=platform, run=run)


def check_leakage(
    split: DatasetSplit,
    leakage: LeakageSpec,
    *,
    target: str,
    features: Sequence[str] | None = None,
    platform: Platform,
    run: PipelineRun,
) -> LeakageReport:
    """Look for held-out rows and groups among the training rows, and for features that know the target.

    Parts are compared on all rows, by the engine; features are judged on a sample of the training rows. The report
    is stored before it is returned; the caller decides by ``report.require_clean()``.

    :param target: the column to predict.
    :param features: what is trained on; ``None``: all columns but target and timestamp.
    :raises SpecError: when a column that is named is not there, or is of a type that can't be compared.
    :raises IntegrityError: when a part's rows are not those that it is named by.
    """
    known = [column.name for column in split.columns]
    chosen = features or [name for name in known if name not in (target, split.timestamp)]
    _require_columns(split, leakage, target, chosen)
    for part in split.parts.values():
        if part.file_digest:
            arrow.check_file(part.uri, part.file_digest)
        else:
            arrow.check_rows(part.uri, part.digest)
    judged = [name for name in chosen if name not in leakage.allow]
    n_sampled, reproductions = _judge_features(split, target, judged)
    results = [
        _compare_rows(split, leakage, target),
        _compare_groups(split, leakage),
        reproductions,
        _compare_times(split, leakage),
    ]
    report = LeakageReport(
        snapshot_digest=split.snapshot_digest,
        split_digest=split.digest,
        target=target,
        n_train=split.train.n_rows,
        n_test=split.test.n_rows,
        n_sampled=n_sampled,
        n_checks=sum(n_checks for _, n_checks, _ in results),
        findings=tuple(finding for findings, _, _ in results for finding in findings),
        notes=tuple(note for _, _, notes in results for note in notes),
        report_uri=platform.report_uri(run, "leakage"),
    )
    platform.record(run, "leakage", report, leakage_page(report))
    log.info("leakage check: n_findings=%d n_checks=%d n_sampled=%d", len(report.findings), report.n_checks, n_sampled)
    return report


_FIGURES = (Figure("Observed"), Figure("Required"), Figure("n"))
_HEADER = ("Columns", "Rule", "Found", "Expected", *_FIGURES, "Examples", "What to do")


def leakage_page(report: LeakageReport) -> str:
    """Draw what a leakage check found."""
    rows = [
        (
            ", ".join(f.columns[:20]),
            f.rule,
            *found_and_expected(f.found),
            *(Figure(shown(number)) for number in (f.found.observed, f.found.required, f.found.n)),
            bounded(f.examples, 3) if f.examples else "",
            f.advice,
        )
        for f in report.findings
    ]
    return report_page(
        title="Leakage check",
        verdict="CLEAN" if report.is_clean else "LEAKAGE",
        facts={
            "Snapshot": report.snapshot_digest,
            "Split": report.split_digest,
            "Target": report.target,
            "Rows": f"{report.n_train} to train on, {report.n_test} held out",
            "Sample": f"{report.n_sampled} training rows, for what features know of the target",
            "Checks": report.n_checks,
        },
        reasons=sentences_of(report.notes),
        tables={"Findings": ([_HEADER], rows)},
    )


def _require_columns(split: DatasetSplit, leakage: LeakageSpec, target: str, features: Sequence[str]) -> None:
    types = {column.name: column.type for column in split.columns}
    moments = {"split.leakage.prediction_time": [leakage.prediction_time] if leakage.prediction_time else []}
    moments["split.leakage.known_at"] = list(leakage.known_at.values())
    named = {
        "training.target": [target],
        "training.features": features,
        "split.leakage.allow": leakage.allow,
        **moments,
    }
    for setting, names in [*named.items(), ("split.leakage.known_at", list(leakage.known_at))]:
        for name in names:
            if name not in types:
                raise SpecError(
                    f"{setting}: {name!r} is not in the data. Columns: {bounded(types, 20)}."
                    f"{did_you_mean(name, types)} Nothing was checked."
                )
    for setting, names in moments.items():
        for name in names:
            if not types[name].startswith(("timestamp", "date")):
                raise SpecError(
                    f"{setting}: {name!r} is of type {types[name]}, a date or a timestamp was expected. Nothing was "
                    f"checked. Cast it in data.features."
                )


def _compare_rows(split: DatasetSplit, leakage: LeakageSpec, target: str) -> Found:
    columns, notes = _columns_to_compare(split, target)
    if not any(name != target for name in columns):  # rows that have the target in common alone are not the same
        return [], 0, [*notes, _reason(rule="no_column_left")]
    findings, n_checks = [], 0
    held_out = {name: part for name, part in split.parts.items() if name != "train"}
    for name, part in held_out.items():
        overlap = splits.shared_rows(split.train.uri, part.uri, columns)
        fraction = overlap.n_shared / overlap.n_all
        shared = _reason(
            rule="shared_rows",
            setting="split.leakage.max_shared_row_fraction",
            observed=fraction,
            required=leakage.max_shared_row_fraction,
            n=overlap.n_all,
            facts={"n_shared": overlap.n_shared, "part": name},
        )
        if fraction > leakage.max_shared_row_fraction and _repeat_too_often(split, part, columns, fraction):
            by = {"columns": columns[:_N_NAMES], "n_columns": len(columns)}
            notes.append(replace(shared, rule="rows_repeat", facts={**shared.facts, **by}))
            continue
        n_checks += 1
        if fraction <= leakage.max_shared_row_fraction:
            continue
        findings.append(
            LeakageFinding(
                rule="shared_rows",
                columns=tuple(columns),
                found=shared,
                examples=overlap.examples,
                advice="Leave repeated rows out in data.features; or draw by method random, with split.key naming "
                "columns that are the same wherever a row is repeated, which keeps it on one side. Where rows are "
                "equal by chance, raise split.leakage.max_shared_row_fraction.",
            )
        )
    return findings, n_checks, notes


def _columns_to_compare(split: DatasetSplit, target: str) -> tuple[list[str], list[Reason]]:
    """Return the columns in which a repeated row is equal, and a note on those that are left out.

    A row that is delivered again has another timestamp, and often another running id.
    """
    columns = [column.name for column in split.columns if column.name not in (split.timestamp, *split.key)]
    asked = [name for name in columns if name != target]
    ids = splits.row_ids([part.uri for part in split.parts.values()], asked) if asked else ()
    left_out = [_reason(rule="row_ids", n=len(ids), facts={"columns": list(ids[:_N_NAMES])})] if ids else []
    return [name for name in columns if name not in ids], left_out


def _repeat_too_often(split: DatasetSplit, part: DatasetPart, columns: Sequence[str], fraction: float) -> bool:
    """Tell whether so many rows are equal by chance that one which was delivered twice can't be told from them."""
    from airflow_mlops.adapters.sklearn.leakage import equal_by_chance  # pandas: only this needs it

    if splits.distinct_fraction([split.train.uri, part.uri], columns) < _MIN_DISTINCT_FRACTION:
        return True
    sample = arrow.sample_frame(split.train.uri, columns, _SAMPLE_ROWS)
    return equal_by_chance(sample, split.train.n_rows) > fraction / 2


def _compare_groups(split: DatasetSplit, leakage: LeakageSpec) -> Found:
    if not split.group or leakage.allow_shared_groups:
        return [], 0, []
    findings = []
    held_out = {name: part for name, part in split.parts.items() if name != "train"}
    for name, part in held_out.items():
        overlap = splits.shared_groups(split.train.uri, part.uri, split.group)
        if overlap.n_shared:
            findings.append(
                _count_against(
                    "shared_groups",
                    split.group,
                    n_bad=overlap.n_shared,
                    n=overlap.n_all,
                    part=name,
                    examples=overlap.examples,
                    advice="Split by method group; or, where the model is to predict groups that it knows, set "
                    "split.leakage.allow_shared_groups.",
                )
            )
    return findings, len(held_out), []


def _judge_features(split: DatasetSplit, target: str, features: Sequence[str]) -> tuple[int, Found]:
    from airflow_mlops.adapters.sklearn import leakage as reproductions  # pandas: only this needs it

    timestamp = [split.timestamp] if split.timestamp else []
    sample = arrow.sample_frame(split.train.uri, list(dict.fromkeys([*features, target, *timestamp])), _SAMPLE_ROWS)
    if timestamp:
        sample = sample.sort_values(timestamp, kind="stable")
    found, n_checks, notes = reproductions.find_reproductions(sample, target=target, features=features)
    findings = [
        LeakageFinding(
            rule=each.rule,
            columns=each.columns,
            found=each.found,
            advice=f"Leave {' or '.join(each.columns[:5])} out of training.features if the value is not known when "
            f"the model predicts; if it is, name it in split.leakage.allow.",
        )
        for each in found
    ]
    return len(sample), (findings, n_checks, notes)


def _count_against(
    rule: str,
    columns: tuple[str, ...],
    *,
    n_bad: int,
    n: int,
    advice: str,
    examples: tuple[str, ...] = (),
    **facts: str,
) -> LeakageFinding:
    """Return a finding of a rule that allows none of what was counted."""
    found = _reason(rule=rule, observed=n_bad, required=0, n=n, facts=facts)
    return LeakageFinding(rule=rule, columns=columns, found=found, examples=examples, advice=advice)


def _compare_times(split: DatasetSplit, leakage: LeakageSpec) -> Found:
    predicted = leakage.prediction_time
    if predicted is None:
        return [], 0, []
    uris = [part.uri for part in split.parts.values()]
    n_rows = sum(part.n_rows for part in split.parts.values())
    n_without, late = splits.late_rows(uris, known_at=leakage.known_at, prediction_time=predicted)
    findings = []
    if n_without:
        findings.append(
            _count_against(
                "prediction_time_null",
                (predicted,),
                n_bad=n_without,
                n=n_rows,
                advice="Leave such rows out in data.features, or fix the source.",
            )
        )
    for feature, found in late.items():
        column = leakage.known_at[feature]
        if found.n_late:
            findings.append(
                _count_against(
                    "known_too_late",
                    (feature,),
                    n_bad=found.n_late,
                    n=found.n_values,
                    known_at=column,
                    predicted=predicted,
                    examples=found.examples,
                    advice=f"Join {feature} as of {predicted} in data.features, or leave it out of training.features.",
                )
            )
        if found.n_unknown:
            findings.append(
                _count_against(
                    "known_at_null",
                    (feature,),
                    n_bad=found.n_unknown,
                    n=found.n_values,
                    known_at=column,
                    advice=f"Fill in {column}, or leave {feature} out of training.features.",
                )
            )
    return findings, 1 + len(late), []
