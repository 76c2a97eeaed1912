"""Reads the GraphQL request of an HTTP request: parameters in the URL or the body, headers that scope it.

Whatever is not a GraphQL request raises HttpError with a status, before anything of an operation is read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

from gateway.admission.work import Lane
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.process.time_limit import TimeLimit
from gateway.request import CostWish, GraphQLRequest
from gateway.telemetry.request_context import REQUEST_ID, current_request_id

from .exchange import exchange_of, head_of
from .refusals import HttpError
from .trusted_documents import PATH_PARAMETER, UNTRUSTED, DocumentAccess

JSON = "application/json"
COMPANY_HEADER = "X-D365-Company"
ENVIRONMENT_HEADER = "X-D365-Environment"
TRACE_HEADER = "X-D365-Trace"
"""``true``: the answer lists its upstream requests, if the settings allow it."""
COST_HEADER = "X-D365-Cost"
"""``include``: the answer tells what it cost; ``estimate``: the operation is priced, and not run."""
TIMEOUT_HEADER = "X-D365-Timeout"
"""Seconds that the operation may take; it can only shorten what the settings allow."""
PRIORITY_HEADER = "X-D365-Priority"
"""``low``: the operation waits behind others while the environment is busy."""
IDEMPOTENCY_HEADER = "Idempotency-Key"
"""Under which a mutation is run once: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/."""
BODY_TIMEOUT = 30.0
"""Seconds in which a request's whole body must arrive."""
READS = frozenset({"GET", "HEAD"})
QUERY = "QUERY"
"""A read with a body (RFC 10008): safe as GET, with the parameters of POST."""

Headers: TypeAlias = Mapping[str, str]
"""Lower-case name → value; lines of the same name are joined with commas (RFC 9110, section 5.2)."""
# Not float(): it takes "inf" and "nan".
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_COMPANY, _TIMEOUT, _COST, _PRIORITY = (
    name.lower() for name in (COMPANY_HEADER, TIMEOUT_HEADER, COST_HEADER, PRIORITY_HEADER)
)
_IDEMPOTENCY = IDEMPOTENCY_HEADER.lower()
# With the quotes of a structured field (RFC 9651), or without; two lines of it are joined with a space.
_KEY = re.compile(r'"([!#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})')
_CLIENT_NAMES = ("graphql-client-name", "apollographql-client-name")
_CLIENT_VERSIONS = ("graphql-client-version", "apollographql-client-version")
LONGEST_CLIENT = 64
"""Characters of the name and version of a client."""
_OWN = frozenset(
    {_COMPANY, _TIMEOUT, _COST, _PRIORITY, "cache-control", *_CLIENT_NAMES, *_CLIENT_VERSIONS}
)
"""Header fields that say something of the operation; most requests have none of them."""
_LANES = {"low": Lane.EXPORT, "normal": Lane.INTERACTIVE}


class OwnFields(msgspec.Struct, frozen=True, kw_only=True):
    """What the header fields in ``_OWN`` say."""

    companies: tuple[str, ...] | None = None
    timeout: float | None = None
    client_name: str | None = None
    client_version: str | None = None
    fresh: bool = False
    cost: CostWish | None = None
    lane: Lane = Lane.INTERACTIVE


_NONE = OwnFields()


class ClientDisconnected(Exception):
    """The client of a request has disconnected."""


def headers_of(scope: Scope) -> Headers:
    """Return a request's headers, which are read once."""
    return head_of(scope).fields


async def read_request(
    scope: Scope,
    headers: Headers,
    receive: Receive,
    max_body: int,
    documents: DocumentAccess = UNTRUSTED,
    caller: Caller = ANONYMOUS,
) -> GraphQLRequest:
    """Read the GraphQL request of a GET, HEAD, POST or QUERY. Raises HttpError, ClientDisconnected."""
    method = scope["method"]
    if method in READS:
        parameters = _url_parameters(QueryParams(scope["query_string"]))
    elif method in ("POST", QUERY):
        exchange = exchange_of(scope)
        body = None if exchange is None else exchange.take_body()
        if body is None:
            parameters = await body_parameters(headers, receive, max_body)
        else:
            _check_content(headers)
            parameters = _parameters(_not_too_large(body, max_body))
    else:
        raise HttpError(405, "METHOD_NOT_ALLOWED", "GraphQL requests are GET, POST or QUERY.")
    return request_of(
        parameters,
        headers,
        may_mutate=method == "POST",
        client=client_of(scope),
        documents=documents,
        path_name=document_in(scope),
        idempotency_key=idempotency_key_of(headers.get(_IDEMPOTENCY)),
        caller=caller,
    )


