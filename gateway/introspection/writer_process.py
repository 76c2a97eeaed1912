"""Writes a long answer about the schema in a process of its own, which takes its memory along when it ends.

    this process ── settings, labels, what is asked ──▶ ``writer_process`` ──▶ file ──▶ opened here

The other process opens the model's snapshot, which must be there, and is told no credentials.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from gateway.config.profiles import settings_from_json
from gateway.config.settings import Settings
from gateway.errors import BudgetExceeded
from gateway.metadata.api_schema import build_api_schema
from gateway.metadata.model_builder import dialect_of, find_model, make_catalog
from gateway.process.lean_imports import module_command
from gateway.storage.response_artifacts import write_artifact
from schema.introspection import Selected, introspect
from schema.types.build import ODataSchema
from schema.types.resolvers import NEVER_EXECUTED

MOST_BYTES = 1 << 29
"""Longest answer: several times that of every client's own introspection over the largest known catalogue."""
_NICE = 10
_TOO_LONG = 3
"""Exit code where the answer would be longer than that."""


class _Task(msgspec.Struct):
    settings: dict[str, Any]
    digest: str
    labels: dict[str, str]
    asked: tuple[Selected, ...]
    path: str


def whole_answer(schema: ODataSchema, asked: tuple[Selected, ...]) -> Iterator[bytes]:
    """Write an answer from a walk through a schema of its own. Raises BudgetExceeded."""
    size = 0
    for piece in introspect(schema.copy_for(schema.catalog.fresh_copy()), asked):
        size += len(piece)
        if size > MOST_BYTES:
            raise BudgetExceeded(
                f"The answer would be longer than {MOST_BYTES:,} bytes.",
                hint="Ask for single types by __type(name:), or select less of each.",
            )
        yield piece


@dataclass(frozen=True, slots=True)
class IntrospectionWorker:
    """Writes answers about the schema of one metadata document in other processes."""

    settings: Settings
    digest: str
    labels: Mapping[str, str]

    def task(self, asked: tuple[Selected, ...], path: Path) -> bytes:
        """Return what another process is told."""
        secret = {name for name, value in self.settings if isinstance(value, SecretStr)}
        # "admin" would need the secret.
        secret.add("graphiql")
        task = _Task(
            settings=self.settings.model_dump(mode="json", exclude=secret),
            digest=self.digest,
            labels=dict(self.labels),
            asked=asked,
            path=str(path),
        )
        return msgspec.msgpack.encode(task)

    async def write(self, asked: tuple[Selected, ...], path: Path) -> bool:
        """Write the file of an answer: whether that was possible. Raises BudgetExceeded."""
        nothing = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *module_command("gateway.introspection.writer_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=nothing,
            stderr=nothing,
        )
        try:
            await process.communicate(self.task(asked, path))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == _TOO_LONG:
            raise BudgetExceeded(
                f"The answer would be longer than {MOST_BYTES:,} bytes.",
                hint="Ask for single types by __type(name:), or select less of each.",
            )
        return process.returncode == 0


def main() -> int:
    """Do the task that standard input holds."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    gc.disable()  # all of it goes with the process
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Task)
    settings = settings_from_json(task.settings)
    known = find_model(settings, task.digest)
    if known is None:
        return 1
    dialect = dialect_of(settings, known.model)
    catalog = make_catalog(settings, known.model, dialect, task.labels, known.naming)
    schema = build_api_schema(settings, catalog, NEVER_EXECUTED)
    try:
        write_artifact(Path(task.path), lambda: whole_answer(schema, task.asked))
    except BudgetExceeded:
        return _TOO_LONG
    finally:
        gc.freeze()  # else the interpreter looks through it all at its end
    return 0
