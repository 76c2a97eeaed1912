"""GraphQL over HTTP: a request's parameters in, a response's bytes and status out.

Follows the GraphQL over HTTP draft (https://graphql.github.io/graphql-over-http/draft/): POST with JSON, GET
for queries, both response media types with their own rules for the status:

    what happened                             application/graphql-response+json    application/json
    the operation ran, with errors or not     200                                  200
    it could not run (syntax, variables)      400                                  200
    the gateway is at fault                   500                                  500
    the request holds no operation            4xx                                  4xx

A POST must be ``application/json``, which no web form can send (CSRF). What a client did wrong is told to it, and
to the log in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from .events import Observer, RequestRefused
from .execute import Answer, Engine, GraphQLRequest

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
COMPANY_HEADER = "X-D365-Company"


class HttpError(Exception):
    """A request that never becomes a GraphQL request."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
        self.answer = Answer(errors=[{"message": message, "extensions": extensions}])


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Answers the HTTP requests of one endpoint."""

    max_body: int
    page: str | None
    """Where a browser that asks for HTML is sent."""
    observe: Observer

    async def answer(self, request: Request, engine: Engine | None) -> Response:
        """Answer one request; without an engine the gateway is still starting."""
        if self.page is not None and _is_visit(request):
            return RedirectResponse(self.page, status_code=302, headers={"Vary": "Accept"})
        media = media_type(",".join(request.headers.getlist("accept")))
        try:
            if media is None:
                raise HttpError(
                    406, "NOT_ACCEPTABLE", "This API answers JSON.", f"Accept {GRAPHQL} or {JSON}."
                )
            asked = await read_request(request, self.max_body)
            if engine is None:
                raise HttpError(503, "STARTING", "The gateway is starting.", "Try again soon.")
        except HttpError as error:
            self.observe(RequestRefused(status=error.status, code=error.code, message=str(error)))
            return _response(error.answer, error.status, media or JSON)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        answer = await engine.execute(asked)
        return _response(answer, status_of(answer, media), media)


def status_of(answer: Answer, media: str) -> int:
    """Give the status of an operation's answer: the table above, section 6.4 of the draft."""
    if answer.data is not msgspec.UNSET:
        return 200
    if any(e.get("extensions", {}).get("code") == "INTERNAL_ERROR" for e in answer.errors):
        return 500
    return 400 if media == GRAPHQL else 200


def media_type(accept: str) -> str | None:
    """Choose the response's media type; None where the client takes neither."""
    if not accept.strip():
        return JSON
    weights: dict[str, float] = {}
    for item in accept.split(","):
        name, _, parameters = item.partition(";")
        weights[name.strip().lower()] = _quality(parameters)
    default = weights.get("application/*", weights.get("*/*", 0.0))
    graphql, plain = weights.get(GRAPHQL, 0.0), weights.get(JSON, default)
    if max(graphql, plain) <= 0:
        return None
    return GRAPHQL if graphql >= plain else JSON


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _is_visit(request: Request) -> bool:
    wants_page = "text/html" in request.headers.get("accept", "").lower()
    return request.method == "GET" and wants_page and "query" not in request.query_params


def _response(answer: Answer, status: int, media: str) -> Response:
    headers = {"Content-Type": f"{media}; charset=utf-8", "Vary": "Accept"}
    if status == 405:
        headers["Allow"] = "GET, POST"
    return Response(answer.encode(), status, headers)


async def read_request(request: Request, max_body: int) -> GraphQLRequest:
    """Read the parameters of a GET or POST. Raises HttpError."""
    if request.method == "GET":
        parameters = _of_url(request.query_params)
    elif request.method == "POST":
        parameters = await _of_body(request, max_body)
    else:
        raise HttpError(405, "METHOD_NOT_ALLOWED", "GraphQL requests are GET or POST.")
    companies = companies_of(request.headers.get(COMPANY_HEADER))
    return _checked(parameters, companies, may_mutate=request.method == "POST")


def companies_of(header: str | None) -> tuple[str, ...] | None:
    """Read the company scope: ``usmf, demf``; None where none is named."""
    names = tuple(name for part in (header or "").split(",") if (name := part.strip()))
    return names or None


def _of_url(given: Mapping[str, str]) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(given)
    for name in ("variables", "extensions"):
        text = parameters.pop(name, "")
        if text:
            parameters[name] = _json(text.encode(), f"The parameter {name}")
    return parameters


async def _of_body(request: Request, max_body: int) -> dict[str, Any]:
    _check_content(request)
    found = _json(await _body(request, max_body), "The body")
    if isinstance(found, list):
        raise HttpError(
            400, "BAD_REQUEST", "Batched requests are not served.", "Send one at a time."
        )
    if not isinstance(found, dict):
        raise HttpError(400, "BAD_REQUEST", "The body is not a JSON object.")
    return found


def _check_content(request: Request) -> None:
    """Take plain JSON in UTF-8, the only JSON there is between systems (RFC 8259 section 8.1)."""
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    wanted = f"Set Content-Type: {JSON}."
    if media.strip().lower() != JSON:
        raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", f"A POST must be {JSON}.", wanted)
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in {"utf-8", "utf8", "us-ascii"}:
            raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be UTF-8.", wanted)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HttpError(
            415, "UNSUPPORTED_MEDIA_TYPE", "Compressed requests are not read.", "Send it plain."
        )


async def _body(request: Request, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise HttpError(413, "BODY_TOO_LARGE", f"The body is larger than {most:,} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def _json(text: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(400, "BAD_REQUEST", f"{what} is not JSON.") from error


def _checked(
    parameters: Mapping[str, Any], companies: tuple[str, ...] | None, *, may_mutate: bool
) -> GraphQLRequest:
    query = parameters.get("query")
    if query is None or query == "":
        raise HttpError(400, "BAD_REQUEST", "The request has no query.", 'Send {"query": "…"}.')
    if not isinstance(query, str):
        raise HttpError(400, "BAD_REQUEST", "The query is not a string.", 'Send {"query": "…"}.')
    variables, extensions = parameters.get("variables"), parameters.get("extensions")
    for what, value in (("variables", variables), ("extensions", extensions)):
        if not isinstance(value, dict | None):
            raise HttpError(400, "BAD_REQUEST", f"The {what} are not a JSON object.")
    name = parameters.get("operationName")
    if not isinstance(name, str | None):
        raise HttpError(400, "BAD_REQUEST", "The operationName is not a string.")
    return GraphQLRequest(
        query=query,
        variables=variables or {},
        operation_name=name or None,
        companies=companies,
        allow_mutation=may_mutate,
    )
