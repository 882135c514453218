from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import ConversionSpec


def test_onnx_is_what_there_is():
    assert ConversionSpec().format == "onnx"
    with pytest.raises(SpecError, match=r"format: there is no 'pmml'\. Known: onnx"):
        ConversionSpec(format="pmml")


@pytest.mark.parametrize("tolerance", [0, -1e-4, 0.5, float("nan")])
def test_a_tolerance_that_compares_nothing_is_refused(tolerance):
    with pytest.raises(SpecError, match="tolerance"):
        ConversionSpec(tolerance=tolerance)
