"""MLflow: runs, logged models, the registry's versions and its alias."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# By default MLflow would ask a dead server for four minutes, report usage, and draw into task logs.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
import mlflow.sklearn
import requests
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature

from airflow_mlops.adapters.mlflow.auth import sending
from airflow_mlops.adapters.mlflow.source import FileSource
from airflow_mlops.core.registry.journal import CARD_TAG, CHAMPION, JOURNAL_TAG, ModelVersion
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.errors import IntegrityError, MlopsError, UnavailableError
from airflow_mlops.extras import require_extra

__all__ = ["Mlflow", "model_digest"]

_PROBE_TIMEOUT_S = 5.0
_OUTAGES = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
_DATABASES = ("mssql", "mysql", "postgresql", "sqlite")
_WRITTEN_BY_REGISTRY = "registered_model_meta"


_lock = threading.Lock()
_open_sessions: dict[str, list[str]] = {}
"""By tracking URI: for each session that is open, what MLflow's was before the first of them."""


@contextlib.contextmanager
def _tracking(uri: str) -> Iterator[None]:
    """Let MLflow's functions talk to this server. Threads that do so at once share it, and the last one ends it."""
    with _lock:
        sessions = _open_sessions.setdefault(uri, [])
        sessions.append(sessions[0] if sessions else mlflow.get_tracking_uri())
        mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        with _lock:
            before = _open_sessions[uri].pop()
            if not _open_sessions[uri]:
                del _open_sessions[uri]
                mlflow.set_tracking_uri(before)


