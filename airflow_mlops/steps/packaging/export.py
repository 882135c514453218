"""A version's files for a program that embeds it: checked, and with what one needs to know to load them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from airflow_mlops.adapters.model_files import skops as skops_store
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.errors import ConversionError, SpecError
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.versions import find_version

__all__ = ["export_model"]

log = logging.getLogger(__name__)

_ONNX_DIGEST = "mlops.onnx_digest"

_README = {
    "skops": """\
Install what `requirements.txt` says, and load the model. `model.json` lists the types that it holds beside those that
skops knows; load it only if you trust them.

```python
import json
from pathlib import Path

import pandas as pd
import skops.io

about = json.loads(Path("model.json").read_text())
model = skops.io.load("model.skops", trusted=about["trusted_types"])
predictions = model.predict(pd.DataFrame(rows, columns=about["columns"]))
```
""",
    "onnx": """\
Each column of `model.json` is an input of its own, of shape `(n_rows, 1)`: numbers and booleans are float32, NaN where
they are missing; texts are strings, `(missing)` where they are.

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
print([(each.name, each.type) for each in session.get_inputs()])
outputs = session.run(None, {"age": np.array([[41.0]], np.float32), "city": np.array([["(missing)"]], object)})
```
""",
}


def export_model(model_uri: str, format: Literal["onnx", "skops"], out: Path, *, platform: Platform) -> ModelVersion:  # noqa: A002
    """Write a version's file of a format into a new folder, with ``model.json`` and a ``README.md``.

    :param model_uri: ``models:/name/7``, or ``models:/name@champion``.
    :param out: a folder that is not there, or empty. It appears whole or not at all.
    :returns: the version whose files these are.
    :raises SpecError: when the folder has something in it or can't be written, or the URI names no version.
    :raises ConversionError: when the version does not exist in the format.
    :raises IntegrityError: when the stored files are not those that were registered.
    :raises UntrustedModelError: when the model holds a type that the platform does not trust.
    """
    version = find_version(model_uri, platform=platform)
    about: dict[str, object] = {
        "model_name": version.model_name,
        "model_version": version.model_version,
        "model_digest": version.model_digest,
        "format": format,
        "file": f"model.{format}",
    }
    with _new_folder(out) as folder:
        uri = f"models:/{version.model_name}/{version.model_version}"
        with platform.mlflow.downloaded(uri, version.model_digest) as files:
            about["columns"] = platform.mlflow.input_columns(files)
            if format == "skops":
                about["trusted_types"] = skops_store.check_types(files, platform.trusted_types)
                shutil.copy(files / skops_store.FILE, folder)
                shutil.copy(files / "requirements.txt", folder)
        if format == "onnx":
            with platform.mlflow.downloaded(f"runs:/{version.run_id}/onnx", _onnx_digest(version, platform)) as files:
                shutil.copy(files / "model.onnx", folder)
        about["file_digest"] = f"sha256:{hashlib.sha256((folder / f'model.{format}').read_bytes()).hexdigest()}"
        (folder / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        title = f"# {version.model_name}, version {version.model_version}\n\n"
        (folder / "README.md").write_text(title + _README[format], encoding="utf-8")
    log.info("embedded: model_name=%s model_version=%d format=%s", version.model_name, version.model_version, format)
    return version


def _onnx_digest(version: ModelVersion, platform: Platform) -> str:
    """Return what verifies the ONNX file; it was exported before the version was registered, or after."""
    known = (
        version.tags if _ONNX_DIGEST in version.tags else platform.mlflow.tags_of_run(version.run_id, (_ONNX_DIGEST,))
    )
    if _ONNX_DIGEST not in known:
        raise ConversionError(
            f"{version.model_name} v{version.model_version} has no ONNX file. Nothing was written. Give its "
            f"pipeline `conversion: {{format: onnx}}`, or a ConvertModelOperator where it is built by hand; the "
            f"conversion's report says whether the model can be converted."
        )
    return known[_ONNX_DIGEST]


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, that gets its name when the block ends well."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SpecError(f"{out} is there already. Nothing was written. Name a new folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as staging:
            folder = Path(staging) / "new"
            folder.mkdir()
            yield folder
            os.replace(folder, out)
    except PermissionError as error:
        raise SpecError(
            f"{out} can't be written: {error.strerror}. Nothing was written. Name another folder."
        ) from error
