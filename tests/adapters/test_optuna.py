from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.adapters.optuna import Study
from airflow_mlops.core.training.tuning import Trial, counted
from airflow_mlops.errors import IntegrityError, UnavailableError
from airflow_mlops.specs import TuningSpec
from tests.conftest import REPOSITORY

SPACE = {
    "x": {"type": "float", "low": -5.0, "high": 5.0},
    "n": {"type": "int", "low": 1, "high": 64, "log": True},
    "layers": {"type": "categorical", "choices": [[8], [8, 4], None]},
}
DEFAULTS = {"x": 0.5, "n": 8, "layers": [8, 4], "other": "untouched"}
GO_ON = """
import dataclasses, json, sys
from pathlib import Path
from airflow_mlops.adapters.optuna import Study
from airflow_mlops.specs import TuningSpec

folder, tuning, defaults = json.loads(sys.argv[1])
with Study(Path(folder), TuningSpec.parse(tuning), defaults=defaults, worker=sys.argv[2]) as study:
    while (trial := study.claim()) is not None:
        study.settle(dataclasses.replace(trial, state="FINISHED", scores=(trial.params["x"],), seconds=0.01))
    print(sum(trial.state == "FINISHED" for trial in study.trials()))
"""
CLAIM_AND_DIE = """
import json, os, signal, sys
from pathlib import Path
from airflow_mlops.adapters.optuna import Study
from airflow_mlops.specs import TuningSpec

folder, tuning, defaults = json.loads(sys.stdin.read())
study = Study(Path(folder), TuningSpec.parse(tuning), defaults=defaults, worker="0")
study.claim()
os.kill(os.getpid(), signal.SIGKILL)
"""


def tuning(**settings: Any) -> TuningSpec:
    return TuningSpec.parse({"space": SPACE, "metric": "r2", "n_trials": 16, **settings})


def opened(folder: Path, spec: TuningSpec, defaults: dict[str, Any] | None = None, worker: str = "0") -> Study:
    return Study(folder, spec, defaults=defaults or DEFAULTS, worker=worker)


def score_of(params: dict[str, Any]) -> float:
    return -((params["x"] - 2.0) ** 2) - abs(params["n"] - 20) / 64 + (0.1 if params["layers"] is None else 0.0)


def ended(trial: Trial, **settings: Any) -> Trial:
    outcome = {"state": "FINISHED", "scores": (score_of(trial.params),), "seconds": 1.0}
    return replace(trial, **(outcome | settings))


def go_on(study: Study, n_trials: int | None = None) -> None:
    with study:
        while n_trials != 0 and (trial := study.claim()) is not None:
            study.settle(ended(trial))
            n_trials = None if n_trials is None else n_trials - 1


def kill_in_a_trial(folder: Path, spec: TuningSpec) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLAIM_AND_DIE],
        input=json.dumps([str(folder), spec.model_dump(mode="json"), DEFAULTS]),
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


def test_the_defaults_are_first_and_what_is_drawn_lies_in_the_space(tmp_path):
    study = opened(tmp_path, tuning())
    go_on(study)
    trials = study.trials()
    assert trials[0].params == {name: DEFAULTS[name] for name in SPACE}
    assert [trial.place for trial in trials] == list(range(16))
    for trial in trials:
        assert -5 <= trial.params["x"] <= 5
        assert 1 <= trial.params["n"] <= 64
        assert trial.params["layers"] in ([8], [8, 4], None)
    assert len({trial.params["x"] for trial in trials}) == 16
    assert max(trial.score for trial in trials) > trials[0].score


def test_the_same_seed_draws_the_same_and_another_seed_does_not(tmp_path):
    studies = {name: opened(tmp_path / name, tuning(seed=len(name) - 1)) for name in ("a", "b", "cc")}
    for study in studies.values():
        go_on(study)
    drawn = {name: [trial.params for trial in study.trials()] for name, study in studies.items()}
    assert drawn["a"] == drawn["b"] != drawn["cc"]
    assert drawn["a"][0] == drawn["cc"][0]


@pytest.mark.parametrize("default", [9.0, None, "auto", True])
def test_defaults_outside_of_the_space_are_tried_first_all_the_same(tmp_path, default):
    study = opened(tmp_path, tuning(), {**DEFAULTS, "x": default})
    with study:
        first = study.claim()
        assert first.params == {"x": default, "n": 8, "layers": [8, 4]}
        study.settle(replace(first, state="FINISHED", scores=(0.5,)))
    go_on(study)
    assert (study.trials()[0].state, study.trials()[0].score) == ("FINISHED", 0.5)
    assert len(study.trials()) == 16


def test_a_search_goes_on_where_it_was_left_as_if_it_had_not_been(tmp_path):
    go_on(opened(tmp_path / "whole", tuning()))
    for n_trials in (1, 12):
        go_on(opened(tmp_path / "parts", tuning()), n_trials)
    go_on(opened(tmp_path / "parts", tuning()))
    whole, parts = (opened(tmp_path / name, tuning()).trials() for name in ("whole", "parts"))
    assert whole == parts


def test_what_a_killed_process_was_at_is_tried_again_and_the_rest_is_drawn_as_if_it_had_lived(tmp_path):
    go_on(opened(tmp_path / "whole", tuning()))
    kill_in_a_trial(tmp_path / "killed", tuning())
    go_on(opened(tmp_path / "killed", tuning()), 12)
    kill_in_a_trial(tmp_path / "killed", tuning())
    go_on(opened(tmp_path / "killed", tuning()))
    trials = opened(tmp_path / "killed", tuning()).trials()
    assert [trial.number for trial in trials if trial.state == "ABANDONED"] == [0, 13]
    whole = opened(tmp_path / "whole", tuning()).trials()
    assert [trial.params for trial in counted(trials)] == [trial.params for trial in whole]
    assert [trial.place for trial in counted(trials)] == list(range(16))


