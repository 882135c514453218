"""The page of a search for hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlops.adapters.documents.html import report_page
from airflow_mlops.core.training.tuning import Trial, TuningResult

__all__ = ["tuning_page"]

_N_SHOWN = 20


def tuning_page(result: TuningResult, trials: Sequence[Trial]) -> str:
    """Draw the best trials, how the search came to the best, and what failed."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    finished = sorted((t for t in trials if t.state == "FINISHED"), key=lambda t: (-t.score, t.number))
    failed = [trial for trial in trials if trial.state == "FAILED"]
    is_better = result.default_score is None or result.best_score > result.default_score
    header = [("Trial", "Score", "Fold scores", "Seconds", *names)]
    return report_page(
        title=f"Tuning of {result.model_name}",
        verdict="IMPROVED" if is_better else "UNCHANGED",
        facts={
            "Metric": f"{result.metric}, higher is better, mean of {result.n_folds} fold(s)",
            "Best score": _number(result.best_score),
            "Score of the defaults": "they failed" if result.default_score is None else _number(result.default_score),
            "Best hyperparameters": ", ".join(f"{name} = {value!r}" for name, value in result.best_params.items()),
            "Trials": f"{result.n_finished} finished, {result.n_pruned} pruned, {result.n_failed} failed, "
            f"of {result.n_trials}",
            "Seconds": _number(result.seconds),
            "Split": result.split_digest,
        },
        reasons=(),
        tables={
            "Best trials": (header, _rows(finished[:_N_SHOWN], names)),
            "How the best was found": (header, _rows(_records(trials), names)),
            "Failed": (
                [("Trial", "Error", *names)],
                [(t.number, t.error, *(t.params.get(name, "") for name in names)) for t in failed[:_N_SHOWN]],
            ),
        },
    )


def _records(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that were better than all before them."""
    records: list[Trial] = []
    for trial in trials:
        if trial.state == "FINISHED" and (not records or trial.score > records[-1].score):
            records.append(trial)
    return records


def _rows(trials: Sequence[Trial], names: Sequence[str]) -> list[tuple[object, ...]]:
    return [
        (
            f"{trial.number} (defaults)" if trial.is_default else trial.number,
            _number(trial.score),
            ", ".join(map(_number, trial.scores)),
            _number(trial.seconds),
            *(_shown(trial.params.get(name, "")) for name in names),
        )
        for trial in trials
    ]


def _number(value: float) -> str:
    return f"{value:.6g}"


def _shown(value: object) -> object:
    return _number(value) if isinstance(value, float) else value
