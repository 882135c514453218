"""The model card: what it says of real versions, and that it can't be broken or do harm."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from airflow_mlops.core.packaging.conversion import ConversionReport
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.core.registry.journal import CARD_TAG, ModelVersion
from airflow_mlops.core.registry.training_record import RECORD_TAG
from airflow_mlops.core.training.tuning import TuningResult
from airflow_mlops.errors import IntegrityError, SpecError
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.card import read_card, write_card
from airflow_mlops.steps.promotion.promote import register_model
from tests.core.test_values import EXAMPLES
from tests.stage import Stage
from tests.steps.cases import Bench, deliver, left_by, run_first, run_named
from tests.steps.evaluation.test_evaluate import buyers, of_buyers

EVIL = "<script>alert(1)</script>|`*north*`\n# [click](javascript:alert(1))"
GATE = {
    "metrics": {"roc_auc": {}, "accuracy": {}},
    "cold_start": True,
    "slices": {"columns": ["region"], "min_rows": 50},
    "fairness": {"attributes": ["sex"], "min_rows": 50},
}


def _sell(bench: Bench) -> PipelineResult:
    frame = buyers(3000)
    frame["region"] = frame["region"].replace("north", EVIL)
    frame["sex"] = np.random.default_rng(7).choice(["f", "m", "x"], len(frame), p=[0.5, 0.49, 0.01])
    bench.deliver(frame)
    return bench.run("first", of_buyers(bench, GATE))


@pytest.fixture
def sold(bench: Bench, stage: Stage) -> tuple[Bench, PipelineResult]:
    """Version 1 tells buyers of regions, one of which has an evil name."""
    return bench, stage.after(bench, _sell)


@pytest.fixture
def first(bench: Bench, stage: Stage) -> tuple[Bench, PipelineResult]:
    """Version 1 predicts numbers."""
    return bench, stage.after(bench, deliver, run_first)


def _card(bench: Bench, version: int = 1) -> str:
    return read_card(f"models:/small/{version}", platform=bench.platform)


def _page(bench: Bench, version: ModelVersion) -> str:
    return (bench.platform.storage.root / version.report_uri).read_text()


def _section(card: str, name: str) -> str:
    """Return what stands under a heading, up to the next one of the same rank or a higher one."""
    marks, _, rest = card.partition(f" {name}\n")
    rank = marks.rpartition("\n")[2]
    return re.split(rf"^#{{2,{len(rank)}}} ", rest, flags=re.MULTILINE)[0]


def _cells(section: str) -> list[list[str]]:
    """Return the cells of a section's table, without the header."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def _without_card(bench: Bench) -> None:
    """Take the tag away, as if an earlier try had ended before the card."""
    MlflowClient(bench.platform.mlflow.tracking_uri).delete_model_version_tag("small", "1", CARD_TAG)


def _artifacts(bench: Bench, result: PipelineResult) -> Path:
    run = MlflowClient(bench.platform.mlflow.tracking_uri).get_run(result.model.run_id)
    return Path(run.info.artifact_uri.removeprefix("file://"))


def _register(bench: Bench, result: PipelineResult) -> ModelVersion:
    return register_model(result.model, result.blessing, platform=bench.platform)


def test_the_card_of_a_first_version_says_what_it_is_and_that_nothing_was_there_to_compare_with(first: Any):
    bench, _ = first
    card = _card(bench)
    assert card.startswith("# Model card: small, version 1\n")
    assert "- Predicts y (regression)" in card
    assert "It was judged on 61 rows only" in _section(card, "Limits")
    gaps = _section(card, "What was not measured")
    for words in ("Slices: ", "Fairness: ", "Against a champion: there was none."):
        assert words in gaps
    (metric,) = _cells(_section(card, "Evaluation"))
    assert metric[0] == "mean_absolute_error (lower is better)"
    assert metric[2] == ""
    assert "Passed: Cold start: there is no champion to compare with." in card
    assert "`airflow-mlops reproduce models:/small/1`" in _section(card, "How to reproduce it")
    assert "there was none" in _section(card, "How to roll it back")


