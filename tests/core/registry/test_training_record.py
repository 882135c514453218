from __future__ import annotations

import hashlib

from airflow_mlops.core.registry.training_record import packages_digest


def test_the_digest_of_a_list_of_packages_is_that_of_the_file_that_it_is_kept_in(tmp_path):
    packages = "numpy==2.3.0\nMåns==1.0\n"
    file = tmp_path / "packages.txt"
    file.write_text(packages, encoding="utf-8")
    assert packages_digest(packages) == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert packages_digest("numpy==2.3.1\n") != packages_digest(packages)
