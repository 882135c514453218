"""An Airflow connection, or Airflow's configuration, becomes what a step is given."""
