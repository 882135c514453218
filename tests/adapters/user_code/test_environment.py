from __future__ import annotations

import platform
import re
from importlib import metadata

import numpy as np
import pytest

from airflow_mlops.adapters.user_code.environment import describe_environment
from airflow_mlops.core.registry.training_record import packages_digest, read_packages


def test_every_distribution_is_listed_in_the_requirements_format_and_in_order():
    _, packages = describe_environment("")
    lines = packages.splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0])
    found = read_packages(packages)
    assert found["numpy"] == np.__version__
    assert found["scikit-learn"] == metadata.version("scikit-learn")


def test_the_environment_vouches_for_the_list():
    environment, packages = describe_environment("openblas 0.3.30 Haswell")
    assert environment.packages_digest == packages_digest(packages)
    assert environment.python == platform.python_version()
    assert environment.blas == "openblas 0.3.30 Haswell"


def test_of_two_distributions_with_one_name_the_one_that_is_imported_counts(tmp_path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "NumPy-0.0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: NumPy\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert read_packages(describe_environment("")[1])["numpy"] == "0.0.1"
