"""An alert of the monitoring and the run that answers it, by the ledger that both write."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops.core.retraining.alert import MonitoringDecision, reasons_of
from airflow_mlops.core.retraining.decision import CheckEvidence, RetrainDecision
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import UnavailableError
from airflow_mlops.specs import MonitoringSpec, RetrainPolicy
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import mark_unhealthy, rollback_model
from airflow_mlops.steps.registry.ledger import read_alerts
from airflow_mlops.steps.retraining.alert import raise_alert
from tests.steps.cases import Bench, elsewhere, run_named, small_frame
from tests.steps.drift_cases import END, Log, asked

EVIDENCE = RetrainPolicy(when="evidence")


@pytest.fixture
def log(bench: Bench) -> Log:
    """Version 1 is champion; what it is asked now is far from what it was trained on."""
    bench.deliver(small_frame())
    assert bench.run("first").promotion is not None
    log = Log(bench)
    rows = asked(shift=3.0)
    log.write(rows, 2 * rows["x"])
    return log


def by_evidence(bench: Bench, run_id: str) -> PipelineResult:
    return bench.run(run_id, bench.spec(retraining={"when": "evidence"}))


def watch(log: Log, run_id: str = "look 1", *, now: datetime | None = None, **changes: Any) -> MonitoringDecision:
    settings = {"kinds": ("drift",), "drift": log.check(), "policy": EVIDENCE, **changes}
    return raise_alert(
        model_name="small", platform=log.bench.platform, run=run_named(run_id, pipeline="watch"), now=now, **settings
    )


def states_of(decision: MonitoringDecision | RetrainDecision) -> dict[str, str]:
    return {each.kind: each.state for each in decision.evidence}


def test_an_alert_makes_the_next_run_train_whatever_started_it_and_is_answered_once(bench: Bench, log: Log):
    alert = watch(log)
    assert alert.kinds == ("drift",)
    assert alert.champion_version == 1
    bench.deliver(small_frame(60, start="2021-01-01", seed=1), "part-2.csv")
    result = by_evidence(bench, "second")
    decision = result.decision
    assert decision.should_retrain
    assert decision.answered_alerts == (alert.content_digest,)
    first = decision.reasons[0]
    assert (first.source, first.rule, first.subject, first.observed, first.n) == ("alert", "alerts", "drift", 1, 1)
    assert (first.facts["alert_at"], first.facts["alert_kinds"]) == (alert.at.isoformat(), ["drift"])
    assert decision.reasons[1 : len(alert.reasons)] == alert.reasons[1:]
    assert decision.reasons[1].source == "drift_in_production"
    assert sentence_of(decision.reasons[1]).startswith("Drift in production: 1 of 1 feature drifted")
    assert decision.reasons[-1].source == "drift_of_new_data"
    assert sentence_of(decision.reasons[-1]).startswith("Drift of new data: 60 rows in the window")
    bench.deliver(small_frame(60, start="2021-04-01", seed=2), "part-3.csv")
    assert not by_evidence(bench, "third").decision.should_retrain


def test_an_alert_that_no_new_row_can_answer_is_named_in_the_no(bench: Bench, log: Log):
    alert = watch(log)
    decision = by_evidence(bench, "second").decision
    assert not decision.should_retrain
    assert decision.answered_alerts == (alert.content_digest,)
    assert (decision.reasons[0].rule, decision.reasons[0].facts["has_alerts"]) == ("nothing_new", True)
    assert decision.reasons[1] == reasons_of(alert)[0]
    assert set(alert.reasons[1:]) <= set(decision.reasons)


def test_a_run_whose_version_was_marked_since_does_not_pass_for_a_good_one(bench: Bench, log: Log):
    mark_unhealthy("small", 1, reason="strange", platform=bench.platform, run=run_named("mark"))
    facts = bench.run("second").decision.reasons[0].facts
    assert (facts["run"], facts["outcome"], facts["unhealthy_version"]) == ("first", "PROMOTED", 1)
    assert facts["why_unhealthy"] == "is marked as unhealthy (entry 2: strange)"


def test_a_check_that_gave_no_report_is_said(log: Log):
    both = ("drift", "performance")
    decision = watch(log, kinds=("performance",), checks=both)
    none, missing, seen = decision.reasons[:3]
    assert (none.rule, none.observed, none.required, none.n) == ("no_alerts", 1, 1, 1), "of a kind that starts nothing"
    assert none.facts["states"] == {"drift": "DRIFTED"}
    assert (missing.rule, missing.subject) == ("no_report", "performance")
    assert seen.source == "drift_in_production"


def test_a_retry_finds_its_own_decision(log: Log):
    first = watch(log)
    assert watch(log) == first
    assert read_alerts("small", storage=log.bench.platform.storage) == [first]


def test_a_look_that_is_cleared_once_its_check_was_mended_decides_again_and_counts_once(log: Log):
    policy = RetrainPolicy(when="evidence", min_alerts=2, of=2)
    assert not watch(log, "look 1", policy=policy, drift=None).is_alert, "the check failed"
    mended_report = log.check()
    mended = watch(log, "look 1", policy=policy, drift=mended_report)
    assert states_of(mended) == {"drift": "DRIFTED"}
    assert watch(log, "look 1", policy=policy, drift=mended_report) == mended
    assert not watch(log, "look 2", policy=policy, drift=None).is_alert
    assert len(read_alerts("small", storage=log.bench.platform.storage)) == 3
    later = replace(mended_report, window_end=END + timedelta(days=1))
    policy = RetrainPolicy(when="evidence", min_alerts=2, of=3)
    assert watch(log, "look 3", policy=policy, drift=later).is_alert, "the second of three, not of four"


def test_rows_that_are_looked_at_twice_are_one_look(bench: Bench, log: Log):
    policy, report = RetrainPolicy(when="evidence", min_alerts=2, of=3), log.check()
    assert not watch(log, "look 1", policy=policy, drift=report).is_alert
    assert not watch(log, "look 2", policy=policy, drift=report).is_alert
    assert watch(log, "look 3", policy=policy, drift=replace(report, window_end=END + timedelta(days=1))).is_alert


def test_the_same_snapshot_is_no_second_run_with_an_alert(bench: Bench):
    bench.deliver(small_frame())
    spec = bench.spec(retraining={"when": "evidence", "min_alerts": 2, "of": 2})
    assert bench.run("first", spec).promotion is not None
    bench.deliver(small_frame(start="2021-01-01", seed=3).assign(x=lambda rows: rows["x"] + 5), "part-2.csv")
    for run_id in ("second", "third"):
        decision = bench.run(run_id, spec).decision
        assert (decision.should_retrain, states_of(decision)["drift"]) == (False, "DRIFTED")
    bench.deliver(small_frame(start="2022-01-01", seed=4).assign(x=lambda rows: rows["x"] + 5), "part-3.csv")
    assert bench.run("fourth", spec).decision.should_retrain


def test_a_missed_run_is_made_up_at_the_next_look_and_one_that_still_has_time_is_not(log: Log):
    now = datetime.now(UTC)
    assert watch(log, now=now).is_alert
    spec = MonitoringSpec(answer_within=timedelta(hours=1))
    soon = watch(log, "look 2", now=now + timedelta(minutes=30), monitoring=spec, drift=None)
    assert not soon.is_alert
    late = watch(log, "look 3", now=now + timedelta(minutes=90), monitoring=spec, drift=None)
    assert late.kinds == ("drift",)
    assert (late.reasons[0].rule, late.reasons[0].verdict) == ("answer_within", "ALERT")
    assert (late.reasons[0].observed, late.reasons[0].required) == (90 * 60, 60 * 60)


def test_an_alert_about_a_version_that_serves_no_longer_trains_nothing(bench: Bench, log: Log):
    drifted = log.check()
    bench.deliver(small_frame(300, slope=4.0, start="2021-01-01", seed=3), "part-2.csv")
    assert bench.run("forced", force=True).promotion is not None
    stale = watch(log, drift=drifted)
    assert (stale.is_alert, stale.champion_version, stale.evidence) == (False, 2, ())
    last = stale.reasons[-1]
    assert (last.rule, last.subject, last.observed) == ("other_version", "drift", 1)
    alert = watch(log, drift=replace(drifted, champion_version=2))
    assert (alert.is_alert, alert.champion_version) == (True, 2)
    rollback_model("small", reason="strange", platform=bench.platform, run=run_named("back"))
    bench.deliver(small_frame(60, start="2022-01-01", seed=4), "part-3.csv")
    assert by_evidence(bench, "later").decision.answered_alerts == ()


def test_two_looks_at_once_are_both_written_down_and_answered_by_one_run(bench: Bench, log: Log):
    report, barrier = log.check(), threading.Barrier(2)
    found: list[MonitoringDecision] = []

    def look(run_id: str) -> None:
        barrier.wait()
        found.append(watch(log, run_id, drift=report))

    threads = [threading.Thread(target=look, args=(f"look {n}",)) for n in (1, 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    history = read_alerts("small", storage=bench.platform.storage)
    assert sorted(entry.run_id for entry in history) == ["look 1", "look 2"]
    alerts = {entry.content_digest for entry in history if entry.is_alert}
    assert alerts
    bench.deliver(small_frame(60, start="2021-01-01", seed=1), "part-2.csv")
    assert set(by_evidence(bench, "second").decision.answered_alerts) == alerts


def test_what_was_looked_at_stands_in_the_ledger_when_the_answer_is_no(log: Log):
    decision = watch(log, kinds=())
    assert not decision.is_alert
    assert decision.evidence == (
        CheckEvidence(
            kind="drift",
            state="DRIFTED",
            report_uri="reports/small/watch/drift.html",
            rows_id="2026-01-30T12:00:00+00:00--2026-01-31T12:00:00+00:00",
        ),
    )
    assert decision.at <= datetime.now(UTC)
    assert decision.at > END, "of the present, though it looked at the past"


def test_an_outage_writes_no_decision_and_the_retry_writes_one(log: Log, outage: str, monkeypatch: pytest.MonkeyPatch):
    bench = log.bench
    drifted = log.check()
    with monkeypatch.context() as patch:
        patch.setattr(log, "bench", replace(bench, platform=elsewhere(bench.platform, outage)))
        with pytest.raises(UnavailableError, match="does not answer"):
            watch(log, drift=drifted)
    assert read_alerts("small", storage=bench.platform.storage) == []
    ledger = bench.platform.storage.path("decisions", "small")
    moved = ledger.rename(ledger.with_name("elsewhere"))
    ledger.write_text("no folder")  # root may write to a folder that is read-only
    with pytest.raises(UnavailableError, match="can't be used"):
        watch(log, drift=drifted)
    ledger.unlink()
    moved.rename(ledger)
    assert watch(log, drift=drifted).is_alert
    assert len(read_alerts("small", storage=bench.platform.storage)) == 1
