"""Prints writes as OData requests, relative to the service root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from gateway.odata.dialect import Dialect
from gateway.odata.query import Query, Request, Resource
from gateway.odata.render import render
from schema.catalog.records import Verb

from .plan import CallWrite, RowWrite
from .values import encode_body

_ACCEPT = {"Accept": "application/json;odata.metadata=minimal", "OData-MaxVersion": "4.0"}
_PREFER = {"Prefer": "return=representation"}
_CONTENT = {"Content-Type": "application/json;odata.metadata=minimal", "OData-Version": "4.0"}


def row_request(write: RowWrite, dialect: Dialect) -> Request:
    """Return the request of a create, update or delete; of an upsert, the update that is tried first."""
    options = dialect.options
    if write.verb is Verb.CREATE:
        address = render(Query(resource=Resource(write.entity_set)), options=options)
        request = _shown(write, _with_body("POST", address.url, write.body))
        return _with_headers(request, _PREFER if dialect.prefers_representation else {})
    assert write.key is not None
    address = render(Query(resource=Resource(write.entity_set, write.key)), options=options)
    precondition = _precondition(write, dialect)
    if write.verb is Verb.DELETE:
        return Request("DELETE", address.url, {**_ACCEPT, **precondition})
    body = write.change if write.verb is Verb.UPSERT else write.body
    return _with_headers(_shown(write, _with_body("PATCH", address.url, body)), precondition)


def _shown(write: RowWrite, request: Request) -> Request:
    """Return a request that shows its body without presets, which are policy."""
    if not write.presets:
        return request
    return structs.replace(request, shown_body=encode_body(write.own or {}))


def _precondition(write: RowWrite, dialect: Dialect) -> Mapping[str, str]:
    """Return ``If-Match`` with the etag that was checked, else the caller's.

    It is ``*`` if there is none and a PATCH might create the row (OData 4.0, 11.4.3).
    """
    etag = write.version or write.if_match
    if etag is not None:
        return {"If-Match": etag}
    needs_row = write.verb is Verb.UPDATE and dialect.update_may_create
    return {"If-Match": "*"} if needs_row else {}


def _with_headers(request: Request, headers: Mapping[str, str]) -> Request:
    return structs.replace(request, headers={**request.headers, **headers})


def call_request(call: CallWrite) -> Request:
    """Return the request of an action or custom service."""
    return _with_body("POST", call.path, call.body)


def _with_body(method: str, url: str, body: Mapping[str, Any]) -> Request:
    return Request(method, url, {**_ACCEPT, **_CONTENT}, encode_body(body))
