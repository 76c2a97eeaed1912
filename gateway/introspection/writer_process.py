"""Writes a long introspection answer in a subprocess, whose memory is freed when it ends.

    gateway ── settings, labels, selection ──▶ ``writer_process`` ──▶ file ──▶ opened by the gateway

The subprocess opens the model's snapshot, which must exist, and gets no credentials.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.profiles import settings_from_json
from gateway.config.rendering import secret_settings
from gateway.config.settings import Settings
from gateway.errors import BudgetExceeded
from gateway.metadata.api_schema import build_api_schema
from gateway.metadata.model_builder import dialect_of, find_model, make_catalog
from gateway.metadata.role_policy import make_policy
from gateway.process.lean_imports import module_command
from gateway.storage.response_artifacts import write_artifact
from schema.catalog.role_catalog import role_catalog
from schema.introspection import Selected, introspect
from schema.policy.view import RoleView
from schema.types.build import ODataSchema
from schema.types.resolvers import NEVER_EXECUTED

MOST_BYTES = 1 << 29
"""Longest answer in bytes: several times a full introspection of the largest known catalogue."""
_NICE = 10
_TOO_LONG = 3
"""Exit code if the answer would be longer than ``MOST_BYTES``."""


class _Task(msgspec.Struct):
    settings: dict[str, Any]
    digest: str
    labels: dict[str, str]
    selection: tuple[Selected, ...]
    path: str
    roles: tuple[str, ...] = ()
    categories: dict[str, str] = {}


def whole_answer(schema: ODataSchema, selection: tuple[Selected, ...]) -> Iterator[bytes]:
    """Yield an answer from a walk through a copy of the schema. Raises BudgetExceeded if it is too long."""
    size = 0
    for piece in introspect(schema.copy_for(schema.catalog.fresh_copy()), selection):
        size += len(piece)
        if size > MOST_BYTES:
            raise BudgetExceeded(
                f"The introspection result would be longer than {MOST_BYTES:,} bytes.",
                hint="Introspect single types with __type(name:), or select fewer fields of each type.",
            )
        yield piece


_OF_OTHERS = {
    *("environments", "stored_environments", "default_environment", "linking"),
    *("profiles", "serve_all"),
}
"""Settings of other APIs than the one that is introspected."""


@dataclass(frozen=True, slots=True)
class IntrospectionWorker:
    """Writes introspection answers for one metadata document in subprocesses."""

    settings: Settings
    digest: str
    labels: Mapping[str, str]
    roles: tuple[str, ...] = ()
    """The roles whose view is introspected; none: all that the settings allow."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Categories of entity sets, if roles name them."""

    def task(self, selection: tuple[Selected, ...], path: Path) -> bytes:
        """Return the input of the subprocess, without credentials."""
        secret = {name for name in secret_settings() if "." not in name}
        # The value "admin" would not validate without the secret, and introspection does not depend on it.
        secret.add("graphiql")
        task = _Task(
            settings=self.settings.model_dump(mode="json", exclude=secret | _OF_OTHERS),
            digest=self.digest,
            labels=dict(self.labels),
            selection=selection,
            path=str(path),
            roles=self.roles,
            categories=dict(self.categories),
        )
        return msgspec.msgpack.encode(task)

    async def write(self, selection: tuple[Selected, ...], path: Path) -> bool:
        """Write an answer into a file and return whether that succeeded. Raises BudgetExceeded if it is too long."""
        nothing = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *module_command("gateway.introspection.writer_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=nothing,
            stderr=nothing,
        )
        try:
            await process.communicate(self.task(selection, path))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == _TOO_LONG:
            raise BudgetExceeded(
                f"The introspection result would be longer than {MOST_BYTES:,} bytes.",
                hint="Introspect single types with __type(name:), or select fewer fields of each type.",
            )
        return process.returncode == 0


def main() -> int:
    """Run the task on standard input and return the exit code."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Task)
    settings = settings_from_json(task.settings)
    loaded = find_model(settings, task.digest)
    if loaded is None:
        return 1
    dialect = dialect_of(settings, loaded.model)
    catalog = make_catalog(settings, loaded.model, dialect, task.labels, loaded.naming)
    if task.roles:
        policy = make_policy(settings.roles, task.categories)
        catalog = role_catalog(catalog, RoleView(policy, task.roles))
    schema = build_api_schema(settings, catalog, NEVER_EXECUTED)
    try:
        write_artifact(Path(task.path), lambda: whole_answer(schema, task.selection))
    except BudgetExceeded:
        return _TOO_LONG
    return 0
