# The image of docker-compose.yaml: Airflow with this project, and MLflow, from the lock.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir uv==0.13.8 \
    && useradd --create-home --uid 50000 mlops

WORKDIR /opt/mlops
COPY requirements.lock .
RUN uv pip install --system --no-cache --require-hashes -r requirements.lock
COPY . .
RUN uv pip install --system --no-cache --no-deps --no-build-isolation . \
    && rm -rf build *.egg-info \
    && mkdir -p /var/lib/airflow/config /var/lib/airflow/logs /var/lib/airflow/inbox /var/lib/mlops /var/lib/mlflow \
    && printf 'from airflow_mlops.preload import preload\n\npreload()\n' > /var/lib/airflow/config/airflow_local_settings.py \
    && chown -R mlops /var/lib/airflow /var/lib/mlops /var/lib/mlflow

USER mlops
ENV AIRFLOW_HOME=/var/lib/airflow PYTHONPATH=/opt/mlops