def test_the_card_has_data_training_and_lineage(first: Any):
    bench, result = first
    card = _card(bench)
    data = _section(card, "Data")
    assert f"- Source: {bench.inbox}" in data
    assert "train 239 rows, test 61 rows" in data
    assert "- Validated: PROCEED, 1 of 1 expectation(s) met\n" in data
    assert [row[:3] for row in _cells(data)] == [
        ["y", "target", "double"],
        ["x", "feature", "double"],
        ["day", "timestamp", "date32[day]"],
    ]
    training = _section(card, "Training")
    assert "- Estimator: sklearn.linear_model.Ridge" in training
    assert _cells(training) == [["alpha", "0.1"]]
    lineage = _section(card, "Lineage")
    assert "DAG small, run first, try 1 (manual, ada)" in lineage
    for digest in (result.snapshot.digest, result.split.digest, result.model.fingerprint, result.model.model_digest):
        assert digest in lineage
    assert result.blessing.evidence_digest in lineage
    assert result.model.record_digest in lineage


def test_the_card_of_a_second_version_has_the_champion_that_it_beat(two_versions: Bench):
    card = _card(two_versions, 2)
    assert "| Champion v1 |" in card
    (metric,) = _cells(_section(card, "Evaluation"))
    assert float(metric[1]) < float(metric[2]) < float(metric[3])
    assert re.fullmatch(r"-0\.\d+ \[-0\.\d+, -0\.\d+]", metric[4])
    assert "- Champion at that time: v1" in card
    assert "which was v1" in _section(card, "How to roll it back")


def test_the_card_of_a_classifier_has_slices_classes_and_fairness(sold: Any):
    bench, result = sold
    card = _card(bench)
    assert [row[0] for row in _cells(_section(card, "Classes"))] == ["yes", "no"]
    slices = _cells(_section(card, "Slices"))
    assert {"region=south", "region=west"} < {row[0] for row in slices}
    assert len(slices) == len(result.evaluation.slices)
    fairness = _section(card, "By sex")
    assert "- demographic parity difference: 0.0" in fairness
    assert {row[0]: row[-1] for row in _cells(fairness)} == {"sex=m": "yes", "sex=f": "yes", "sex=x": "no"}
    assert "Groups of sex that are too small to be judged: 'sex=x'." in _section(card, "Limits")
    assert "Expected calibration error" in card


def test_a_value_of_the_data_is_shown_and_not_obeyed(sold: Any):
    bench, result = sold
    slices = _cells(_section(_card(bench), "Slices"))
    assert {len(row) for row in slices} == {5}
    page = _page(bench, result.version)
    assert "<script" not in page
    assert "<a " not in page
    assert "region=&lt;script&gt;alert(1)&lt;/script&gt;|`*north*` # [click](javascript:alert(1))</td>" in page


def test_a_description_is_shown_and_not_obeyed(first: Any):
    bench, result = first
    write_card(result.version, result.blessing, description=f"For planning.\n\n{EVIL}", platform=bench.platform)
    assert "**What it is for:** For planning. \\<script>" in _card(bench)
    assert "<script" not in _page(bench, result.version)


def test_a_card_of_many_columns_slices_and_parameters_is_bounded_and_says_what_it_left_out(bench: Bench):
    rng = np.random.default_rng(0)
    frame = buyers(2000)
    for place in range(40):
        frame[f"x{place}"] = rng.normal(size=len(frame))
    frame["city"] = rng.choice([f"city {place}" for place in range(18)], len(frame))
    bench.deliver(frame)
    gate = GATE | {"slices": {"columns": ["city", "region", "age"], "min_rows": 10, "worst": 0}}
    del gate["fairness"]
    result = bench.run("first", of_buyers(bench, gate))
    card = _card(bench)
    data, slices = _section(card, "Data"), _section(card, "Slices")
    assert len(_cells(data)) == 30
    assert f"And {len(frame.columns) - 30} more." in data
    assert len(_cells(slices)) == 20
    assert f"And {len(result.evaluation.slices) - 20} more." in slices
    assert len(card) < 20_000


