"""Answers operations that select only the schema, without creating its types.

Short answers are written at once. Those that grow with the catalogue (the list of all types, the fields of ``Query``)
take seconds for the whole of Finance & Operations: they are written once for each schema and selection, by a subprocess
(``writer_process``), and stored compressed (``ArtifactStore``). The key is what is selected, not the document's text.
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
from schema.catalog.role_catalog import RoleCatalog
from schema.introspection import Selected, introspect, is_whole
from schema.policy.view import RoleView
from schema.types.build import ODataSchema
from schema.types.federation import SERVICE

from .introspection_selection import read_selection
from .writer_process import IntrospectionWorker, whole_answer

_SDL = (Selected(SERVICE, SERVICE, (Selected("sdl", "sdl"),)),)


@dataclass(frozen=True, slots=True)
class LongAnswer:
    """A stored answer, available in each content coding."""

    artifacts: ArtifactStore
    key: str
    make: MakePieces
    stored: Artifact

    async def coded(self, coding: str) -> Artifact:
        """Return the answer in a content coding."""
        return await self.artifacts.get(self.key, self.make, coding)

    def encode(self) -> bytes:
        """Return the whole JSON."""
        stored = self.stored
        return b"".join(Artifact(stored.packed, IDENTITY, stored.size, stored.digest).pieces())


@dataclass(frozen=True, slots=True)
class IntrospectionStore:
    """Where long answers are stored, and the worker that writes them."""

    artifacts: ArtifactStore = field(default_factory=ArtifactStore)
    worker: IntrospectionWorker | None = None
    """None: they are written in a thread."""


def introspection_store(
    settings: Settings, digest: str, labels: Mapping[str, str], sets: int
) -> IntrospectionStore:
    """Return the introspection store for a metadata document; large ones are written by a subprocess."""
    folder, identity = introspection_identity(settings, digest, labels)
    # A subprocess opens the model from its snapshot, so it needs the folder; a small answer is faster in a thread.
    uses_subprocess = folder is not None and sets > SMALL
    return IntrospectionStore(
        ArtifactStore(folder, identity),
        IntrospectionWorker(settings, digest, labels) if uses_subprocess else None,
    )


def view_store(
    settings: Settings, digest: str, catalog: RoleCatalog, view: RoleView
) -> IntrospectionStore:
    """Return the introspection store of a role view; its files do not displace those of whole APIs."""
    whole = catalog.whole
    folder, identity = introspection_identity(settings, digest, whole.labels)
    seen = msgspec.json.encode([view.definitions, view.policy.categories], order="deterministic")

    def identity_of_view() -> bytes:
        return hashlib.sha256(identity() + seen).digest()

    uses_subprocess = folder is not None and len(whole.model.entity_sets) > SMALL
    return IntrospectionStore(
        ArtifactStore(None if folder is None else folder / "roles", identity_of_view),
        IntrospectionWorker(settings, digest, whole.labels, view.roles, view.policy.categories)
        if uses_subprocess
        else None,
    )


def asks_schema(prepared: Prepared) -> bool:
    """Return whether an operation selects ``__schema``, ``__type`` or ``_service``, possibly among other fields."""
    return any(name in ("__schema", "__type", SERVICE) for _, name in prepared.order)


class Introspection:
    """Answers introspection of one schema."""

    def __init__(self, schema: ODataSchema, introspection_store: IntrospectionStore) -> None:
        self._schema = schema
        self._store = introspection_store

    async def answer(
        self, prepared: Prepared, variables: Mapping[str, object]
    ) -> bytes | LongAnswer | None:
        """Return the JSON of an operation; None if it selects more than the schema.

        Raises BudgetExceeded if the answer is too long.
        """
        if prepared.roots or not asks_schema(prepared):
            return None
        fragments = fragments_of(prepared.document)
        selection = read_selection(Selection(prepared.operation, fragments, variables), variables)
        if selection is None:
            return None
        return await self._long(selection) if is_whole(selection) else self._short(selection)

    async def subgraph(self) -> str:
        """Return the SDL of the API as an Apollo Federation subgraph."""
        answer = await self._long(_SDL)
        sdl: str = msgspec.json.decode(answer.encode())["data"][SERVICE]["sdl"]
        return sdl

    def _short(self, selection: tuple[Selected, ...]) -> bytes:
        return b"".join(introspect(self._schema, selection))

    async def _long(self, selection: tuple[Selected, ...]) -> LongAnswer:
        key = hashlib.sha256(repr(selection).encode()).hexdigest()

        def make() -> Iterator[bytes]:
            return whole_answer(self._schema, selection)

        artifacts, worker = self._store.artifacts, self._store.worker
        stored = await artifacts.get(
            key,
            make,
            in_subprocess=None if worker is None else lambda path: worker.write(selection, path),
        )
        return LongAnswer(artifacts, key, make, stored)
