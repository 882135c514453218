from __future__ import annotations

import pytest
from airflow.sdk import Asset

from airflow_mlops import model_asset
from airflow_mlops.errors import SpecError

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize(
    ("name", "uri"),
    [("co2", "mlmodel://co2"), ("Churn EU", "mlmodel://Churn%20EU"), ("a/b@c", "mlmodel://a%2Fb%40c")],
)
def test_a_model_has_an_asset_whatever_its_name(name, uri):
    asset = model_asset(name)
    assert (asset.name, asset.uri) == (uri, uri)


def test_a_uri_that_a_person_writes_is_the_same_asset():
    assert Asset(name="mlmodel://co2", uri="mlmodel://co2/") == model_asset("co2")


@pytest.mark.parametrize("uri", ["mlmodel://", "mlmodel:///co2", "mlmodel://co2/3", "mlmodel://co2?version=3"])
def test_a_uri_that_names_no_model_is_refused(uri):
    with pytest.raises(ValueError, match="is no asset of a model"):
        Asset(uri)


def test_a_model_without_a_name_has_none():
    with pytest.raises(SpecError, match="needs the model's name"):
        model_asset(" ")
