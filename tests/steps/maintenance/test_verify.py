"""What verification says of records that agree, and of each that somebody has touched; it changes nothing itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import pytest
from mlflow import MlflowClient

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.errors import IntegrityError, PromotionConflictError, SpecError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.maintenance.verify import verify_model
from airflow_mlops.steps.promotion.champion import describe_change
from airflow_mlops.steps.promotion.promote import mark_unhealthy, rollback_model
from airflow_mlops.steps.registry.journal import current_champion, read_journal
from tests.steps.cases import Bench, left_by, run_named, small_frame
from tests.steps.conftest import make_bench


@dataclass
class House:
    """Two versions were promoted; a copy of the storage and of MLflow's database for each test."""

    platform: Platform
    client: MlflowClient

    def journal_file(self, number: int) -> Path:
        return self.platform.storage.path("journals", "small", f"{number:06d}.json")

    def model_folder(self, version: int) -> Path:
        source = self.client.get_model_version("small", str(version)).source
        return Path(urlparse(self.client.get_logged_model(source.rpartition("/")[2]).artifact_location).path)

    def bad(self) -> list[str]:
        return [check.subject for check in verify_model("small", platform=self.platform).checks if not check.is_good]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Bench:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("told")
        patch.chdir(folder)
        bench = make_bench(folder, mlflow_database)
        bench.deliver(small_frame())
        assert bench.run("first", params={"alpha": 50.0}).promotion
        assert bench.run("second").promotion
        return bench


