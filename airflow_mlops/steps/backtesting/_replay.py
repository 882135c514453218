"""One track of a backtest: what serves on it, from time to time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlops.core.backtesting.backtest import BacktestPoint, Track
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun, Value, digest_of
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import DataError, DataHaltedError, LeakageError, NoRowsError, NothingNewError, SpecError
from airflow_mlops.specs.data import DatasetSpec, in_utc
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.specs.promote import PromotionSpec
from airflow_mlops.steps.backtesting._replay_scores import NO_SCORE, MomentScore, log_predictions, score_moment
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.data.features import feature_rows, feature_source
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.pipeline import prepare_data, run_pipeline
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.runner import run_step
from airflow_mlops.steps.training.train import recipe_of
from airflow_mlops.steps.training.tune import tune_model

__all__ = ["Replay", "spec_of_track"]

log = logging.getLogger(__name__)


def spec_of_track(spec: PipelineSpec, track: Track) -> PipelineSpec:
    """Return what a track runs. Nothing is served or shown to a person, and nothing waits for one."""
    changes: dict[str, Any] = {"serving_check": None, "conversion": None, "rollout": None, "promotion": PromotionSpec()}
    if track != "policy":
        changes["performance"] = None  # which is evidence, and neither of the others asks for any
    return spec.model_copy(update=changes)


@dataclass(frozen=True, kw_only=True)
class _Serving:
    """What serves, and since when.

    :param model_version: of a promoted one; ``None`` where nothing is ever promoted.
    """

    since: datetime
    model: TrainedModel
    split: DatasetSplit
    model_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Note(Value):
    """A time that was finished: what came of it, and what served at its end.

    :param identity: of the spec and the code that it is of.
    """

    identity: str
    point: BacktestPoint
    serving: _Serving | None


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What a run at a time came to."""

    is_trained: bool = False
    is_promoted: bool = False
    verdict: str = ""
    reason: str = ""


