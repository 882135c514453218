"""Verification: do journal, alias, versions, files and evidence of a model agree? It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from airflow_mlops.core.maintenance.verification import Check, VerificationReport
from airflow_mlops.core.registry.journal import (
    CHAMPION,
    ModelVersion,
    PromotionRecord,
    check_known_entries,
    name_last_entry,
    needs_alias,
)
from airflow_mlops.errors import IntegrityError, MlopsError
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.promotion.card import read_card
from airflow_mlops.steps.registry.journal import is_settled, read_entries, read_evidence
from airflow_mlops.steps.registry.known_models import no_records
from airflow_mlops.steps.registry.training_record import load_record

__all__ = ["verify_model"]


def verify_model(model_name: str, *, platform: Platform) -> VerificationReport:
    """Compare everything that is recorded of a model with everything else. The files of all versions are downloaded.

    :returns: a check for each thing that was looked at; what could not be read is not as it must be.
    :raises SpecError: when neither the storage nor MLflow knows the model, so that there is nothing to compare.
    :raises UnavailableError: when MLflow or the storage does not answer at all.
    """
    return VerificationReport(model_name=model_name, checks=tuple(_checks(model_name, platform)))


def _checks(model_name: str, platform: Platform) -> Iterator[Check]:
    try:
        journal, digests = read_entries(model_name, storage=platform.storage)
    except IntegrityError as error:
        yield Check(subject="journal", is_good=False, found=str(error))
        return
    alias, known = platform.mlflow.get_pointers(model_name)
    if journal:
        found = f"{len(journal)} entries without a gap, each with the digest of the one before."
        yield Check(subject="journal", is_good=True, found=found)
    else:
        if alias is None and not known:
            raise no_records(model_name, "journals", storage=platform.storage)
        yield Check(subject="journal", is_good=False, found=f"There is none for {model_name!r}.")
    yield _check("last entry", lambda: _compare_last_entry(model_name, digests, known))
    settled = is_settled(model_name, journal, storage=platform.storage)
    yield _check("alias", lambda: _compare_alias(model_name, journal, alias, settled))
    for entry in journal:
        if entry.evidence_digest:
            yield _check(f"evidence of entry {entry.sequence}", partial(_compare_evidence, entry, platform))
    named = {number for entry in journal for number in (entry.from_version, entry.to_version)}
    for number in sorted(number for number in named if number is not None):
        yield from _checks_of_version(model_name, number, platform)


def _checks_of_version(model_name: str, number: int, platform: Platform) -> Iterator[Check]:
    try:
        version = platform.mlflow.get_version(model_name, number)
    except MlopsError as error:
        yield Check(subject=f"v{number}", is_good=False, found=str(error))
        return
    yield Check(subject=f"v{number}", is_good=True, found="MLflow has it.")
    yield _check(f"v{number} files", lambda: _compare_files(version, platform))
    yield _check(f"v{number} record", lambda: _compare_record(version, platform))
    yield _check(f"v{number} card", lambda: _find_card(version, platform))


def _check(subject: str, look: Callable[[], str]) -> Check:
    try:
        return Check(subject=subject, is_good=True, found=look())
    except MlopsError as error:
        return Check(subject=subject, is_good=False, found=str(error))


def _compare_last_entry(model_name: str, digests: list[str], known: str) -> str:
    check_known_entries(model_name, digests, known)
    if known != name_last_entry(digests):
        raise IntegrityError(f"MLflow was not told of the last entry yet. {_COMPLETED}")
    return f"MLflow knows of the same, entry {len(digests)}."


def _compare_alias(model_name: str, journal: list[PromotionRecord], alias: int | None, settled: bool) -> str:
    target = needs_alias(model_name, journal, alias, is_settled=settled)
    if target is not None:
        raise IntegrityError(f"The alias {CHAMPION!r} has still to follow to version {target}. {_COMPLETED}")
    return f"{CHAMPION!r} points to {'nothing' if alias is None else f'version {alias}'}, as the journal says."


_COMPLETED = (
    "Whoever wrote the last entry was interrupted, or is at it. The next step that asks for the champion completes it."
)


def _compare_evidence(entry: PromotionRecord, platform: Platform) -> str:
    evidence = read_evidence(entry.model_name, entry.evidence_digest, storage=platform.storage)
    version = platform.mlflow.get_version(entry.model_name, entry.to_version)
    if evidence.challenger_digest != version.model_digest:
        raise IntegrityError(
            f"It is of a model with digest {evidence.challenger_digest[:19]}…, but version {entry.to_version} in "
            f"MLflow says {version.model_digest[:19]}…. Another model was put in its place: roll it back."
        )
    return f"{entry.evidence_digest[:19]}…, of the model that is version {entry.to_version}."


def _compare_files(version: ModelVersion, platform: Platform) -> str:
    uri = f"models:/{version.model_name}/{version.model_version}"
    with platform.mlflow.downloaded(uri, version.model_digest):
        return f"{version.model_digest[:19]}…, as they were evaluated."


def _compare_record(version: ModelVersion, platform: Platform) -> str:
    record, _ = load_record(version, platform=platform)
    return f"{record.content_digest[:19]}…, of the same model."


def _find_card(version: ModelVersion, platform: Platform) -> str:
    read_card(f"models:/{version.model_name}/{version.model_version}", platform=platform)
    if not platform.storage.exists(*version.report_uri.split("/")):
        raise IntegrityError(f"{version.report_uri} is missing from the storage. MLflow has a copy of it.")
    return version.report_uri
