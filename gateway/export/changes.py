"""Reads the changes of a list for those who are no clients of GraphQL: webhooks and jobs.

Each answer is an operation of their caller, `Query.changes`, over the roles that may export the list: it is planned,
priced, admitted and completed as any other. The rows have the columns of an export.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, structs

from gateway.admission.work import Lane
from gateway.errors import BadArgument, Forbidden, UpstreamMalformed
from gateway.request import GraphQLRequest
from schema.policy.records import Right

from .reading import ExportFailed
from .serving import ReadyExport

_DOCUMENT = """query Changes($set: String!, $since: String, $first: Int, $where: JSON) {{
  changes(set: $set, since: $since, first: $first, where: $where) {{
    upserts {{ kind id etag {node} {{ ... on {type} {{ {selection} }} }} }}
    deletes {{ id reason }} cursor hasMore lag source guarantee resyncRequired }} }}"""


class Upsert(Struct, frozen=True):
    """A row that was created or changed."""

    kind: str
    id: str
    node: msgspec.Raw = msgspec.Raw(b"null")
    etag: str | None = None


class Delete(Struct, frozen=True):
    """A row that is gone."""

    id: str
    reason: str


class Changes(Struct, frozen=True, rename="camel", kw_only=True):
    """One answer."""

    upserts: list[Upsert]
    deletes: list[Delete]
    cursor: str
    has_more: bool
    resync_required: bool
    source: str
    guarantee: str
    lag: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it brings nothing that somebody needs to know."""
        return not (self.upserts or self.deletes or self.resync_required)


class _Data(Struct):
    changes: Changes


class _Body(Struct):
    data: _Data


_decode = msgspec.json.Decoder(_Body).decode


class ChangeReader(Struct, frozen=True, kw_only=True):
    """Reads the changes of one list."""

    ready: ReadyExport
    request: GraphQLRequest
    """For the first answer."""

    async def read(self, since: str | None, first: int | None) -> Changes:
        """Return what comes after a cursor, so many rows at most. Raises ExportFailed."""
        variables = {**self.request.variables, "since": since, "first": first}
        answer = await self.ready.read(structs.replace(self.request, variables=variables))
        if answer.errors:
            raise ExportFailed(answer)
        try:
            return _decode(answer.encode()).data.changes
        except msgspec.MsgspecError as error:
            raise UpstreamMalformed("The answer with the changes is unreadable.") from error


def change_reader(ready: ReadyExport, request: GraphQLRequest) -> ChangeReader:
    """Return what reads the changes of the list of an export. ``request`` has caller and companies.

    Raises BadArgument if changes are not served, Forbidden if not to its caller.
    """
    gateway = ready.live.gateway
    if not gateway.settings.changes.enabled:
        raise BadArgument("Changes are not served.", hint="Setting: changes.enabled.")
    catalog, export = gateway.catalog, ready.export
    if not catalog.gives(Right.SUBSCRIBE, export.source.entity_set):
        raise Forbidden(
            f"None of your roles may follow the changes of {export.set}.",
            hint="Roles give it as a right of the set: subscribe = true.",
        )
    type_name = export.source.row_type(gateway.schema)
    node = "node: object" if export.source.view else "node"
    text = _DOCUMENT.format(node=node, type=type_name, selection=export.selected)
    variables: dict[str, Any] = {"set": export.set, "where": export.variables.get("where")}
    return ChangeReader(
        ready=ready,
        request=structs.replace(
            request,
            query=text,
            variables=variables,
            operation_name=None,
            allow_mutation=False,
            lane=Lane.EXPORT,
        ),
    )
