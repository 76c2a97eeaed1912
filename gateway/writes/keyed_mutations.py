"""Runs single mutations of an operation once: those with the argument ``idempotencyKey``.

A mutation that was run before is not run again: what it has answered, and the values that ``@valueFrom`` takes of it,
come from the ledger. What is stored is the completed payload, so a run ends when the operation is completed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from graphql import FieldNode, FragmentDefinitionNode, print_ast, value_from_ast_untyped
from msgspec import Struct

from gateway.documents.collect_fields import Nodes
from gateway.errors import BadArgument, UnsupportedQuery
from gateway.idempotency.ledger import Ledger, Run
from gateway.request import Answer, ValidOperation
from schema.writes.catalog import IDEMPOTENCY_KEY

from .natural_keys import names_natural_key
from .once import REPLAYED, NotingWriter, is_open
from .reference_values import ReferenceValues

_LONGEST = 255
_VARIABLE = re.compile(r"\$(\w+)")


class StoredMutation(Struct):
    """The payload of a mutation as the ledger has it."""

    data: msgspec.Raw
    errors: list[dict[str, Any]] = []
    values: dict[str, Any] = {}
    """What ``@valueFrom`` takes of it, by field."""


class _KeyedRun(Struct):
    """A mutation that runs under a key."""

    run: Run
    is_unique: bool = False
    """Whether it finds what it has written, so that it may run again."""
    is_final: bool = False
    may_have_written: bool = False


class KeyedMutations:
    """The mutations of one operation that have keys."""

    def __init__(
        self, ledger: Ledger | None, profile: str, operation: ValidOperation, writer: NotingWriter
    ) -> None:
        """``writer`` sends the writes of the operation, and of nothing else."""
        self._ledger = ledger
        self._profile = profile
        self._operation = operation
        self._writer = writer
        self._runs: dict[str, _KeyedRun] = {}
        self._replayed: dict[str, StoredMutation] = {}
        self._references: ReferenceValues | None = None

    def require_none(self, mutations: Mapping[str, Nodes], references: ReferenceValues) -> None:
        """Raise BadArgument if a mutation has a key: those of a changeset are written together."""
        for key, nodes in mutations.items():
            if _key_of(nodes[0], references) is not None:
                raise BadArgument(
                    f"{key} has an idempotencyKey, and in an @atomic operation all are written together.",
                    hint="Send the header Idempotency-Key instead.",
                )

    async def replays(self, key: str, nodes: Nodes, references: ReferenceValues) -> bool:
        """Return whether a mutation was run before; else it holds its key from now on.

        Raises GatewayError as ``Ledger.begin`` does.
        """
        name = _key_of(nodes[0], references)
        if name is None:
            return False
        if self._ledger is None:
            raise UnsupportedQuery("This API has no idempotency keys.", hint="Send none.")
        self._references = references
        caller = self._operation.request.caller.log_id
        digest = self._digest(nodes, references)
        # No header can be equal to it: keys of headers have no spaces.
        is_unique = names_natural_key(nodes[0], references.variables)
        begun = await self._ledger.begin(caller, f"mutation {name}", digest, repeatable=is_unique)
        if isinstance(begun, Run):
            self._writer.reset()
            self._runs[key] = _KeyedRun(begun, is_unique)
            return False
        stored = self._replayed[key] = msgspec.json.decode(begun, type=StoredMutation)
        for reference in references.references:
            if reference.key == key and reference.field in stored.values:
                references.variables[reference.variable] = stored.values[reference.field]
        return True

    def ended(self, key: str) -> None:
        """Note what became of the writes of a mutation."""
        keyed = self._runs.get(key)
        if keyed is not None:
            keyed.is_final = self._writer.is_final
            keyed.may_have_written = self._writer.may_have_written

    async def settle(self, answer: Answer) -> None:
        """Put stored payloads into the answer of the operation, and store those of the mutations that have run."""
        for key, keyed in self._runs.items():
            encoded = msgspec.json.encode(self._stored(key, answer)) if keyed.is_final else b""
            if encoded and not (keyed.is_unique and is_open(encoded)):
                await keyed.run.finish(encoded)
            else:
                await keyed.run.release()
        for key, stored in self._replayed.items():
            own = [{**e, "path": [key, *e["path"][1:]]} for e in stored.errors]
            answer.errors = [*(e for e in answer.errors if not _is_below(key, e)), *own]
            answer.data[key] = stored.data
        if self._replayed and len(self._replayed) == len(answer.data):
            answer.fields = (*answer.fields, REPLAYED)

    async def fail(self) -> None:
        """End what runs without an answer."""
        for keyed in self._runs.values():
            if keyed.may_have_written or self._writer.may_have_written:
                keyed.run.abandon()
            else:
                await keyed.run.release()

    def abandon(self) -> None:
        """Leave the keys of what runs behind: it is not known what was written."""
        for keyed in self._runs.values():
            keyed.run.abandon()

    def _stored(self, key: str, answer: Answer) -> StoredMutation:
        references = self._references
        assert references is not None
        data = Answer(answer.data[key]).encode()
        return StoredMutation(
            msgspec.json.decode(data, type=dict[str, msgspec.Raw])["data"],
            [e for e in answer.errors if _is_below(key, e)],
            {
                r.field: references.variables[r.variable]
                for r in references.references
                if r.key == key and r.variable in references.variables
            },
        )

    def _digest(self, nodes: Nodes, references: ReferenceValues) -> str:
        """Return a digest of all that decides what a mutation writes and answers, but its alias."""
        document, request = self._operation.document.node, self._operation.request
        assert document is not None
        fragments = [d for d in document.definitions if isinstance(d, FragmentDefinitionNode)]
        fields = [replace(node, alias=None) for node in nodes]
        printed = list(map(print_ast, (*fields, *fragments)))
        # Also what looks like a variable in a text, which does no harm.
        used = {name for text in printed for name in _VARIABLE.findall(text)}
        values = {name: v for name, v in references.variables.items() if name in used}
        parts = (self._profile, printed, values, request.companies)
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def _is_below(key: str, error: dict[str, Any]) -> bool:
    path = error.get("path") or [None]
    return bool(path[0] == key)


def _key_of(node: FieldNode, references: ReferenceValues) -> str | None:
    """Return the key of a mutation; None if it has none. Raises BadArgument."""
    for argument in node.arguments or ():
        if argument.name.value == IDEMPOTENCY_KEY.name:
            value = value_from_ast_untyped(argument.value, references.variables)
            if not isinstance(value, str):
                return None
            if not 0 < len(value) <= _LONGEST:
                raise BadArgument(f"The idempotencyKey has not 1 to {_LONGEST} characters.")
            return value
    return None