def model_digest(folder: Path) -> str:
    """Return the digest of a stored model's files: their names and their bytes."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if name != _WRITTEN_BY_REGISTRY:
            with file.open("rb") as stream:
                digest.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return f"sha256:{digest.hexdigest()}"


@dataclass(frozen=True, repr=False)
class Mlflow:
    """A tracking server with its registry.

    :param tracking_uri: ``http://…`` for a server, ``sqlite:///…`` or another database URI without one.
    :param headers: sent with every request, such as ``Authorization``. Never logged.
    :raises MissingExtraError: when it is a database, and what reads it is not installed.
    """

    tracking_uri: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = re.split("[+:]", self.tracking_uri, maxsplit=1)[0]  # what follows may hold a password
        if kind in _DATABASES:
            require_extra("mlflow-server", asked_by=f"MLflow in a {kind} database, without a server,")

    def __repr__(self) -> str:
        return f"Mlflow({self.shown_uri!r})"

    @property
    def shown_uri(self) -> str:
        """The tracking URI for messages and links: without a login that may stand in it."""
        return re.sub(r"(?<=://)[^/@]*@", "", self.tracking_uri)

    def check(self) -> None:
        """Ask the server whether it is there.

        :raises UnavailableError: when it does not answer within five seconds, or not with success.
        """
        if not self.tracking_uri.startswith(("http://", "https://")):
            return
        try:
            answer = requests.get(f"{self.tracking_uri}/health", headers=dict(self.headers), timeout=_PROBE_TIMEOUT_S)
        except requests.RequestException as error:
            raise self._unavailable(type(error).__name__) from error
        if not answer.ok:
            raise self._unavailable(f"HTTP status {answer.status_code}")

    # -- runs ---------------------------------------------------------------------------------------------

    def find_run(self, experiment: str, tags: Mapping[str, str]) -> Run | None:
        """Return the newest finished run of the experiment that has all these tags, or ``None``."""
        return next(iter(self.find_runs(experiment, tags)), None)

    def find_runs(self, experiment: str, tags: Mapping[str, str]) -> list[Run]:
        """Return the finished runs of the experiment that have all these tags, newest first, at most 50."""
        return self._runs(experiment, tags, "FINISHED")

    def end_abandoned_runs(self, experiment: str, tags: Mapping[str, str]) -> int:
        """Mark runs that an earlier try left open as killed, and return how many there were."""
        abandoned = self._runs(experiment, tags, "RUNNING")
        with self._session() as client:
            for run in abandoned:
                client.set_terminated(run.info.run_id, status="KILLED")
        return len(abandoned)

    @contextlib.contextmanager
    def start_run(self, experiment: str, *, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
        """Open a run; it ends FINISHED, or FAILED when the block raises."""
        with self._session() as client:
            found = client.get_experiment_by_name(experiment)
            experiment_id = (
                found.experiment_id
                if found
                else client.create_experiment(experiment, artifact_location=self._artifact_location())
            )
            with mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=dict(tags)) as run:
                yield run

    def log_training(
        self,
        *,
        model: object,
        example: Any,
        predictions: Any,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        dataset: tuple[str, str, str],
        requirements: Sequence[str],
        trusted_types: Sequence[str] | None,
    ) -> str:
        """Log a fitted model into the open run, stored by skops.

        :param example: a few rows of the model's input, as a data frame: its signature and its example.
        :param dataset: name, URI and digest of the rows that it was trained on.
        :param requirements: pinned requirements; given, MLflow has not to infer them for ten seconds.
        :param trusted_types: what the model needs to be loaded by skops; ``None``: store it by pickle.
        :returns: the logged model's URI.
        """
        name, uri, digest = dataset
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skops looks into every loaded module, and they warn of it
            mlflow.log_params(dict(params))
            mlflow.log_metrics(dict(metrics))
            source = FileSource(uri)
            short = digest.removeprefix("sha256:")[:32]
            mlflow.log_input(MetaDataset(source, name=name, digest=short), context="training")
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(example, predictions),
                input_example=example.head(3),
                pip_requirements=list(requirements),
                serialization_format="cloudpickle" if trusted_types is None else "skops",
                skops_trusted_types=trusted_types,
            )
        return str(logged.model_uri)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags on a run, whether it is open or not."""
        with self._session() as client:
            for key, value in tags.items():
                client.set_tag(run_id, key, value)

    def tags_of_run(self, run_id: str, names: Sequence[str]) -> dict[str, str]:
        """Return those of the tags that a run has."""
        with self._session() as client:
            tags = client.get_run(run_id).data.tags
        return {name: tags[name] for name in names if name in tags}

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, whether it is open or not."""
        with self._session() as client:
            for key, value in metrics.items():
                client.log_metric(run_id, key, value)

    def log_texts(self, run_id: str, texts: Mapping[str, str]) -> None:
        """Keep texts as artifacts of a run, open or not.

        :param texts: by path, whose suffix says what they are.
        """
        with self._session() as client:
            for path, text in texts.items():
                client.log_text(run_id, text, path)

    def read_text(self, run_id: str, name: str) -> str:
        """Return a text file that is kept with a run.

        :raises IntegrityError: when the run has no such file.
        """
        with self._session() as client, tempfile.TemporaryDirectory(prefix="mlops-run-") as folder:
            if all(file.path != name for file in client.list_artifacts(run_id)):
                raise IntegrityError(f"The MLflow run {run_id} has no file {name}. Was it removed?")
            return Path(client.download_artifacts(run_id, name, folder)).read_text()

    def log_files(self, run_id: str, folder: Path, name: str) -> str:
        """Keep a folder's files as an artifact of a run, open or not, and return their digest as they are read back."""
        with self._session() as client:
            client.log_artifacts(run_id, str(folder), artifact_path=name)
        with self.downloaded(f"runs:/{run_id}/{name}", model_digest(folder)) as stored:
            return model_digest(stored)

    @contextlib.contextmanager
    def downloaded(self, model_uri: str, expected_digest: str) -> Iterator[Path]:
        """Give the model's files in a folder that goes away afterwards.

        :param expected_digest: what the step before verified; empty to accept what is there.
        :raises IntegrityError: when the files are not those.
        """
        with tempfile.TemporaryDirectory(prefix="mlops-model-") as folder:
            with self._session():
                path = mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=folder)
            digest = model_digest(Path(path))
            if expected_digest and digest != expected_digest:
                raise IntegrityError(
                    f"{model_uri}: the stored files have digest {digest[:19]}…, {expected_digest[:19]}… was "
                    f"verified. They were changed after the training; nothing uses them. Train a new version."
                )
            yield Path(path)

    def digest_of_model(self, model_uri: str) -> str:
        """Return the digest of a model's files, as they are read back from where they were stored."""
        with self.downloaded(model_uri, "") as folder:
            return model_digest(folder)

    def input_columns(self, folder: Path) -> list[str]:
        """Return the columns that a downloaded model reads, in order.

        :raises IntegrityError: when the model was stored without a signature.
        """
        return list(self.input_types(folder))

    def input_types(self, folder: Path) -> dict[str, str]:
        """Return the columns that a downloaded model reads, in order, with their types in MLflow's words.

        :raises IntegrityError: when the model was stored without a signature.
        """
        schema = Model.load(str(folder)).get_input_schema()
        if schema is None or not schema.has_input_names():
            raise IntegrityError(f"The model in {folder.name} has no signature that names its input columns.")
        return {str(column.name): getattr(column.type, "name", str(column.type)) for column in schema.inputs}

    # -- registry -----------------------------------------------------------------------------------------

    def find_version(self, model_name: str, digest: str) -> ModelVersion | None:
        """Return the version that was registered with this model digest, or ``None``."""
        with self._session() as client:
            found = client.search_model_versions(f"name = '{model_name}' and tags.`mlops.model_digest` = '{digest}'")
        return self._version(min(found, key=lambda version: int(version.version))) if found else None

    def get_version(self, model_name: str, model_version: int) -> ModelVersion:
        """Return a version.

        :raises IntegrityError: when the registry does not have it, or not from this package.
        """
        with self._session() as client:
            try:
                return self._version(client.get_model_version(model_name, str(model_version)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        raise IntegrityError(f"MLflow has no version {model_version} of {model_name!r}. Was it deleted?")

    def create_version(self, model: TrainedModel, tags: Mapping[str, str], description: str) -> ModelVersion:
        """Register a trained model as a new version of its registered model."""
        with self._session() as client:
            try:
                client.create_registered_model(model.model_name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = client.create_model_version(
                model.model_name,
                source=model.model_uri,
                run_id=model.run_id,
                model_id=model.model_uri.rpartition("/")[2],
                tags=dict(tags),
                description=description,
            )
        return self._version(version)

    def describe_version(self, version: ModelVersion, description: str) -> None:
        """Replace the description of a version."""
        with self._session() as client:
            client.update_model_version(version.model_name, str(version.model_version), description)

    def set_version_tag(self, version: ModelVersion, key: str, value: str) -> ModelVersion:
        """Set a tag on a version, and return the version with it."""
        with self._session() as client:
            client.set_model_version_tag(version.model_name, str(version.model_version), key, value)
        return self.get_version(version.model_name, version.model_version)

    def snapshot_digests(self) -> tuple[frozenset[str], frozenset[tuple[str, int]]]:
        """Return the snapshots that any run or any version refers to, and all versions by name and number.

        Deleted runs count as well, as MLflow can restore them.
        """
        with self._session() as client:
            versions = _all_pages(functools.partial(client.search_model_versions, max_results=1000))
            experiments = _all_pages(functools.partial(client.search_experiments, ViewType.ALL, 1000))
            ids = [experiment.experiment_id for experiment in experiments]
            runs = []
            for first in range(0, len(ids), 100):
                runs += _all_pages(
                    functools.partial(client.search_runs, ids[first : first + 100], "", ViewType.ALL, 1000, None)
                )
        tags = [*(version.tags for version in versions), *(run.data.tags for run in runs)]
        digests = {found["mlops.snapshot_digest"] for found in tags if "mlops.snapshot_digest" in found}
        for found in tags:
            digests.update(json.loads(found.get("mlops.feature_digests", "{}")).values())
        return frozenset(digests), frozenset((version.name, int(version.version)) for version in versions)

    def get_alias(self, model_name: str) -> int | None:
        """Return the version that the alias ``champion`` points to, or ``None``."""
        return self.get_pointers(model_name)[0]

    def get_pointers(self, model_name: str) -> tuple[int | None, str]:
        """Return the version that the alias ``champion`` points to, and the last journal entry that is known here."""
        with self._session() as client:
            try:
                found = client.get_registered_model(model_name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None, ""
        alias = found.aliases.get(CHAMPION)
        return int(alias) if alias is not None else None, found.tags.get(JOURNAL_TAG, "")

    def set_last_entry(self, model_name: str, last_entry: str) -> None:
        """Note which journal entry is the last one."""
        with self._session() as client:
            client.set_registered_model_tag(model_name, JOURNAL_TAG, last_entry)

    def set_alias(self, model_name: str, model_version: int) -> None:
        """Point the alias ``champion`` to a version."""
        with self._session() as client:
            client.set_registered_model_alias(model_name, CHAMPION, str(model_version))

    # -- links --------------------------------------------------------------------------------------------

    def run_url(self, experiment_id: str, run_id: str) -> str:
        """Return the page of a run; empty where there is no server."""
        return self._page(f"experiments/{experiment_id}/runs/{run_id}")

    def version_url(self, model_name: str, model_version: int) -> str:
        """Return the page of a version; empty where there is no server."""
        return self._page(f"models/{model_name}/versions/{model_version}")

    def _page(self, path: str) -> str:
        return f"{self.shown_uri}/#/{path}" if self.tracking_uri.startswith("http") else ""

    def _artifact_location(self) -> str | None:
        """Return where a new experiment keeps its files: the server knows; without one, beside the database."""
        scheme, _, path = self.tracking_uri.partition(":///")
        return (Path(path).parent / "artifacts").absolute().as_uri() if scheme == "sqlite" else None

    def _runs(self, experiment: str, tags: Mapping[str, str], status: str) -> list[Run]:
        wanted = " and ".join([f"status = '{status}'", *(f"tags.`{key}` = '{value}'" for key, value in tags.items())])
        with self._session() as client:
            found = client.get_experiment_by_name(experiment)
            if found is None:
                return []
            return list(client.search_runs([found.experiment_id], wanted, order_by=["start_time DESC"], max_results=50))

    def _version(self, version: Any) -> ModelVersion:
        tags = dict(version.tags)
        try:
            digest = tags["mlops.model_digest"]
        except KeyError as error:
            raise IntegrityError(
                f"{version.name} v{version.version} has no tag mlops.model_digest, so nothing verifies its files. "
                f"Register models with RegisterModelOperator."
            ) from error
        return ModelVersion(
            model_name=version.name,
            model_version=int(version.version),
            model_digest=digest,
            run_id=version.run_id or "",
            snapshot_digest=tags.get("mlops.snapshot_digest", ""),
            evidence_digest=tags.get("mlops.evidence_digest", ""),
            tags=tags,
            url=self.version_url(version.name, int(version.version)),
            report_uri=tags.get(CARD_TAG, ""),
        )

    @contextlib.contextmanager
    def _session(self) -> Iterator[mlflow.MlflowClient]:
        """Talk to this server, and turn an outage into the error that is worth a retry."""
        try:
            with _tracking(self.tracking_uri), sending(self.headers):
                yield self._client()
        except MlflowException as error:
            if error.error_code in _OUTAGES:
                raise self._unavailable(str(error)) from error
            raise MlopsError(f"MLflow at {self.shown_uri} refused: {error}. Nothing was changed by it.") from error
        except requests.RequestException as error:
            raise self._unavailable(str(error)) from error

    def _client(self) -> mlflow.MlflowClient:
        try:
            return mlflow.MlflowClient(self.tracking_uri)
        except OSError as error:  # without a server, the folder of the database
            raise self._unavailable(str(error)) from error

    def _unavailable(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"MLflow at {self.shown_uri} does not answer: {why[:300]}. The champion stays. Check that the server "
            f"runs and that the connection names it, then retry."
        )


def _all_pages(search: Callable[..., Any]) -> list[Any]:
    """Return what a search finds on all of its pages."""
    found = search(page_token=None)
    everything = list(found)
    while found.token:
        found = search(page_token=found.token)
        everything += found
    return everything
