"""Makes a model in a subprocess: parsing 41 MB takes seconds for which no request should wait.

    this process ── task, document ──▶ ``gateway.metadata.model_process`` ──▶ snapshot on disk ──▶ opened here

The subprocess gets the settings that decide a model and no others: no credentials.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.profiles import settings_from_json
from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.process.lean_imports import module_command
from schema.errors import SchemaError

from .document_loader import MetadataDocument
from .model_builder import LoadedModel, find_model, make_model
from .model_identity import OF_ENVIRONMENT, deciding_settings, snapshot_folder

_NICE = 10
"""Niceness of the subprocess: the requests that are served meanwhile come first."""


BuildModel = Callable[[Settings, MetadataDocument], Awaitable[LoadedModel]]
"""Returns the model of a document. Raises SchemaError."""


class _Task(msgspec.Struct):
    settings: dict[str, Any]
    digest: str
    source: str
    path: str | None
    """File of the document. None: the content follows the task."""


class _Failure(msgspec.Struct):
    message: str
    hint: str | None = None


async def build_in_subprocess(settings: Settings, document: MetadataDocument) -> LoadedModel:
    """Return the model of a document. Raises SchemaError."""
    if snapshot_folder(settings) is not None:
        await _run(settings, document)
        loaded = await asyncio.to_thread(find_model, settings, document.digest)
        if loaded is not None:
            return loaded
    # No usable cache folder. The snapshot stays readable after its folder is removed, because it is mapped.
    with tempfile.TemporaryDirectory() as folder:
        temporary = settings.model_copy(update={"cache_dir": Path(folder)})
        await _run(temporary, document)
        loaded = await asyncio.to_thread(find_model, temporary, document.digest)
    if loaded is None:
        raise SchemaError(
            "The model of the metadata cannot be stored.",
            hint="Is the disk full? If the gateway was updated while it ran, restart it.",
        )
    return loaded


async def _run(settings: Settings, document: MetadataDocument) -> None:
    content = document.content
    task = _Task(
        settings=deciding_settings(settings, "cache_dir", *OF_ENVIRONMENT),
        digest=document.digest,
        source=document.source,
        path=str(content) if isinstance(content, Path) else None,
    )
    stdin = msgspec.json.encode(task) + b"\n" + (content if isinstance(content, bytes) else b"")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *module_command("gateway.metadata.model_process"), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        stdout, stderr = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if stdout:
        failure = msgspec.json.decode(stdout, type=_Failure)
        raise SchemaError(failure.message, hint=failure.hint)
    if process.returncode:
        last_line = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        message = (
            f"The process that reads the metadata exited with {process.returncode}. {last_line}"
        )
        raise SchemaError(message.strip())


def main() -> None:
    """Run the task on standard input. What is wrong with the document goes to standard output as JSON."""
    output, sys.stdout = sys.stdout.buffer, sys.stderr  # log lines must not mix with it
    if hasattr(os, "nice"):
        os.nice(_NICE)
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=_Task)
    content = sys.stdin.buffer.read() if task.path is None else Path(task.path)
    document = MetadataDocument(content, task.digest, task.source)
    try:
        make_model(settings_from_json(task.settings), document)
    except (SchemaError, GatewayError) as error:
        output.write(msgspec.json.encode(_Failure(error.message, error.hint)))