@pytest.fixture
def house(told: Bench, tmp_path: Path) -> House:
    root = tmp_path / "storage"
    shutil.copytree(told.platform.storage.root, root)
    shutil.copy(told.inbox.parent / "mlflow.db", tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    return House(Platform(Storage(str(root)), type(told.platform.mlflow)(uri)), MlflowClient(uri))


def test_records_that_agree_are_said_to_line_by_line(house: House):
    report = verify_model("small", platform=house.platform)
    report.require_whole()
    assert [check.subject for check in report.checks] == [
        "journal",
        "last entry",
        "alias",
        "evidence of entry 1",
        "evidence of entry 2",
        *(f"v{number}{what}" for number in (1, 2) for what in ("", " files", " record", " card")),
    ]
    assert all(line.startswith("ok   ") for line in report.lines())


def _change(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def _tamper(file: Path) -> None:
    """Change a byte, and put the file back afterwards: the tests share it."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))


def _evidence(house: House, entry: int) -> Path:
    digest = read_journal("small", storage=house.platform.storage)[entry - 1].evidence_digest
    return house.platform.storage.path("evidence", "small", f"{digest.removeprefix('sha256:')[:16]}.json")


def _empty_the_journal(house: House) -> None:
    shutil.rmtree(house.platform.storage.path("journals"))


TOUCHES: dict[str, tuple[Callable[[House], object], list[str]]] = {
    "the last entry is gone": (lambda house: house.journal_file(2).unlink(), ["last entry", "alias"]),
    "the last entry was changed": (lambda house: _change(house.journal_file(2), reason="better"), ["last entry"]),
    "an earlier entry was changed": (lambda house: _change(house.journal_file(1), reason="better"), ["journal"]),
    "an entry is gone": (lambda house: house.journal_file(1).unlink(), ["journal"]),
    "all entries are gone": (_empty_the_journal, ["journal", "last entry", "alias"]),
    "the alias was moved": (
        lambda house: house.client.set_registered_model_alias("small", "champion", "1"),
        ["alias"],
    ),
    "the alias is gone": (lambda house: house.client.delete_registered_model_alias("small", "champion"), ["alias"]),
    "the note is gone": (
        lambda house: house.client.delete_registered_model_tag("small", "mlops.journal"),
        ["last entry"],
    ),
    "the evidence is gone": (lambda house: _evidence(house, 1).unlink(), ["evidence of entry 1"]),
    "the evidence was changed": (lambda house: _change(_evidence(house, 2), n_rows=9), ["evidence of entry 2"]),
    "a version is gone": (lambda house: house.client.delete_model_version("small", "1"), ["evidence of entry 1", "v1"]),
    "a version has another digest": (
        lambda house: house.client.set_model_version_tag("small", "2", "mlops.model_digest", "sha256:0"),
        ["evidence of entry 2", "v2 files", "v2 record"],
    ),
    "a version has another record": (
        lambda house: house.client.set_model_version_tag("small", "2", "mlops.record_digest", "sha256:0"),
        ["v2 record"],
    ),
    "the card is gone": (
        lambda house: shutil.rmtree(house.platform.storage.path("reports", "small", "first")),
        ["v1 card"],
    ),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_what_somebody_has_touched_is_named_and_stays_as_it_is(house: House, touch: str):
    change, subjects = TOUCHES[touch]
    change(house)
    alias = house.platform.mlflow.get_pointers("small")
    files = sorted(house.platform.storage.root.rglob("*"))
    assert house.bad() == subjects
    with pytest.raises(IntegrityError, match=rf"{len(subjects)} of \d+ checks failed: '{subjects[0]}'.*Nothing was"):
        verify_model("small", platform=house.platform).require_whole()
    assert house.platform.mlflow.get_pointers("small") == alias
    assert sorted(house.platform.storage.root.rglob("*")) == files


def test_a_model_file_that_was_changed_is_named(house: House):
    file = house.model_folder(2) / "model.skops"
    content = file.read_bytes()
    try:
        _tamper(file)
        assert house.bad() == ["v2 files"]
    finally:
        file.write_bytes(content)


def test_an_interrupted_promotion_is_said_and_not_completed(house: House):
    house.client.set_registered_model_alias("small", "champion", "1")
    house.platform.storage.path("journals", "small", "000002.settled").unlink()
    (line,) = [line for line in verify_model("small", platform=house.platform).lines() if line.startswith("BAD")]
    assert "has still to follow to version 2" in line
    assert house.platform.mlflow.get_alias("small") == 1


def test_a_model_that_nobody_knows_is_refused_with_those_that_there_are(house: House):
    with pytest.raises(SpecError, match=r"'nobody' has no history: .* Is the name right.* Models there: 'small'\."):
        verify_model("nobody", platform=house.platform)


def test_a_journal_that_is_not_there_is_no_cold_start_where_mlflow_knows_the_model(house: House):
    shutil.rmtree(house.platform.storage.path("journals"))
    assert house.bad() == ["journal", "last entry", "alias"]


def test_a_journal_that_lost_its_end_is_noticed_by_whoever_promotes_next(house: House):
    house.journal_file(2).unlink()
    house.client.set_registered_model_alias("small", "champion", "1")  # whoever removed it was thorough
    with pytest.raises(IntegrityError, match="the journal has 1 entries, but MLflow knows of entry 2"):
        rollback_model("small", reason="strange", platform=house.platform, run=run_named("back"))
    assert left_by(house.platform).journal == (("promote", None, 1),)


def test_a_version_that_is_marked_does_not_return_by_itself(house: House):
    record = mark_unhealthy("small", 1, reason="it leaked", platform=house.platform, run=run_named("mark"))
    assert (record.action, record.from_version, record.to_version) == ("mark_unhealthy", 1, 2)
    assert left_by(house.platform).alias == 2
    assert mark_unhealthy("small", 1, reason="it leaked", platform=house.platform, run=run_named("mark")) == record
    with pytest.raises(PromotionConflictError, match=r"no healthy version was champion before .*unhealthy: \[1\]"):
        rollback_model("small", reason="strange", platform=house.platform, run=run_named("back"))
    assert house.bad() == []


def test_a_champion_that_is_marked_serves_on_and_a_rollback_is_the_way(house: House, caplog: pytest.LogCaptureFixture):
    mark_unhealthy("small", 2, reason="it leaked", platform=house.platform, run=run_named("mark"))
    assert "the champion is unhealthy and serves on, roll it back: model_version=2" in caplog.text
    champion = current_champion("small", platform=house.platform)
    assert champion is not None
    assert champion.model_version == 2
    assert rollback_model("small", reason="so", platform=house.platform, run=run_named("back")).to_version == 1


def test_a_version_that_is_not_there_or_without_a_reason_is_not_marked(house: House):
    before = left_by(house.platform)
    with pytest.raises(IntegrityError, match="MLflow has no version 9"):
        mark_unhealthy("small", 9, reason="it leaked", platform=house.platform, run=run_named("mark"))
    with pytest.raises(SpecError, match="small v1 not marked: give a reason"):
        mark_unhealthy("small", 1, reason=" ", platform=house.platform, run=run_named("mark"))
    assert left_by(house.platform) == before


def test_a_version_says_why_it_may_serve_what_it_was_made_of_and_where_its_card_is(house: House):
    version = house.client.get_model_version("small", "2")
    assert version.description.startswith("- Passed: mean_absolute_error")
    for tag in ("model_digest", "snapshot_digest", "split_digest", "fingerprint", "evidence_digest", "record_digest"):
        assert version.tags[f"mlops.{tag}"] in version.description
    assert f"Trained by run {version.run_id}" in version.description
    assert version.description.endswith("Model card: model_card.html in that run")


def test_a_change_is_told_with_the_metrics_of_its_evaluation_or_without_them(house: House):
    first, second = read_journal("small", storage=house.platform.storage)
    change = describe_change(second, platform=house.platform)
    assert (change.model_version, change.from_version, change.action, change.sequence) == (2, 1, "promote", 2)
    assert change.metrics.keys() == {"mean_absolute_error"}
    assert 0 < change.metrics["mean_absolute_error"] < 1
    assert change.model_digest == house.client.get_model_version("small", "2").tags["mlops.model_digest"]
    _evidence(house, 1).unlink()
    assert describe_change(first, platform=house.platform).metrics == {}
