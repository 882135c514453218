"""The command ``airflow-mlops``: the same flow and the same records, without Airflow."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence

from airflow_mlops._version import __version__
from airflow_mlops.cli import pipelines, records, server
from airflow_mlops.errors import MlopsError
from airflow_mlops.extras import is_runtime

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
    except ModuleNotFoundError as error:
        if not is_runtime():
            raise
        print(
            f"This command needs {error.name!r}, which airflow-mlops-runtime does not bring. Nothing was changed. "
            f"Install the whole package in an environment of its own: pip install airflow-mlops",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow-mlops", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (pipelines, records, server):
        group.add_commands(commands)
    return parser