def test_the_card_is_in_mlflow_and_in_the_storage_and_the_version_names_it(first: Any):
    bench, result = first
    assert result.version.tags[CARD_TAG] == result.version.report_uri == "reports/small/first/model_card.html"
    folder = _artifacts(bench, result)
    assert (folder / "model_card.md").read_text() == _card(bench)
    assert (folder / "model_card.html").read_text() == _page(bench, result.version)


def test_what_was_tuned_served_and_exported_is_in_the_card_where_the_run_did_it(first: Any):
    bench, result = first
    digest = result.model.model_digest
    found = [each for each in EXAMPLES if isinstance(each, (ServingCheckReport, ConversionReport, TuningResult))]
    for name, report in zip(("serving_check", "conversion", "tuning"), found, strict=True):
        ours = report if name == "tuning" else replace(report, model_digest=digest)
        bench.platform.record(run_named("first"), name, ours, "")
    write_card(result.version, result.blessing, platform=bench.platform)
    serving = _section(_card(bench), "Serving")
    assert "- It serves: 1 checks over HTTP, 3 rows predicted alike" in serving
    assert "- Milliseconds for one row, 95 of 100: 12.5" in serving
    assert "- As onnx: REFUSED. Another label in 1 of 3 rows (33.3%), none is allowed." in serving
    assert "- Tuned: 5 of 8 trials finished, the best with r2 0.75 over 3 fold(s)" in _section(_card(bench), "Training")
    assert "How it serves" not in _card(bench)


def test_reports_of_another_model_of_the_run_do_not_count(first: Any):
    bench, result = first
    for name, cls in (("serving_check", ServingCheckReport), ("conversion", ConversionReport)):
        bench.platform.record(run_named("first"), name, next(e for e in EXAMPLES if isinstance(e, cls)), "")
    write_card(result.version, result.blessing, platform=bench.platform)
    assert "How it serves: the run had no serving check." in _card(bench)
    assert "## Serving" not in _card(bench)


def test_a_card_that_can_not_be_written_does_not_lose_the_version_and_the_next_try_writes_the_same(
    first: Any, caplog: pytest.LogCaptureFixture
):
    bench, result = first
    before, left = _card(bench), left_by(bench.platform)
    _without_card(bench)
    file = _artifacts(bench, result) / "model_card.md"
    file.unlink()
    file.mkdir()  # no text can be written there
    version = _register(bench, result)
    assert version.model_version == 1
    assert version.report_uri == ""
    assert "no model card was written: model_version=1 error=" in caplog.text
    assert left_by(bench.platform) == left
    with pytest.raises(IntegrityError, match="small v1 has no model card"):
        _card(bench)

    file.rmdir()
    assert _register(bench, result) == result.version
    assert _card(bench) == before


def test_a_retry_leaves_a_card_that_is_there_alone(first: Any):
    bench, result = first
    (bench.platform.storage.root / result.version.report_uri).unlink()
    assert _register(bench, result) == result.version
    assert not (bench.platform.storage.root / result.version.report_uri).exists()


def test_a_version_whose_record_was_lost_has_no_card(first: Any, caplog: pytest.LogCaptureFixture):
    bench, result = first
    _without_card(bench)
    MlflowClient(bench.platform.mlflow.tracking_uri).delete_model_version_tag("small", "1", RECORD_TAG)
    assert _register(bench, result).report_uri == ""
    assert "error=IntegrityError: small v1 has no tag mlops.record_digest" in caplog.text


def test_a_snapshot_that_is_gone_is_said(first: Any):
    bench, result = first
    shutil.rmtree(result.snapshot.uri)
    _without_card(bench)
    assert _register(bench, result).report_uri
    assert "- Source: the storage does not have the snapshot any more" in _card(bench)


def test_the_champions_card_is_found_by_its_alias_and_nobodys_is_refused(first: Any):
    bench, _ = first
    assert read_card("models:/small@champion", platform=bench.platform) == _card(bench)
    with pytest.raises(SpecError, match="'small' names no version"):
        read_card("small", platform=bench.platform)
