"""The files of jobs in an object store: S3 and what speaks like it, or Azure Blob Storage. An extra, ``object-store``.

A part is written to a file of this machine first, and uploaded under its digest when it is complete. Addresses and
credentials come from the settings, or from the machine (environment variables of the cloud, workload identity).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway.config.job_models import JobOptions
from gateway.errors import JobsUnavailable

from .part_store import PIECE, UPLOADS, FolderParts

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_NOT_INSTALLED = "pip install 'd365-graphql-gateway[object-store]'"


class ObjectParts:
    """The files of jobs below a prefix of an object store."""

    may_have_jobs = True

    def __init__(self, store: ObjectStore, scratch: Path | None) -> None:
        """``scratch``: folder for files that are being written; None: that of the machine."""
        self._store = store
        self._scratch = None if scratch is None else FolderParts(scratch)

    def prepare(self, job_id: str) -> None:
        """Do nothing: there are no folders."""

    def scratch(self, job_id: str) -> tempfile.TemporaryDirectory[str]:
        """Return a folder of this machine. Raises OSError."""
        if self._scratch is None:
            return tempfile.TemporaryDirectory(prefix="d365-graphql-job-")
        return self._scratch.scratch(job_id)

    def upload(self) -> tempfile.TemporaryDirectory[str]:
        """Return a folder of this machine likewise."""
        return self.scratch(UPLOADS) if self._scratch is None else self._scratch.upload()

    async def sweep(self, job_id: str) -> None:
        """Remove what a killed process of this machine was writing. Raises OSError."""
        if self._scratch is not None:
            await self._scratch.sweep(job_id)

    async def put(self, job_id: str, file: Path, sha256: str) -> None:
        """Upload a file. Raises OSError."""
        import obstore  # noqa: PLC0415 - an extra

        with _as_os_error():
            await obstore.put_async(self._store, f"{job_id}/{sha256}", file)
        await asyncio.to_thread(file.unlink)

    def read(
        self, job_id: str, sha256: str, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes of a file. Blocks; raises OSError."""
        import obstore  # noqa: PLC0415 - an extra

        path = f"{job_id}/{sha256}"
        with _as_os_error():
            end = obstore.head(self._store, path)["size"] if end is None else end
            while start < end:
                piece = obstore.get_range(
                    self._store, path, start=start, end=min(start + 16 * PIECE, end)
                )
                for at in range(0, len(piece), PIECE):
                    yield bytes(memoryview(piece)[at : at + PIECE])
                start += len(piece)

    async def remove(self, job_id: str) -> None:
        """Remove the files of a job. Raises OSError."""
        await asyncio.to_thread(self._remove, job_id)
        if self._scratch is not None:
            await self._scratch.remove(job_id)

    def _remove(self, job_id: str) -> None:
        import obstore  # noqa: PLC0415 - an extra

        with _as_os_error():
            for objects in obstore.list(self._store, prefix=f"{job_id}/"):
                obstore.delete(self._store, [each["path"] for each in objects])


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Raise what the object store refuses as an OSError: its messages name addresses, for the log only."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    try:
        yield
    except BaseError as error:
        raise OSError(f"The object store: {type(error).__name__}: {error}") from error


def open_object_parts(options: JobOptions, scratch: Path | None) -> ObjectParts:
    """Return the files in the object store that the settings name; nothing is connected. Raises JobsUnavailable."""
    assert options.bucket is not None
    try:
        from obstore.store import AzureStore, S3Store  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise JobsUnavailable(
            "Files of jobs are in an object store, and its client is not installed.",
            hint=_NOT_INSTALLED,
        ) from error
    address = urlsplit(options.bucket)
    prefix = address.path.strip("/") or None
    secret = None if options.secret is None else options.secret.get_secret_value()
    values: dict[str, Any] = {"endpoint": options.endpoint}
    if address.scheme == "s3":
        values |= {
            "region": options.region,
            "access_key_id": options.access_key,
            "secret_access_key": secret,
        }
    else:
        values |= {"account_name": options.account, "account_key": secret}
    known = {name: value for name, value in values.items() if value is not None}
    # Without TLS only if the settings say so.
    client = {"allow_http": bool(options.endpoint and options.endpoint.startswith("http://"))}
    kind: Any = S3Store if address.scheme == "s3" else AzureStore
    store = kind(address.hostname, prefix=prefix, config=known, client_options=client)
    return ObjectParts(store, scratch)
