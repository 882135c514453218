"""The interpreter and the installed distributions: what else a training depended on."""

from __future__ import annotations

import platform
import re
from importlib import metadata

from airflow_mlops.core.registry.training_record import Environment, packages_digest

__all__ = ["describe_environment"]

_HEADER = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)


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
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        about = dict(_HEADER.findall(text.partition("\n\n")[0]))  # to parse all of it takes five times as long
        name = re.sub(r"[-_.]+", "-", about.get("Name", "")).lower()
        found.setdefault(name, about.get("Version", ""))
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name)
