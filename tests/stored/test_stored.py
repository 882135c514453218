"""What an earlier version has stored is read by this one: by the commands, and by runs that go on with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from airflow_mlops import BatchScoring
from airflow_mlops.core.wording import sentences_of
from tests.stored.cases import NAME, trips
from tests.stored.conftest import Stored
from tests.stored.unpacked import digest_of

FIRST_SNAPSHOT = "sha256:2aadb40a0387411dcf3cd860729f290d3016d0507778f4ff176cb457718df926"
V1_DIGEST = "sha256:2de946229de7fec80296d8be800e80212a88fd467f9b63668d04eea97f0dd9fd"

NOT_DRAWN = {"min_rows": 10_000}
"""No drift is found in fewer rows, so that none is drawn, which takes seconds."""


def heads(lines: list[str]) -> list[str]:
    """Return the first line of each entry, without the further reasons below it."""
    return [line for line in lines if not line.startswith("      ")]


def test_the_history_names_every_entry_of_the_journal(stored: Stored):
    lines = stored.cli("history", NAME, on_mlflow=False)
    first, second, third, fourth = heads(lines)
    assert first.split()[0] == "1"
    assert "nothing -> v1" in first
    assert "Cold start: there is no champion to compare with." in first
    assert "v1 -> v2  ada  Approved by grace: Looks right." in second
    assert "v2 -> v1  ada  v2 answers strangely" in third
    assert "v3 is unhealthy, v1 serves  ada  trained on test fares" in fourth
    canary = next(line for line in lines if "as canary" in line)
    assert canary.strip().startswith("trips v2 as canary: HEALTHY. 0 of the challenger's 120 requests failed")
    assert any("0.2186 against champion v1's 2.308" in line for line in lines)


def test_the_decisions_name_every_entry_of_the_ledger(stored: Stored):
    lines = stored.cli("decisions", NAME, on_mlflow=False)
    assert [line.split()[2:4] for line in heads(lines)] == [
        ["retrain", "manual"],
        ["BLESSED", "gate"],
        ["retrain", "manual"],
        ["BLESSED", "gate"],
        ["APPROVED", "grace"],
        ["no", "manual"],
        ["retrain", "manual"],
        ["REJECTED", "gate"],
        ["alert", "monitoring"],
        ["retrain", "manual"],
        ["BLESSED", "gate"],
        ["DECLINED", "grace"],
        ["alert", "monitoring"],
    ]
    told = "\n".join(lines)
    assert "Nothing new: data, code and parameters are those of run new data (PROMOTED)." in told
    assert "Drift of new data: Target y: PSI 6.19, limit 0.2." in told
    assert "Failed: mean_absolute_error 3.918 against champion v2's 0.2186" in told
    assert "Worse: mean_absolute_error 5.006 [4.93, 5.081] against 0.7737 at the blessing" in told
    assert "Not before the holidays." in told


def test_journal_alias_versions_files_records_evidence_and_cards_still_agree(stored: Stored):
    lines = stored.cli("verify", NAME)
    assert {line[:5] for line in lines} == {"ok   "}
    assert len(lines) == 17
    assert lines[0] == "ok   journal: 4 entries without a gap, each with the digest of the one before."
    assert f"ok   v1 files: {V1_DIGEST[:19]}…, as they were evaluated." in lines
    digest = digest_of(stored.record("cold start"))
    assert f"ok   v1 record: {digest[:19]}…, of the same model." in lines


def test_a_changed_entry_of_the_journal_is_still_noticed(stored: Stored):
    file = stored.root / "journals" / NAME / "000002.json"
    file.write_text(file.read_text().replace("Looks right.", "Looks fine."))
    with pytest.raises(AssertionError, match="entry 2 of the journal was changed after it was written"):
        stored.cli("history", NAME, on_mlflow=False)


def test_the_power_is_computed_from_the_stored_evaluation(stored: Stored):
    first, second = stored.cli("power", NAME, on_mlflow=False)
    assert first.startswith("mean_absolute_error: 36 held-out rows show a difference of 0.2845 to the champion in 80%")
    assert second.startswith("r2: 36 held-out rows show a difference of 1.523 to the champion in 80%")


def test_the_cards_are_printed(stored: Stored):
    card = "\n".join(stored.cli("card", f"models:/{NAME}@champion"))
    assert card.startswith("# Model card: trips, version 1\n\n**What it is for:** The fare of a trip.")
    assert f"model: {V1_DIGEST}" in card
    assert "- It serves: " in card  # its report is called serving.json
    assert "- As onnx: " in card  # and this one export.json
    assert "# Model card: trips, version 3" in stored.cli("card", f"models:/{NAME}/3")


def test_a_stored_version_is_reproduced_from_its_record_to_the_bit(stored: Stored):
    first, *_ = stored.cli("reproduce", f"models:/{NAME}/2")
    assert first.startswith("trips v2 reproduced. Predictions: the same in all 36 rows, bit for bit.")


def test_a_stored_version_whose_split_is_gone_is_reproduced_from_its_snapshot_and_feature_table(stored: Stored):
    shutil.rmtree(stored.root / "splits")
    first, *differences = stored.cli("reproduce", f"models:/{NAME}/1")
    assert first.startswith("trips v1 reproduced. Predictions: the same in all 21 rows, bit for bit.")
    assert ["data", "split"] in [line.split()[:2] for line in differences]


def test_the_next_entry_of_the_journal_is_chained_to_the_stored_ones(stored: Stored):
    assert stored.cli("mark", NAME, "1", "--reason", "it is old")[0] == "trips: v1 is unhealthy, v1 serves."
    before, entry = (stored.document("journals", NAME, f"00000{number}.json") for number in (4, 5))
    assert entry["previous_digest"] == digest_of(before)
    assert {line[:5] for line in stored.cli("verify", NAME)} == {"ok   "}


def test_what_no_version_needs_is_found_among_the_stored_snapshots(stored: Stored):
    *listed, total = stored.cli("prune", NAME, "--older-than-days", "1e-9", "--dry-run")
    assert total == "Would be pruned: 2 snapshots."
    assert [line.split("  ")[2] for line in listed] == ["180 rows", "200 rows"]


def test_a_stored_version_is_exported_in_both_of_its_formats(stored: Stored):
    for kind, uri, name in (("onnx", f"models:/{NAME}/1", "model.onnx"), ("skops", NAME, "model.skops")):
        out = stored.folder / kind
        (line,) = stored.cli("export", uri, "--format", kind, "--out", str(out))
        assert line.startswith(f"{out}: trips v1 as {kind}")
        assert (out / name).stat().st_size > 0


def test_the_stored_deployment_is_found_and_ended(stored: Stored):
    assert stored.document("deployments", NAME, "current.json")["challenger_version"] == 3
    assert stored.cli("end-rollout", NAME, on_mlflow=False) == ["The champion of trips serves alone again."]
    ended = stored.document("deployments", NAME, "current.json")
    assert (ended["champion_version"], ended["challenger_version"], ended["share"]) == (None, None, 0.5)


def test_the_same_data_is_nothing_new_and_its_decision_answers_the_open_alert_alone(stored: Stored):
    alerts = [digest_of(entry) for entry in stored.ledger() if entry["kind"] == "MonitoringDecision"]
    result = stored.pipeline(monitoring=NOT_DRAWN).run(run_id="same", **stored.where)
    assert not result.decision.should_retrain
    first, *others = sentences_of(result.decision.reasons)
    assert first.startswith(
        "Nothing new: data, code and parameters are those of run answer (HELD), whose version 3 is marked as unhealthy "
        "(entry 4: trained on test fares)."
    )
    assert result.decision.answered_alerts == (alerts[1],)
    assert "Drift in production: Feature x: PSI 9.69, limit 0.2." in others
    assert result.snapshot.created_in == "trips answer", "the stored snapshot is found by the digest of its rows"
    assert result.split.digest.startswith("sha256:ed7cb87d7d967d6a")
    assert result.model is None


def test_what_the_same_gate_has_rejected_is_not_trained_again(stored: Stored):
    (stored.folder / "inbox" / "trips" / "3.csv").unlink()
    result = stored.pipeline(monitoring=NOT_DRAWN).run(run_id="worse again", params={"alpha": 1e6}, **stored.where)
    assert not result.decision.should_retrain
    facts = result.decision.reasons[0].facts
    assert (facts["run"], facts["outcome"]) == ("worse", "REJECTED")


def test_new_data_is_compared_with_the_stored_champion_and_promoted_after_it(stored: Stored):
    alerts = [digest_of(entry) for entry in stored.ledger() if entry["kind"] == "MonitoringDecision"]
    trips(60, "2020-10-01", seed=20, shift=5.0).to_csv(stored.folder / "inbox" / "trips" / "4.csv", index=False)
    result = stored.pipeline().run(run_id="next", **stored.where)
    first = result.decision.reasons[0]
    assert (first.rule, first.facts) == ("new_data", {"champion_version": 1})
    assert result.decision.answered_alerts == (alerts[1],)

    assert (result.drift.champion_version, result.drift.reference_digest) == (1, FIRST_SNAPSHOT)
    assert (result.drift.n_reference, result.drift.n_current) == (100, 219)
    psi = {column.name: column.statistics["psi"] for column in result.drift.columns}
    assert psi["x"] == pytest.approx(7.597, abs=1e-3)

    assert result.evaluation.champion_version == 1
    assert result.evaluation.comparisons[0].champion == pytest.approx(3.7694, abs=1e-4)
    assert result.evaluation.comparisons[0].challenger == pytest.approx(0.2676, abs=1e-4)
    assert (result.promotion.from_version, result.promotion.to_version, result.promotion.sequence) == (1, 4, 5)
    assert result.promotion.previous_digest == digest_of(stored.document("journals", NAME, "000004.json"))
    lines = stored.cli("verify", NAME)
    assert {line[:5] for line in lines} == {"ok   "}
    assert lines[0].startswith("ok   journal: 5 entries")


def test_a_batch_is_scored_by_the_stored_champion_as_it_was_before(stored: Stored):
    (before,) = stored.root.glob(f"predictions/{NAME}/*/data.parquet")
    data = stored.settings["data"] | {"path": str(stored.folder / "inbox" / "batch.csv")}
    batch = BatchScoring(model_name=NAME, data=data, key="id").run(run_id="again", **stored.where)
    assert (batch.model_version, batch.model_digest, batch.n_rows, batch.n_logged) == (1, V1_DIGEST, 30, 30)
    columns = ["id", "prediction", "model_version", "model_digest"]
    pd.testing.assert_frame_equal(pd.read_parquet(batch.data_uri)[columns], pd.read_parquet(before)[columns])
    logged = [pd.read_parquet(file) for file in stored.root.glob(f"inference/{NAME}/date=*/batch-*.parquet")]
    assert [len(each) for each in logged] == [30, 30]
    assert {tuple(each.columns) for each in logged} == {tuple(logged[0].columns)}
    assert Path(batch.data_uri) != before
