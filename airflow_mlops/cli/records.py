"""The commands that read a model's records, or add to them: from ``history`` to ``prune``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from airflow_mlops.cli._arguments import Commands, platform_of, storage_of, storage_options, tracking_options

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser of all of them."""
    on_storage, on_mlflow = storage_options(), tracking_options()

    history = commands.add_parser("history", parents=[on_storage], help="list who was champion when, and why")
    history.add_argument("model", metavar="MODEL")
    history.set_defaults(command=_history)

    decisions = commands.add_parser(
        "decisions",
        parents=[on_storage],
        help="list what the monitoring saw, when a run trained or did not, what the gate said, and why",
    )
    decisions.add_argument("model", metavar="MODEL")
    decisions.set_defaults(command=_decisions)

    verify = commands.add_parser(
        "verify", parents=[on_storage, on_mlflow], help="check journal, alias, versions and evidence against each other"
    )
    verify.add_argument("model", metavar="MODEL")
    verify.set_defaults(command=_verify)

    power = commands.add_parser("power", parents=[on_storage], help="say how large a difference the gate can see")
    power.add_argument("model", metavar="MODEL")
    power.add_argument("--difference", type=float, help="say how many held-out rows show a difference of this size")
    power.add_argument("--power", type=float, default=0.8, help="how often it is to be seen (default: 0.8)")
    power.set_defaults(command=_power)

    card = commands.add_parser(
        "card", parents=[on_storage, on_mlflow], help="print the model card of a version, as Markdown"
    )
    card.add_argument("model_uri", metavar="MODEL_URI", help="models:/name/7, or models:/name@champion")
    card.set_defaults(command=_card)

    reproduce = commands.add_parser(
        "reproduce", parents=[on_storage, on_mlflow], help="train a version again from its record, and compare"
    )
    reproduce.add_argument("model_uri", metavar="MODEL_URI", help="models:/name/7, or models:/name@champion")
    reproduce.add_argument(
        "--tolerance",
        type=float,
        default=1e-6,
        help="of predictions, in parts of their size, where it was trained with several threads (default: 1e-6)",
    )
    reproduce.set_defaults(command=_reproduce)

    mark = commands.add_parser(
        "mark",
        parents=[on_storage, on_mlflow],
        help="note that a version is unhealthy, so that it does not return by itself",
    )
    mark.add_argument("model", metavar="MODEL")
    mark.add_argument("version", metavar="VERSION", type=int)
    mark.add_argument("--reason", required=True, help="why; the journal keeps it")
    mark.set_defaults(command=_mark)

    prune = commands.add_parser(
        "prune", parents=[on_storage, on_mlflow], help="remove old snapshots that no version needs"
    )
    prune.add_argument("dataset", metavar="DATASET", help="the name that the snapshots are kept under: the model's")
    prune.add_argument("--older-than-days", type=float, default=30.0, metavar="DAYS", help="default: 30")
    prune.add_argument("--dry-run", action="store_true", help="list them, and remove nothing")
    prune.set_defaults(command=_prune)


def _history(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.registry.journal import read_journal
    from airflow_mlops.steps.registry.known_models import no_records

    storage = storage_of(arguments)
    journal = read_journal(arguments.model, storage=storage)
    if not journal:
        raise no_records(arguments.model, "journals", storage=storage)
    for entry in journal:
        what = entry.action.removesuffix("_unhealthy")
        head = f"{entry.sequence:>4}  {entry.at:%Y-%m-%d %H:%M}  {what:<8}  {entry}  {entry.actor}"
        yield from _with_reasons(head, entry.why)


def _decisions(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.registry.known_models import no_records
    from airflow_mlops.steps.registry.ledger import read_ledger, tell_decision

    storage = storage_of(arguments)
    ledger = read_ledger(arguments.model, storage=storage)
    if not ledger:
        raise no_records(arguments.model, "decisions", storage=storage)
    for entry in ledger:
        verdict, by, reasons = tell_decision(entry)
        yield from _with_reasons(f"{entry.at:%Y-%m-%d %H:%M}  {verdict:<12}  {by}", reasons)


def _with_reasons(head: str, reasons: Sequence[str]) -> Iterator[str]:
    """Give the first line of the reasons behind the head, and each further one below it."""
    first, *rest = "\n".join(reasons).splitlines() or [""]
    yield f"{head}  {first}".rstrip()
    yield from (f"      {line}" for line in rest)


def _verify(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.maintenance.verify import verify_model

    report = verify_model(arguments.model, platform=platform_of(arguments))
    yield from report.lines()
    report.require_whole()


def _power(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.gate.power import last_evaluation, power_of

    report = last_evaluation(arguments.model, storage=storage_of(arguments))
    for found in power_of(report, difference=arguments.difference, power=arguments.power):
        yield (
            f"{found.metric}: {found.n_rows} held-out rows show a difference of {found.detectable:.4g} to the "
            f"{found.against} in {arguments.power:.0%} of cases."
        )
        if found.n_needed is not None:
            yield f"  For a difference of {arguments.difference:g} hold out {found.n_needed} rows."


def _card(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.promotion.card import read_card

    yield read_card(arguments.model_uri, platform=platform_of(arguments)).rstrip("\n")


def _reproduce(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.steps.maintenance.reproduce import reproduce_version

    report = reproduce_version(arguments.model_uri, platform=platform_of(arguments), tolerance=arguments.tolerance)
    yield str(report)
    yield from report.table()
    report.require_reproduced()


def _mark(arguments: argparse.Namespace) -> Iterator[str]:
    import getpass
    import uuid

    from airflow_mlops.core.values import PipelineRun
    from airflow_mlops.steps.promotion.promote import mark_unhealthy

    run = PipelineRun(pipeline="airflow-mlops mark", run_id=f"cli__{uuid.uuid4().hex[:12]}", actor=getpass.getuser())
    platform = platform_of(arguments)
    record = mark_unhealthy(arguments.model, arguments.version, reason=arguments.reason, platform=platform, run=run)
    yield f"{record.model_name}: {record}."
    if record.to_version == record.from_version:
        yield f"It is the champion and serves on. Roll it back: trigger the DAG {record.model_name}_rollback."


def _prune(arguments: argparse.Namespace) -> Iterator[str]:
    from airflow_mlops.errors import counted
    from airflow_mlops.steps.maintenance.prune import needed_snapshots, prune_snapshots

    platform = platform_of(arguments)
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
    yield f"{'Would be pruned' if arguments.dry_run else 'Pruned'}: {counted(len(pruned), 'snapshot')}."
