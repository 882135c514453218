"""Airflow's connections, as sources are reached with them."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_mlops.errors import DataError, SpecError, UnavailableError
from airflow_mlops.extras import importing

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.athena import AthenaHook
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from sqlalchemy import Engine

    from airflow_mlops.adapters.s3.objects import S3Access
    from airflow_mlops.specs.data import DatasetSpec

__all__ = ["AirflowConnections"]

log = logging.getLogger(__name__)

_DEFAULT_AWS = "aws_default"
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_SYSTEM_ERROR = 1
"""Athena's error category for what is not the query's fault."""

_OUTAGES = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "ServiceUnavailable", "Internal")


class AirflowConnections:
    """Opens the connections that a spec names, as Airflow has them.

    It is a :class:`~airflow_mlops.steps.data.connections.Connections`.
    Works in a task, and in any other process whose environment defines them (``AIRFLOW_CONN_…``).
    """

    def database(self, conn_id: str, *, keeps_one: bool = False) -> Engine:
        """Return an engine for a SQL database, which opens a connection for each use and keeps none.

        What the connection's extra says to the driver (``sslmode``) holds.

        :param keeps_one: keep a connection open for the next use, for those who ask again and again.
        :raises SpecError: when there is no such connection, it is none to a SQL database, or its provider is
            not installed.
        """
        from airflow.sdk.exceptions import AirflowException
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool, QueuePool

        hook = _database_hook(conn_id)
        settings: dict[str, Any] = {"hide_parameters": True, "poolclass": NullPool}
        if keeps_one:  # and asks whether it is still there
            settings |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
        ignored = getattr(hook, "ignored_extra_options", None)
        if ignored is not None:  # PostgreSQL's hook heeds the extra in its own connections only
            extra = hook.connection.extra_dejson
            settings["connect_args"] = {key: value for key, value in extra.items() if key not in ignored}
        try:
            return hook.get_sqlalchemy_engine(settings)
        except (SQLAlchemyError, AirflowException, ImportError, NotImplementedError, TypeError, ValueError) as error:
            # The error's own text may quote the connection's URI, and its password with that.
            raise SpecError(
                f"The connection {conn_id!r} gives no SQLAlchemy engine ({type(error).__name__}). Nothing was read or "
                f"written. Check its fields, and that the driver for {hook.connection.conn_type!r} is installed."
            ) from None

    def s3(self, conn_id: str | None) -> S3Access:
        """Return keys, region and endpoint of a connection of type ``aws``.

        :param conn_id: ``None`` stands for ``aws_default``; if that is not defined, for what the machine has:
            environment, profile or role.
        :raises MissingExtraError: when Airflow's Amazon provider is not installed.
        :raises SpecError: when there is no such connection, it is of another type, or it gives no keys.
        """
        with importing("amazon", asked_by=f"The connection {conn_id or _DEFAULT_AWS!r}"):
            from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

            from airflow_mlops.adapters.s3.objects import S3Access

        hook: Any = AwsBaseHook(aws_conn_id=_aws_conn_id(conn_id), client_type="s3")
        with _translated_aws(conn_id or _DEFAULT_AWS):
            session = hook.get_session()
            credentials = hook.get_credentials() if session.get_credentials() is not None else None
            if credentials is None and conn_id is not None:
                raise SpecError(
                    f"The connection {conn_id!r} gives no AWS credentials. Nothing was read. Set its login and "
                    f"password, a profile_name or a role_arn, or give this machine a role."
                )
            return S3Access(
                access_key=credentials and credentials.access_key,
                secret_key=credentials and credentials.secret_key,
                session_token=credentials and credentials.token,
                region=session.region_name,
                endpoint_url=hook.conn_config.get_service_endpoint_url("s3"),
            )

    def unload(self, data: DatasetSpec, query: str) -> str:
        """Run a query on Athena, wait for it, and return the ``s3://`` folder of Parquet files that it wrote.

        The folder is a new one below ``athena.output_location``; nobody but the caller cleans it up. A query
        that is given up, because the task is killed or times out, is stopped.

        :raises MissingExtraError: when Airflow's Amazon provider is not installed.
        :raises DataError: when Athena can't run the query.
        :raises SpecError: when the connection can't be used, or Athena refuses the request.
        :raises UnavailableError: when Athena does not answer, or failed for a reason of its own.
        """
        with importing("amazon", asked_by="data.athena"):
            from airflow.providers.amazon.aws.hooks.athena import AthenaHook

        if data.athena is None:
            raise SpecError("data.athena is not set: where Athena runs the query is not known. Nothing was read.")
        conn_id = data.conn_id or _DEFAULT_AWS
        root = f"{data.athena.output_location.rstrip('/')}/{uuid.uuid4()}"
        folder = f"{root}/data/"
        hook = AthenaHook(aws_conn_id=_aws_conn_id(data.conn_id), log_query=False)
        with _translated_aws(conn_id):
            execution = hook.run_query(
                f"UNLOAD (\n{query}\n) TO '{folder.replace(chr(39), chr(39) * 2)}' "
                f"WITH (format = 'PARQUET', compression = 'SNAPPY')",
                {"Database": data.athena.database, "Catalog": data.athena.catalog},
                {"OutputLocation": f"{root}/"},
                workgroup=data.athena.workgroup,
            )
            status = _wait_for(hook, execution)
        if status["State"] != "SUCCEEDED":
            raise _failed(status, execution)
        log.info("athena query unloaded: execution=%s folder=%s", execution, folder)
        return folder


def _connection(conn_id: str) -> Any:
    # Not at the top: Airflow takes over the process's logging, and a run outside of it may need no connection.
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SpecError(
            f"There is no Airflow connection {conn_id!r} that can be read. Nothing was read or written. Define it in "
            f"Airflow, or as AIRFLOW_CONN_{conn_id.upper()}, or fix data.conn_id."
        ) from None
    except AirflowRuntimeError as error:
        raise UnavailableError(
            f"Airflow did not answer when asked for the connection {conn_id!r} ({error.error.error}). Nothing was "
            f"read or written. Retry."
        ) from None


def _database_hook(conn_id: str) -> DbApiHook:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk.exceptions import AirflowException

    connection = _connection(conn_id)
    try:
        hook = connection.get_hook()
    except (AirflowException, ImportError) as error:
        raise SpecError(
            f"The connection {conn_id!r} is of type {connection.conn_type!r}, which no installed provider knows, or "
            f"whose library is missing ({type(error).__name__}). Nothing was read or written. Install "
            f"apache-airflow-providers-{str(connection.conn_type).replace('_', '-')} where tasks run and restart "
            f"Airflow, or fix the type."
        ) from None
    if not isinstance(hook, DbApiHook):
        athena = " To read from Athena, set data.athena." if connection.conn_type == "aws" else ""
        raise SpecError(
            f"The connection {conn_id!r} is of type {connection.conn_type!r}, which is no SQL database. Nothing was "
            f"read or written. Name one that is in data.conn_id.{athena}"
        )
    return hook


def _aws_conn_id(conn_id: str | None) -> str | None:
    """Return the connection to use, having seen that one that the user names is there: the hook would do without."""
    if conn_id is None:
        return _DEFAULT_AWS
    connection = _connection(conn_id)
    if connection.conn_type != "aws":
        raise SpecError(
            f"The connection {conn_id!r} is of type {connection.conn_type!r}; 'aws' was expected. Nothing was read or "
            f"written. Fix data.conn_id."
        )
    return conn_id


def _wait_for(hook: AthenaHook, execution: str) -> dict[str, Any]:
    """Return the status that a query ended with. How long that may take is the task's ``execution_timeout``."""
    looks = 0
    try:
        while True:
            status: dict[str, Any] = hook.get_query_info(execution)["QueryExecution"]["Status"]
            if status["State"] in hook.TERMINAL_STATES:
                return status
            time.sleep(_PAUSES_S[min(looks, len(_PAUSES_S) - 1)])
            looks += 1
    except BaseException:
        with contextlib.suppress(Exception):  # what stopped us matters, not that Athena can't be told
            hook.stop_query(execution)
        raise


