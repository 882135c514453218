"""What the gate says of real models, and what it leaves behind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from airflow_mlops.core.gate.rules import BlessingVerdict
from airflow_mlops.steps.gate.bless import bless_model
from airflow_mlops.steps.registry.ledger import read_ledger
from tests.steps.cases import Bench, left_by, run_named, small_frame


def test_a_challenger_that_asks_for_a_column_more_than_the_champion_breaks_its_callers(serving: Bench):
    frame = small_frame()
    frame["z"] = np.random.default_rng(9).normal(size=len(frame))
    serving.deliver(frame)
    spec = serving.spec(validation={"policy": {"rules": {"column_new": "PROCEED"}}})
    rejected = serving.run("second", spec)
    assert rejected.blessing.verdict is BlessingVerdict.REJECTED
    reason = rejected.blessing.reasons[0]
    assert (reason.rule, reason.facts["champion_version"]) == ("signature_change", 1)
    assert reason.facts["breaks"][0].startswith("it asks for column 'z'")
    assert left_by(serving.platform).versions == (1,)
    known = spec.model_copy(update={"gate": spec.gate.model_copy(update={"allow_signature_change": True})})
    assert serving.run("third", known).promotion is not None


def test_what_the_gate_said_is_in_the_ledger_once_and_in_the_runs_note(delivered: Bench):
    spec = delivered.spec(gate={"metrics": {"mean_absolute_error": {"value_threshold": 0.001}}})
    result = delivered.run("first", spec)
    bless_model(result.evaluation, spec.gate, result.model, platform=delivered.platform, run=run_named("first"))
    decided, judged = read_ledger("small", storage=delivered.platform.storage)
    assert decided.should_retrain
    assert (judged.verdict, judged.reasons) == (BlessingVerdict.REJECTED, result.blessing.reasons)
    note = MlflowClient(delivered.platform.mlflow.tracking_uri).get_run(result.model.run_id).data.tags
    assert note["mlflow.note.content"].startswith("**REJECTED**\n\n- Failed: mean_absolute_error 0.")


def test_a_slice_that_got_worse_is_rejected_though_the_whole_is_better(bench: Bench):
    trusted = ("tests.steps.trainers.SlopeByPart",)
    bench = Bench(dataclasses.replace(bench.platform, trusted_types=trusted), bench.inbox)
    rng = np.random.default_rng(0)
    n = 4000
    x, part = rng.normal(size=n), rng.choice(["big", "small"], n, p=[0.8, 0.2])
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=n, freq="h"), "x": x, "part": part})
    frame["y"] = np.where(part == "small", 3 * x, x) + rng.normal(scale=0.1, size=n)
    bench.deliver(frame)
    gate = {"metrics": {"mean_absolute_error": {"change_threshold": None, "value_threshold": 9.0}}, "cold_start": True}
    champion = {"function": "tests.steps.trainers:knows_the_small", "estimator": None, "params": {}}
    challenger = {"function": "tests.steps.trainers:knows_the_big", "estimator": None, "params": {}}
    assert bench.run("first", bench.spec(training=champion, gate=gate)).promotion is not None
    rules = {"columns": "part", "min_rows": 100, "relative_change_threshold": 0.05}
    rejected = bench.run("second", bench.spec(training=challenger, gate=gate | {"slices": rules}))
    assert rejected.evaluation.comparisons[0].against_champion.high < 0
    assert rejected.blessing.verdict is BlessingVerdict.REJECTED
    reason = rejected.blessing.reasons[0]
    assert (reason.rule, reason.verdict, reason.subject) == ("slices", "REJECTED", "mean_absolute_error")
    assert reason.facts["slices"][0]["name"] == "part=small"
    assert reason.interval.low > reason.required > 0
    assert left_by(bench.platform).versions == (1,)
