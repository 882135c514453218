"""Whether a run trains, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs.retrain import RetrainPolicy

__all__ = [
    "ALERT_STATES",
    "CheckEvidence",
    "Concluded",
    "RetrainDecision",
    "as_evidence",
    "count_alerts",
    "decide_retraining",
    "evidence_found",
    "evidence_missing",
    "last_training",
    "limit_of",
    "report_of",
    "take_reason",
]

ALERT_STATES = {"drift": "DRIFTED", "performance": "DEGRADED"}
"""The states that are an alert, by the kind of evidence."""

_WEEK = timedelta(days=7)
_YES, _NO = "RETRAIN", "WAIT"


@dataclass(frozen=True, kw_only=True)
class CheckEvidence:
    """What a check of this run found, as a decision keeps it.

    :param kind: ``validation``, ``drift`` or ``performance``.
    :param state: what it said, such as ``STABLE``.
    :param report_uri: its page, below the storage root.
    :param rows_id: which rows it looked at: their digest, or the time that they are of; empty where it is unknown.
    """

    kind: str
    state: str
    report_uri: str = ""
    rows_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Concluded:
    """How an earlier run with the same data, code and parameters ended.

    :param run: its id.
    :param outcome: such as ``PROMOTED``.
    :param unhealthy_version: its version, where that is known to be bad by now.
    :param why_unhealthy: what the journal says of that.
    """

    run: str
    outcome: str
    unhealthy_version: int | None = None
    why_unhealthy: str = ""


def as_evidence(documents: Any) -> Any:
    """Return evidence as it is; the mapping that version 1 has in its place, as one entry for each check.

    >>> as_evidence({"drift": "STABLE", "drift_rows": "sha256:1"})
    [{'kind': 'drift', 'state': 'STABLE', 'report_uri': '', 'rows_id': 'sha256:1'}]
    """
    if not isinstance(documents, Mapping):
        return documents
    kinds = [name for name in documents if not name.endswith(("_report", "_rows"))]
    return [
        {
            "kind": kind,
            "state": documents[kind],
            "report_uri": documents.get(f"{kind}_report", ""),
            "rows_id": documents.get(f"{kind}_rows", ""),
        }
        for kind in kinds
    ]


@dataclass(frozen=True, kw_only=True)
class RetrainDecision(Value):
    """Whether to train, always with the reasons.

    :param reasons: the one that decided it first, then what was seen.
    :param recipe_digest: of code, parameters and search, without the data.
    :param evidence: what each check found, which rows it looked at, and where its report is.
    :param answered_alerts: digests of the monitoring's alerts that it answers.
    """

    schema_version = 2

    model_name: str
    should_retrain: bool
    reasons: tuple[Reason, ...]
    snapshot_digest: str
    fingerprint: str
    recipe_digest: str = ""
    evidence: tuple[CheckEvidence, ...] = ()
    answered_alerts: tuple[str, ...] = ()
    run_id: str
    trigger: str
    at: datetime

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        reasons = as_reasons(fields.get("reasons"), stage="retraining")
        answered = fields.pop("alarms", ())
        evidence = as_evidence(fields.get("evidence", []))
        return {**fields, "reasons": reasons, "evidence": evidence, "answered_alerts": answered}

    @property
    def report_uri(self) -> str:
        """The page of the check that it was made on; empty: there is none."""
        return report_of(self.evidence)

    def __str__(self) -> str:
        what = "retrain" if self.should_retrain else "not retrained"
        return f"{self.model_name}: {what}. " + " ".join(sentences_of(self.reasons))


def decide_retraining(
    policy: RetrainPolicy,
    *,
    force: bool,
    champion_version: int | None,
    concluded: Concluded | None,
    recipe_digest: str = "",
    evidence: Sequence[CheckEvidence],
    alerts: Sequence[Reason] = (),
    shifts: Sequence[Reason] = (),
    history: Sequence[RetrainDecision] = (),
    now: datetime,
) -> tuple[bool, tuple[Reason, ...]]:
    """Decide whether this run trains.

    :param force: a person asks for it.
    :param concluded: how an earlier run with the same data, code and parameters ended; ``None`` if there
        is none.
    :param recipe_digest: of code, parameters and search.
    :param evidence: what each check of this run found, see :data:`ALERT_STATES`.
    :param alerts: the reasons of the monitoring's alerts that are not answered yet. They stand among the reasons of a
        no, too.
    :param shifts: the reasons of what the checks found.
    :param history: the model's earlier decisions, oldest first.
    :param now: with a zone, as those of the history.
    :returns: the decision and its reasons.
    """
    if force:
        return True, (take_reason("forced", _YES), *alerts)
    shifts = tuple(dict.fromkeys((*alerts, *shifts)))  # a check that is repeated may find the same
    if concluded:
        facts = {**asdict(concluded), "has_alerts": bool(alerts)}
        return False, (take_reason("nothing_new", _NO, facts=facts), *shifts)
    last = last_training(history)
    limit = limit_of(policy, history, last, now)
    if limit:
        return False, (replace(limit, verdict=_NO, facts={**limit.facts, "may_force": True}), *shifts)
    if champion_version is None:
        return True, (take_reason("cold_start", _YES),)
    if policy.when == "new_data":
        facts = {"champion_version": champion_version}
        return True, (take_reason("new_data", _YES, setting="retraining.when", facts=facts), *shifts)
    if last and recipe_digest and last.recipe_digest != recipe_digest:
        return True, (take_reason("new_recipe", _YES, facts={"last_at": last.at.isoformat()}), *shifts)
    if alerts:
        return True, shifts
    reason = _judge_evidence(policy, evidence, history, last, now)
    return reason.verdict == _YES, (reason, *shifts)


def take_reason(rule: str, verdict: str = "", **numbers: Any) -> Reason:
    """Return a reason of this stage; without a verdict it is a remark."""
    return Reason(stage="retraining", rule=rule, verdict=verdict, **numbers)


def last_training(history: Sequence[RetrainDecision]) -> RetrainDecision | None:
    """Return the last decision to train; ``None``: there is none."""
    return next((entry for entry in reversed(history) if entry.should_retrain), None)


def limit_of(
    policy: RetrainPolicy, history: Sequence[RetrainDecision], last: RetrainDecision | None, now: datetime
) -> Reason | None:
    """Return why nothing may train now, whatever there is to learn; ``None``: it may. Durations are in seconds."""
    if last and now - last.at < policy.cooldown:
        return take_reason(
            "cooldown",
            setting="retraining.cooldown",
            observed=(now - last.at).total_seconds(),
            required=policy.cooldown.total_seconds(),
            facts={"until": (last.at + policy.cooldown).isoformat()},
        )
    recent = sum(entry.should_retrain and now - entry.at < _WEEK for entry in history)
    if policy.max_per_week is not None and recent >= policy.max_per_week:
        setting = "retraining.max_per_week"
        return take_reason("max_per_week", setting=setting, observed=recent, required=policy.max_per_week)
    return None


def _judge_evidence(
    policy: RetrainPolicy,
    evidence: Sequence[CheckEvidence],
    history: Sequence[RetrainDecision],
    last: RetrainDecision | None,
    now: datetime,
) -> Reason:
    since = history[history.index(last) + 1 :] if last else history
    counts = count_alerts([*(entry.evidence for entry in since), evidence], policy.of)
    for kind, (count, n_checks) in counts.items():
        if count >= policy.min_alerts:
            return evidence_found(_YES, kind, count, n_checks, policy, noun="run")
    if policy.max_age and last and now - last.at >= policy.max_age:
        return take_reason(
            "max_age",
            _YES,
            setting="retraining.max_age",
            observed=(now - last.at).total_seconds(),
            required=policy.max_age.total_seconds(),
            facts={"last_at": last.at.isoformat()},
        )
    return evidence_missing(_NO, evidence, counts, policy)


def evidence_found(verdict: str, kind: str, count: int, n_checks: int, policy: RetrainPolicy, *, noun: str) -> Reason:
    """Return the reason of a kind of evidence that was an alert often enough.

    :param count: in how many of the last checks it was one.
    :param noun: what a check is called there, ``run`` or ``look``.
    """
    facts = {"state": ALERT_STATES[kind], "of": policy.of, "noun": noun}
    return take_reason(
        "alerts",
        verdict,
        subject=kind,
        setting="retraining.min_alerts",
        observed=count,
        required=policy.min_alerts,
        n=n_checks,
        facts=facts,
    )


def evidence_missing(
    verdict: str, evidence: Sequence[CheckEvidence], counts: Mapping[str, tuple[int, int]], policy: RetrainPolicy
) -> Reason:
    """Return the reason where no kind of evidence was an alert often enough; its numbers are of the kind that most was.

    :param counts: as :func:`count_alerts` gives them.
    """
    kind = max(counts, key=lambda each: counts[each][0])
    states = {each.kind: each.state for each in evidence if each.kind in ALERT_STATES}
    return take_reason(
        "no_alerts",
        verdict,
        setting="retraining.min_alerts",
        observed=counts[kind][0],
        required=policy.min_alerts,
        n=counts[kind][1],
        facts={"states": states, "of": policy.of},
    )


def count_alerts(checks: Sequence[Sequence[CheckEvidence]], of: int) -> dict[str, tuple[int, int]]:
    """Return for each kind of evidence in how many of the last ``of`` checks it was an alert, and how many there were.

    A check that looked at the same rows as a later one does not count: to look again proves nothing more.

    >>> drifted = [CheckEvidence(kind="drift", state="DRIFTED", rows_id="sha256:1")]
    >>> stable = [CheckEvidence(kind="drift", state="STABLE", rows_id="sha256:2")]
    >>> count_alerts([drifted, drifted, stable], 3)["drift"]
    (1, 2)
    """
    found = {}
    for kind, state in ALERT_STATES.items():
        rows, states = set(), []
        for check in reversed(checks):
            seen = next((each for each in check if each.kind == kind), None)
            rows_id = seen.rows_id if seen else ""
            if not rows_id or rows_id not in rows:
                states.append(seen.state if seen else None)
            rows.add(rows_id)
        found[kind] = sum(each == state for each in states[:of]), len(states[:of])
    return found


def report_of(evidence: Sequence[CheckEvidence], *, kinds: Sequence[str] = ()) -> str:
    """Return the page of the check that a decision was made on: of several, that of its alert; empty: there is none.

    :param kinds: the evidence that gives the alert.
    """
    pages = {each.kind: each.report_uri for each in evidence if each.report_uri}
    return next((pages[kind] for kind in (*kinds, "performance", "drift", "validation") if kind in pages), "")
