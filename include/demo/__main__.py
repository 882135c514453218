"""Start everything, tell the story, show it as a table, stay up until Ctrl-C.

``DEMO_EXIT=1`` ends after the story, with status 0 only if every chapter ended as told.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from include.demo.api import AirflowApi
from include.demo.services import REPOSITORY, Demo, DemoError, running
from include.demo.story import MODEL, Chapter, Story

console = Console(highlight=False)
if not console.is_terminal:
    console.width = 160


def main() -> int:
    """Run the demo and return its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: a shell's background job ignores it
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    demo = Demo(
        folder=Path(os.environ.get("DEMO_FOLDER", REPOSITORY / ".demo")),
        airflow_port=int(os.environ.get("DEMO_AIRFLOW_PORT", "8080")),
        mlflow_port=int(os.environ.get("DEMO_MLFLOW_PORT", "5000")),
    )

    def progress(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.0f} s[/]  {text}")

    try:
        with running(demo, progress):
            progress(f"Airflow  {demo.airflow_url}   login admin, password {demo.password}")
            progress(f"MLflow   {demo.mlflow_url}")
            chapters = tell(demo, progress)
            seconds = time.monotonic() - started
            write_summary(demo, chapters, seconds)
            show(demo, chapters, seconds)
            if not os.environ.get("DEMO_EXIT"):
                console.print("Everything stays up. Press Ctrl-C to stop it.")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
            return 0 if all(chapter.as_told for chapter in chapters) else 1
    except DemoError as error:
        console.print(f"[red]The demo can't go on:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        return 130


def tell(demo: Demo, progress: object) -> list[Chapter]:
    """Tell the story, chapter by chapter; after one that went otherwise, the rest is not told."""
    say = progress if callable(progress) else print
    api = AirflowApi(demo)
    say("waiting for the DAGs")
    demo.wait(lambda: api.has_dag(MODEL) and api.has_dag(f"{MODEL}_rollback"), "The DAGs", 120)
    story, told = Story(demo, api), []
    for name, chapter_of in story.chapters():
        if told and not told[-1].as_told:
            told.append(Chapter(name, "not told"))
            continue
        say(f"chapter: {name}")
        told.append(story.tell(name, chapter_of))
    return told


def show(demo: Demo, chapters: list[Chapter], seconds: float) -> None:
    """Print what happened, with links."""
    table = Table(title=f"\nThe story of {MODEL}, told in {seconds:.0f} seconds", title_justify="left", show_lines=True)
    for heading in ("", "Chapter", "What happened", "Champion"):
        table.add_column(heading)
    for number, chapter in enumerate(chapters, start=1):
        mark = "[green]✓[/]" if chapter.as_told else "[red]✗[/]"
        champion = f"v{chapter.champion}" if chapter.champion else "none"
        table.add_row(mark, f"{number} {chapter.name}", escape(chapter.happened), champion)
    console.print(table)
    for number, chapter in enumerate(chapters, start=1):
        console.print(f"{number}  {chapter.page}", soft_wrap=True)
    console.print()
    console.print(f"Airflow  {demo.airflow_url}/dags/{MODEL}   login admin, password {demo.password}")
    console.print(f"Models   {demo.airflow_url}/plugin/mlops-models")
    console.print(f"MLflow   {demo.mlflow_url}/#/models/{MODEL}")
    console.print(f"Files    {demo.storage}")


def write_summary(demo: Demo, chapters: list[Chapter], seconds: float) -> None:
    """Leave what happened as ``summary.json`` in the demo's folder."""
    summary = {
        "as_told": all(chapter.as_told for chapter in chapters),
        "seconds": round(seconds, 1),
        "airflow": demo.airflow_url,
        "mlflow": demo.mlflow_url,
        "chapters": [chapter.to_dict() for chapter in chapters],
    }
    (demo.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
