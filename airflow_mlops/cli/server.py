"""The commands that give a model to those who use it: ``serve``, ``end-rollout`` and ``export``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_mlops.cli._arguments import Commands, platform_of, storage_of, storage_options, tracking_options

if TYPE_CHECKING:
    from airflow_mlops.core.rollout.deployment import Deployment
    from airflow_mlops.specs import ServerSpec

__all__ = ["add_commands", "server_spec"]


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser of all of them."""
    on_storage, on_mlflow = storage_options(), tracking_options()

    serve = commands.add_parser("serve", parents=[on_storage, on_mlflow], help="serve a model's champion over HTTP")
    serve.add_argument("model", metavar="MODEL")
    serve.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, which nobody else reaches")
    serve.add_argument("--port", type=int, default=5001, help="default: 5001; 0 for any that is free")
    serve.add_argument("--token-file", metavar="FILE", help="the token that callers must send is in it")
    serve.add_argument("--insecure", action="store_true", help="serve others without a token")
    serve.add_argument("--id-column", default="", metavar="NAME", help="the column that says whose a row is")
    serve.add_argument("--poll-s", type=float, default=5.0, metavar="S", help="look who is to serve (default: 5)")
    serve.add_argument("--threads", type=int, default=1, metavar="N", help="requests computed at a time (default: 1)")
    serve.add_argument("--max-concurrent", type=int, default=64, metavar="N", help="requests under way (default: 64)")
    serve.add_argument("--max-body-mb", type=float, default=10.0, metavar="MB", help="of a request (default: 10)")
    serve.add_argument("--max-rows", type=int, default=10_000, metavar="N", help="of a request (default: 10000)")
    serve.add_argument("--timeout-s", type=float, default=30.0, metavar="S", help="to compute one (default: 30)")
    serve.add_argument("--read-timeout-s", type=float, default=10.0, metavar="S", help="to receive one (default: 10)")
    serve.add_argument("--no-log", action="store_true", help="keep nothing of the predictions")
    serve.add_argument("--log-sample", type=float, default=1.0, metavar="FRACTION", help="of requests (default: 1)")
    serve.add_argument("--log-max-mb", type=int, default=1024, metavar="MB", help="of the log on disk (default: 1024)")
    serve.add_argument("--redact", action="append", default=[], metavar="COLUMN", help="keep it out of the log")
    serve.add_argument("--challenger", type=int, metavar="VERSION", help="a version that takes part")
    serve.add_argument("--mode", choices=("shadow", "canary"), default="shadow", help="how it does (default: shadow)")
    serve.add_argument("--share", type=float, default=1.0, help="of the ids that it is given (default: 1)")
    serve.add_argument("--salt", default="", help="of the draw of those ids")
    serve.set_defaults(command=_serve)

    rollout = commands.add_parser("end-rollout", parents=[on_storage], help="let the champion serve alone again")
    rollout.add_argument("model", metavar="MODEL")
    rollout.set_defaults(command=_end_rollout)

    export = commands.add_parser(
        "export", parents=[on_storage, on_mlflow], help="write a version's file for those who embed it"
    )
    export.add_argument("model", metavar="MODEL", help="its champion; or models:/name/7")
    export.add_argument("--format", choices=("onnx", "skops"), default="onnx", help="default: onnx")
    export.add_argument("--out", required=True, metavar="FOLDER", help="a new one")
    export.set_defaults(command=_export)


def _serve(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.server.server import ModelServer

    spec, initial = server_spec(arguments), _initial_deployment(arguments)
    is_idle = ModelServer(spec, platform=platform_of(arguments, must_answer=False), initial=initial).run()
    if not is_idle:
        os._exit(0)
    yield from ()  # what it has to say is in its log


def server_spec(arguments: argparse.Namespace) -> ServerSpec:
    """Return the settings that the arguments of ``serve`` say."""
    from airflow_mlops.specs.inference import InferenceLogSpec
    from airflow_mlops.specs.server import ServerSpec

    kept = {"sample_fraction": arguments.log_sample, "max_mb": arguments.log_max_mb, "redact": arguments.redact}
    named = {name: value for name, value in vars(arguments).items() if name in ServerSpec.model_fields}
    return ServerSpec(**named, model_name=arguments.model, log=None if arguments.no_log else InferenceLogSpec(**kept))


def _initial_deployment(arguments: argparse.Namespace) -> Deployment:
    from datetime import UTC, datetime

    from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode

    return Deployment(
        model_name=arguments.model,
        challenger_version=arguments.challenger,
        mode=DeploymentMode(arguments.mode),
        share=arguments.share,
        salt=arguments.salt,
        since=datetime.now(UTC),
        key="",
    )


def _end_rollout(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.rollout.online_validation import end_rollout

    if end_rollout(arguments.model, storage=storage_of(arguments)):
        yield f"The champion of {arguments.model} serves alone again."
    else:
        yield f"No version of {arguments.model} was being tried. Nothing was changed."


def _export(arguments: argparse.Namespace) -> Iterator[str]:
    from pathlib import Path

    from airflow_mlops.core.registry.journal import CHAMPION
    from airflow_mlops.steps.packaging.export import export_model

    is_uri = arguments.model.startswith("models:/")
    model_uri = arguments.model if is_uri else f"models:/{arguments.model}@{CHAMPION}"
    version = export_model(model_uri, arguments.format, Path(arguments.out), platform=platform_of(arguments))
    yield f"{arguments.out}: {version.model_name} v{version.model_version} as {arguments.format}; see its README.md."
