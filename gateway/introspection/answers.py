"""Answers operations that ask of nothing but the schema, without making its types.

What is short is written at once. What grows with the catalogue (the list of all types, the fields of ``Query``) takes
seconds for the whole of Finance & Operations: it is written once for each schema and selection, aside (``telling``),
and kept compressed (``artifacts``); how a client spells its selection does not matter, only what is selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.config.settings import Settings
from gateway.documents.collect_fields import Selection, fragments_of
from gateway.metadata.model_builder import SMALL
from gateway.metadata.model_identity import introspection_identity
from gateway.operations.prepared_operation import Prepared
from gateway.storage.content_coding import IDENTITY
from gateway.storage.response_artifacts import Artifact, ArtifactStore, MakePieces
from schema.introspection import Selected, introspect, is_whole
from schema.types.build import ODataSchema
from schema.types.federation import SERVICE

from .introspection_selection import selected
from .writer_process import IntrospectionWorker, whole_answer

_SDL = (Selected(SERVICE, SERVICE, (Selected("sdl", "sdl"),)),)


@dataclass(frozen=True, slots=True)
class LongAnswer:
    """An answer that is kept, and may be had in each coding."""

    artifacts: ArtifactStore
    key: str
    make: MakePieces
    stored: Artifact

    async def coded(self, coding: str) -> Artifact:
        """Return the answer in a coding."""
        return await self.artifacts.get(self.key, self.make, coding)

    def encode(self) -> bytes:
        """Return the answer's JSON, all of it."""
        stored = self.stored
        return b"".join(Artifact(stored.packed, IDENTITY, stored.size, stored.digest).pieces())


@dataclass(frozen=True, slots=True)
class IntrospectionStore:
    """Where long answers are kept, and who writes them."""

    artifacts: ArtifactStore = field(default_factory=ArtifactStore)
    apart: IntrospectionWorker | None = None
    """Not given: they are written in a thread."""


def introspection_store(
    settings: Settings, digest: str, labels: Mapping[str, str], sets: int
) -> IntrospectionStore:
    """Return that for a metadata document of so many entity sets."""
    folder, identity = introspection_identity(settings, digest, labels)
    is_apart = folder is not None and sets > SMALL
    return IntrospectionStore(
        ArtifactStore(folder, identity),
        IntrospectionWorker(settings, digest, labels) if is_apart else None,
    )


def asks_schema(prepared: Prepared) -> bool:
    """Return whether an operation asks of the schema, be it among other things."""
    return any(name in ("__schema", "__type", SERVICE) for _, name in prepared.order)


class Introspection:
    """Tells of one schema."""

    def __init__(self, schema: ODataSchema, introspection_store: IntrospectionStore) -> None:
        self._schema = schema
        self._store = introspection_store

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
        return await self._kept(asked) if is_whole(asked) else self._short(asked)

    async def subgraph(self) -> str:
        """Return the SDL of the API as a subgraph."""
        answer = await self._kept(_SDL)
        found: str = msgspec.json.decode(answer.encode())["data"][SERVICE]["sdl"]
        return found

    def _short(self, asked: tuple[Selected, ...]) -> bytes:
        return b"".join(introspect(self._schema, asked))

    async def _kept(self, asked: tuple[Selected, ...]) -> LongAnswer:
        key = hashlib.sha256(repr(asked).encode()).hexdigest()

        def make() -> Iterator[bytes]:
            return whole_answer(self._schema, asked)

        artifacts, apart = self._store.artifacts, self._store.apart
        stored = await artifacts.get(
            key,
            make,
            in_subprocess=None if apart is None else lambda path: apart.write(asked, path),
        )
        return LongAnswer(artifacts, key, make, stored)
