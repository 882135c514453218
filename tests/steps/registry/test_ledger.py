"""The ledger names the entry that can't be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.registry.ledger import read_ledger, tell_decision

ENTRY = {
    "kind": "GateDecision",
    "schema_version": 2,
    "model_name": "small",
    "verdict": "REJECTED",
    "reasons": [{"stage": "gate", "rule": "of_a_newer_version", "verdict": "REJECTED", "observed": 0.5}],
    "champion_version": None,
    "evidence_digest": "sha256:1",
    "run_id": "r",
    "at": "2026-01-31T12:00:00Z",
}


def _storage(folder: Path, *entries: Any) -> Storage:
    ledger = folder / "decisions" / "small"
    ledger.mkdir(parents=True)
    for number, entry in enumerate(entries, 1):
        (ledger / f"{number:06d}.json").write_text(json.dumps(entry))
    return Storage(str(folder))


def test_a_rule_that_is_not_known_hides_no_entry(tmp_path: Path):
    entries = read_ledger("small", storage=_storage(tmp_path, ENTRY, ENTRY))
    said = "gate.of_a_newer_version: REJECTED, observed 0.5 (this version has no words for it)."
    assert [tell_decision(each)[2] for each in entries] == [(said,), (said,)]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (ENTRY | {"kind": "Shrug"}, "is of kind 'Shrug', this package reads MonitoringDecision, RetrainDecision"),
        ([], "is of kind None"),
        (ENTRY | {"schema_version": 9}, "GateDecision: the document has schema version 9"),
        (ENTRY | {"reasons": 3}, "GateDecision: the document is damaged"),
    ],
)
def test_an_entry_that_can_not_be_read_is_named(tmp_path: Path, entry: Any, said: str):
    with pytest.raises(IntegrityError, match=f"^small: entry 2 of its ledger:? {said}"):
        read_ledger("small", storage=_storage(tmp_path, ENTRY, entry))
