"""The interpreter and the installed distributions: what else a training depended on."""

from __future__ import annotations

import platform
import re
from importlib import metadata

from airflow_mlops.core.lineage import Environment, packages_digest

__all__ = ["describe_environment"]


def describe_environment(blas: str) -> tuple[Environment, str]:
    """Return what this process computes with, and every installed distribution in the requirements format.

    :param blas: its libraries of linear algebra.
    """
    packages = _installed_packages()
    environment = Environment(
        python=platform.python_version(),
        platform=f"{platform.system()}-{platform.machine()}",
        blas=blas,
        packages_digest=packages_digest(packages),
    )
    return environment, packages


def _installed_packages() -> str:
    """List the distributions, one line each, sorted by name; of two with one name, the one that is imported."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        about = distribution.metadata  # parsed anew each time that it is asked for
        name = re.sub(r"[-_.]+", "-", about["Name"] or "").lower()
        found.setdefault(name, about["Version"])
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name)