def test_a_process_that_ends_by_an_exception_lets_go_of_its_trial(tmp_path):
    def be_stopped():
        with opened(tmp_path, tuning()) as study:
            study.claim()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_stopped()
    again = opened(tmp_path, tuning(n_trials=2))
    go_on(again)
    assert [trial.state for trial in again.trials()] == ["ABANDONED", "FINISHED", "FINISHED"]


def test_workers_in_processes_of_their_own_share_the_budget(tmp_path):
    spec = tuning(n_trials=30)
    document = json.dumps([str(tmp_path), spec.model_dump(mode="json"), DEFAULTS])
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    workers = [
        subprocess.Popen([sys.executable, "-c", GO_ON, document, name], env=environment, stdout=subprocess.PIPE)
        for name in ("a", "b", "c")
    ]
    seen = [worker.communicate(timeout=120)[0] for worker in workers]
    assert seen == [b"30\n"] * 3  # each of them returned when the last trial had ended
    trials = opened(tmp_path, spec).trials()
    assert [(trial.state, trial.place) for trial in trials] == [("FINISHED", place) for place in range(30)]
    assert {trial.worker for trial in trials} <= {"a", "b", "c"}


def test_who_has_nothing_left_to_claim_returns_when_the_last_trial_has_ended(tmp_path):
    spec = tuning(n_trials=1)
    working, waiting = opened(tmp_path, spec, worker="a"), opened(tmp_path, spec, worker="b")
    running = working.claim()
    returned = []
    thread = threading.Thread(target=lambda: returned.append((waiting.claim(), waiting.trials()[0].state)))
    thread.start()
    assert not returned
    working.settle(ended(running))
    thread.join(timeout=60)
    assert returned == [(None, "FINISHED")]


def test_who_waits_takes_over_when_the_other_one_dies(tmp_path):
    spec = tuning(n_trials=1)
    dying, waiting = opened(tmp_path, spec, worker="a"), opened(tmp_path, spec, worker="b")
    first = dying.claim()
    claimed = []
    thread = threading.Thread(target=lambda: claimed.append(waiting.claim()))
    thread.start()
    with dying:
        pass  # the kernel does the same when the process dies
    thread.join(timeout=60)
    assert [(trial.number, trial.place, trial.params) for trial in claimed] == [(1, 0, first.params)]


def test_the_defaults_are_tried_by_another_worker_when_the_first_one_dies(tmp_path):
    dying, working = opened(tmp_path, tuning(), worker="a"), opened(tmp_path, tuning(), worker="b")
    with dying:
        first = dying.claim()
        second = working.claim()
    working.settle(ended(second))
    third = working.claim()
    assert (third.place, third.params) == (0, first.params)


def test_time_that_a_worker_has_spent_is_spent(tmp_path):
    go_on(opened(tmp_path, tuning(timeout_s=3)))
    go_on(opened(tmp_path, tuning(timeout_s=3)))
    assert len(opened(tmp_path, tuning(timeout_s=3)).trials()) == 3
    go_on(opened(tmp_path, tuning(timeout_s=3), worker="another"))
    assert len(opened(tmp_path, tuning(timeout_s=3)).trials()) == 6


def test_failed_trials_are_kept_with_their_error_and_the_search_goes_on(tmp_path):
    with opened(tmp_path, tuning()) as study:
        for place in range(16):
            trial = study.claim()
            study.settle(ended(trial, state="FAILED", scores=(), error="no") if place % 2 else ended(trial))
    trials = study.trials()
    assert [trial.state for trial in trials] == ["FINISHED", "FAILED"] * 8
    assert trials[1].error == "no"


def test_halving_ends_what_is_worse_than_the_better_half_but_never_the_defaults(tmp_path):
    outcomes = []
    with opened(tmp_path, tuning(pruning="successive_halving")) as study:
        for score in (0.1, 0.9, 0.5, 0.95):
            trial = replace(study.claim(), scores=(score,))
            outcomes.append(study.should_stop(trial))
            study.settle(replace(trial, state="PRUNED" if outcomes[-1] else "FINISHED"))
    assert outcomes == [False, False, True, False]
    assert [trial.state for trial in study.trials()] == ["FINISHED", "FINISHED", "PRUNED", "FINISHED"]


def test_a_last_line_that_was_cut_off_is_dropped(tmp_path):
    go_on(opened(tmp_path, tuning()), 3)
    journal = tmp_path / "journal.log"
    journal.write_bytes(journal.read_bytes()[:-5])
    go_on(opened(tmp_path, tuning()))
    assert len(counted(opened(tmp_path, tuning()).trials())) == 16


def test_a_damaged_journal_is_an_error_that_says_what_to_do(tmp_path):
    go_on(opened(tmp_path, tuning()), 2)
    journal = tmp_path / "journal.log"
    journal.write_bytes(b"{broken\n" + journal.read_bytes())
    with pytest.raises(IntegrityError, match=r"journal\.log is damaged: .*Remove .* to search anew"):
        opened(tmp_path, tuning())


def test_a_folder_that_can_not_be_written_is_an_outage(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="can't be used: Not a directory"):
        opened(tmp_path / "file" / "study", tuning())


def test_a_note_is_seen_by_every_worker(tmp_path):
    first, second = opened(tmp_path, tuning()), opened(tmp_path, tuning())
    assert first.note("run_id") == ""
    first.write_note("run_id", "abc")
    assert second.note("run_id") == "abc"
