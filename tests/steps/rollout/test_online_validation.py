"""A version that is tried on live requests: deployed, watched, promoted or taken back."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.rollout.deployment import Deployment
from airflow_mlops.core.rollout.online_validation import RolloutReport, RolloutVerdict
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import NotBlessedError, PromotionConflictError, UnavailableError
from airflow_mlops.specs import PerformanceSpec, RolloutSpec
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import promote_model
from airflow_mlops.steps.registry.deployment import read_deployment
from airflow_mlops.steps.registry.journal import read_journal
from airflow_mlops.steps.rollout.online_validation import (
    ServerTarget,
    end_rollout,
    look_at_rollout,
    start_rollout,
    take_back,
)
from tests.stage import Stage
from tests.steps.cases import Bench, deliver, elsewhere, run_named

ROLLOUT = RolloutSpec(window=timedelta(hours=1), checks=2, min_requests=100, max_error_rate_increase=0.05)
LENIENT = {"metrics": {"mean_absolute_error": {"change_threshold": 0.5}}, "cold_start": True}


@pytest.fixture
def bench(delivered: Bench) -> Bench:
    return delivered


def _try(bench: Bench) -> PipelineResult:
    assert bench.run("first").promotion
    spec = bench.spec(gate=LENIENT, rollout=ROLLOUT.model_dump(mode="json"))
    result = bench.run("second", spec, force=True, params={"alpha": 0.3})
    assert (result.version.model_version, result.promotion) == (2, None)
    return result


@pytest.fixture
def dead_url() -> str:
    """An address where nothing listens any more."""
    with socket.socket() as freed:
        freed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{freed.getsockname()[1]}"


@pytest.fixture
def tried(bench: Bench, stage: Stage) -> PipelineResult:
    """A champion, and a second version that is blessed and held because it is to be tried."""
    result: PipelineResult = stage.after(bench, deliver, _try)
    return result


def start(bench: Bench, result: PipelineResult, run_id: str = "second", **settings: Any) -> Deployment | None:
    candidate = (result.version, result.blessing, ROLLOUT)
    return start_rollout(*candidate, platform=bench.platform, run=run_named(run_id), **settings)


def traffic(
    bench: Bench, *, at: datetime, n: int = 400, failing: float = 0.0, shift: float = 0.0, role: Role = Role.CANARY
) -> None:
    """Write what a server would have logged: half of the requests went to the challenger."""
    rng = np.random.default_rng(0)
    log = InferenceLog(bench.platform.storage.path("inference", "small"))
    for number in range(n):
        is_challenger = number % 2 == 1
        fails = is_challenger and rng.random() < failing
        table = log_table(
            pa.table({"x": rng.normal(size=1)}),
            ids=[f"id {number}"],
            request_id=f"{at.isoformat()} {number}",
            at=at,
            model_version=2 if is_challenger else 1,
            model_digest="sha256:d",
            role=role if is_challenger else Role.CHAMPION,
            predictions=None if fails else rng.normal(size=1) + shift * is_challenger,
            latency_ms=float(rng.gamma(4, 2)),
            error="broken" if fails else None,
        )
        log.write(table, at=at)


def look(bench: Bench, deployment: Deployment, number: int, **settings: Any) -> RolloutReport:
    now = deployment.since + number * ROLLOUT.window / ROLLOUT.checks
    where = {"platform": bench.platform, "run": run_named("second")}
    return look_at_rollout(deployment, ROLLOUT, look=number, now=now, **where, **settings)


class Elsewhere(ServerTarget):
    """Servers that do not look into this storage for what they serve, though they log there."""

    deployment: Deployment | None = None

    def current(self, model_name: str) -> Deployment | None:
        return self.deployment

    def put(self, deployment: Deployment) -> None:
        self.deployment = deployment


def test_a_healthy_version_is_watched_to_the_end_and_promoted_with_that_in_the_journal(
    bench: Bench, tried: PipelineResult
):
    deployment = start(bench, tried)
    assert (deployment.champion_version, deployment.challenger_version, deployment.share) == (1, 2, 0.1)
    assert start(bench, tried) == deployment, "a retry finds its own"
    traffic(bench, at=deployment.since + timedelta(minutes=1))
    traffic(bench, at=deployment.since - timedelta(minutes=1), failing=1.0)
    assert look(bench, deployment, 1).verdict is RolloutVerdict.WATCHED
    traffic(bench, at=deployment.since + timedelta(minutes=50))
    report = look(bench, deployment, 2)
    assert report.verdict is RolloutVerdict.HEALTHY
    assert (report.champion.n_requests, report.challenger.n_requests, report.challenger.n_failed) == (400, 400, 0)
    assert bench.platform.storage.path(report.report_uri).is_file()

    candidate = (tried.version, tried.blessing)
    record = promote_model(*candidate, platform=bench.platform, run=run_named("second"), canary=report)
    assert record.reason.startswith("small v2 as canary: HEALTHY. 0 of the challenger's 400 requests failed")
    assert read_deployment("small", storage=bench.platform.storage).challenger_version is None


def test_a_version_that_fails_is_taken_back_at_the_first_look_and_is_not_promoted(bench: Bench, tried: PipelineResult):
    deployment = start(bench, tried)
    traffic(bench, at=deployment.since + timedelta(minutes=1), failing=0.3)
    report = look(bench, deployment, 1)
    assert report.verdict is RolloutVerdict.UNHEALTHY
    take_back(report, tried.version, platform=bench.platform, run=run_named("second"))
    assert read_deployment("small", storage=bench.platform.storage).challenger_version is None
    with pytest.raises(NotBlessedError, match=r"small v2 not promoted\. small v2 as canary: UNHEALTHY"):
        promote_model(tried.version, tried.blessing, platform=bench.platform, run=run_named("second"), canary=report)
    promoted, marked = read_journal("small", storage=bench.platform.storage)
    assert (promoted.to_version, marked.action, marked.from_version, marked.to_version) == (1, "mark_unhealthy", 2, 1)
    assert marked.reason.startswith("small v2 as canary: UNHEALTHY. ")


def test_a_version_is_marked_by_the_retry_where_an_outage_came_after_its_rollout_was_ended(
    bench: Bench, tried: PipelineResult, dead_url: str
):
    deployment, storage = start(bench, tried), bench.platform.storage
    traffic(bench, at=deployment.since + timedelta(minutes=1), failing=0.3)
    report = look(bench, deployment, 1)
    with pytest.raises(UnavailableError):
        take_back(report, tried.version, platform=elsewhere(bench.platform, dead_url), run=run_named("second"))
    assert read_deployment("small", storage=storage).challenger_version is None, "no more harm is done"
    assert [entry.action for entry in read_journal("small", storage=storage)] == ["promote"]

    found = look(bench, deployment, 1)
    assert found == report
    for _ in range(2):
        take_back(found, tried.version, platform=bench.platform, run=run_named("second"))
    assert [entry.action for entry in read_journal("small", storage=storage)] == ["promote", "mark_unhealthy"]
    assert bench.platform.mlflow.tags_of_run(tried.version.run_id, ["mlops.outcome"]) == {"mlops.outcome": "UNHEALTHY"}


def test_a_rollout_that_was_ended_by_hand_is_not_judged_by_what_was_seen_before(bench: Bench, tried: PipelineResult):
    deployment = start(bench, tried)
    assert look(bench, deployment, 1).verdict is RolloutVerdict.WATCHED
    end_rollout("small", storage=bench.platform.storage)
    with pytest.raises(PromotionConflictError, match="v2 can't be judged: its rollout was ended while it was watched"):
        look(bench, deployment, 2)


def test_where_versions_serve_may_be_another_place_from_the_start_to_the_end(bench: Bench, tried: PipelineResult):
    target = Elsewhere(bench.platform.storage)
    deployment = start(bench, tried, target=target)
    assert target.current("small") == deployment
    report = look(bench, deployment, 2, target=target)
    take_back(report, tried.version, target=target, platform=bench.platform, run=run_named("second"))
    assert target.current("small").challenger_version is None
    assert read_deployment("small", storage=bench.platform.storage) is None


@pytest.mark.parametrize(("changes", "said"), [({"shift": 2.0}, "prediction_shift"), ({"n": 150}, "min_requests")])
def test_other_harm_and_too_little_traffic_end_it_too(
    bench: Bench, tried: PipelineResult, changes: dict[str, float], said: str
):
    deployment = start(bench, tried)
    traffic(bench, at=deployment.since + timedelta(minutes=1), **changes)
    report = look(bench, deployment, 2)
    assert report.verdict in (RolloutVerdict.UNHEALTHY, RolloutVerdict.INCONCLUSIVE)
    assert report.reasons[0].rule == said


def test_requests_are_found_by_their_day_in_utc_wherever_the_moments_come_from(bench: Bench):
    at, ahead = datetime(2026, 1, 1, 20, tzinfo=UTC), timezone(timedelta(hours=14))  # where the next day has begun
    known = {"model_name": "small", "mode": "canary", "share": 0.5, "salt": "", "key": "k"}
    deployment = Deployment(champion_version=1, challenger_version=2, since=at.astimezone(ahead), **known)
    traffic(bench, at=at + timedelta(minutes=1), n=10)
    sides = ServerTarget(bench.platform.storage).count(deployment, until=(at + timedelta(hours=1)).astimezone(ahead))
    assert [side.n_requests for side in sides] == [5, 5]


def test_without_any_log_nothing_is_healthy(bench: Bench, tried: PipelineResult):
    assert look(bench, start(bench, tried), 2).verdict is RolloutVerdict.INCONCLUSIVE


def test_one_version_is_tried_at_a_time_and_never_against_another_champion(bench: Bench, tried: PipelineResult):
    deployment = start(bench, tried)
    spec = bench.spec(gate=LENIENT, rollout=ROLLOUT.model_dump(mode="json"))
    third = bench.run("third", spec, force=True, params={"alpha": 0.4})
    with pytest.raises(PromotionConflictError, match=r"small v3 not deployed: version 2 is being tried since"):
        start(bench, third, "third")
    assert end_rollout("small", storage=bench.platform.storage)
    assert start(bench, third, "third").challenger_version == 3
    with pytest.raises(PromotionConflictError, match="v2 can't be judged: something else was deployed"):
        look(bench, deployment, 1)
    end_rollout("small", storage=bench.platform.storage)
    assert promote_model(third.version, third.blessing, platform=bench.platform, run=run_named("third"))
    with pytest.raises(PromotionConflictError, match="evaluated against version 1, but version 3 is champion"):
        start(bench, tried, "later")


class Counting(Storage):
    """A place of journals that notes what is read."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.read: list[str] = []

    def read_json(self, *parts: str) -> Any:
        self.read.append("/".join(parts))
        return super().read_json(*parts)


