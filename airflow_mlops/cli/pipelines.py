"""The commands that begin with a pipeline's YAML file: ``run``, ``backtest``, ``suite`` and ``schema``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from airflow_mlops.cli._arguments import (
    Commands,
    journal_conn_id,
    storage_of,
    storage_options,
    storage_root,
    tracking_options,
    tracking_uri,
)
from airflow_mlops.errors import SpecError

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser of all of them."""
    on_storage, on_mlflow = storage_options(), tracking_options()

    run = commands.add_parser(
        "run", parents=[on_storage, on_mlflow], help="run a pipeline from a YAML file in this process"
    )
    run.add_argument("spec", metavar="SPEC.yaml")
    run.add_argument("--force", action="store_true", help="train even if nothing has changed")
    run.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="replace a hyperparameter")
    run.set_defaults(command=_run)

    backtest = commands.add_parser(
        "backtest", help="replay history: what the retrain policy would have done, beside never and always training"
    )
    backtest.add_argument("spec", metavar="SPEC.yaml")
    moment: dict[str, Any] = {"type": _moment, "required": True, "metavar": "MOMENT"}
    backtest.add_argument("--from", dest="since", help="the first time, such as 2012-01-01", **moment)
    backtest.add_argument("--to", dest="until", help="the end of the last one", **moment)
    backtest.add_argument("--every", type=_duration, default="P1D", metavar="DURATION", help="default: P1D")
    backtest.add_argument("--out", default="backtest", help="folder of the results; an interrupted one goes on in it")
    backtest.add_argument("--jobs", type=int, default=1, help="processes that replay side by side (default: 1)")
    backtest.set_defaults(command=_backtest)

    suite = commands.add_parser(
        "suite",
        parents=[on_storage],
        help="infer a Great Expectations suite from a pipeline's data, to be edited and committed",
    )
    suite.add_argument("spec", metavar="SPEC.yaml")
    suite.add_argument("--out", metavar="FILE", help="write it there, as JSON, or as YAML by its suffix")
    suite.add_argument(
        "--range-fraction", type=float, default=0.5, help="of a range, by which values may lie outside (default: 0.5)"
    )
    suite.add_argument("--size-factor", type=float, default=10.0, help="times more rows, or fewer (default: 10)")
    suite.set_defaults(command=_suite)

    schema = commands.add_parser("schema", help="print the JSON Schema of a pipeline's YAML file, for editors")
    schema.add_argument("--indent", type=int, default=2)
    schema.set_defaults(command=_schema)


def _run(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining

    result = ContinuousTraining.from_yaml(arguments.spec).run(
        storage_root=storage_root(arguments),
        journal_root=arguments.journal_root,
        journal_conn_id=journal_conn_id(),
        tracking_uri=tracking_uri(arguments),
        force=arguments.force,
        params=dict(_key_and_value(pair) for pair in arguments.param),
    )
    for value in (result.decision, result.blessing):
        if value:
            yield str(value)
    if result.promotion:
        yield f"{result.promotion.model_name} v{result.promotion.to_version} is champion."


def _key_and_value(pair: str) -> tuple[str, object]:
    name, _, text = pair.partition("=")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _backtest(arguments: argparse.Namespace) -> Iterator[str]:
    from pathlib import Path

    from airflow_mlops.hooks.sources import AirflowConnections
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining
    from airflow_mlops.steps.backtesting.backtest import backtest

    with _only_progress():
        report = backtest(
            ContinuousTraining.from_yaml(arguments.spec),
            since=arguments.since,
            until=arguments.until,
            every=arguments.every,
            folder=Path(os.path.abspath(arguments.out)),
            n_jobs=arguments.jobs,
            connections=AirflowConnections(),
        )
    yield from report.table()
    yield f"{arguments.out}/{report.report_uri}, {arguments.out}/backtest.json"


@contextlib.contextmanager
def _only_progress() -> Iterator[None]:
    """Let a backtest tell how far it has come, and not what each of its hundreds of steps has to say."""
    levels = {"airflow_mlops": logging.WARNING, "airflow_mlops.steps.backtesting.backtest": logging.INFO}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time. Write it as 2012-01-31 or 2012-01-31T06:00, in UTC unless it says otherwise"
        ) from error


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from airflow_mlops.specs._base import Duration

    try:
        return TypeAdapter[timedelta](Duration).validate_python(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration above zero. Write it in days or less, as P1D or PT6H"
        ) from error


def _suite(arguments: argparse.Namespace) -> Iterator[str]:
    from pathlib import Path

    import yaml

    from airflow_mlops.core.validation.suite import Tolerances
    from airflow_mlops.hooks.sources import AirflowConnections
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining
    from airflow_mlops.steps.data.snapshot import snapshot_dataset
    from airflow_mlops.steps.validation.suite import infer_suite

    tolerances = Tolerances(range_fraction=arguments.range_fraction, size_factor=arguments.size_factor)
    spec = ContinuousTraining.from_yaml(arguments.spec)
    storage = storage_of(arguments)
    data = spec.data.model_copy(update={"since_last_snapshot": False})  # a suite is to fit all rows, also those of old
    snapshot = snapshot_dataset(
        data, dataset=spec.model_name, storage=storage, connections=AirflowConnections(), actor="airflow-mlops"
    )
    suite = infer_suite(snapshot, storage=storage, tolerances=tolerances)
    is_yaml = arguments.out is not None and Path(arguments.out).suffix in (".yaml", ".yml")
    text = yaml.safe_dump(suite, sort_keys=False, width=120) if is_yaml else json.dumps(suite, indent=2) + "\n"
    if arguments.out is None:
        yield text.rstrip("\n")
    else:
        try:
            Path(arguments.out).write_text(text, encoding="utf-8")
        except OSError as error:
            raise SpecError(f"--out {arguments.out}: can't be written: {error.strerror}. Name a file.") from error
        yield f"{arguments.out}: {len(suite['expectations'])} expectations, inferred from {snapshot.n_rows} rows."


def _schema(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.specs import PipelineSpec

    yield json.dumps(PipelineSpec.model_json_schema(), indent=arguments.indent)
