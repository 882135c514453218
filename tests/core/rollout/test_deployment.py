from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.rollout.deployment import Deployment, challenger_rows, share_of
from airflow_mlops.errors import IntegrityError, SpecError

IDS = [f"customer {number}" for number in range(4_000)]


def deployment(**settings) -> Deployment:
    known = {"model_name": "m", "challenger_version": 2, "share": 0.1, "since": datetime(2026, 1, 1, tzinfo=UTC)}
    return Deployment(**{**known, "key": "", **settings})


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_challenger_is_given_its_share_of_the_ids(share):
    found = challenger_rows(deployment(share=share), IDS).mean()
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / len(IDS))


def test_no_share_is_nobody_and_the_whole_is_everybody():
    assert not challenger_rows(deployment(share=0.0), IDS).any()
    assert challenger_rows(deployment(share=1.0), IDS).all()
    assert not challenger_rows(deployment(share=1.0, challenger_version=None), IDS).any()


def test_an_id_is_assigned_alike_in_every_process():
    assert share_of("salt", "customer 7") == pytest.approx(0.3430, abs=1e-4)


@given(st.text(), st.text())
def test_a_place_lies_below_one(salt, identifier):
    assert 0 <= share_of(salt, identifier) < 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_who_has_the_challenger_keeps_it_when_the_share_grows(one, other):
    few, many = (challenger_rows(deployment(share=share), IDS[:50]) for share in sorted((one, other)))
    assert not (few & ~many).any()


def test_another_salt_draws_other_ids():
    one, other = (challenger_rows(deployment(share=0.5, salt=salt), IDS) for salt in ("a", "b"))
    assert 0.4 < (one == other).mean() < 0.6


def test_all_rows_of_an_id_are_given_to_the_same():
    found = challenger_rows(deployment(share=0.5), [*IDS, *IDS])
    assert (found[: len(IDS)] == found[len(IDS) :]).all()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(SpecError, match="between 0 and 1"):
        deployment(share=share)
    with pytest.raises(IntegrityError, match="damaged"):
        Deployment.from_dict({**deployment().to_dict(), "share": share})
