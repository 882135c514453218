"""S3 as a source: which objects there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config
from fsspec.utils import glob_translate

from airflow_mlops.core.data.snapshot import SourceFile
from airflow_mlops.errors import DataError, SpecError, UnavailableError, bounded

__all__ = ["REFUSALS", "S3Access", "list_objects", "object_stamps", "open_client"]

REFUSALS = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403")
"""Error codes that say that one may not."""

_MISSING = ("NoSuchBucket", "NoSuchKey", "404")


@dataclass(frozen=True, kw_only=True)
class S3Access:
    """What S3 is reached with. Without keys it is what the machine has: environment, profile or role.

    :param endpoint_url: another service that speaks S3, such as ``http://minio:9000``.
    :param timeout_s: how long to wait for a connection and for an answer.
    """

    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    endpoint_url: str | None = None
    timeout_s: float = 30.0
    max_attempts: int = 3


def list_objects(access: S3Access, path: str, *, recursive: bool = False) -> list[SourceFile]:
    """Return the objects that an ``s3://`` path stands for, sorted by name: one, a folder's, or a glob's.

    Names that begin with a dot or an underscore are left out, and so are folders with such names.

    :param recursive: whether a folder stands for what is in its folders too.
    :returns: with the ETag, the size and the time of each object as its stamp; none when nothing matches.
    :raises SpecError: when there is no such bucket.
    :raises DataError: when S3 refuses to list it.
    :raises UnavailableError: when S3 does not answer.
    """
    bucket = _parts(path)[0]
    return [_source_file(bucket, found) for found in _listed(open_client(access), path, recursive=recursive)]


def object_stamps(client: Any, path: str, *, recursive: bool = False) -> dict[str, str]:
    """Return ETag and size of each object that a path stands for now, by its name with ``s3://``.

    They do not change when an object is written again as it was.

    :param client: of :func:`open_client`.
    :raises SpecError: when there is no such bucket.
    :raises DataError: when S3 refuses to list it.
    :raises UnavailableError: when S3 does not answer.
    """
    bucket = _parts(path)[0]
    found = _listed(client, path, recursive=recursive)
    return {f"s3://{bucket}/{each['Key']}": f"{_etag(each)}-{each['Size']}" for each in found}


def _listed(client: Any, path: str, *, recursive: bool) -> list[dict[str, Any]]:
    bucket, key = _parts(path)
    prefix = re.split(r"[*?\[]", key, maxsplit=1)[0]
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        objects = [found for page in pages for found in page.get("Contents", ())]
    except botocore.exceptions.ClientError as error:
        raise _refused(error, f"s3://{bucket}/{prefix}") from error
    except botocore.exceptions.NoCredentialsError as error:
        raise SpecError(
            f"s3://{bucket} can't be listed: there are no credentials. Set data.conn_id to an Airflow connection of "
            f"type aws that has them, or give the machine a role."
        ) from error
    except botocore.exceptions.BotoCoreError as error:
        raise UnavailableError(
            f"S3 does not answer for s3://{bucket}/{prefix}: {error}. Nothing was read; try again."
        ) from error
    is_meant = _matcher(key, {str(found["Key"]) for found in objects}, recursive=recursive)
    meant = [found for found in objects if is_meant(str(found["Key"])) and _is_visible(str(found["Key"]), prefix)]
    return sorted(meant, key=lambda found: str(found["Key"]))


def _parts(path: str) -> tuple[str, str]:
    parts = urlsplit(path.replace("#", "%23").replace("?", "%3F"))
    key = path.removeprefix(f"{parts.scheme}://{parts.netloc}").lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or re.search(r"[*?\[]", parts.netloc):
        raise SpecError(f"{path!r} is no path on S3. Write s3://bucket/folder/*.parquet in data.path.")
    return parts.netloc, key


def open_client(access: S3Access) -> Any:
    """Return boto3's client; it may be shared by threads."""
    return boto3.client(
        "s3",
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        aws_session_token=access.session_token,
        region_name=access.region,
        endpoint_url=access.endpoint_url,
        config=Config(
            connect_timeout=access.timeout_s,
            read_timeout=access.timeout_s,
            retries={"max_attempts": access.max_attempts, "mode": "standard"},
            s3={"addressing_style": "path" if access.endpoint_url else "auto"},
        ),
    )


def _matcher(key: str, keys: set[str], *, recursive: bool) -> Callable[[str], object]:
    if re.search(r"[*?\[]", key):
        return re.compile(glob_translate(key)).match
    if key in keys and not key.endswith("/"):
        return lambda name: name == key
    folder = key.rstrip("/") + "/" if key else ""
    return lambda name: name.startswith(folder) and (recursive or "/" not in name[len(folder) :])


def _is_visible(key: str, prefix: str) -> bool:
    below = key[prefix.rfind("/") + 1 :]
    return not key.endswith("/") and not any(part.startswith((".", "_")) for part in below.split("/"))


def _etag(found: dict[str, Any]) -> str:
    return str(found["ETag"]).strip('"')


def _source_file(bucket: str, found: dict[str, Any]) -> SourceFile:
    stamp = f"{_etag(found)}-{found['Size']}-{found['LastModified'].isoformat()}"
    return SourceFile(path=f"s3://{bucket}/{found['Key']}", size=int(found["Size"]), stamp=stamp)


def _refused(error: botocore.exceptions.ClientError, place: str) -> SpecError | DataError | UnavailableError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    if code in _MISSING:
        return SpecError(f"{place}: there is no such bucket ({code}). Nothing was read. Fix data.path.")
    if code in REFUSALS:
        return DataError(
            f"{place}: S3 refuses to list it ({code}). Nothing was read. Let data.conn_id's user or role "
            f"s3:ListBucket and s3:GetObject there, or name another connection."
        )
    return UnavailableError(f"{place}: S3 answers {bounded([code])}. Nothing was read; try again.")
