"""MLflow: runs, logged models, the registry, its scoring protocol."""
