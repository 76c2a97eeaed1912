"""Makes a model in a process of its own: reading 41 MB takes seconds that no request of this one should wait for.

    this process ── task, document ──▶ ``gateway.metadata.model_process`` ──▶ snapshot on disk ──▶ opened here

The other process is told the settings that decide a model and none besides: no credentials.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.process.garbage_collection import resting
from gateway.process.lean_imports import command
from schema.errors import SchemaError

from .document_loader import MetadataDocument
from .model_builder import LoadedModel, find_model, make_model
from .model_identity import deciding_settings, snapshot_folder

_NICE = 10
"""The requests that run meanwhile come first."""


class _Task(msgspec.Struct):
    settings: dict[str, Any]
    digest: str
    source: str
    path: str | None
    """File of the document; None: it follows."""


class _Trouble(msgspec.Struct):
    message: str
    hint: str | None = None


async def build_in_subprocess(settings: Settings, document: MetadataDocument) -> LoadedModel:
    """Make the model of a document. Raises SchemaError."""
    if snapshot_folder(settings) is not None:
        await _make(settings, document)
        found = await asyncio.to_thread(find_model, settings, document.digest)
        if found is not None:
            return found
    # Nothing is kept, or the folder takes nothing: what has no name stays as long as it is open.
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = settings.model_copy(update={"cache_dir": Path(folder)})
        await _make(elsewhere, document)
        found = await asyncio.to_thread(find_model, elsewhere, document.digest)
    if found is None:
        raise SchemaError("The model of the metadata cannot be kept.", hint="Is the disk full?")
    return found


async def _make(settings: Settings, document: MetadataDocument) -> None:
    content = document.content
    task = _Task(
        settings=deciding_settings(settings, "cache_dir"),
        digest=document.digest,
        source=document.source,
        path=str(content) if isinstance(content, Path) else None,
    )
    given = msgspec.json.encode(task) + b"\n" + (content if isinstance(content, bytes) else b"")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command("gateway.metadata.model_process"), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        said, complaints = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if said:
        trouble = msgspec.json.decode(said, type=_Trouble)
        raise SchemaError(trouble.message, hint=trouble.hint)
    if process.returncode:
        last = complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise SchemaError(f"Reading the metadata ended with {process.returncode}. {last}".strip())


def main() -> None:
    """Do the task that standard input holds; what is wrong with the document goes to standard output."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # where log lines go is no place for them
    if hasattr(os, "nice"):
        os.nice(_NICE)
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=_Task)
    content = sys.stdin.buffer.read() if task.path is None else Path(task.path)
    document = MetadataDocument(content, task.digest, task.source)
    try:
        with resting():
            make_model(Settings.model_validate(task.settings), document)
    except (SchemaError, GatewayError) as error:
        trouble = _Trouble(error.message, error.hint)
        answers.write(msgspec.json.encode(trouble))
