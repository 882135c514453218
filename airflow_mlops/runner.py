"""One step in one process, without Airflow: ``python -m airflow_mlops.runner``.

By itself it reads one line of JSON from standard input, ``{"request": …, "platform": …}``, writes the result to
standard output and logs to standard error. It ends when standard input is closed, because then whoever asked is gone.
In a container of its own it is given both as files. The exit status is 0 with a result and 1 with an error; the
document that is written then is a :class:`~airflow_mlops.core.step_request.StepError`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_mlops.core.step_request import StepError, StepRequest, check_version
from airflow_mlops.core.values import Value
from airflow_mlops.errors import MlopsError, SpecError

__all__ = ["main"]

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step that is asked for, write its result, and return the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if (arguments.request is None) != (arguments.platform is None):
        parser.error("--request and --platform go together; without them both come by standard input")
    # Otherwise the first process of a container would not be ended by it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    out = _keep_standard_output()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        result, status = _answer(_told(arguments)), 0
    except Exception as error:
        if not isinstance(error, MlopsError):
            log.exception("The step failed.")
        elif arguments.result:  # nobody else shows it
            log.error("%s: %s", type(error).__name__, error)
        result, status = StepError.of(error), 1
    text = json.dumps(result.to_dict()) + "\n"
    with open(arguments.result or out, "w", encoding="utf-8") as file:
        file.write(text)
    return status


def _told(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Return request and platform, from files or from standard input."""
    if arguments.request is None:
        return _json_object(_line_of_standard_input(), "What came by standard input")
    is_text = arguments.request.lstrip().startswith("{")
    request = arguments.request if is_text else _text_of(arguments.request)
    return {
        "request": _json_object(request, "The request"),
        "platform": _json_object(_text_of(arguments.platform), "The platform"),
    }


def _answer(document: Mapping[str, Any]) -> Value:
    request = document.get("request")
    if not isinstance(request, Mapping):
        raise SpecError("The request is not a JSON object. Nothing was run.")
    check_version(request.get("version"), sys.executable)
    from airflow_mlops.steps.runner import answer_request, open_platform  # heavy, and of the version that was asked for

    return answer_request(StepRequest.from_dict(request), open_platform(document.get("platform")))


def _line_of_standard_input() -> str:
    """Read one line; from then on this process ends when standard input does."""
    stream = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the step's own code has nobody to ask
    os.close(nothing)
    line = stream.readline()
    threading.Thread(target=_end_when_left_alone, args=(stream,), daemon=True).start()
    return line.decode()


def _end_when_left_alone(stream: io.BufferedReader) -> None:
    while stream.raw.read(1024):  # past the buffer, whose lock would disturb the interpreter's own end
        pass
    log.error("Standard input was closed, so whoever asked is gone: the step ends.")
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)  # the first process of a container can't be killed from within


def _keep_standard_output() -> int:
    """Return where the result goes, and send all else that is printed to standard error."""
    out = os.dup(1)
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    return out


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise SpecError(f"{path} can't be read: {error.strerror}. Nothing was run.") from error


def _json_object(text: str, what: str) -> Mapping[str, Any]:
    """Read a JSON object; what it says may be secret, and is in no message."""
    with contextlib.suppress(ValueError):
        document = json.loads(text)
        if isinstance(document, dict):
            return document
    raise SpecError(f"{what} is not a JSON object. Nothing was run.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_mlops.runner", description=__doc__)
    parser.add_argument("--request", metavar="FILE", help="a StepRequest as JSON: a file, or the text itself")
    parser.add_argument("--platform", metavar="FILE", help="storage and MLflow, with what is secret, as a JSON file")
    parser.add_argument("--result", metavar="FILE", help="where the result goes (default: standard output)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
