"""Suites: what good data is like, written down as rules."""

from __future__ import annotations

import json
from typing import Any

from airflow_mlops.adapters import ibis_rules
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.validation.findings import Outcome
from airflow_mlops.core.validation.suite import Tolerances, propose_suite
from airflow_mlops.core.values import digest_of
from airflow_mlops.steps.data.snapshot import load_profile
from airflow_mlops.steps.platform import folder_name, short

__all__ = ["infer_suite"]


def infer_suite(snapshot: DatasetSnapshot, *, storage: Storage, tolerances: Tolerances | None = None) -> dict[str, Any]:
    """Return a Great Expectations suite that a snapshot meets: types, missing values, domains, ranges, keys, size.

    It is kept beside the snapshot, since the same rows give the same suite.

    :param tolerances: how far other data may be from these.
    :raises IntegrityError: when the snapshot is damaged.
    """
    proposed = propose_suite(snapshot, load_profile(storage, snapshot.dataset, snapshot.digest), tolerances)
    name = f"suite-{short(digest_of(json.loads(json.dumps(proposed))))}.json"
    place = ("snapshots", folder_name(snapshot.dataset), short(snapshot.digest), name)
    if storage.exists(*place):
        kept: dict[str, Any] = storage.read_json(*place)
        return kept
    checks = ibis_rules.check_rules(snapshot.data_uri, proposed["expectations"])
    met = [
        entry
        for entry, check in zip(proposed["expectations"], checks, strict=True)
        if check is not None and check.outcome is Outcome.MET
    ]
    suite = {**proposed, "expectations": met}
    storage.write_json(suite, *place)
    return suite
