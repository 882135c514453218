"""A model as assets: a DAG that is scheduled on one runs when its champion changes, or when its monitoring alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote

from airflow.sdk import Asset

from airflow_mlops.errors import SpecError

__all__ = ["alert_asset", "model_asset", "sanitize_uri"]

_SCHEME = "mlmodel"
_ALERT = "/alert"


def model_asset(model_name: str) -> Asset:
    """Return the asset ``mlmodel://name`` of a model.

    Promotions and rollbacks that have it among their ``outlets`` give an event when the champion has changed, with a
    :class:`~airflow_mlops.core.registry.descriptions.ChampionChange` as its ``extra``.

    :raises SpecError: when the name is empty.
    """
    return _asset(model_name)


def alert_asset(model_name: str) -> Asset:
    """Return the asset ``mlmodel://name/alert`` of a model.

    :class:`~airflow_mlops.operators.RaiseAlertOperator` with it among its ``outlets`` gives an event when production
    is a reason to train, with a :class:`~airflow_mlops.core.retraining.alert.MonitoringDecision` as its ``extra``.

    :raises SpecError: when the name is empty.
    """
    return _asset(model_name, _ALERT)


def _asset(model_name: str, path: str = "") -> Asset:
    if not model_name.strip():
        raise SpecError("A model's asset needs the model's name.")
    name = quote(model_name, safe="")
    uri = f"{_SCHEME}://{name}{path}"
    asset = Asset(name=uri, uri=name)
    # For a URI with a scheme Airflow would import the handlers of all providers, boto3 among them, at every parse. This
    # one is as ours would leave it.
    object.__setattr__(asset, "uri", uri)
    return asset


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check a URI, for Airflow.

    :raises ValueError: when it is not ``mlmodel://`` and a name, and perhaps ``/alert``.
    """
    if uri.path == "/alarm":
        raise ValueError(f"{uri.geturl()!r} is called {_SCHEME}://{uri.netloc}{_ALERT} now, or use alert_asset(name).")
    if not unquote(uri.netloc).strip() or uri.path not in ("", "/", _ALERT) or uri.query or uri.fragment:
        raise ValueError(f"{uri.geturl()!r} is no asset of a model. Write {_SCHEME}://name, or use model_asset(name).")
    return uri._replace(path=uri.path.rstrip("/"))


if not TYPE_CHECKING:  # to type checkers a name that is not above is an error

    def __getattr__(name: str) -> Any:
        from airflow_mlops._renamed import refuse_old_name

        refuse_old_name(__name__, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
