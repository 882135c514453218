from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_mlops import __version__
from airflow_mlops.cli import main
from tests.conftest import REPOSITORY
from tests.stage import Stage
from tests.steps.cases import small_frame, small_settings


class Shell:
    """Runs the command in a folder with 300 rows and a spec."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def write(self, **changes: Any) -> Path:
        file = self.folder / "small.yaml"
        file.write_text(yaml.safe_dump(small_settings(self.folder / "inbox") | changes))
        return file

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        """Return status, standard output and standard error."""
        self._capsys.readouterr()
        status = main([*argv])
        out, err = self._capsys.readouterr()
        return status, out, err

    def on_storage(self, command: str, *argv: str) -> tuple[int, str, str]:
        return self(command, *argv, "--storage-root", str(self.folder / "storage"))

    def on_mlflow(self, command: str, *argv: str) -> tuple[int, str, str]:
        return self.on_storage(command, "--tracking-uri", f"sqlite:///{self.folder}/mlflow.db", *argv)

    def run(self, *argv: str) -> tuple[int, str, str]:
        return self.on_mlflow("run", str(self.folder / "small.yaml"), *argv)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Stage:
    """The folder of all shells."""
    folder = tmp_path_factory.mktemp("shell")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    (folder / "inbox").mkdir()
    small_frame().to_csv(folder / "inbox" / "part-1.csv", index=False)
    return Stage(folder, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def shell(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(stage.folder)
    shell = Shell(stage.folder, capsys)
    stage.after(shell)
    shell.write()
    return shell


def _run(shell: Shell) -> tuple[int, str, str]:
    shell.write()
    return shell.run()


@pytest.fixture
def first_run(shell: Shell, stage: Stage) -> tuple[int, str, str]:
    """What the first run returned and printed. Version 1 is champion."""
    said: tuple[int, str, str] = stage.after(shell, _run)
    return said


def _run_twice(shell: Shell) -> None:
    shell.write()
    shell.run("--param", "alpha=50")
    shell.run()


@pytest.fixture
def two_runs(shell: Shell, stage: Stage) -> None:
    """Version 2 is champion, and version 1 was before."""
    stage.after(shell, _run_twice)


def test_a_run_says_what_was_decided_and_who_is_champion(first_run: tuple[int, str, str]):
    status, out, _ = first_run
    assert status == 0
    assert out.splitlines()[0] == "small: retrain. Cold start: there is no champion yet."
    assert "small: challenger BLESSED." in out
    assert out.splitlines()[-1] == "small v1 is champion."


@pytest.mark.usefixtures("first_run")
def test_a_run_with_nothing_new_says_so_and_force_trains_all_the_same(shell: Shell):
    status, out, _ = shell.run()
    assert status == 0
    assert out.startswith("small: not retrained. Nothing new: data, code and parameters are those of run local__")
    assert len(out.splitlines()) == 1
    status, out, _ = shell.run("--force", "--param", "alpha=1000000")
    assert status == 0
    assert "small: challenger REJECTED." in out


@pytest.mark.usefixtures("two_runs")
def test_the_history_lists_who_was_champion_and_why(shell: Shell):
    status, out, err = shell.on_storage("history", "small")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    first, second = (line for line in lines if not line.startswith("      "))
    assert first.split()[0] == "1"
    assert "promote   nothing -> v1  " in first
    assert "promote   v1 -> v2  " in second
    assert "mean_absolute_error" in second
    assert lines[1].startswith("      Passed: "), "each further reason has a line"


@pytest.mark.usefixtures("first_run")
def test_the_decisions_list_when_it_trained_and_when_not(shell: Shell):
    shell.run()
    status, out, _ = shell.on_storage("decisions", "small")
    assert status == 0
    lines = out.splitlines()
    yes, blessed, no = (line for line in lines if not line.startswith("      "))
    assert lines[-1].startswith("      Drift of new data: 0 rows in the window")
    assert "  retrain       manual  Cold start: there is no champion yet." in yes
    assert "  BLESSED       gate  Passed: Cold start: there is no champion to compare with." in blessed
    assert "  no            manual  Nothing new: data, code and parameters are those of run" in no


def test_the_power_of_the_gate_is_read_from_the_last_evaluation(shell: Shell):
    assert shell.on_storage("power", "small")[0] == 1  # nothing was promoted yet
    shell.run()
    status, out, _ = shell.on_storage("power", "small", "--difference", "0.01")
    assert status == 0
    shown, needed = out.splitlines()
    assert re.match(r"mean_absolute_error: 6\d held-out rows show a difference of 0\.\d+ to the baseline in", shown)
    assert re.match(r"  For a difference of 0\.01 hold out \d{4,} rows\.", needed)


@pytest.mark.usefixtures("first_run")
def test_a_model_that_is_not_known_has_no_history_and_no_decisions(shell: Shell):
    for command, records in (("history", "history"), ("decisions", "decisions")):
        status, out, err = shell.on_storage(command, "smal")
        assert (status, out) == (1, "")
        assert f"SpecError: 'smal' has no {records}: " in err
        assert "Is the name right" in err
        assert "Did you mean 'small'? Models there: 'small'." in err
    status, out, err = shell.on_mlflow("verify", "smal")
    assert (status, out) == (1, "")
    assert "Models there: 'small'." in err


def test_a_model_of_which_nothing_was_promoted_has_decisions_and_no_history(shell: Shell):
    shell.write(gate={"metrics": {"mean_absolute_error": {"value_threshold": 0}}, "min_rows": 10})
    assert shell.run()[0] == 0
    status, out, err = shell.on_storage("history", "small")
    assert (status, out) == (1, "")
    assert "No version was promoted yet. Why: airflow-mlops decisions small" in err
    assert shell.on_storage("decisions", "small")[0] == 0


def test_the_schema_is_json_schema_for_the_yaml_file(shell: Shell):
    import jsonschema

    status, out, _ = shell("schema", "--indent", "0")
    assert status == 0
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    document = yaml.safe_load((shell.folder / "small.yaml").read_text())
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError, match="'taget' was unexpected"):
        jsonschema.validate(document | {"training": document["training"] | {"taget": "y"}}, schema)


def test_a_mistake_in_the_spec_is_status_1_and_a_message_with_the_file_and_the_path(shell: Shell):
    file = shell.write(training={"taget": "y", "estimator": "a.B"})
    status, out, err = shell.run()
    assert (status, out) == (1, "")
    assert err.startswith(f"SpecError: {file}: ContinuousTraining: 2 setting(s) can't be used.")
    assert "training.taget: unknown key. Did you mean 'target'?" in err


def test_a_halted_batch_is_status_1_and_says_what_is_broken(shell: Shell):
    frame = small_frame()
    frame.loc[3:5, "y"] = None
    frame.to_csv(shell.folder / "inbox" / "part-1.csv", index=False)
    status, out, err = shell.run()
    assert (status, out) == (1, "")
    assert "DataHaltedError: Data halted: 1 finding(s) that halt in 300 rows" in err
    assert "y: expect_column_values_to_not_be_null: found 3 of 300 values break it" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["visits.yaml", "visits.json"])
def test_an_inferred_suite_can_be_read_by_a_person_and_is_met_by_its_own_data(shell: Shell, name: str):
    out_file = shell.folder / name
    status, out, err = shell.on_storage("suite", str(shell.folder / "small.yaml"), "--out", str(out_file))
    text = out_file.read_text()
    suite = yaml.safe_load(text) if name.endswith("yaml") else json.loads(text)
    assert (status, out) == (0, f"{out_file}: {len(suite['expectations'])} expectations, inferred from 300 rows.\n")
    assert "Traceback" not in err
    assert len(text.splitlines()) > 3 * len(suite["expectations"])
    assert all(len(line) <= 120 for line in text.splitlines())
    assert suite["name"] == "small"
    rules = {(entry["type"], entry["kwargs"].get("column")): entry["kwargs"] for entry in suite["expectations"]}
    assert rules["expect_table_row_count_to_be_between", None] == {"min_value": 30, "max_value": 3000}
    frame, bounds = small_frame(), rules["expect_column_values_to_be_between", "x"]
    assert bounds["min_value"] < frame["x"].min() < frame["x"].max() < bounds["max_value"]
    assert len(str(bounds["min_value"]).lstrip("-").replace(".", "").lstrip("0")) <= 3

    shell.write(validation={"suite": str(out_file)})
    status, out, err = shell.run()
    assert (status, out.splitlines()[-1]) == (0, "small v1 is champion.")


def test_an_inferred_suite_halts_what_is_not_like_its_data(shell: Shell):
    out_file = shell.folder / "small.json"
    shell.on_storage("suite", str(shell.folder / "small.yaml"), "--out", str(out_file), "--range-fraction", "0.1")
    shell.write(validation={"suite": str(out_file)})
    frame = small_frame()
    frame.loc[7, "x"] = 1e6
    frame.to_csv(shell.folder / "inbox" / "part-1.csv", index=False)
    status, _, err = shell.run()
    assert status == 1
    assert "x: expect_column_values_to_be_between: found 1 of 300 values break it" in err


def test_a_suite_without_a_file_goes_to_standard_output_as_json(shell: Shell):
    status, out, _ = shell.on_storage("suite", str(shell.folder / "small.yaml"), "--size-factor", "2")
    assert status == 0
    assert json.loads(out)["expectations"][1]["kwargs"] == {"min_value": 150, "max_value": 600}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--out", "no/such/folder/suite.yaml"), "can't be written: No such file or directory"),
        (("--out", "inbox"), "can't be written: Is a directory"),
        (("--size-factor", "0"), "size_factor must be a number from 1 on, found 0.0"),
        (("--size-factor", "0.5"), "size_factor must be a number from 1 on, found 0.5"),
        (("--range-fraction", "nan"), "A tolerance must be a number from 0 on"),
        (("--range-fraction", "-1"), "A tolerance must be a number from 0 on"),
    ],
)
def test_a_suite_that_can_not_be_inferred_or_written_is_refused_in_words(
    argv: tuple[str, str], message: str, shell: Shell
):
    status, out, err = shell.on_storage("suite", str(shell.folder / "small.yaml"), *argv)
    assert (status, out) == (1, "")
    assert message in err


def test_a_spec_that_is_no_text_is_refused_in_words(shell: Shell):
    file = shell.write(description="für alle")
    file.write_bytes("model_name: größe\n".encode("latin-1"))
    status, _, err = shell.on_storage("suite", str(file))
    assert status == 1
    assert f"{file}: is not" in err


def test_what_is_logged_does_not_get_into_what_is_printed(shell: Shell):
    (shell.folder / "loads_of_mine.py").write_text(
        "import airflow.sdk\nimport pandas as pd\n\n"
        "def load(window_start, window_end):\n    return pd.DataFrame({'y': [1.0, 2.0, 4.0]})\n"
    )
    file = shell.write(data={"function": "loads_of_mine:load"}, split={"method": "random"})
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "airflow_mlops.cli",
            "suite",
            str(file),
            "--storage-root",
            str(shell.folder / "storage"),
        ],
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}:{shell.folder}", "AIRFLOW_HOME": str(shell.folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["name"] == "small"
    assert "snapshot made" in done.stderr


@pytest.mark.usefixtures("first_run")
def test_pruning_lists_and_removes_old_snapshots_that_no_version_needs(shell: Shell):
    needed = next((shell.folder / "storage" / "snapshots" / "small").iterdir())
    for n_rows in (20, 30):  # two that no model was trained on
        small_frame(n_rows).to_csv(shell.folder / "inbox" / "part-1.csv", index=False)
        shell.on_storage("suite", str(shell.folder / "small.yaml"))
    folder = shell.folder / "storage" / "snapshots" / "small"
    assert len(list(folder.iterdir())) == 3

    def prune(*argv: str) -> tuple[int, list[str]]:
        uri = f"sqlite:///{shell.folder}/mlflow.db"
        status, out, _ = shell.on_storage("prune", "small", "--tracking-uri", uri, *argv)
        return status, out.splitlines()

    assert prune() == (0, ["Pruned: 0 snapshots."])
    status, listed = prune("--older-than-days", "1e-9", "--dry-run")
    assert (status, listed[-1]) == (0, "Would be pruned: 1 snapshot.")
    assert "  20 rows  " in listed[0]
    assert len(list(folder.iterdir())) == 3
    status, removed = prune("--older-than-days", "1e-9")
    assert (status, removed) == (0, [listed[0], "Pruned: 1 snapshot."])
    assert needed in list(folder.iterdir())
    assert len(list(folder.iterdir())) == 2


def test_pruning_by_a_registry_that_knows_no_snapshot_is_refused(shell: Shell):
    shell.on_storage("suite", str(shell.folder / "small.yaml"))
    uri = f"sqlite:///{shell.folder}/mlflow.db"
    status, out, err = shell.on_storage("prune", "small", "--tracking-uri", uri, "--older-than-days", "1e-9")
    assert (status, out) == (1, "")
    assert "refers to no snapshot at all" in err
    assert "Nothing was pruned." in err


@pytest.mark.usefixtures("first_run")
def test_the_model_card_of_a_version_is_printed(shell: Shell):
    status, out, _ = shell.on_mlflow("card", "models:/small/1")
    assert status == 0
    assert out.startswith("# Model card: small, version 1\n\n**What it is for:**")
    assert shell.on_mlflow("card", "models:/small/2")[0] == 1


@pytest.mark.usefixtures("two_runs")
def test_a_version_is_marked_verified_and_its_history_says_so(shell: Shell):
    status, out, err = shell.on_mlflow("mark", "small", "1", "--reason", "it leaked")
    assert (status, out) == (0, "small: v1 is unhealthy, v2 serves.\n"), err
    status, out, _ = shell.on_mlflow("mark", "small", "2", "--reason", "it leaked, too")
    assert status == 0
    assert out.splitlines()[1] == ("It is the champion and serves on. Roll it back: trigger the DAG small_rollback.")
    status, out, err = shell.on_mlflow("mark", "small", "1", "--reason", "again")
    assert (status, out) == (1, "")
    assert "small v1 not marked: it is marked as unhealthy (entry 3: it leaked). Nothing was changed." in err
    status, out, _ = shell.on_storage("history", "small")
    assert "  mark      v1 is unhealthy, v2 serves  " in [line for line in out.splitlines() if line[:6].strip()][2]
    status, out, err = shell.on_mlflow("verify", "small")
    assert status == 0, err
    assert out.splitlines()[0] == ("ok   journal: 4 entries without a gap, each with the digest of the one before.")
    assert {line[:3] for line in out.splitlines()} == {"ok "}
    (shell.folder / "storage" / "journals" / "small" / "000004.json").unlink()
    status, out, err = shell.on_mlflow("verify", "small")
    assert status == 1
    (line,) = [line for line in out.splitlines() if not line.startswith("ok ")]
    assert line.startswith("BAD  last entry: small: the journal has 3 entries, but MLflow knows of entry 4")
    assert "IntegrityError: small: 1 of 13 checks failed: 'last entry'. Nothing was changed." in err


def test_a_journal_may_be_kept_elsewhere(shell: Shell):
    elsewhere = str(shell.folder / "journals of ours")
    shell.run("--journal-root", elsewhere)
    assert not (shell.folder / "storage" / "journals").exists()
    status, out, _ = shell.on_storage("history", "small", "--journal-root", elsewhere)
    assert status == 0
    assert [line[:6] for line in out.splitlines() if line[:6].strip()] == ["   1  "]
    assert shell.on_mlflow("verify", "small", "--journal-root", elsewhere)[0] == 0
    status, out, _ = shell.on_mlflow("verify", "small")
    assert status == 1
    assert out.startswith("BAD  journal: There is none for 'small'")


@pytest.mark.usefixtures("first_run")
def test_a_version_is_reproduced_with_status_0(shell: Shell):
    status, out, err = shell.on_mlflow("reproduce", "models:/small/1")
    assert status == 0, err
    (line,) = out.splitlines()
    assert line.startswith("small v1 reproduced. Predictions: the same in all 61 rows, bit for bit. Required: ")


@pytest.mark.usefixtures("first_run")
def test_a_version_whose_data_is_gone_is_not_reproduced_with_status_1_and_a_table(shell: Shell):
    for folder in ("splits", "snapshots"):
        shutil.rmtree(shell.folder / "storage" / folder)
    status, out, err = shell.on_mlflow("reproduce", "models:/small@champion")
    verdict, heading, *rows = out.splitlines()
    assert status == 1
    assert verdict.startswith("small v1 NOT reproduced. Predictions: none, no model could be made to compare with.")
    assert heading.split() == ["kind", "what", "recorded", "found"]
    assert [row.split()[:2] for row in rows] == [["data", "split"], ["data", "snapshot"]]
    assert err.splitlines()[-1].startswith("ReproductionError: small v1 could not be reproduced. What differs: 'data'.")
    assert "Traceback" not in err


def test_an_mlflow_that_does_not_answer_is_status_1(shell: Shell):
    file = str(shell.folder / "small.yaml")
    status, out, err = shell.on_storage("run", file, "--tracking-uri", "http://127.0.0.1:1")
    assert (status, out) == (1, "")
    assert err.startswith("UnavailableError: MLflow at http://127.0.0.1:1 does not answer: ConnectionError.")


@pytest.mark.usefixtures("first_run")
def test_a_damaged_journal_is_status_1(shell: Shell):
    (shell.folder / "storage" / "journals" / "small" / "000001.json").write_text("{")
    status, out, err = shell.on_storage("history", "small")
    assert (status, out) == (1, "")
    assert err.startswith("IntegrityError: ")
    assert "000001.json is damaged" in err


@pytest.mark.parametrize("argv", [[], ["run"], ["nonsense"], ["history"]])
def test_wrong_usage_is_status_2(argv: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: airflow-mlops")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--from", "yesterday"], "'yesterday' is no time. Write it as 2012-01-31"),
        (["--every", "P0D"], "'P0D' is no duration above zero. Write it in days or less, as P1D or PT6H"),
        (["--every=-P1D"], "'-P1D' is no duration above zero"),
        (["--every", "6h"], "'6h' is no duration above zero"),
        (["--every", "P1M"], "Write it in days or less"),
    ],
)
def test_a_moment_or_duration_that_can_not_be_read_is_wrong_usage_with_an_example(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main(["backtest", "x.yaml", "--from", "2012-01-01", "--to", "2013-01-01", *argv])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_champions_file_is_written_for_those_who_embed_it(shell: Shell):
    shell.run()
    out = str(shell.folder / "embedded")
    status, printed, _ = shell.on_mlflow("export", "small", "--format", "skops", "--out", out)
    assert (status, printed) == (0, f"{out}: small v1 as skops; see its README.md.\n")
    assert (shell.folder / "embedded" / "model.skops").exists()
    assert shell.on_mlflow("export", "models:/small/1", "--out", str(shell.folder / "onnx"))[0] == 1
    assert not (shell.folder / "onnx").exists()


def test_a_server_that_others_reach_is_not_started_without_a_token(shell: Shell):
    status, _, err = shell.on_mlflow("serve", "small", "--host", "0.0.0.0")
    assert status == 1
    assert "callers must show a token" in err


def test_a_challenger_can_be_given_no_share_beyond_the_whole(shell: Shell):
    status, _, err = shell.on_mlflow("serve", "small", "--challenger", "2", "--share", "1.5")
    assert status == 1
    assert "must be between 0 and 1, not 1.5" in err
