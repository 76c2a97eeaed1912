"""GraphQL over HTTP: a request's parameters in, a response's bytes and status out.

Follows the GraphQL over HTTP draft (https://graphql.github.io/graphql-over-http/draft/): POST with JSON, GET
for queries, both response media types with their own rules for the status. A POST must be ``application/json``,
which no web form can send (CSRF).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from .execute import Answer, Engine, GraphQLRequest

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
COMPANY_HEADER = "X-D365-Company"


class HttpError(Exception):
    """A request that never becomes a GraphQL request."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
        self.answer = Answer(errors=[{"message": message, "extensions": extensions}])


async def answer_http(
    request: Request, engine: Engine, *, max_body: int, page: str | None
) -> Response:
    """Answer one HTTP request. ``page`` is where a browser that asks for HTML is sent."""
    if request.method == "GET" and page is not None and _is_visit(request):
        return RedirectResponse(page, status_code=302)
    media = media_type(request.headers.get("accept"))
    try:
        if media is None:
            raise HttpError(
                406, "NOT_ACCEPTABLE", "This API answers JSON.", f"Accept {GRAPHQL} or {JSON}."
            )
        asked = await read_request(request, max_body)
    except HttpError as error:
        return _response(error.answer, error.status, media or JSON)
    except ClientDisconnect:
        return Response(status_code=400)
    answer = await engine.execute(asked)
    return _response(answer, status_of(answer, media), media)


def status_of(answer: Answer, media: str) -> int:
    """Give 200 where something was run; 400 for a request error, but for ``application/json`` (section 6.4)."""
    return 400 if answer.data is msgspec.UNSET and media == GRAPHQL else 200


def media_type(accept: str | None) -> str | None:
    """Choose the response's media type; None where the client takes neither."""
    if not accept:
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
    return wants_page and "query" not in request.query_params


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
        if parameters.get(name):
            parameters[name] = _json(parameters[name].encode(), f"The parameter {name}")
    return parameters


async def _of_body(request: Request, max_body: int) -> dict[str, Any]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON:
        raise HttpError(
            415, "UNSUPPORTED_MEDIA_TYPE", f"A POST must be {JSON}.", "Set Content-Type."
        )
    found = _json(await _body(request, max_body), "The body")
    if isinstance(found, list):
        raise HttpError(
            400, "BAD_REQUEST", "Batched requests are not served.", "Send one at a time."
        )
    if not isinstance(found, dict):
        raise HttpError(400, "BAD_REQUEST", "The body is not a JSON object.")
    return found


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
    if not isinstance(query, str) or not query:
        raise HttpError(400, "BAD_REQUEST", "The request has no query.", 'Send {"query": "…"}.')
    variables = parameters.get("variables") or {}
    if not isinstance(variables, dict):
        raise HttpError(400, "BAD_REQUEST", "The variables are not a JSON object.")
    if not isinstance(parameters.get("extensions") or {}, dict):
        raise HttpError(400, "BAD_REQUEST", "The extensions are not a JSON object.")
    name = parameters.get("operationName") or None
    if name is not None and not isinstance(name, str):
        raise HttpError(400, "BAD_REQUEST", "The operationName is not a string.")
    return GraphQLRequest(
        query=query,
        variables=variables,
        operation_name=name,
        companies=companies,
        allow_mutation=may_mutate,
    )