def document_in(scope: Scope) -> str | None:
    """Return the name of the document in the path of a request; None if it has none."""
    name: str | None = scope.get("path_params", {}).get(PATH_PARAMETER)
    return name


def client_of(scope: Scope) -> str | None:
    """Return the address of the client, which may be what a trusted proxy says."""
    client = scope.get("client")
    return None if client is None else client[0]


def request_of(  # noqa: PLR0913 - keywords
    parameters: Mapping[str, Any],
    headers: Headers,
    *,
    may_mutate: bool,
    client: str | None = None,
    documents: DocumentAccess = UNTRUSTED,
    path_name: str | None = None,
    idempotency_key: str | None = None,
    caller: Caller = ANONYMOUS,
) -> GraphQLRequest:
    """Return the request with these parameters, and the scope and timeout of its headers. Raises HttpError.

    ``documents``: those that it may run; ``path_name``: the one that its path names. ``idempotency_key``: not read
    here, for the headers of a WebSocket are those of many operations.
    """
    if not _OWN.isdisjoint(headers):
        own = OwnFields(
            companies=companies_of(headers.get(_COMPANY)),
            timeout=timeout_of(headers.get(_TIMEOUT)),
            client_name=_client_text(headers, _CLIENT_NAMES),
            client_version=_client_text(headers, _CLIENT_VERSIONS),
            fresh=is_fresh(headers),
            cost=cost_of(headers.get(_COST)),
            lane=lane_of(headers.get(_PRIORITY)),
        )
    else:
        own = _NONE
    query, trusted = documents.find(parameters, headers, path_name)
    variables, extensions = parameters.get("variables"), parameters.get("extensions")
    for what, value in (("variables", variables), ("extensions", extensions)):
        if value is not None and not isinstance(value, dict):
            raise HttpError(400, "BAD_REQUEST", f"The {what} are not a JSON object.")
    name = parameters.get("operationName")
    if name is not None and not isinstance(name, str):
        raise HttpError(400, "BAD_REQUEST", "The operationName is not a string.")
    return GraphQLRequest(
        query=query,
        trusted=trusted,
        variables=variables or {},
        operation_name=name or None,
        companies=own.companies,
        allow_mutation=may_mutate,
        timeout=own.timeout,
        client=client,
        client_name=own.client_name,
        client_version=own.client_version,
        request_id=current_request_id() or headers.get(REQUEST_ID),
        fresh=own.fresh,
        cost=own.cost,
        lane=own.lane,
        idempotency_key=idempotency_key,
        caller=caller,
    )


def _client_text(headers: Headers, names: tuple[str, ...]) -> str | None:
    """Return what a client says of itself in the first of these headers that it sends."""
    for name in names:
        if (value := headers.get(name)) is not None:
            return value[:LONGEST_CLIENT] if value.isprintable() else None
    return None


def idempotency_key_of(header: str | None) -> str | None:
    """Return the key in a header, with or without quotes; None if absent. Raises HttpError."""
    if header is None:
        return None
    match = _KEY.fullmatch(header.strip())
    if match is None:
        message = (
            f"{IDEMPOTENCY_HEADER} is no key of 1 to 255 visible ASCII characters without quotes."
        )
        raise HttpError(400, "BAD_REQUEST", message, "For example a UUID.")
    return match[1] or match[2]


def prefers_job(headers: Headers) -> bool:
    """Return whether a client prefers not to wait for what it requests (RFC 7240, section 4.1)."""
    if "prefer" not in headers:
        return False
    preferences = headers["prefer"].lower().split(",")
    return any(p.partition(";")[0].strip() == "respond-async" for p in preferences)


def lane_of(header: str | None) -> Lane:
    """Return the lane that a header names. Raises HttpError."""
    if header is None:
        return Lane.INTERACTIVE
    lane = _LANES.get(header.strip().lower())
    if lane is None:
        message = f"{PRIORITY_HEADER} is neither low nor normal."
        raise HttpError(400, "BAD_REQUEST", message, "It can only lower the priority: low.")
    return lane


