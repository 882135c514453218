"""How the documentation is built: offline, with warnings as errors."""

import inspect
import logging
import os
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

# Autodoc imports the package, and with it Airflow, MLflow, Great Expectations and Evidently. None of them
# shall write into the home directory, report usage or log while the pages are made.
_home = tempfile.TemporaryDirectory(prefix="mlops-docs-")  # goes away with the process
os.environ["AIRFLOW_HOME"] = _home.name
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "true"
logging.getLogger("great_expectations").setLevel(logging.ERROR)

from pydantic import BaseModel  # noqa: E402
from sphinx.util.inspect import stringify_signature  # noqa: E402

from airflow_mlops import __version__  # noqa: E402  # after the environment that its imports read

project = "airflow-mlops"
author = "the authors of airflow-mlops"
copyright = f"2026, {author}"  # noqa: A001  # Sphinx's name for it
version = release = __version__

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_parser", "sphinx.ext.autodoc", "reference_pages"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"airflow-mlops {release}"
html_copy_source = False


def setup(app):
    """Register what is done while the pages are made."""
    app.connect("autodoc-process-signature", plain_signature)


def plain_signature(app, what, name, obj, options, signature, return_annotation):  # noqa: ARG001  # Sphinx's interface
    """Show a spec's settings with their types alone; pydantic adds its constraints in its own notation."""
    if what != "class" or signature == "(**settings)" or not issubclass(obj, BaseModel) or not obj.model_fields:
        return None
    found = inspect.signature(obj)
    fields = obj.model_fields
    plain = [p.replace(annotation=fields[p.name].annotation) for p in found.parameters.values()]
    return stringify_signature(found.replace(parameters=plain), unqualified_typehints=True), None
