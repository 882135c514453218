"""The storage is full from one of the writes of a promotion or a rollback on, whichever, and the retry ends it."""

from __future__ import annotations

import errno
import io
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode
from airflow_mlops.errors import UnavailableError
from airflow_mlops.server.watcher import Watcher
from airflow_mlops.steps.maintenance.verify import verify_model
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import promote_model, rollback_model
from airflow_mlops.steps.registry.deployment import read_deployment, write_deployment
from tests.stage import Stage
from tests.steps.cases import Bench, Left, deliver, left_by, promote_first, promote_second, run_named

CALLS = ("mkdir", "open", "fsync", "link", "rename", "replace")
"""All that creates or keeps something; what removes works on a disk that is full."""


def try_second(bench: Bench) -> PipelineResult:
    """Hold version 2, which is tried beside the champion."""
    result = bench.run("second", bench.spec(promotion={"policy": "hold"}))
    deployment = Deployment(
        model_name="small",
        champion_version=1,
        challenger_version=2,
        mode=DeploymentMode.CANARY,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        key="k",
    )
    write_deployment(deployment, storage=bench.platform.storage)
    return result


def promote(bench: Bench, result: PipelineResult) -> PromotionRecord | None:
    return promote_model(result.version, result.blessing, platform=bench.platform, run=run_named("second"))


def roll_back(bench: Bench, _: PipelineResult | None) -> PromotionRecord | None:
    return rollback_model("small", reason="worse", platform=bench.platform, run=run_named("back"))


class Disk:
    """A disk that is full below a folder, from a call on.

    :param last: how many calls still succeed.
    """

    def __init__(self, folder: Path, *, last: int) -> None:
        self._folder, self._last = str(folder), last
        self.calls: list[str] = []

    @property
    def is_full(self) -> bool:
        """Whether a call has failed."""
        return len(self.calls) > self._last

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the calls of this process meet this disk."""
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                owner = io if name == "open" else os
                patch.setattr(owner, name, self._guarded(name, getattr(owner, name)))
            yield

    def _guarded(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(what: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "open" and (args[:1] or ("r",))[0] in ("r", "rb"):
                return real(what, *args, **kwargs)
            place = os.readlink(f"/proc/self/fd/{what}") if name == "fsync" else what
            if str(place).startswith(self._folder):
                self.calls.append(name)
                if self.is_full:
                    if name == "open":
                        real(what, *args, **kwargs).close()  # a name finds room where its content does not
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
            return real(what, *args, **kwargs)

        return call


@pytest.mark.parametrize(
    ("steps", "act", "before", "after"),
    [
        ((promote_first, try_second), promote, 1, (("promote", None, 1), ("promote", 1, 2))),
        (
            (promote_first, promote_second),
            roll_back,
            2,
            (("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1)),
        ),
    ],
    ids=["promotion", "rollback"],
)
def test_at_whichever_write_the_storage_takes_no_more_the_champion_is_served_and_the_retry_ends_it(
    bench: Bench, stage: Stage, steps: Any, act: Any, before: int, after: Any
):
    target = after[-1][-1]
    failed_at: list[str] = []
    for last in itertools.count():
        result = stage.after(bench, deliver, *steps)
        storage = bench.platform.storage
        served, said = None, ""
        watcher = Watcher("small", platform=bench.platform, on_swap=lambda serving_set: None)
        watcher.look()
        disk = Disk(storage.root, last=last)
        with disk.in_place():
            try:
                act(bench, result)
            except UnavailableError as error:
                said = str(error)
                watcher.look()
                served = watcher.serving_set.champion.number
        if not disk.is_full:
            break
        failed_at.append(disk.calls[last])
        assert "No space left on device" in said
        assert (served in (before, target), watcher.problems) == (True, ())
        left = left_by(bench.platform)
        assert left.alias in (before, target)
        assert left.journal in (after[:-1], after)
        if left.journal == after[:-1]:
            assert left.alias == served == before, "nothing moves that the journal does not know"

        record = act(bench, result)
        assert left_by(bench.platform) == Left(versions=(1, 2), alias=target, journal=after)
        assert record.sequence == len(after)
        watcher.look()
        assert (watcher.serving_set.champion.number, watcher.problems) == (target, ())
        deployment = read_deployment("small", storage=storage)
        assert deployment is None or deployment.challenger_version is None
        verify_model("small", platform=bench.platform).require_whole()
        assert list(storage.root.rglob("*.tmp")) == [], "nothing is left that was half written"
    assert left_by(bench.platform).journal == after
    assert failed_at.count("link") == 2, "the entry, and that it was carried out"
    assert set(failed_at) >= {"mkdir", "open", "fsync"}
