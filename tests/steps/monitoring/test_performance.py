"""Performance in production, on a real log and real labels: what is good, what is bad, and what can't be told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from airflow_mlops.core.monitoring.performance_report import PerformanceReport
from airflow_mlops.core.monitoring.performance_report import PerformanceStatus as Status
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import DataError, EvaluationError, IntegrityError, SpecError, UnavailableError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.data.connections import NoConnections
from airflow_mlops.steps.monitoring.performance import check_performance
from tests.core.reasons import only
from tests.steps.cases import elsewhere, run_named
from tests.steps.conftest import make_bench
from tests.steps.performance_cases import MATURE, N_A_DAY, NOW, WINDOW, Shop, customers

LOGISTIC = {"target": "pays", "estimator": "sklearn.linear_model.LogisticRegression"}
LINEAR = {"target": "spends", "estimator": "sklearn.linear_model.LinearRegression"}
N_WINDOW = 7 * N_A_DAY


@pytest.fixture(scope="module")
def platform_of_shops(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("shops")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield make_bench(folder, mlflow_database).platform


def opened(platform: Platform, name: str, **training: Any) -> Shop:
    inbox = platform.storage.root.parent / name
    inbox.mkdir()
    return Shop.open(platform, inbox, name, **training)


@pytest.fixture(scope="module")
def shop_with_champion(platform_of_shops: Platform) -> Shop:
    return opened(platform_of_shops, "shop", **LOGISTIC)


@pytest.fixture
def shop(shop_with_champion: Shop) -> Shop:
    """A champion that tells who pays, with nothing logged and nothing delivered."""
    shop_with_champion.clear()
    return shop_with_champion


def turned(rows: pd.DataFrame, share: float = 0.5) -> pd.DataFrame:
    """Return the same customers, many of whom do the contrary: the features do not show it."""
    other = np.arange(len(rows)) % 10 < share * 10
    return rows.assign(pays=np.where(other, np.where(rows["pays"] == "yes", "no", "yes"), rows["pays"]))


def later_than(moment: datetime) -> Any:
    return lambda rows: turned(rows) if rows["at"].iloc[0] >= moment else rows


def known_by_now(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["at"] <= NOW - timedelta(days=5)]


END = NOW.replace(hour=0, minute=0) - MATURE


def test_a_model_that_does_as_it_did_is_ok_in_all_windows(shop: Shop):
    rows = shop.serve()
    shop.deliver(known_by_now(rows))
    report = shop.check()
    assert report.status is Status.OK
    assert [window.status for window in report.windows] == [Status.OK] * 3
    newest = report.windows[0]
    assert (newest.start, newest.end) == (END - WINDOW, END)
    assert (newest.counts.n_predictions, newest.counts.n_labelled, newest.counts.coverage) == (N_WINDOW, N_WINDOW, 1.0)
    mine = rows[(rows["at"] >= newest.start) & (rows["at"] < newest.end)]
    accuracy = float((shop.model.predict(mine) == mine["pays"]).mean())
    found = newest.metrics[0]
    assert found.value.difference == pytest.approx(accuracy)
    assert found.value.low < accuracy < found.value.high
    assert found.against_blessing.difference == pytest.approx(accuracy - found.at_blessing)
    assert found.against_baseline.low > 0
    first = report.reasons[0]
    assert (first.rule, first.observed, first.required, first.n) == ("windows", 0, 2, 3)
    assert (first.facts["start"][:10], first.facts["end"][:10]) == ("2026-02-15", "2026-02-22")
    assert first.facts["newest"] == "OK"


def test_the_report_is_kept_as_json_and_as_a_page_with_a_picture(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    report = shop.check(slices={"columns": ["region"], "min_rows": 50})
    folder = ("reports", "monitoring", "check")
    assert PerformanceReport.from_dict(shop.platform.storage.read_json(*folder, "performance.json")) == report
    page = shop.platform.storage.path(*folder, "performance.html").read_text()
    for words in ("2026-02-15", "region=north", "most_frequent", "<svg", "can&#39;t see concept shift", "not yet"):
        assert words in page


def test_cohorts_tell_the_coverage_by_age_also_of_predictions_whose_labels_are_not_due(shop: Shop):
    rows = shop.serve()
    shop.deliver(known_by_now(rows))
    cohorts = shop.check().cohorts
    assert [cohort.start for cohort in cohorts] == sorted(cohort.start for cohort in cohorts)
    assert {(cohort.is_mature, cohort.counts.coverage) for cohort in cohorts} == {
        (True, 1.0),
        (False, 1.0),
        (False, 0.0),
    }
    assert all(bool(cohort.values) == (cohort.counts.n_labelled > 0) for cohort in cohorts)
    assert cohorts[-1].start.date() == NOW.date()


def test_a_change_of_what_customers_mean_is_a_degradation_that_the_estimate_does_not_see(shop: Shop):
    shop.deliver(known_by_now(shop.serve(change=later_than(END - 2 * WINDOW))))
    report = shop.check()
    assert report.status is Status.DEGRADED
    assert [window.status for window in report.windows] == [Status.DEGRADED, Status.DEGRADED, Status.OK]
    worse = report.windows[0]
    first = worse.reasons[0]
    assert (first.verdict, first.subject, f"{first.facts['value']:.4g}") == (Status.DEGRADED, "accuracy", "0.4893")
    assert sentence_of(first).startswith("Worse: accuracy 0.4893 [")
    assert worse.metrics[0].value.high < 0.65
    assert worse.estimates["accuracy"] == pytest.approx(worse.metrics[0].at_blessing, abs=0.05)
    assert report.recent_estimates["accuracy"] == pytest.approx(worse.metrics[0].at_blessing, abs=0.05)


def test_one_bad_window_makes_a_suspicion_and_as_many_as_are_asked_for_a_degradation(shop: Shop):
    shop.deliver(known_by_now(shop.serve(change=later_than(END - WINDOW))))
    assert shop.check().status is Status.SUSPECT
    assert shop.check(windows={"n": 1, "of": 1}).status is Status.DEGRADED


def test_without_labels_the_estimate_follows_customers_that_are_harder_to_tell(shop: Shop):
    rows = shop.serve(change=lambda each: each.assign(x=each["x"] * 0.2))
    report = shop.check(labels={"path": str(shop.inbox / "customers.csv")}, label="pays", id="x", known_at=None)
    assert report.status is Status.NOT_ENOUGH_LABELS
    truth = np.random.default_rng(7).uniform(size=len(rows)) < 1 / (1 + np.exp(-2 * rows["x"] - 0.5 * rows["z"]))
    right = float((shop.model.predict(rows) == np.where(truth, "yes", "no")).mean())
    assert report.windows[0].estimates["accuracy"] == pytest.approx(right, abs=0.05)
    assert (
        shop.check(
            labels={"path": str(shop.inbox / "customers.csv")}, label="pays", id="x", known_at=None, estimate=False
        )
        .windows[0]
        .estimates
        == {}
    )


# -- labels that never come, come twice, come for unknown ids, change later --------------------------------


def test_labels_that_never_come_are_not_enough(shop: Shop):
    shop.serve()
    (shop.inbox / "labels.csv").write_text("id,label,known_at\n")
    report = shop.check()
    assert report.status is Status.NOT_ENOUGH_LABELS
    assert only(report.reasons, "no_labels").observed == 0
    assert (report.labels_digest, report.labels.n_rows) == ("", 0)
    assert report.windows[0].counts.coverage == 0.0


def test_a_place_where_no_label_has_come_yet_is_said_with_what_to_do(shop: Shop):
    shop.serve()
    report = shop.check(labels={"path": str(shop.inbox / "labels" / "*.csv"), "timestamp": "day"})
    assert report.status is Status.NOT_ENOUGH_LABELS
    assert report.reasons[-1].rule == "labels_not_delivered"
    said = sentence_of(report.reasons[-1])
    assert said.startswith("No file matches '")
    assert said.endswith("Deliver the data there, or fix performance.labels.path.")


def test_labels_that_come_for_too_few_predictions_are_not_enough(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(rows[rows.index % 10 < 7])
    report = shop.check(min_rows=50)
    assert report.status is Status.NOT_ENOUGH_LABELS
    found = report.reasons[1]
    assert (found.setting, found.observed, found.required, found.n) == ("performance.min_coverage", 0.7, 0.8, 280)
    assert found.facts == {"n_labelled": 196, "min_rows": 50, "min_coverage": 0.8}
    assert shop.check(min_rows=50, min_coverage=0.7).status is Status.OK


def test_labels_that_are_all_null_are_not_known_yet(shop: Shop):
    shop.deliver(known_by_now(shop.serve()), label=None)
    report = shop.check()
    assert report.status is Status.NOT_ENOUGH_LABELS
    assert report.labels.n_null == report.labels.n_rows > 0
    assert only(report.reasons, "null_labels").observed == report.labels.n_null


def test_of_labels_that_come_twice_the_last_one_known_counts_in_any_order(shop: Shop):
    rows = known_by_now(shop.serve())
    first = turned(rows, share=1.0).assign(at=rows["at"] - timedelta(days=1))
    shop.deliver(pd.concat([rows, first, rows]))
    report = shop.check()
    assert report.status is Status.OK
    assert (report.labels.n_repeated, report.labels.n_changed) == (2 * len(rows), len(rows))
    assert report.labels.n_contradicting == 0
    changed = only(report.reasons, "changed_labels")
    assert (changed.observed, changed.n) == (len(rows), len(rows))


def test_a_label_that_changes_later_counts_from_then_on(shop: Shop):
    rows = known_by_now(shop.serve())
    changed = turned(rows, share=1.0).assign(at=rows["at"] + timedelta(days=30))
    shop.deliver(pd.concat([rows, changed]))
    before = shop.check()
    assert (before.status, before.labels.n_changed, before.labels.n_future) == (Status.OK, 0, len(rows))
    after = shop.check(now=NOW + timedelta(days=35), windows={"n": 1, "of": 12}, min_rows=50)
    assert (after.status, after.labels.n_changed) == (Status.DEGRADED, len(rows))


@pytest.mark.parametrize("known_at", ["known_at", None])
def test_labels_that_contradict_each_other_do_not_count_and_many_are_bad_labels(shop: Shop, known_at: str | None):
    rows = known_by_now(shop.serve())
    shop.deliver(pd.concat([rows, turned(rows, share=1.0)[::10]]))
    report = shop.check(known_at=known_at)
    assert report.status is Status.BAD_LABELS
    assert report.windows[0].counts.n_bad == N_WINDOW / 10
    bad = report.reasons[1]
    assert (bad.rule, bad.observed, bad.n, bad.facts) == ("bad_labels", 0.1, 280, {"n_bad": 28})
    shop.deliver(pd.concat([rows, turned(rows, share=1.0)[::200]]))
    report = shop.check(known_at=known_at)
    assert (report.status, report.labels.n_contradicting > 0) == (Status.OK, True)


def test_labels_that_are_no_class_of_the_model_are_bad_labels_and_named(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(rows.assign(pays=np.where(rows.index % 10 < 2, "maybe", rows["pays"])))
    report = shop.check()
    assert report.status is Status.BAD_LABELS
    assert only(report.reasons, "odd_labels").facts == {"examples": ["maybe"], "classes": ["no", "yes"]}


def test_labels_of_other_ids_are_told_by_what_ids_look_like(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(rows.assign(id="customer-" + rows["id"]))
    report = shop.check()
    assert report.status is Status.NOT_ENOUGH_LABELS
    assert report.reasons[0].rule == "no_label_found"
    assert report.reasons[0].facts["labels"][0] == "customer-005-0"
    assert report.reasons[0].facts["predictions"] == ["000-0", "000-1", "000-10"]
    assert report.labels.n_unknown == len(rows)


def test_labels_of_a_few_unknown_ids_are_counted(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(pd.concat([rows, rows[:5].assign(id=["a", "b", "c", "d", None])]))
    report = shop.check()
    assert (report.status, report.labels.n_unknown) == (Status.OK, 5)


# -- predictions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("maturity", "counts_from"), [(timedelta(0), "2026-03-02"), (MATURE, "2026-03-09")])
def test_predictions_of_today_do_not_count_yet_and_are_told(shop: Shop, maturity: timedelta, counts_from: str):
    shop.deliver(shop.serve(1))
    report = shop.check(maturity=maturity)
    assert report.status is Status.NO_PREDICTIONS
    assert [reason.rule for reason in report.reasons[1:3]] == ["no_predictions", "younger_predictions"]
    assert (report.reasons[1].observed, report.reasons[2].n) == (0, N_A_DAY)
    assert report.reasons[2].facts["counts_from"] == f"{counts_from}T00:00:00+00:00"
    then = datetime.fromisoformat(f"{counts_from}T00:00:00+00:00")
    assert shop.check(maturity=maturity, now=then).windows[0].counts.n_predictions == N_A_DAY
    assert shop.check(maturity=maturity, now=then - timedelta(seconds=1)).windows[0].counts.n_predictions == 0


def test_without_a_log_there_are_no_predictions(shop: Shop):
    shop.deliver(customers(10, seed=1).assign(id="a", at=NOW - WINDOW))
    report = shop.check()
    (reason,) = report.reasons
    assert (report.status, reason.rule) == (Status.NO_PREDICTIONS, "nothing_logged")
    assert reason.facts == {"since": "2026-02-01T00:00:00+00:00"}


def test_an_empty_window_has_no_predictions_and_older_ones_do_not_stand_for_it(shop: Shop):
    rows = shop.serve(until=END - WINDOW)
    shop.deliver(known_by_now(rows))
    report = shop.check()
    assert report.status is Status.NO_PREDICTIONS
    assert [window.status for window in report.windows] == [Status.NO_PREDICTIONS, Status.OK, Status.OK]


def test_one_row_is_not_enough(shop: Shop):
    shop.deliver(shop.serve(1, until=END, n_a_day=1))
    report = shop.check()
    assert report.status is Status.NOT_ENOUGH_LABELS
    assert report.windows[0].counts.n_labelled == 1


def test_predictions_that_are_all_null_are_no_answers(shop: Shop):
    rows = shop.serve(predictions=None, error="the column 'x' is missing")
    shop.deliver(known_by_now(rows))
    report = shop.check()
    assert report.status is Status.NO_ANSWERS
    assert report.windows[0].counts.n_failed == N_WINDOW
    assert report.windows[0].estimates == {}


def test_what_a_shadow_or_another_version_said_does_not_count(shop: Shop):
    rows = shop.serve()
    shop.serve(role=Role.SHADOW)
    shop.serve(model_version=2)
    shop.deliver(known_by_now(rows))
    report = shop.check()
    assert (report.status, report.n_repeated) == (Status.OK, 0)
    assert report.windows[0].counts.n_predictions == N_WINDOW


def test_a_batch_that_was_logged_twice_counts_once(shop: Shop):
    shop.serve(predictions=None, error="killed")
    rows = shop.serve(role=Role.BATCH)
    shop.serve(role=Role.BATCH)
    shop.deliver(known_by_now(rows))
    report = shop.check()
    assert report.status is Status.OK
    assert report.windows[0].counts.n_predictions == N_WINDOW
    assert report.n_repeated == 2 * 29 * N_A_DAY


# -- clocks and time zones --------------------------------------------------------------------------------


def test_the_moment_of_the_check_may_be_in_any_zone(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    there = shop.check(now=NOW.astimezone(timezone(timedelta(hours=-11))))
    assert replace(there, checked_at=NOW) == shop.check()


def test_labels_of_another_zone_are_the_same_moments(shop: Shop):
    rows = known_by_now(shop.serve())
    there = (rows["at"] + timedelta(days=5)).dt.tz_convert("Asia/Kolkata").dt.strftime("%Y-%m-%dT%H:%M:%S+05:30")
    shop.deliver(rows, known_at=there)
    assert shop.check().status is Status.OK


def test_labels_that_were_known_before_their_prediction_are_a_matter_of_clocks(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(rows, known_at=(rows["at"] - timedelta(hours=5)).dt.strftime("%Y-%m-%dT%H:%M:%S"))
    report = shop.check()
    assert report.status is Status.BAD_CLOCK
    assert report.windows[0].counts.n_early == N_WINDOW
    assert (report.reasons[1].rule, report.reasons[1].observed, report.reasons[1].n) == ("early_labels", 1.0, N_WINDOW)


def test_what_lies_in_the_future_of_now_is_a_matter_of_clocks(shop: Shop):
    now = datetime.now(UTC)
    rows = shop.serve(until=now)
    mature = rows[rows["at"] < now - timedelta(days=5)]
    shop.deliver(mature)
    assert shop.check(now=None).status is Status.OK
    ahead = np.where(mature.index % 10 < 1, now + timedelta(hours=2), mature["at"] + timedelta(days=1))
    shop.deliver(mature, known_at=pd.to_datetime(pd.Series(ahead, index=mature.index)).dt.strftime("%Y-%m-%dT%H:%M:%S"))
    report = shop.check(now=None)
    assert (report.status, report.reasons[0].rule) == (Status.BAD_CLOCK, "future_labels")
    shop.deliver(mature)
    shop.log_rows(customers(3, seed=1).assign(id=["a", "b", "c"], at=now + timedelta(hours=2)))
    report = shop.check(now=None)
    assert report.status is Status.BAD_CLOCK
    assert (report.reasons[0].rule, report.reasons[0].observed) == ("future_predictions", 3)


def test_clocks_may_differ_by_some_minutes(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(rows, known_at=(rows["at"] - timedelta(minutes=4)).dt.strftime("%Y-%m-%dT%H:%M:%S"))
    shop.log_rows(customers(3, seed=1).assign(id=["a", "b", "c"], at=NOW + timedelta(minutes=4)))
    report = shop.check()
    assert (report.status, report.windows[0].counts.n_early) == (Status.OK, 0)


def test_a_file_of_the_day_before_may_hold_rows_of_the_first_minutes_of_a_window(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    before = shop.check()
    day = before.windows[-1].start
    (file,) = (shop.log_folder / f"date={day:%Y-%m-%d}").glob("*.parquet")
    file.rename(shop.log_folder / f"date={day - timedelta(days=1):%Y-%m-%d}" / "later.parquet")
    assert shop.check(run_id="moved").windows[-1].counts == before.windows[-1].counts


# -- by entity and time -----------------------------------------------------------------------------------


def test_a_label_is_found_by_entity_and_time(shop: Shop):
    """Each region is asked once a day, and what comes of it is known in the evening."""
    rows = shop.serve(n_a_day=1, change=lambda each: each.assign(region="north"))
    evening = (rows["at"] + timedelta(hours=9)).dt.strftime("%Y-%m-%dT%H:%M:%S")
    labels = pd.DataFrame({"region": "north", "evening": evening, "label": rows["pays"]})
    labels = pd.concat([labels, labels[-3:].assign(region="south")])
    labels.to_csv(shop.inbox / "labels.csv", index=False)
    by_entity = {
        "labels": {"path": str(shop.inbox / "labels.csv"), "timestamp": "evening"},
        "id": None,
        "entity": ["region"],
        "known_at": None,
        "min_rows": 5,
    }
    report = shop.check(**by_entity, tolerance="PT12H")
    assert report.labels.n_unknown == 3
    newest = report.windows[0]
    assert (newest.counts.n_predictions, newest.counts.n_labelled) == (7, 7)
    mine = rows[(rows["at"] >= newest.start) & (rows["at"] < newest.end)]
    assert newest.metrics[0].value.difference == pytest.approx(float((shop.model.predict(mine) == mine["pays"]).mean()))
    assert shop.check(**by_entity, tolerance="PT1H").status is Status.NOT_ENOUGH_LABELS


def test_an_id_that_is_scored_again_and_again_finds_the_label_that_follows(shop: Shop):
    rows = shop.serve()
    same = [f"customer-{place % N_A_DAY}" for place in range(len(rows))]
    shop.clear()
    shop.log_rows(rows.assign(id=same), role=Role.BATCH)
    shop.deliver(rows, id=same, known_at=(rows["at"] + timedelta(hours=2)).dt.strftime("%Y-%m-%dT%H:%M:%S"))
    labels = {"path": str(shop.inbox / "labels.csv"), "timestamp": "known_at"}
    report = shop.check(labels=labels, tolerance="PT6H")
    assert (report.status, report.n_repeated) == (Status.OK, 0)
    assert report.windows[0].counts.n_labelled == N_WINDOW
    assert shop.check().n_repeated > 0


# -- outages, and two at once -----------------------------------------------------------------------------


def test_a_log_that_can_not_be_read_is_an_outage_and_nothing_is_said(shop: Shop):
    shop.deliver(customers(10, seed=1).assign(id="a", at=NOW - WINDOW))
    shop.log_folder.parent.mkdir(exist_ok=True)
    shop.log_folder.write_text("no folder")
    try:
        with pytest.raises(UnavailableError, match="can't be used"):
            shop.check(run_id="outage")
    finally:
        shop.log_folder.unlink()
    assert not shop.platform.storage.exists("reports", "monitoring", "outage")


def test_a_file_that_goes_while_the_log_is_read_is_an_outage(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from airflow_mlops.steps.monitoring import performance

    shop.deliver(known_by_now(shop.serve()))
    real = performance.files_of_window

    def trimmed(*arguments: Any) -> Any:
        files = real(*arguments)
        Path(files[0]).unlink()
        return files

    monkeypatch.setattr(performance, "files_of_window", trimmed)
    with pytest.raises(UnavailableError, match="The inference log can't be read now"):
        shop.check(run_id="outage")
    assert not shop.platform.storage.exists("reports", "monitoring", "outage")


def test_a_damaged_file_of_the_log_is_named(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    file = max(shop.log_folder.glob("date=2026-02-1*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(IntegrityError, match="a file is damaged"):
        shop.check()


def test_mlflow_that_is_away_is_an_outage(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    away = elsewhere(shop.platform, "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        check_performance(shop.spec(), model_name="shop", platform=away, run=run_named("outage"), now=NOW)


def test_two_checks_at_once_say_the_same(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    reports: list[PerformanceReport] = []
    checks = [threading.Thread(target=lambda n=n: reports.append(shop.check(run_id=f"check-{n}"))) for n in range(2)]
    for each in checks:
        each.start()
    for each in checks:
        each.join()
    first, second = (replace(report, report_uri="") for report in reports)
    assert first == second
    assert first.status is Status.OK


# -- what is compared with what ---------------------------------------------------------------------------


def test_without_a_champion_there_is_nothing_to_judge(shop: Shop):
    report = check_performance(
        shop.spec(), model_name="nobody", platform=shop.platform, run=run_named("check"), now=NOW
    )
    assert report.status is Status.NO_CHAMPION


def test_evidence_that_was_changed_is_refused(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    (file,) = shop.platform.storage.path("evidence", "shop").glob("*.json")
    before = file.read_text()
    file.write_text(before.replace('"n_rows": ', '"n_rows": 1'))
    try:
        with pytest.raises(IntegrityError, match="is not the one that it was blessed on"):
            shop.check()
    finally:
        file.write_text(before)


@pytest.mark.parametrize("positive_class", ["yes", "no"])
def test_metrics_of_probabilities_are_of_the_positive_class(shop: Shop, positive_class: str):
    rows = known_by_now(shop.serve())
    shop.deliver(rows)
    names = ["roc_auc", "brier_score", "recall"]
    report = shop.check(metrics={name: {} for name in names}, positive_class=positive_class)
    newest = report.windows[0]
    mine = rows[(rows["at"] >= newest.start) & (rows["at"] < newest.end)]
    from sklearn.metrics import brier_score_loss, recall_score, roc_auc_score

    truth, place = mine["pays"] == positive_class, ["no", "yes"].index(positive_class)
    score = shop.model.scores(mine)[:, place]
    expected = [
        roc_auc_score(truth, score),
        brier_score_loss(truth, score),
        recall_score(truth, shop.model.predict(mine) == positive_class),
    ]
    assert [each.value.difference for each in newest.metrics] == pytest.approx(expected)
    assert newest.estimates["roc_auc"] == pytest.approx(expected[0], abs=0.05)
    assert newest.estimates["recall"] == pytest.approx(expected[2], abs=0.08)
    assert "brier_score" not in newest.estimates


def test_predictions_without_a_probability_are_no_answers_to_a_metric_that_wants_one(shop: Shop):
    shop.deliver(known_by_now(shop.serve(scores=None)))
    assert shop.check(metrics={"roc_auc": {}}).status is Status.NO_ANSWERS
    assert shop.check().status is Status.OK


def test_labels_of_one_class_leave_the_area_undecided(shop: Shop):
    rows = known_by_now(shop.serve())
    shop.deliver(rows.assign(pays="no"))
    report = shop.check(metrics={"roc_auc": {}}, windows={"n": 1, "of": 1})
    assert report.status is Status.UNDECIDED
    assert (report.reasons[1].subject, report.reasons[1].verdict) == ("roc_auc", Status.UNDECIDED)
    assert np.isnan(report.reasons[1].facts["value"])


def test_a_slice_that_is_worse_makes_its_window_worse(shop: Shop):
    def south_turns(each: pd.DataFrame) -> pd.DataFrame:
        return turned(each, share=1.0).where(each["region"] == "south", each)

    shop.deliver(known_by_now(shop.serve(change=south_turns)))
    slices = {"columns": "region", "min_rows": 50, "change_threshold": 0.1}
    report = shop.check(metrics={"accuracy": {"value_threshold": 0.2, "change_threshold": None}}, slices=slices)
    assert report.status is Status.DEGRADED
    (south,) = report.reasons[1].because
    assert (report.reasons[1].rule, south.subject, south.observed < -0.1) == ("slices", "region=south", True)
    found = {each.name: each.against_blessing for each in report.windows[0].slices}
    assert found["region=south"].high < -0.1
    assert found["region=north"].low < 0 < found["region=north"].high


def test_a_column_that_is_not_there_is_named(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    with pytest.raises(DataError, match=r"The labels: the column 'lable' is not there.* Did you mean 'label'"):
        shop.check(label="lable")
    features = r"Columns: 'x', 'z', 'region'\. Did you mean 'region'\?"
    with pytest.raises(DataError, match=rf"The inference log: the column 'regio' is not there\. {features}"):
        shop.check(slices={"columns": "regio"})
    with pytest.raises(
        DataError, match=r"'label' is text, of which \d+ value\(s\) are no date or timestamp in ISO 8601"
    ):
        shop.check(known_at="label")


class Shelf(NoConnections):
    """A SQLite file with the labels."""

    def __init__(self, file: Path) -> None:
        self._url = f"sqlite:///{file}"

    def database(self, conn_id: str) -> sa.Engine:
        return sa.create_engine(self._url)


@pytest.fixture
def shelf(shop: Shop, tmp_path: Path) -> Shelf:
    shelf, rows = Shelf(tmp_path / "labels.db"), known_by_now(shop.serve())
    known_at = (rows["at"] + timedelta(days=5)).dt.strftime("%Y-%m-%d %H:%M:%S")
    labels = pd.DataFrame({"id": rows["id"], "label": rows["pays"], "known_at": known_at})
    labels.to_sql("labels", shelf.database(""), index=False)
    return shelf


def checked_by_query(shop: Shop, shelf: Shelf, query: str) -> PerformanceReport:
    return check_performance(
        shop.spec(labels={"query": query, "conn_id": "labels"}),
        model_name=shop.model_name,
        connections=shelf,
        platform=shop.platform,
        run=run_named("check", pipeline="monitoring"),
        now=NOW,
    )


def test_text_of_sqlite_says_when_a_label_became_known(shop: Shop, shelf: Shelf):
    report = checked_by_query(shop, shelf, "SELECT * FROM labels")
    assert (report.status, report.labels.n_future) == (Status.OK, 0)
    assert report.windows[0].counts.n_labelled == N_WINDOW
    early = checked_by_query(shop, shelf, "SELECT id, label, datetime(known_at, '-9 days') AS known_at FROM labels")
    assert early.status is Status.BAD_CLOCK


def test_a_mistake_in_the_labels_query_is_named_by_its_place(shop: Shop, shelf: Shelf):
    with pytest.raises(SpecError, match=r"no such table: lables\. .* Fix performance\.labels\.query, the connection"):
        checked_by_query(shop, shelf, "SELECT * FROM lables")


def test_numbers_are_compared_with_the_mean_and_have_no_estimate(platform_of_shops: Platform):
    shop = opened(platform_of_shops, "spending", **LINEAR)
    shop.deliver(known_by_now(shop.serve()))
    report = shop.check(
        metrics={"mean_absolute_error": {"relative_change_threshold": 0.2}, "r2": {"value_threshold": 0.4}}
    )
    assert report.status is Status.OK
    first, second = report.windows[0].metrics
    assert (report.baseline, second.baseline) == ("mean", pytest.approx(0, abs=0.05))
    assert first.baseline > first.value.difference == pytest.approx(first.at_blessing, rel=0.2)
    assert report.recent_estimates == {}
    rows = shop.serve(change=lambda each: each.assign(spends=each["spends"] + 3))
    shop.deliver(known_by_now(rows))
    assert shop.check().status is Status.DEGRADED
    shop.deliver(known_by_now(rows).assign(spends="much"))
    with pytest.raises(DataError, match=r"The labels: 'label' is of type string, numbers are required: .*'much'"):
        shop.check()
    shop.deliver(known_by_now(rows).assign(spends=np.inf))
    assert shop.check().status is Status.BAD_LABELS


def test_of_three_classes_accuracy_alone_is_estimated(platform_of_shops: Platform):
    shop = opened(platform_of_shops, "regions", target="band", estimator="sklearn.linear_model.LogisticRegression")
    rows = known_by_now(shop.serve())
    shop.deliver(rows)
    report = shop.check(metrics={"accuracy": {"change_threshold": 0.1}, "f1_macro": {}})
    found = report.windows[0]
    assert (found.status, list(found.estimates)) == (Status.OK, ["accuracy"])
    assert found.estimates["accuracy"] == pytest.approx(found.metrics[0].value.difference, abs=0.06)
    with pytest.raises(SpecError, match="log_loss wants the probabilities of all classes"):
        shop.check(metrics={"log_loss": {}})
    with pytest.raises(SpecError, match="recall is of two classes, the target has 3"):
        shop.check(metrics={"recall": {}})


def test_a_metric_that_does_not_fit_what_the_version_predicts_is_refused_by_its_own_name(shop: Shop):
    words = r"performance\.metrics\.r2 is of numbers, but .* v1 predicts classes\. Take a metric of classes: accuracy, "
    with pytest.raises(SpecError, match=words):
        shop.check(metrics={"r2": {"value_threshold": 0.4}})


def test_another_positive_class_than_the_gates_is_noticed(platform_of_shops: Platform):
    shop = opened(platform_of_shops, "recall", metric="recall", **LOGISTIC)
    shop.deliver(known_by_now(shop.serve()))
    assert shop.check(metrics={"recall": {"change_threshold": 0.1}}).status is Status.OK
    with pytest.raises(EvaluationError, match=r"Give performance\.positive_class as the gate had it"):
        shop.check(metrics={"recall": {}}, positive_class="no")


def test_a_baseline_that_is_a_feature_is_read_from_the_log(platform_of_shops: Platform):
    gate = {"baseline": "column", "baseline_column": "z"}
    shop = opened(platform_of_shops, "column", gate=gate, **LINEAR)
    rows = known_by_now(shop.serve())
    shop.deliver(rows)
    report = shop.check(metrics={"mean_absolute_error": {"change_threshold": 0.2}}, slices={"columns": ["region"]})
    newest = report.windows[0]
    mine = rows[(rows["at"] >= newest.start) & (rows["at"] < newest.end)]
    assert (report.status, report.baseline) == (Status.OK, "z")
    assert newest.metrics[0].baseline == pytest.approx(float((mine["spends"] - mine["z"]).abs().mean()))


def test_blocks_of_neighbours_are_drawn_together_and_there_have_to_be_ten_of_the_held_back_rows(shop: Shop):
    shop.deliver(known_by_now(shop.serve()))
    report = shop.check(block_length=24, min_rows=240)
    assert report.status is Status.OK
    (one_by_one,), (together,) = (each.windows[0].metrics for each in (shop.check(run_id="rows"), report))
    assert one_by_one.value.difference == together.value.difference
    assert one_by_one.value != together.value
    with pytest.raises(SpecError, match=r"performance.block_length 240 makes 4 block\(s\) of the 1192 rows"):
        shop.check(block_length=240, min_rows=2400)
