"""What keeps a promotion from happening leaves the champion in place, and the retry finishes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_mlops.errors import UnavailableError, UntrustedModelError
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import promote_model, rollback_model
from tests.steps.cases import Bench, Left, left_by, run_named

FOREIGN = "tests.steps.trainers.ForeignRidge"


def _held(bench: Bench, **settings: object) -> PipelineResult:
    return bench.run("first", bench.spec(promotion={"policy": "hold"}, **settings))


def test_a_storage_that_takes_no_entry_moves_no_alias_and_the_retry_promotes(delivered: Bench):
    held = _held(delivered)
    candidate, journals = (held.version, held.blessing), delivered.platform.storage.path("journals")
    before = left_by(delivered.platform)
    journals.write_text("no folder can be made here")
    with pytest.raises(UnavailableError, match=r"can't be used: .*Nothing was changed\. Check \[mlops\] storage_root"):
        promote_model(*candidate, platform=delivered.platform, run=run_named("first"))
    journals.unlink()
    assert left_by(delivered.platform) == before == Left(versions=(1,), alias=None, journal=())
    assert promote_model(*candidate, platform=delivered.platform, run=run_named("first")).to_version == 1
    assert left_by(delivered.platform) == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))


def test_a_version_that_needs_a_type_that_is_not_trusted_any_more_is_not_promoted_and_not_returned_to(
    delivered: Bench,
):
    trusting = Bench(replace(delivered.platform, trusted_types=(FOREIGN,)), delivered.inbox)
    training = {"estimator": "tests.steps.trainers:ForeignRidge"}
    held = _held(trusting, training=training)
    candidate, run = (held.version, held.blessing), run_named("first")
    with pytest.raises(UntrustedModelError, match="ForeignRidge"):
        promote_model(*candidate, platform=delivered.platform, run=run)
    assert left_by(delivered.platform).alias is None
    assert promote_model(*candidate, platform=trusting.platform, run=run)
    lenient = {"metrics": {"mean_absolute_error": {"change_threshold": 1.0}}}
    assert trusting.run("second", trusting.spec(gate=lenient), force=True, params={"alpha": 0.3}).promotion
    with pytest.raises(UntrustedModelError, match="ForeignRidge"):
        rollback_model("small", reason="worse", platform=delivered.platform, run=run_named("back"))
    assert left_by(delivered.platform).alias == 2
