"""The command ``airflow-mlops``: the same flow and the same records, without Airflow."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_mlops._version import __version__
from airflow_mlops.cli import serving
from airflow_mlops.errors import MlopsError, SpecError

if TYPE_CHECKING:
    from airflow_mlops.adapters.storage import Storage
    from airflow_mlops.steps import Platform

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 refused with a message, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("alembic", "mlflow", "great_expectations"):
        logging.getLogger(name).setLevel(logging.WARNING)
    out = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Airflow logs to standard output, where the results belong
            for line in arguments.command(arguments):
                print(line, file=out)
    except MlopsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining

    root = os.path.abspath(arguments.storage_root)
    params = dict(_key_and_value(pair) for pair in arguments.param)
    result = ContinuousTraining.from_yaml(arguments.spec).run(
        storage_root=root,
        journal_root=arguments.journal_root,
        tracking_uri=arguments.tracking_uri or f"sqlite:///{root}/mlflow.db",
        force=arguments.force,
        params=params,
    )
    for value in (result.decision, result.blessing):
        if value:
            yield str(value)
    if result.promotion:
        yield f"{result.promotion.model_name} v{result.promotion.to_version} is champion."


def _history(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.journal import read_journal

    for entry in read_journal(arguments.model, storage=_storage(arguments)):
        what = entry.action.removesuffix("_unhealthy")
        yield f"{entry.sequence:>4}  {entry.at:%Y-%m-%d %H:%M}  {what:<8}  {entry}  {entry.actor}  {entry.reason}"


def _verify(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.verify import verify_model

    report = verify_model(arguments.model, platform=_platform(arguments))
    yield from report.lines()
    report.require_whole()


def _mark(arguments: argparse.Namespace) -> Iterator[str]:
    import getpass
    import uuid

    from airflow_mlops.core.values import PipelineRun
    from airflow_mlops.steps.promote import mark_unhealthy

    run = PipelineRun(pipeline="airflow-mlops mark", run_id=f"cli__{uuid.uuid4().hex[:12]}", actor=getpass.getuser())
    platform = _platform(arguments)
    record = mark_unhealthy(arguments.model, arguments.version, reason=arguments.reason, platform=platform, run=run)
    yield f"{record.model_name}: {record}."
    if record.to_version == record.from_version:
        yield f"It is the champion and serves on. Roll it back: trigger the DAG {record.model_name}_rollback."


def _decisions(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.core.gate import GateDecision
    from airflow_mlops.core.retrain import RetrainDecision
    from airflow_mlops.steps.ledger import read_ledger

    for entry in read_ledger(arguments.model, storage=_storage(arguments)):
        if isinstance(entry, RetrainDecision):
            verdict, by, why = "retrain" if entry.should_retrain else "no", entry.trigger, " ".join(entry.reasons)
        elif isinstance(entry, GateDecision):
            verdict, by, why = entry.verdict, "gate", " ".join(entry.reasons)
        else:
            verdict, by, why = entry.verdict, entry.by or "nobody", entry.note or f"version {entry.model_version}"
        yield f"{entry.at:%Y-%m-%d %H:%M}  {verdict:<12}  {by}  {why}"


def _power(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.power import last_evaluation, power_of

    report = last_evaluation(arguments.model, storage=_storage(arguments))
    for found in power_of(report, difference=arguments.difference, power=arguments.power):
        yield (
            f"{found.metric}: {found.n_rows} held-back rows show a difference of {found.detectable:.4g} to the "
            f"{found.against} in {arguments.power:.0%} of cases."
        )
        if found.n_needed is not None:
            yield f"  For a difference of {arguments.difference:g} hold back {found.n_needed} rows."


def _reproduce(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.reproduce import reproduce_version

    report = reproduce_version(arguments.model_uri, platform=_platform(arguments), tolerance=arguments.tolerance)
    yield str(report)
    yield from report.table()
    report.require_reproduced()


def _card(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.card import read_card

    yield read_card(arguments.model_uri, platform=_platform(arguments)).rstrip("\n")


def _backtest(arguments: argparse.Namespace) -> Iterator[str]:
    from pathlib import Path

    from airflow_mlops.hooks.sources import AirflowConnections
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining
    from airflow_mlops.steps.backtest import backtest

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


def _end_rollout(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps._targets import end_rollout

    if end_rollout(arguments.model, storage=_storage(arguments)):
        yield f"The champion of {arguments.model} serves alone again."
    else:
        yield f"No version of {arguments.model} was being tried. Nothing was changed."


def _prune(arguments: argparse.Namespace) -> Iterator[str]:
    from datetime import UTC

    from airflow_mlops.steps.prune import needed_snapshots, prune_snapshots

    platform = _platform(arguments)
    pruned = prune_snapshots(
        arguments.dataset,
        storage=platform.storage,
        keep=needed_snapshots(platform=platform),
        older_than=timedelta(days=arguments.older_than_days),
        now=datetime.now(UTC),
        dry_run=arguments.dry_run,
    )
    for snapshot in pruned:
        yield f"{snapshot.created_at:%Y-%m-%d %H:%M}  {snapshot.digest[:23]}  {snapshot.n_rows} rows  {snapshot.uri}"
    yield f"{len(pruned)} snapshot(s) {'would be' if arguments.dry_run else 'were'} pruned."


def _suite(arguments: argparse.Namespace) -> Iterator[str]:
    from pathlib import Path

    import yaml

    from airflow_mlops.adapters.storage import Storage
    from airflow_mlops.core.suite import Tolerances
    from airflow_mlops.hooks.sources import AirflowConnections
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining
    from airflow_mlops.steps.data import snapshot_dataset
    from airflow_mlops.steps.suite import infer_suite

    tolerances = Tolerances(range_fraction=arguments.range_fraction, size_factor=arguments.size_factor)
    spec = ContinuousTraining.from_yaml(arguments.spec)
    storage = Storage(os.path.abspath(arguments.storage_root))
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


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter

    from airflow_mlops.specs._base import time_setting

    return TypeAdapter(timedelta).validate_python(time_setting(text))


def _storage(arguments: argparse.Namespace) -> Storage:
    from airflow_mlops.hooks.storage import open_storage

    conn_id = os.environ.get("AIRFLOW__MLOPS__JOURNAL_CONN_ID", "")
    return open_storage(os.path.abspath(arguments.storage_root), arguments.journal_root, conn_id)


def _platform(arguments: argparse.Namespace) -> Platform:
    """Return storage and MLflow, having seen that it answers, and what may be loaded."""
    from airflow_mlops.adapters.mlflow import Mlflow
    from airflow_mlops.steps import Platform

    trusted = tuple(os.environ.get("AIRFLOW__MLOPS__TRUSTED_TYPES", "").replace(",", " ").split())
    storage = _storage(arguments)
    platform = Platform(storage, Mlflow(arguments.tracking_uri or f"sqlite:///{storage.root}/mlflow.db"), trusted)
    platform.mlflow.check()
    return platform


def _key_and_value(pair: str) -> tuple[str, object]:
    name, _, text = pair.partition("=")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow-mlops", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    root = argparse.ArgumentParser(add_help=False)
    root.add_argument(
        "--storage-root",
        default=os.environ.get("AIRFLOW__MLOPS__STORAGE_ROOT", "mlops"),
        help="folder of snapshots, reports and journals (default: $AIRFLOW__MLOPS__STORAGE_ROOT, or ./mlops)",
    )
    root.add_argument(
        "--journal-root",
        default=os.environ.get("AIRFLOW__MLOPS__JOURNAL_ROOT", ""),
        help="folder, or s3://bucket/folder, of journals and ledgers (default: $AIRFLOW__MLOPS__JOURNAL_ROOT, or the "
        "storage root)",
    )

    tracking = argparse.ArgumentParser(add_help=False)
    tracking.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="MLflow's (default: $MLFLOW_TRACKING_URI, or a SQLite file in the storage root)",
    )

    run = commands.add_parser("run", parents=[root, tracking], help="run a pipeline from a YAML file in this process")
    run.add_argument("spec", metavar="SPEC.yaml")
    run.add_argument("--force", action="store_true", help="train even if nothing has changed")
    run.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="replace a hyperparameter")
    run.set_defaults(command=_run)

    history = commands.add_parser("history", parents=[root], help="list who was champion when, and why")
    history.add_argument("model", metavar="MODEL")
    history.set_defaults(command=_history)

    verify = commands.add_parser(
        "verify", parents=[root, tracking], help="check journal, alias, versions and evidence against each other"
    )
    verify.add_argument("model", metavar="MODEL")
    verify.set_defaults(command=_verify)

    mark = commands.add_parser(
        "mark", parents=[root, tracking], help="note that a version is unhealthy, so that it does not return by itself"
    )
    mark.add_argument("model", metavar="MODEL")
    mark.add_argument("version", metavar="VERSION", type=int)
    mark.add_argument("--reason", required=True, help="why; the journal keeps it")
    mark.set_defaults(command=_mark)

    decisions = commands.add_parser(
        "decisions", parents=[root], help="list when a run trained or did not, what the gate said, and why"
    )
    decisions.add_argument("model", metavar="MODEL")
    decisions.set_defaults(command=_decisions)

    reproduce = commands.add_parser(
        "reproduce", parents=[root, tracking], help="train a version again from its record, and compare"
    )
    reproduce.add_argument("model_uri", metavar="MODEL_URI", help="models:/name/7, or models:/name@champion")
    reproduce.add_argument(
        "--tolerance",
        type=float,
        default=1e-6,
        help="of predictions, in parts of their size, where it was trained with several threads (default: 1e-6)",
    )
    reproduce.set_defaults(command=_reproduce)

    card = commands.add_parser("card", parents=[root, tracking], help="print the model card of a version, as Markdown")
    card.add_argument("model_uri", metavar="MODEL_URI", help="models:/name/7, or models:/name@champion")
    card.set_defaults(command=_card)

    backtest = commands.add_parser(
        "backtest", help="replay history: what the retrain policy would have done, beside never and always training"
    )
    backtest.add_argument("spec", metavar="SPEC.yaml")
    moment: dict[str, Any] = {"type": datetime.fromisoformat, "required": True, "metavar": "MOMENT"}
    backtest.add_argument("--from", dest="since", help="the first moment, such as 2012-01-01", **moment)
    backtest.add_argument("--to", dest="until", help="the end of the last one", **moment)
    backtest.add_argument("--every", type=_duration, default="P1D", metavar="DURATION", help="default: P1D")
    backtest.add_argument("--out", default="backtest", help="folder of the results; an interrupted one goes on in it")
    backtest.add_argument("--jobs", type=int, default=1, help="of the three tracks at a time (default: 1)")
    backtest.set_defaults(command=_backtest)

    rollout = commands.add_parser("end-rollout", parents=[root], help="let the champion serve alone again")
    rollout.add_argument("model", metavar="MODEL")
    rollout.set_defaults(command=_end_rollout)

    power = commands.add_parser("power", parents=[root], help="say how large a difference the gate can see")
    power.add_argument("model", metavar="MODEL")
    power.add_argument("--difference", type=float, help="say how many held-back rows show a difference of this size")
    power.add_argument("--power", type=float, default=0.8, help="how often it is to be seen (default: 0.8)")
    power.set_defaults(command=_power)

    prune = commands.add_parser("prune", parents=[root, tracking], help="remove old snapshots that no version needs")
    prune.add_argument("dataset", metavar="DATASET", help="the name that the snapshots are kept under: the model's")
    prune.add_argument("--older-than-days", type=float, default=30.0, metavar="DAYS", help="default: 30")
    prune.add_argument("--dry-run", action="store_true", help="list them, and remove nothing")
    prune.set_defaults(command=_prune)

    suite = commands.add_parser(
        "suite",
        parents=[root],
        help="infer a Great Expectations suite from a pipeline's data, to be edited and committed",
    )
    suite.add_argument("spec", metavar="SPEC.yaml")
    suite.add_argument("--out", metavar="FILE", help="write it there, as JSON, or as YAML by its suffix")
    suite.add_argument(
        "--range-fraction", type=float, default=0.5, help="of a range, by which values may lie outside (default: 0.5)"
    )
    suite.add_argument("--size-factor", type=float, default=10.0, help="times more rows, or fewer (default: 10)")
    suite.set_defaults(command=_suite)

    serving.add_commands(commands, root, tracking)

    schema = commands.add_parser("schema", help="print the JSON Schema of a pipeline's YAML file, for editors")
    schema.add_argument("--indent", type=int, default=2)
    schema.set_defaults(command=_schema)
    return parser
