"""Twenty who promote at the same time: one winner for each champion that was seen, and a journal without gaps."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.errors import PromotionConflictError
from airflow_mlops.steps.maintenance.verify import verify_model
from airflow_mlops.steps.promotion.promote import promote_model
from airflow_mlops.steps.registry.journal import read_journal
from tests.steps.cases import Bench, run_named

N_PROMOTERS, N_STEPS = 20, 3


def test_of_twenty_promoters_one_wins_each_step_and_the_journal_has_no_gap(delivered: Bench):
    platform = delivered.platform
    held = delivered.run("first", delivered.spec(promotion={"policy": "hold"}))
    assert held.version is not None
    assert held.model is not None
    versions = [held.version]
    versions += [platform.mlflow.create_version(held.model, held.version.tags, "") for _ in range(N_PROMOTERS - 1)]
    champion: int | None = None
    for step in range(N_STEPS):
        blessing = replace(held.blessing, champion_version=champion)
        barrier = threading.Barrier(N_PROMOTERS)

        def promote(number: int, step: int = step, blessing=blessing, barrier=barrier) -> PromotionRecord | None:
            barrier.wait()
            try:
                run = run_named(f"step {step} promoter {number}")
                return promote_model(versions[number], blessing, platform=platform, run=run)
            except PromotionConflictError:
                return None

        with ThreadPoolExecutor(N_PROMOTERS) as pool:
            won = [record for record in pool.map(promote, range(N_PROMOTERS)) if record]
        assert len(won) == 1
        assert (won[0].sequence, won[0].from_version) == (step + 1, champion)
        champion = won[0].to_version
        assert platform.mlflow.get_alias("small") == champion
    journal = read_journal("small", storage=platform.storage)
    assert [entry.sequence for entry in journal] == list(range(1, N_STEPS + 1))
    verify_model("small", platform=platform).require_whole()