def test_the_journal_is_read_once_for_a_deployment(bench: Bench, tried: PipelineResult):
    root = str(bench.platform.storage.root)
    place = Counting(root)
    counted = Bench(replace(bench.platform, storage=Storage(root, place)), bench.inbox)
    assert start(counted, tried).champion_version == 1
    assert place.read == ["journals/small/000001.json"]


def test_a_first_version_has_nothing_to_be_tried_against(bench: Bench):
    result = bench.run("first", bench.spec(rollout={}))
    assert result.promotion is None
    assert start(bench, result, "first") is None


def test_labels_that_come_in_time_are_held_against_what_the_challenger_said(bench: Bench, tried: PipelineResult):
    deployment = start(bench, tried)
    traffic(bench, at=deployment.since + timedelta(minutes=1))
    labels = bench.inbox.parent / "labels.csv"
    labels.write_text("id,y\n" + "".join(f"id {number},{100 + number}\n" for number in range(400)))
    performance = PerformanceSpec.parse(
        {
            "labels": {"path": str(labels)},
            "label": "y",
            "id": "id",
            "maturity": "PT0S",
            "window": "P1D",
            "windows": {"n": 1, "of": 2},
            "metrics": {"mean_absolute_error": {"change_threshold": 1.0}},
            "min_rows": 100,
        }
    )
    report = look_at_rollout(
        deployment,
        ROLLOUT,
        look=1,
        now=deployment.since + timedelta(days=1),
        performance=performance,
        platform=bench.platform,
        run=run_named("second"),
    )
    assert report.verdict is RolloutVerdict.UNHEALTHY
    assert (report.reasons[0].rule, report.reasons[0].facts) == ("labels", {"status": "DEGRADED"})
    assert sentence_of(report.reasons[0]).startswith("Labels say DEGRADED: ")
