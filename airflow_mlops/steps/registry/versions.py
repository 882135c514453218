"""A version by the URI that people write."""

from __future__ import annotations

import re

from airflow_mlops.core.registry.journal import CHAMPION, ModelVersion
from airflow_mlops.errors import SpecError
from airflow_mlops.steps.platform import Platform

__all__ = ["find_version"]

_URI = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")


def find_version(model_uri: str, *, platform: Platform) -> ModelVersion:
    """Return a version.

    :param model_uri: ``models:/name/7``, or ``models:/name@champion``.
    :raises SpecError: when it is neither, or no version has the alias.
    :raises IntegrityError: when the registry does not have the version.
    """
    parts = _URI.fullmatch(model_uri)
    if not parts or parts["alias"] not in (None, CHAMPION):
        raise SpecError(
            f"{model_uri!r} names no version. Write models:/name/7, or models:/name@{CHAMPION}. Nothing was changed."
        )
    number = platform.mlflow.get_alias(parts["name"]) if parts["alias"] else int(parts["version"])
    if number is None:
        raise SpecError(f"{model_uri}: no version of {parts['name']!r} is {CHAMPION}. Name one by its number.")
    return platform.mlflow.get_version(parts["name"], number)
