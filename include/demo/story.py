"""The story of one model, in six chapters. Each says what it expects and fails if it went otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from include.demo import co2_data
from include.demo.api import AirflowApi, champion_in_mlflow
from include.demo.services import Demo, DemoError

MODEL = "co2"


@dataclass
class Chapter:
    """What a chapter was to show, and what happened."""

    name: str
    happened: str = ""
    as_told: bool = False
    champion: int | None = None
    run_id: str = ""
    page: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the chapter as a JSON document."""
        return asdict(self)


class Story:
    """Tells the chapters one after the other, each on what the one before left."""

    def __init__(self, demo: Demo, api: AirflowApi) -> None:
        self.demo, self.api = demo, api
        self.inbox = demo.home / "inbox" / "co2"
        self.seen: set[str] = set()

    def chapters(self) -> list[tuple[str, Callable[[Chapter], str]]]:
        """Return the chapters' names and what tells them."""
        return [
            ("Cold start", self.cold_start),
            ("New data", self.new_data),
            ("Nothing new", self.nothing_new),
            ("A broken batch", self.broken_batch),
            ("A worse challenger", self.worse_challenger),
            ("Rollback", self.rollback),
        ]

    def tell(self, name: str, chapter_of: Callable[[Chapter], str]) -> Chapter:
        """Tell one chapter: a check that fails, or anything that breaks, makes it not as told."""
        chapter, started = Chapter(name), time.monotonic()
        try:
            chapter.happened = chapter_of(chapter)
            chapter.as_told = True
        except (AssertionError, DemoError, OSError, KeyError) as error:
            chapter.happened = f"{type(error).__name__}: {error}"
        chapter.champion = champion_in_mlflow(self.demo, MODEL)
        chapter.seconds = round(time.monotonic() - started, 1)
        return chapter

    def cold_start(self, chapter: Chapter) -> str:
        """The first decades arrive, and a first version is blessed against the naive baseline."""
        self.deliver(1958, 1984)
        run = self.next_run(chapter, by="asset_triggered")
        expect("run", run["state"], "success")
        blessing, split = self.result("bless"), self.result("split")
        expect("verdict", blessing["verdict"], "BLESSED")
        expect("decision", self.result("decide")["should_retrain"], True)
        expect("drift", self.result("check_drift")["status"], "NO_REFERENCE")
        self.expect_champion(1)
        mae = self.result("evaluate")["comparisons"][0]
        return (
            f"1958-1984 arrived: {split['train']['n_rows']} weeks to train on, {split['test']['n_rows']} held out. "
            f"Error {mae['challenger']:.3f} ppm against {mae['baseline']:.3f} of the naive baseline: v1 is champion."
        )

    def new_data(self, chapter: Chapter) -> str:
        """More years start a run by themselves; they have drifted, and the challenger wins on the same rows."""
        self.deliver(1985, 1999)
        run = self.next_run(chapter, by="asset_triggered")
        expect("run", run["state"], "success")
        drift, report, blessing = self.result("check_drift"), self.result("evaluate"), self.result("bless")
        expect("drift", drift["status"], "DRIFTED")
        expect("compared with version", report["champion_version"], 1)
        expect("verdict", blessing["verdict"], "BLESSED")
        mae, psi = report["comparisons"][0], drift["columns"][0]["statistics"]["psi"]
        expect("challenger better on the same rows", mae["against_champion"]["high"] < 0, True)
        self.expect_champion(2)
        record = self.result("promote")
        expect("version to go back to", record["from_version"], 1)
        interval = mae["against_champion"]
        return (
            f"1985-1999 arrived: drift (PSI {psi:.1f}). Error {mae['challenger']:.3f} against "
            f"v1's {mae['champion']:.3f}, difference {interval['difference']:+.3f} "
            f"[{interval['low']:+.3f}, {interval['high']:+.3f}]: v2 is champion."
        )

    def nothing_new(self, chapter: Chapter) -> str:
        """The same file is delivered again: a run, but no training."""
        self.deliver(1985, 1999)
        run = self.next_run(chapter, by="asset_triggered")
        expect("run", run["state"], "success")
        decision = self.result("decide")
        expect("decision", decision["should_retrain"], False)
        self.expect_states(train="skipped", promote="skipped")
        self.expect_champion(2)
        found = decision["reasons"][0]
        expect("rule", found["rule"], "nothing_new")
        earlier = f"{found['facts']['run']} ({found['facts']['outcome']})"
        return f"1985-1999 arrived again: not trained. Data, code and parameters are those of run {earlier}."

    def broken_batch(self, chapter: Chapter) -> str:
        """A renamed column and text among numbers: halted with a report, and fixed afterwards."""
        frames = {
            "co2-2000.csv": co2_data.with_renamed_column(co2_data.weeks(2000, 2000)),
            "co2-2001.csv": co2_data.with_text(co2_data.weeks(2001, 2001)),
        }
        broken = co2_data.deliver_together(frames, self.inbox)
        run = self.next_run(chapter, by="asset_triggered")
        expect("run", run["state"], "failed")
        report = self.result("validate")
        expect("verdict", report["verdict"], "HALT")
        rules = {finding["rule"] for finding in report["findings"]}
        expect("findings", {"column_new", "column_retyped"} <= rules, True)
        self.expect_states(validate="failed", train="upstream_failed", promote="upstream_failed")
        self.expect_champion(2)
        page = self.api.result(MODEL, self.run_id, "validate", "_link_ReportLink")
        expect("report page", self.api.page_status(page, logged_in=True), 200)
        expect("report page without a login", self.api.page_status(page, logged_in=False), 401)
        chapter.page = page
        for file in broken:
            file.unlink()
        return f"2000-2001 arrived broken: {len(report['findings'])} findings ({', '.join(sorted(rules))}), halted."

    def worse_challenger(self, chapter: Chapter) -> str:
        """A person triggers a run with a crippling parameter: rejected, with its numbers."""
        self.api.trigger(MODEL, {"alpha": 1e6})
        run = self.next_run(chapter, by="manual")
        expect("run", run["state"], "success")
        blessing = self.result("bless")
        expect("verdict", blessing["verdict"], "REJECTED")
        self.expect_states(bless="success", register="skipped", promote="skipped")
        self.expect_champion(2)
        mae = self.result("evaluate")["comparisons"][0]
        return f"alpha=1e6 by hand: error {mae['challenger']:.2f} against v2's {mae['champion']:.3f}: rejected."

    def rollback(self, chapter: Chapter) -> str:
        """A person goes back to version 1; the journal says why."""
        reason = "v2 answers strangely at the station"
        self.api.trigger(f"{MODEL}_rollback", {"reason": reason})
        run = self.next_run(chapter, by="manual", dag_id=f"{MODEL}_rollback")
        expect("run", run["state"], "success")
        record = self.api.result(f"{MODEL}_rollback", self.run_id, "rollback")
        expect("journal", (record["sequence"], record["action"], record["reason"]), (3, "rollback", reason))
        expect("rolled back from", record["from_version"], 2)
        self.expect_champion(1)
        return f"By hand: v1 is champion again. Journal entry 3: {reason!r}."

    def deliver(self, first_year: int, last_year: int) -> None:
        """Deliver some years as one file."""
        co2_data.deliver(co2_data.weeks(first_year, last_year), self.inbox, f"co2-{first_year}-{last_year}.csv")

    def next_run(self, chapter: Chapter, *, by: str, dag_id: str = MODEL) -> dict[str, Any]:
        """Wait for the run that comes next, until it has ended, and check what started it."""

        def ended() -> bool:
            new = [run for run in self.api.runs(dag_id) if run["dag_run_id"] not in self.seen]
            return bool(new) and all(run["state"] in ("success", "failed") for run in new)

        self.demo.wait(ended, f"A run of {dag_id}", timeout_s=120)
        new = [run for run in self.api.runs(dag_id) if run["dag_run_id"] not in self.seen]
        self.seen |= {run["dag_run_id"] for run in new}
        expect("runs", len(new), 1)
        self.run_id = chapter.run_id = new[0]["dag_run_id"]
        chapter.page = self.api.run_page(dag_id, self.run_id)
        expect("started by", new[0]["run_type"], by)
        return new[0]

    def result(self, task_id: str) -> Any:
        """Return what a task of the present run gave."""
        return self.api.result(MODEL, self.run_id, task_id)

    def expect_states(self, **states: str) -> None:
        """Check the states of some tasks of the present run."""
        found = self.api.task_states(MODEL, self.run_id)
        expect("task states", {task: found[task] for task in states}, states)

    def expect_champion(self, version: int) -> None:
        """Check which version MLflow's alias points to."""
        expect("champion in MLflow", champion_in_mlflow(self.demo, MODEL), version)


def expect(what: str, found: object, wanted: object) -> None:
    """Check one thing of the story.

    :raises AssertionError: when it is otherwise.
    """
    if found != wanted:
        raise AssertionError(f"{what}: {wanted!r} was expected, found {found!r}")
