"""The demo: a real Airflow and a real MLflow, and one model's story told by what they did."""
