from __future__ import annotations

import math

import pytest

from airflow_mlops.core.stats.interval import Interval


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(difference=-0.0131, low=-0.0195, high=0.00666666), "-0.0131 [-0.0195, +0.006667]"),
        (Interval(difference=12345.6, low=0.0, high=math.inf), "+1.235e+04 [+0, +inf]"),
        (Interval(difference=math.nan, low=math.nan, high=math.nan), "+nan [+nan, +nan]"),
    ],
)
def test_an_interval_is_written_with_the_sign_of_the_difference_and_four_digits(interval: Interval, text: str):
    assert str(interval) == text
