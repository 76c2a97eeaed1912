"""Prepared operations: each is shaped and compiled once.

Two bounded caches that drop the least recently used entry first:

* document and values of the variables that decide what is selected → prepared operation, ready to be planned;
* fingerprint (the document without the values of arguments) → what is compiled of it. So a new text that differs from
  another one in literals only is parsed and validated, but not compiled again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from typing import Any

from graphql import OperationDefinitionNode

from gateway.dimensions.formats import EnvironmentFormats
from gateway.documents.fingerprint import fingerprint_of
from gateway.documents.lru_cache import LRUCache
from gateway.documents.store import Document
from schema.catalog import Catalog
from schema.catalog.records import RootField
from schema.unified.api import UnifiedApi

from .prepared_operation import Prepared, prepare

MAX_PREPARED = 1_000
MAX_COMPILED = 200
"""Compiled operations; one of 60 fields takes about 100 KB."""


class PreparedOperations:
    """The prepared operations of one schema."""

    def __init__(
        self,
        catalog: Catalog,
        roots: Mapping[str, RootField] | None = None,
        unified: UnifiedApi | None = None,
        *,
        formats: EnvironmentFormats | None = None,
        max_prepared: int = MAX_PREPARED,
        max_compiled: int = MAX_COMPILED,
    ) -> None:
        """``roots`` are the planned fields of ``Query`` if the schema has more than the catalog.

        ``formats``: those by which display values are divided.
        """
        self._formats = formats
        self._catalog = catalog
        self._roots = roots
        self._unified = unified
        self._prepared: LRUCache[tuple[Hashable, ...], Prepared] = LRUCache(max_prepared)
        self._compiled: LRUCache[tuple[Hashable, ...], Prepared] = LRUCache(max_compiled)

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the caches, to be cleared after retirement."""
        yield from (self._prepared.table, self._prepared.pinned, self._compiled.table)

    def pin(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> None:
        """Make the prepared operation for these variables stay in the cache."""
        self.prepare(document, operation, variables)
        self._prepared.pin(_key(document, operation, variables))

    def unpin_all(self) -> None:
        """Let operations leave the cache again."""
        self._prepared.pinned.clear()

    def prepare(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> Prepared:
        """Return the prepared operation for these variables."""
        key = _key(document, operation, variables)
        prepared = self._prepared.get(key)
        if prepared is None:
            conditions = {name: variables.get(name) for name in document.conditions}
            prepared = self._prepare(document, operation, conditions)
            self._prepared.put(key, prepared)
        return prepared

    def _prepare(
        self, document: Document, operation: OperationDefinitionNode, conditions: dict[str, object]
    ) -> Prepared:
        assert document.node is not None
        fingerprint = fingerprint_of(document.node, operation)
        key = (fingerprint.key, *((name, _hashable(conditions, name)) for name in conditions))
        compiled = self._compiled.get(key)
        if compiled is not None:
            return compiled.for_document(document.node, operation, fingerprint.fields)
        prepared = prepare(
            self._catalog,
            document.node,
            operation,
            conditions,
            fingerprint.fields,
            self._roots,
            self._unified,
            formats=self._formats,
        )
        self._compiled.put(key, prepared)
        return prepared


def _key(
    document: Document, operation: OperationDefinitionNode, variables: Mapping[str, object]
) -> tuple[Hashable, ...]:
    # The document itself is a part of the key, so that the id of its operation stays in use.
    return (document, id(operation), *(_hashable(variables, n) for n in document.conditions))


def _hashable(variables: Mapping[str, object], name: str) -> Hashable:
    value = variables.get(name)
    return tuple(value) if isinstance(value, list) else value
