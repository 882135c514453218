"""Settings in messages: whatever reads a dataset calls them ``data.…``, wherever they stand."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from airflow_mlops.errors import MlopsError
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["settings_at"]


@contextlib.contextmanager
def settings_at(prefix: str, *names: str) -> Iterator[None]:
    """Have errors name the settings of a dataset by where they stand.

    :param prefix: what stands there before a setting's name, such as ``performance.labels.``.
    :param names: the settings that stand there; none given: all of a dataset.
    """
    known = "|".join(names or DatasetSpec.model_fields)
    try:
        yield
    except MlopsError as error:
        named = re.sub(rf"(?<![\w./'\"-])data\.(?=(?:{known})\b)", lambda _: prefix, str(error))
        error.args = (named,)
        raise
