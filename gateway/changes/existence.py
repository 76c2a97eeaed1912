"""Finds out for the gateway itself whether rows still exist that a caller does not see any more.

Only the answer yes or no leaves this module: a row that exists was not deleted, whoever may see it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.execution.key_chunks import columns_of
from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import key_filter
from gateway.odata.query import Query, Resource
from gateway.odata.render import render
from gateway.odata.upstream import ReadUpstream
from gateway.operations.global_ids import parse_id
from gateway.planning.entity_lookups import id_key
from schema.catalog import Catalog

_KEYS = 20
"""Keys in a request."""


class Existence(Struct, frozen=True):
    """Asks for the rows of one entity set."""

    upstream: ReadUpstream
    dialect: Dialect
    catalog: Catalog
    entity_set: str
    csdl: str

    async def any_of(self, ids: Sequence[str]) -> bool:
        """Return whether one of the rows exists, or may exist because that cannot be found out."""
        try:
            for start in range(0, len(ids), _KEYS):
                if await self._exist(ids[start : start + _KEYS]):
                    return True
        except GatewayError:
            return True
        return False

    async def _exist(self, ids: Sequence[str]) -> bool:
        key = self.catalog.object(self.csdl).key
        keys = [id_key(key, parse_id(each, self.catalog.tag)[1]) for each in ids]
        query = Query(
            resource=Resource(self.entity_set),
            select=tuple(field.source for field in key),
            where=key_filter(columns_of(key), keys),
            top=1,
        )
        request = render(self.dialect.lower(query).query, options=self.dialect.options)
        response = await self.upstream.send(request)
        return bool(msgspec.json.decode(response.body).get("value"))
