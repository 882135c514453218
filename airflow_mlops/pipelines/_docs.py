"""The description that people read above a DAG."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlops.core.flow import MONITORING, TRAINING
from airflow_mlops.core.step import Step, steps_of
from airflow_mlops.specs.monitor import AssetTrigger, NewDataTrigger, ScheduleTrigger, TriggerSpec
from airflow_mlops.specs.pipeline import PipelineSpec

__all__ = ["describe", "describe_monitoring"]


def describe(spec: PipelineSpec) -> str:
    """Return a pipeline's description in Markdown: what it learns, when it runs, what the gate asks, what it does."""
    when = [_occasion(trigger, spec) for trigger in spec.triggers]
    rules = "\n".join(
        f"| {metric} | {_or_dash(t.value_threshold)} | {_or_dash(t.change_threshold)} |"
        for metric, t in spec.gate.metrics.items()
    )
    naive = "naive baseline" if spec.gate.baseline == "auto" else spec.gate.baseline
    against = f"column `{spec.gate.baseline_column}`" if spec.gate.baseline_column else f"the {naive}"
    return f"""\
### Continuous training of `{spec.model_name}`

{spec.description or "No description."}

- **Learns** `{spec.training.target}` by `{spec.training.estimator or spec.training.function}` from {_source(spec)}
- **Runs** on {" and on ".join(when) or "demand only"}
- **Holds out** {spec.split.test_fraction:.0%} of the rows by {spec.split.method} and compares challenger, champion and
  {against} on them
- **Promotes** {"by itself what the gate blesses" if spec.promotion.policy == "automatic" else "nothing by itself"}

| metric | at worst (value_threshold) | worse than the champion by at most (change_threshold) |
|---|---|---|
{rules}

{_tasks(TRAINING, spec)}

Wherever a run ends before `promote`, the champion stays.
To go back to an earlier champion, trigger `{spec.model_name}_rollback`.
"""


def describe_monitoring(spec: PipelineSpec) -> str:
    """Return the description of the DAG that watches production."""
    checks = "drift of what it is asked and what it says" + (", performance by late labels" if spec.performance else "")
    starts = (
        f"starts `{spec.model_name}` when there is {' or '.join(spec.alert_kinds)}, and the retrain policy lets it "
        f"train"
        if spec.alert_kinds
        else "starts nothing: no trigger is `drift` or `performance`"
    )
    return f"""\
### Monitoring of `{spec.model_name}`

Looks at the champion in production: {checks}. An alert {starts}. Each decision is in the ledger, yes or no:
`airflow-mlops decisions {spec.model_name}`. A check that fails makes the run red; the others are heard all the same.

{_tasks(MONITORING, spec)}
"""


def _tasks(flow: Sequence[Step], spec: PipelineSpec) -> str:
    """Return the tasks as a table: what each does, and how it may end the run."""
    rows = (f"| `{step.name}` | {step.does} | {'; '.join(map(str, step.ends))} |" for step in steps_of(flow, spec))
    return "\n".join(["| task | what it does | may end the run |", "|---|---|---|", *rows])


def _occasion(trigger: TriggerSpec, spec: PipelineSpec) -> str:
    match trigger:
        case NewDataTrigger():
            return _new_data(spec)
        case ScheduleTrigger():
            return f"`{trigger.cron}` (UTC)"
        case AssetTrigger():
            return f"a change of the asset `{trigger.name or trigger.uri}`"
        case _:
            return f"{trigger.type}, as `{spec.model_name}_monitoring` finds it"


def _new_data(spec: PipelineSpec) -> str:
    data = spec.data
    return f"new files at `{data.path}`" if data.path else f"rows with a later `{data.timestamp}` in `{data.conn_id}`"


def _source(spec: PipelineSpec) -> str:
    data = spec.data
    if data.query:
        return f"a query to `{data.conn_id}`"
    return f"`{data.path or data.function}`"


def _or_dash(threshold: float | None) -> str:
    return "—" if threshold is None else f"{threshold:g}"
