from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.timeline import MAX_TIME_BINS, errors_by_time
from airflow_mlops.errors import EvaluationError

seconds = st.integers(-62_000_000_000, 250_000_000_000)  # the years 5 to 9892


def _moments(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


@given(st.lists(seconds | st.none(), max_size=50), st.sampled_from(["s", "ms", "us"]))
def test_every_row_with_a_timestamp_is_in_a_bin_and_the_bins_are_few(values, unit):
    moments = np.array([np.datetime64("NaT") if v is None else np.datetime64(v, "s") for v in values], "datetime64[s]")
    loss = np.arange(len(values), dtype=float)
    timeline = errors_by_time(moments.astype(f"datetime64[{unit}]"), challenger=loss)
    assert sum(each.n_rows for each in timeline.bins) + timeline.n_null == len(values)
    assert timeline.n_null == values.count(None)
    assert len(timeline.bins) <= MAX_TIME_BINS
    total = sum(each.n_rows * each.challenger for each in timeline.bins)
    assert total == pytest.approx(sum(place for place, value in enumerate(values) if value is not None))
    starts = np.array([each.start for each in timeline.bins], dtype="datetime64[s]")
    assert (starts[1:] > starts[:-1]).all()
    if timeline.bins:
        assert starts[0] <= np.nanmin(moments)


@given(st.lists(seconds, min_size=1, max_size=50), st.randoms())
def test_the_order_of_the_rows_does_not_matter(values, random):
    pairs = [(value, float(place % 3)) for place, value in enumerate(values)]
    shuffled = random.sample(pairs, len(pairs))
    one, other = (
        errors_by_time(
            np.array([value for value, _ in rows], "datetime64[s]"), challenger=np.array([loss for _, loss in rows])
        )
        for rows in (pairs, shuffled)
    )
    assert one.step == other.step
    assert [(b.start, b.n_rows) for b in one.bins] == [(b.start, b.n_rows) for b in other.bins]
    assert [b.challenger for b in one.bins] == pytest.approx([b.challenger for b in other.bins])


@pytest.mark.parametrize(
    ("first", "last", "step", "starts"),
    [
        ("2026-01-05T00:00:01", "2026-01-05T00:00:20", "1 second", ["2026-01-05T00:00:01", "2026-01-05T00:00:20"]),
        ("2026-01-05T00:10", "2026-01-05T22:50", "1 hour", ["2026-01-05T00:00:00", "2026-01-05T22:00:00"]),
        ("2026-01-05T00:10", "2026-01-07T22:50", "3 hours", ["2026-01-05T00:00:00", "2026-01-07T21:00:00"]),
        ("2026-01-07", "2026-01-20", "1 day", ["2026-01-07T00:00:00", "2026-01-20T00:00:00"]),
        ("2026-01-07", "2026-04-08", "1 week", ["2026-01-05T00:00:00", "2026-04-06T00:00:00"]),
        ("2026-01-17", "2027-10-08", "1 month", ["2026-01-01T00:00:00", "2027-10-01T00:00:00"]),
        ("1969-12-31", "1974-02-02", "3 months", ["1969-10-01T00:00:00", "1974-01-01T00:00:00"]),
        ("1958-03-29", "2001-12-29", "2 years", ["1958-01-01T00:00:00", "2000-01-01T00:00:00"]),
    ],
)
def test_bins_begin_where_the_calendar_does(first, last, step, starts):
    timeline = errors_by_time(_moments(last, first), challenger=np.array([1.0, 2.0]))
    assert timeline.step == step
    assert [each.start for each in timeline.bins] == starts
    assert [each.challenger for each in timeline.bins] == [2.0, 1.0]


def test_challenger_and_champion_are_shown_on_the_same_rows():
    moments = _moments("2026-01-01", "2026-01-01", "2026-01-02", "NaT")
    timeline = errors_by_time(moments, challenger=np.array([1.0, 3, 5, 9]), champion=np.array([2.0, 2, 0, 9]))
    found = [(each.n_rows, each.challenger, each.champion) for each in timeline.bins]
    assert found == [(2, 2.0, 2.0), (1, 5.0, 0.0)]
    assert timeline.n_null == 1


def test_steps_without_rows_are_left_out():
    timeline = errors_by_time(_moments("2026-01-01", "2026-01-09"), challenger=np.ones(2))
    assert [each.start[:10] for each in timeline.bins] == ["2026-01-01", "2026-01-09"]


@pytest.mark.parametrize("moments", [_moments(), _moments("NaT", "NaT")])
def test_without_a_timestamp_there_is_no_bin(moments):
    timeline = errors_by_time(moments, challenger=np.ones(len(moments)))
    assert (timeline.bins, timeline.n_null) == ((), len(moments))


@pytest.mark.parametrize("champion", [np.array([1.0]), np.array([1.0, np.nan])])
def test_losses_that_say_nothing_are_refused(champion):
    moments = _moments("2026-01-01", "2026-01-09")
    with pytest.raises(EvaluationError):
        errors_by_time(moments, challenger=np.ones(2), champion=champion)
    with pytest.raises(EvaluationError):
        errors_by_time(moments, challenger=champion)
