"""The tutorial without a running Airflow: a first champion, then newer data and its successor."""
# ruff: noqa: T201  # a script that shows what it does

import os
import tempfile
from pathlib import Path

from statsmodels.datasets import co2 as measurements

home = Path(os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp()))
inbox = home / "inbox" / "co2"
inbox.mkdir(parents=True)
weeks = measurements.load_pandas().data.rename_axis("date").reset_index()

from dags.co2 import co2  # noqa: E402  # the pipeline's path has $AIRFLOW_HOME in it

for year in (1990, 2002):
    weeks[weeks["date"] < str(year)].to_csv(inbox / "co2.csv", index=False)
    result = co2.run(storage_root=home / "mlops", tracking_uri=f"sqlite:///{home}/mlflow.db")
    print(result.decision)
    print(result.blessing)
    if result.promotion:
        print(f"Champion: version {result.promotion.to_version}")
