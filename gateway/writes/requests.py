"""Writes as OData requests, relative to the service root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from gateway.odata.dialect import Dialect
from gateway.odata.query import Query, Request, Resource
from gateway.odata.render import render
from schema.fields import Verb

from .plan import CallWrite, RowWrite
from .values import encode_body

_ACCEPT = {"Accept": "application/json;odata.metadata=minimal", "OData-MaxVersion": "4.0"}
_CONTENT = {"Content-Type": "application/json;odata.metadata=minimal", "OData-Version": "4.0"}


def row_request(write: RowWrite, dialect: Dialect) -> Request:
    """Print a create, update or delete. An upsert is printed as the update that is tried first."""
    options = dialect.options
    if write.verb is Verb.CREATE:
        address = render(Query(resource=Resource(write.entity_set)), options=options)
        return _with_body("POST", address.url, write.body)
    assert write.key is not None
    address = render(Query(resource=Resource(write.entity_set, write.key)), options=options)
    match = {} if write.if_match is None else {"If-Match": write.if_match}
    if write.verb is Verb.DELETE:
        return Request("DELETE", address.url, {**_ACCEPT, **match})
    body = write.change if write.verb is Verb.UPSERT else write.body
    sent = _with_body("PATCH", address.url, body)
    return structs.replace(sent, headers={**sent.headers, **match})


def call_request(call: CallWrite) -> Request:
    """Print the call of an action or custom service."""
    return _with_body("POST", call.path, call.body)


def _with_body(method: str, url: str, body: Mapping[str, Any]) -> Request:
    return Request(method, url, {**_ACCEPT, **_CONTENT}, encode_body(body))
