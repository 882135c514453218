"""What the example DAGs use in their templates."""

from __future__ import annotations

from datetime import date

from airflow.plugins_manager import AirflowPlugin


def years_before(day: str, years: int) -> str:
    """Return the same day some years earlier, in ISO 8601; the 29th of February becomes the 28th.

    >>> years_before("2000-02-29", 1)
    '1999-02-28'
    """
    moment = date.fromisoformat(day)
    last = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year - int(years), day=last).isoformat()


class ExampleMacrosPlugin(AirflowPlugin):
    """Gives templates ``{{ macros.examples.years_before(day, years) }}``."""

    name = "examples"
    macros = [years_before]