class Replay:
    """One track, or a stretch of it. Each time that was finished is noted, and found again.

    :param spec: from :func:`spec_of_track`.
    :param earlier: the track's times before this stretch.
    """

    def __init__(
        self,
        spec: PipelineSpec,
        track: Track,
        platform: Platform,
        connections: Connections | None,
        *,
        earlier: Sequence[datetime] = (),
    ) -> None:
        self._spec, self._track, self._earlier = spec, track, earlier
        self._platform, self._connections = platform, connections
        self._serving: _Serving | None = None
        self._identity = digest_of([spec.model_dump(mode="json"), recipe_of(spec.training, spec.tuning)])

    def step(self, at: datetime, until: datetime) -> tuple[BacktestPoint, bool]:
        """Run at a time and score what serves until the next one, or find that this was done.

        :returns: the time, and whether it was found.
        :raises SpecError: when the folder has the time of another spec, or of other code.
        """
        storage, place = self._platform.storage, ("moments", f"{at:%Y%m%dT%H%M%S}--{until:%Y%m%dT%H%M%S}.json")
        if storage.exists(*place):
            note = _Note.from_dict(storage.read_json(*place))
            if note.identity != self._identity:
                raise SpecError(
                    f"{storage.root} holds a backtest of another spec, or of other code. Nothing was replayed. Name "
                    f"another folder (--out), or remove this one."
                )
            self._serving = note.serving
            return note.point, True
        point = self._replay(at, until)
        storage.write_json(_Note(identity=self._identity, point=point, serving=self._serving).to_dict(), *place)
        return point, False

    def _replay(self, at: datetime, until: datetime) -> BacktestPoint:
        started, outcome = time.perf_counter(), _Outcome()
        if self._track != "never" or self._serving is None:
            outcome = self._run(at)
        self._catch_up()
        seconds = time.perf_counter() - started
        score = self._score(at, until)
        return BacktestPoint(
            track=self._track,
            at=at,
            until=until,
            error=score.error,
            n_rows=score.n_rows,
            months=score.months,
            is_trained=outcome.is_trained,
            is_promoted=outcome.is_promoted,
            outcome=outcome.verdict,
            reason=outcome.reason,
            serves=self._serving.since if self._serving else None,
            seconds=seconds,
        )

    def _catch_up(self) -> None:
        """Let serve what the stretch before would have left, where nothing could be trained at this one's beginning."""
        for at in reversed(self._earlier):
            if self._serving is not None:
                break
            self._run(at)
        self._earlier = ()

    def _run(self, at: datetime) -> _Outcome:
        """Run on what was known at a time; a run that was interrupted goes on."""
        run = PipelineRun(pipeline=self._spec.model_name, run_id=f"backtest__{at.isoformat()}", actor="backtest")
        try:
            return self._train(at, run) if self._track == "always" else self._run_pipeline(at, run)
        except (DataError, DataHaltedError, LeakageError, NothingNewError) as error:
            return _Outcome(verdict="HALTED", reason=str(error).splitlines()[0])

    def _run_pipeline(self, at: datetime, run: PipelineRun) -> _Outcome:
        spec = self._spec
        known: dict[str, Any] = {"data": spec.data.model_copy(update={"window_end": at})}
        if spec.performance:
            known["performance"] = spec.performance.model_copy(update={"labels": _until(spec.performance.labels, at)})
        result = run_pipeline(
            spec.model_copy(update=known), platform=self._platform, run=run, connections=self._connections, now=at
        )
        if result.promotion and result.model:
            version = result.promotion.to_version
            self._serving = _Serving(since=at, model=result.model, split=result.split, model_version=version)
        return _Outcome(
            is_trained=result.model is not None,
            is_promoted=result.promotion is not None,
            verdict=str(result.blessing.verdict) if result.blessing else "",
            reason=sentence_of(result.decision.reasons[0]),
        )

    def _train(self, at: datetime, run: PipelineRun) -> _Outcome:
        """Train without a policy and without a gate, and serve what comes of it."""
        data = self._spec.data.model_copy(update={"window_end": at})
        spec, training, platform = self._spec.model_copy(update={"data": data}), self._spec.training, self._platform
        split = prepare_data(spec, training, platform=platform, run=run, connections=self._connections).split
        if self._serving and self._serving.split.digest == split.digest:
            return _Outcome(reason="There is no new row.")
        known: dict[str, Any] = {"model_name": spec.model_name, "platform": platform, "run": run}
        tuned = tune_model(split, training, spec.tuning, **known) if spec.tuning else None
        model = run_step(
            "train", TrainedModel, split=split, training=training, tuning=tuned, runner=spec.runner, **known
        )
        self._serving = _Serving(since=at, model=model, split=split)
        return _Outcome(is_trained=True, is_promoted=True, reason="It trains at each time.")

    def _score(self, at: datetime, until: datetime) -> MomentScore:
        """Score what serves on the rows that came next, and log what it said, where that is evidence later."""
        if self._serving is None:
            return NO_SCORE
        window = {"window_start": at, "window_end": until, "trailing": None, "since_last_snapshot": False}
        data, storage = self._spec.data.model_copy(update=window), self._platform.storage
        known: dict[str, Any] = {"storage": storage, "connections": self._connections}
        name = f"{self._spec.model_name}.live"
        try:
            snapshot = snapshot_dataset(data, dataset=name, **known)
        except NoRowsError:
            return NO_SCORE
        source = feature_source(data, dataset=name, **known)
        with feature_rows(snapshot, data, storage=storage, source=source) as rows:
            table = rows.read_all()
        if not table.num_rows:
            return NO_SCORE
        serving = self._serving
        score = score_moment(
            table,
            serving.model,
            split=serving.split,
            gate=self._spec.gate,
            timestamp=data.timestamp,
            at=at,
            platform=self._platform,
        )
        if self._spec.performance and serving.model_version is not None:
            log_predictions(
                table,
                score,
                serving.model,
                model_version=serving.model_version,
                performance=self._spec.performance,
                writer=f"backtest-{at:%Y%m%dT%H%M%S}",
                platform=self._platform,
            )
        return score


def _until(labels: DatasetSpec, at: datetime) -> DatasetSpec:
    """Return labels without those of times that have not come yet."""
    if not labels.timestamp:
        return labels  # each is of a prediction by its id, and none is of one that was not made yet
    end = min(at, in_utc(labels.window_end)) if labels.window_end else at
    return labels.model_copy(update={"window_end": end})
