"""The command ``airflow-mlops``: the same flow and the same records, without Airflow."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence

from airflow_mlops._version import __version__
from airflow_mlops.errors import MlopsError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 refused with a message, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("alembic", "mlflow", "great_expectations"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        arguments.command(arguments)
    except MlopsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    from airflow_mlops.pipelines.continuous_training import ContinuousTraining

    root = os.path.abspath(arguments.storage_root)
    params = dict(_key_and_value(pair) for pair in arguments.param)
    result = ContinuousTraining.from_yaml(arguments.spec).run(
        storage_root=root,
        tracking_uri=arguments.tracking_uri or f"sqlite:///{root}/mlflow.db",
        force=arguments.force,
        params=params,
    )
    for value in (result.decision, result.blessing):
        if value:
            print(value)
    if result.promotion:
        print(f"{result.promotion.model_name} v{result.promotion.to_version} is champion.")


def _history(arguments: argparse.Namespace) -> None:
    from airflow_mlops.adapters.storage import Storage
    from airflow_mlops.steps.promote import read_journal

    for entry in read_journal(arguments.model, storage=Storage(os.path.abspath(arguments.storage_root))):
        from_version = "nothing" if entry.from_version is None else f"v{entry.from_version}"
        print(
            f"{entry.sequence:>4}  {entry.at:%Y-%m-%d %H:%M}  {entry.action:<8}  {from_version} -> "
            f"v{entry.to_version}  {entry.actor}  {entry.reason}"
        )


def _decisions(arguments: argparse.Namespace) -> None:
    from airflow_mlops.adapters.storage import Storage
    from airflow_mlops.steps.monitor import read_decisions

    for entry in read_decisions(arguments.model, storage=Storage(os.path.abspath(arguments.storage_root))):
        verdict = "retrain" if entry.should_retrain else "no"
        print(f"{entry.at:%Y-%m-%d %H:%M}  {verdict:<8}  {entry.trigger}  {' '.join(entry.reasons)}")


def _schema(arguments: argparse.Namespace) -> None:
    from airflow_mlops.specs import PipelineSpec

    print(json.dumps(PipelineSpec.model_json_schema(), indent=arguments.indent))


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

    run = commands.add_parser("run", parents=[root], help="run a pipeline from a YAML file in this process")
    run.add_argument("spec", metavar="SPEC.yaml")
    run.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="MLflow's (default: $MLFLOW_TRACKING_URI, or a SQLite file in the storage root)",
    )
    run.add_argument("--force", action="store_true", help="train even if nothing has changed")
    run.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="replace a hyperparameter")
    run.set_defaults(command=_run)

    history = commands.add_parser("history", parents=[root], help="list who was champion when, and why")
    history.add_argument("model", metavar="MODEL")
    history.set_defaults(command=_history)

    decisions = commands.add_parser("decisions", parents=[root], help="list when a run trained or did not, and why")
    decisions.add_argument("model", metavar="MODEL")
    decisions.set_defaults(command=_decisions)

    schema = commands.add_parser("schema", help="print the JSON Schema of a pipeline's YAML file, for editors")
    schema.add_argument("--indent", type=int, default=2)
    schema.set_defaults(command=_schema)
    return parser


if __name__ == "__main__":
    sys.exit(main())