def _failed(status: dict[str, Any], execution: str) -> DataError | UnavailableError:
    error = status.get("AthenaError") or {}
    reason = str(error.get("ErrorMessage") or status.get("StateChangeReason") or "no reason given")
    reason = (reason.splitlines() or [reason])[0][:500]
    if status["State"] == "CANCELLED":
        return UnavailableError(f"The Athena query {execution} was cancelled: {reason}. Nothing was kept. Retry.")
    if error.get("Retryable") or error.get("ErrorCategory") == _SYSTEM_ERROR:
        return UnavailableError(f"Athena failed to run the query {execution}: {reason}. Nothing was kept. Retry.")
    return DataError(
        f"Athena can't run the query {execution}: {reason}. Nothing was kept and the champion stays. Fix data.query."
    )


@contextlib.contextmanager
def _translated_aws(conn_id: str) -> Iterator[None]:
    from botocore import exceptions as aws

    try:
        yield
    except aws.ClientError as error:
        found = error.response.get("Error", {})
        code, text = str(found.get("Code", "")), str(found.get("Message", ""))[:300]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or any(part in code for part in _OUTAGES):
            raise UnavailableError(
                f"AWS does not answer for the connection {conn_id!r}: {code}: {text}. Nothing was kept. Retry."
            ) from error
        raise SpecError(
            f"AWS refuses the connection {conn_id!r}: {code}: {text}. Nothing was kept. Fix the connection, what its "
            f"role may do, or data.athena and data.query."
        ) from error
    except (aws.HTTPClientError, aws.ConnectionError, aws.MetadataRetrievalError, OSError) as error:
        raise UnavailableError(
            f"AWS does not answer for the connection {conn_id!r}: {type(error).__name__}. Nothing was kept. Check the "
            f"endpoint and the network, then retry."
        ) from error
    except aws.BotoCoreError as error:
        raise SpecError(
            f"The connection {conn_id!r} can't be used: {type(error).__name__}: {error}. Nothing was kept. Fix it."
        ) from error
