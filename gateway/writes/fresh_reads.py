"""Opens fresh loaders for the reads of one mutation operation.

Each read of a mutation has loaders of its own, so nothing that was read before the write is seen after it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.execution.fetcher import Fetcher
from gateway.execution.key_chunks import RowsByKey, columns_of, read_chunks, split_keys, types_of
from gateway.execution.key_matching import normal_forms
from gateway.execution.plan_runner import PlanRunner
from gateway.execution.read_batches import in_batches
from gateway.odata.dialect import Dialect
from gateway.odata.query import Query, Request
from gateway.operations.row_types import RowType
from schema.catalog.records import Field

_FEW = 32
"""Rows whose keys mostly fit into one address."""


class ReadFactory(Protocol):
    """Makes the loaders of one operation."""

    def fetcher(self, sent: list[Request]) -> Fetcher:
        """Return a fetcher without any answers, which appends its requests to ``sent``."""
        ...

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return a runner of plans that reads by ``fetcher``."""
        ...


class Loaders(NamedTuple):
    """What one read of a mutation is done with."""

    fetcher: Fetcher
    runner: PlanRunner


class FreshReads:
    """Opens loaders for one operation, and closes them all at its end."""

    def __init__(self, factory: ReadFactory) -> None:
        self._factory = factory
        self._open: list[Fetcher] = []
        self.sent: list[Request] = []
        """The requests of the operation, reads and writes, in order."""

    def open(self) -> Loaders:
        """Return loaders that have read nothing yet."""
        fetcher = self._factory.fetcher(self.sent)
        self._open.append(fetcher)
        return Loaders(fetcher, self._factory.runner(fetcher))

    async def rows_of(
        self, query: Query, row_type: RowType, fields: Sequence[Field], keys: Sequence[Any]
    ) -> RowsByKey:
        """Return the rows of a query whose fields have the values of each key, in as few requests as addresses allow.

        In the place of rows that could not be read stands a Failure.
        """
        fetcher = self.open().fetcher
        limit = fetcher.requests.max_url_length
        chunks = split_keys(fetcher, query, columns_of(fields), keys, limit)
        with in_batches(shares_requests(len(keys), fetcher.dialect)):
            return await read_chunks(fetcher, chunks, row_type, fields, keys, many=True)

    async def close(self) -> None:
        """Cancel the reads that are still under way."""
        for fetcher in self._open:
            await fetcher.close()


def shares_requests(keys: float, dialect: Dialect) -> bool:
    """Return whether rows with so many keys are read in a ``$batch``: the keys fill several addresses."""
    return keys > _FEW and dialect.batches_reads


def forms_of(
    fields: Sequence[Field], keys: Sequence[Any], *, case_insensitive: bool
) -> Sequence[Hashable]:
    """Return what two keys share if the upstream takes them as equal."""
    return normal_forms(types_of(fields), keys, case_insensitive=case_insensitive)
