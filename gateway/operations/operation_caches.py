"""The caches of one schema's operations: parsed documents and prepared operations, some of which stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from graphql import OperationDefinitionNode, OperationType
from msgspec import Struct

from gateway.documents.store import Document, Documents

from .cache import PreparedOperations


class OperationCaches(Struct, frozen=True):
    """What need not be done again when an operation comes a second time."""

    documents: Documents
    prepared: PreparedOperations

    def pin(
        self,
        text: str,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> None:
        """Keep an operation ready: parsed and validated, and compiled if it is a query."""
        self.documents.pin(text)
        if operation.operation is OperationType.QUERY:
            self.prepared.pin(document, operation, variables)

    def unpin_all(self) -> None:
        """Treat what was kept ready like all other operations."""
        self.documents.unpin_all()
        self.prepared.unpin_all()

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the caches, to be cleared after retirement."""
        yield from self.documents.tables()
        yield from self.prepared.tables()
