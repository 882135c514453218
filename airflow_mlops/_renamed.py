"""Public names of earlier versions: whoever imports one is told what it is called now."""

from __future__ import annotations

__all__ = ["RENAMED", "refuse_old_name"]

RENAMED = {
    "ExportError": "ConversionError",
    "ExportModelOperator": "ConvertModelOperator",
    "ExportSpec": "ConversionSpec",
    "RaiseAlarmOperator": "RaiseAlertOperator",
    "ServingError": "ServingCheckError",
    "ServingSpec": "SkewSpec",
    "ValidateServingOperator": "ServingCheckOperator",
    "alarm_asset": "alert_asset",
}


def refuse_old_name(module: str, name: str) -> None:
    """Name the new name, if the name is an old one.

    :raises ImportError: when it is. An ``AttributeError`` would be replaced by Python's own words.
    """
    if name in RENAMED:
        raise ImportError(f"{module}.{name} is called {RENAMED[name]} now.")
