"""Answers operations that ask of nothing but the schema, without making its types.

What is short is written at once. What grows with the catalogue (the list of all types, the fields of ``Query``) takes
seconds for the whole of Finance & Operations: it is written once for each schema and selection, in a thread, and kept
compressed (``artefacts``); how a client spells its selection does not matter, only what is selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from schema.build import ODataSchema
from schema.introspection import Selected, introspect, is_whole

from .artefacts import Artefact, Artefacts, Make
from .asked import selected
from .encoding import IDENTITY
from .errors import BudgetExceeded
from .prepare import Prepared
from .selection import Selection, fragments_of

MOST_BYTES = 1 << 29
"""Longest answer: several times that of every client's own introspection over the largest known catalogue."""


@dataclass(frozen=True, slots=True)
class LongAnswer:
    """An answer that is kept, and may be had in each coding."""

    artefacts: Artefacts
    key: str
    make: Make
    stored: Artefact

    async def coded(self, coding: str) -> Artefact:
        """Give the answer in a coding."""
        return await self.artefacts.get(self.key, self.make, coding)

    def encode(self) -> bytes:
        """Give the answer's JSON, all of it."""
        stored = self.stored
        return b"".join(Artefact(stored.packed, IDENTITY, stored.size, stored.digest).pieces())


def asks_schema(prepared: Prepared) -> bool:
    """Whether an operation asks of the schema, be it among other things."""
    return any(name in ("__schema", "__type") for _, name in prepared.order)


class Introspection:
    """Tells of one schema."""

    def __init__(self, schema: ODataSchema, artefacts: Artefacts) -> None:
        self._schema = schema
        self._artefacts = artefacts

    async def answer(
        self, prepared: Prepared, variables: Mapping[str, object]
    ) -> bytes | LongAnswer | None:
        """Answer an operation as JSON; None where it asks of more than the schema.

        Raises BudgetExceeded.
        """
        if prepared.roots or not asks_schema(prepared):
            return None
        fragments = fragments_of(prepared.document)
        asked = selected(Selection(prepared.operation, fragments, variables), variables)
        if asked is None:
            return None
        if not is_whole(asked):
            return b"".join(introspect(self._schema, asked))
        key = hashlib.sha256(repr(asked).encode()).hexdigest()

        def make() -> Iterator[bytes]:
            return _whole(self._schema, asked)

        stored = await self._artefacts.get(key, make)
        return LongAnswer(self._artefacts, key, make, stored)


def _whole(schema: ODataSchema, asked: tuple[Selected, ...]) -> Iterator[bytes]:
    size = 0
    for piece in introspect(schema.again(schema.catalog.twin()), asked):
        size += len(piece)
        if size > MOST_BYTES:
            raise BudgetExceeded(
                f"The answer would be longer than {MOST_BYTES:,} bytes.",
                hint="Ask for single types by __type(name:), or select less of each.",
            )
        yield piece
