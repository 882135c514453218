"""``python -m airflow_mlops.cli`` is the command ``airflow-mlops``."""

from __future__ import annotations

import sys

from airflow_mlops.cli import main

sys.exit(main())