def is_fresh(headers: Headers) -> bool:
    """Return whether the client wants nothing that was read before (RFC 9111, section 5.2.1.4)."""
    control = headers.get("cache-control")
    return control is not None and "no-cache" in {d.strip().lower() for d in control.split(",")}


def is_traced(header: str) -> bool:
    """Return whether a header asks for a trace."""
    return header.strip().lower() in {"true", "1"}


def timeout_of(header: str | None) -> float | None:
    """Return a number of seconds; None if absent. Raises HttpError."""
    if header is None:
        return None
    if not _SECONDS.fullmatch(header.strip()) or float(header) <= 0:
        raise HttpError(
            400, "BAD_REQUEST", f"{TIMEOUT_HEADER} is not a number of seconds.", "For example: 2.5"
        )
    return float(header)


def cost_of(header: str | None) -> CostWish | None:
    """Return what a request wants to know of its cost; None if nothing. Raises HttpError."""
    if header is None:
        return None
    match header.strip().lower():
        case "include":
            return "include"
        case "estimate":
            return "estimate"
        case _:
            message = f"{COST_HEADER} is neither include nor estimate."
            raise HttpError(400, "BAD_REQUEST", message, "Send one of the two.")


def companies_of(header: str | None) -> tuple[str, ...] | None:
    """Return the company scope: ``usmf, demf`` → ``("usmf", "demf")``; None if it names none."""
    if header is None:
        return None
    names = tuple(name for part in header.split(",") if (name := part.strip()))
    return names or None


def _url_parameters(query: Mapping[str, str]) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(query)
    for name in ("variables", "extensions"):
        text = parameters.pop(name, "")
        if text:
            parameters[name] = _json(text.encode(), f"The parameter {name}")
    return parameters


async def body_parameters(headers: Headers, receive: Receive, max_body: int) -> dict[str, Any]:
    """Return the JSON object of a body. Raises HttpError, ClientDisconnected."""
    _check_content(headers)
    try:
        with TimeLimit(asyncio.get_running_loop().time() + BODY_TIMEOUT):
            body = await read_body(receive, max_body)
    except TimeoutError as error:
        message = f"The body did not arrive within {BODY_TIMEOUT:g} seconds."
        raise HttpError(408, "REQUEST_TIMEOUT", message) from error
    return _parameters(body)


def _parameters(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises HttpError."""
    parameters = _json(body, "The body")
    if isinstance(parameters, list):
        raise HttpError(
            400,
            "BAD_REQUEST",
            "Batches of GraphQL requests are not supported.",
            "Send one at a time.",
        )
    if not isinstance(parameters, dict):
        raise HttpError(400, "BAD_REQUEST", "The body is not a JSON object.")
    return parameters


def _check_content(headers: Headers) -> None:
    """Raise HttpError unless a body is uncompressed JSON in UTF-8 (RFC 8259, section 8.1)."""
    media, _, parameters = headers.get("content-type", "").partition(";")
    if media == JSON and not parameters and "content-encoding" not in headers:
        return
    hint = f"Set Content-Type: {JSON}."
    if media.strip().lower() != JSON:
        raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", f"A body must be {JSON}.", hint)
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in {"utf-8", "utf8", "us-ascii"}:
            raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be UTF-8.", hint)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HttpError(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "Compressed requests are not supported.",
            "Send it uncompressed.",
        )


async def read_body(receive: Receive, most: int) -> bytes:
    """Return a body of so many bytes at most. Raises HttpError, ClientDisconnected."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        piece: bytes = message.get("body", b"")
        size += len(piece)
        # While it arrives: Content-Length may be absent, or wrong.
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
        if not message.get("more_body", False):
            return piece if len(pieces) == 1 else b"".join(pieces)


def _not_too_large(body: bytes, most: int) -> bytes:
    """Return a body that has arrived. Raises HttpError."""
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> HttpError:
    return HttpError(413, "BODY_TOO_LARGE", f"The body is larger than {most:,} bytes.")


def _json(text: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError as error:
        # Numbers are the only valid JSON that msgspec refuses without a schema.
        raise HttpError(400, "BAD_REQUEST", f"{what} has a number with too many digits.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(400, "BAD_REQUEST", f"{what} is not JSON.") from error
