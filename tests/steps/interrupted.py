"""A change of the champion that is interrupted at one place after the other, and tried again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from airflow_mlops.core.registry.journal import PromotionRecord, champion_of
from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import UnavailableError
from airflow_mlops.server.watcher import Watcher
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import promote_model, rollback_model
from airflow_mlops.steps.registry.deployment import read_deployment, write_deployment
from airflow_mlops.steps.registry.journal import is_settled, read_journal
from tests.steps.cases import Bench, left_by, run_named

LENIENT = {"metrics": {"mean_absolute_error": {"change_threshold": 1.0}}, "cold_start": True}


def promoted_and_held(bench: Bench) -> PipelineResult:
    """Make version 1 champion, and hold version 2, which is blessed."""
    assert bench.run("first", params={"alpha": 50.0}).promotion
    return bench.run("second", bench.spec(gate=LENIENT, promotion={"policy": "hold"}))


def promote_held(bench: Bench, held: PipelineResult) -> PromotionRecord | None:
    return promote_model(held.version, held.blessing, platform=bench.platform, run=run_named("second"))


def interrupt_everywhere(
    bench: Bench, what: str, interrupt: Callable[[int], None], mend: Callable[[], None]
) -> list[list[str]]:
    """Let the two versions serve in turn, each change interrupted at a later place, until one is not interrupted.

    Whatever the place, the champion serves on, and the retry leaves one more entry, which the alias follows.

    :param what: ``promote`` or ``rollback``.
    :param interrupt: break the change at this place, counted from 1.
    :param mend: let all go well again.
    :returns: the entries that each place left behind.
    """
    held = promoted_and_held(bench)
    promote_held(bench, held)
    platform, storage, left = bench.platform, bench.platform.storage, []
    served = Watcher("small", platform=platform, on_swap=lambda _: None)
    for place in itertools.count(1):
        served.look()
        before, champion = read_journal("small", storage=storage), served.serving_set.champion.number
        target = 3 - champion
        if what == "promote":
            try_out(bench, champion=champion, challenger=target)
        change = partial(change_to, target, what, bench, held, run_named(f"run {place}"))
        interrupt(place)
        try:
            change()
        except UnavailableError:
            pass
        else:
            mend()
            return left
        served.look()
        assert served.serving_set.champion.number == _who_is_to_serve(bench, otherwise=champion)
        mend()
        left.append([entry.action for entry in read_journal("small", storage=storage)[len(before) :]])
        change()
        journal = read_journal("small", storage=storage)
        assert journal[:-1] == before, "one more entry, and none lost"
        assert is_settled("small", journal, storage=storage)
        assert journal[-1].to_version == left_by(platform).alias == target
        assert what == "rollback" or read_deployment("small", storage=storage).challenger_version is None
    return left


def try_out(bench: Bench, *, champion: int, challenger: int) -> None:
    """Deploy a challenger, which its promotion ends."""
    moment, mode = datetime.now(UTC), DeploymentMode.SHADOW
    sides = {"champion_version": champion, "challenger_version": challenger}
    deployment = Deployment(model_name="small", mode=mode, share=0.5, since=moment, key="k", **sides)
    write_deployment(deployment, storage=bench.platform.storage)


def change_to(version: int, what: str, bench: Bench, held: PipelineResult, run: PipelineRun) -> PromotionRecord | None:
    """Let the other version serve, by a promotion or by a rollback to it."""
    if what == "rollback":
        named = {"from_version": 3 - version, "to_version": version}
        return rollback_model("small", reason="odd", platform=bench.platform, run=run, **named)
    found = bench.platform.mlflow.get_version("small", version)
    blessing = replace(held.blessing, champion_version=3 - version, model_digest=found.model_digest)
    return promote_model(found, blessing, platform=bench.platform, run=run)


def _who_is_to_serve(bench: Bench, *, otherwise: int) -> int | None:
    """Return the champion of a rollout that goes on, or of the journal, or who served where that can't be read."""
    storage = bench.platform.storage
    deployment = read_deployment("small", storage=storage)
    if deployment and deployment.champion_version:
        return deployment.champion_version
    try:
        return champion_of(read_journal("small", storage=storage))
    except UnavailableError:
        return otherwise
