"""SCIM 2.0 over HTTP: `/scim/v2`, for programs that synchronize users and groups (RFC 7644).

    GET /scim/v2/Users, /Groups, and below them one by its id     GET /ServiceProviderConfig, /ResourceTypes, /Schemas
    POST /scim/v2/Users/.search, /Groups/.search                  PATCH one, if scim.writes allows it

Callers, roles, companies, prices and limits are those of the API at ``/graphql``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.admission.work import Lane
from gateway.errors import BadArgument, Forbidden, NotInstalled
from gateway.events import RequestRefused
from gateway.failures import failure_answer
from gateway.identity.caller import Caller
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.telemetry.request_context import REQUEST_ID, current_request_id
from gateway.unified.lists import UnifiedListFailed, UnifiedLists

from .endpoints import Endpoint, with_cors
from .refusals import HttpError
from .request_audit import record_refusal
from .request_parameters import (
    BODY_TIMEOUT,
    Headers,
    client_of,
    companies_of,
    is_fresh,
    read_body,
    timeout_of,
)
from .responses import Fields, send_body
from .row_streams import Admitted, AdmittingEndpoint, operation_error

if TYPE_CHECKING:
    from scim2_server.responses import ScimResponse

SCIM = "/scim/v2"
MEDIA = b"application/scim+json"
_FIELDS = (
    (b"content-type", MEDIA),
    # It may be kept, and is valid if the environment says so again (ETag).
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Authorization, X-D365-Company, X-D365-Environment"),
)
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_OWN = frozenset({"etag", "location", "content-location", "allow"})
"""Header fields of the library's responses that are sent."""


_loaded: list[ModuleType] = []
"""The module that answers, once it is imported as a whole."""


def scim_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of SCIM; ``endpoint`` is that of the whole catalogue."""
    app = with_cors(_Scim(endpoint), endpoint.settings.cors_origins, _Scim.methods)
    yield Route(SCIM, app)
    yield Route(f"{SCIM}/{{path:path}}", app)


class _Scim(AdmittingEndpoint):
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    wrong_method = "SCIM has no such method."

    async def serve(self, admitted: Admitted, receive: Receive, send: Send) -> None:
        endpoint = self.endpoint
        body = await _body(receive, endpoint.settings.max_body_bytes)
        with (
            admitted.live.serving() as gateway,
            endpoint.running.holding(Lane.INTERACTIVE, admitted.scope, admitted.caller),
        ):
            request = _Request(admitted.scope, admitted.headers, body, admitted.caller, gateway)
            await self._answer(request, send)

    async def _answer(self, request: _Request, send: Send) -> None:
        """Answer a request of a caller. Raises HttpError."""
        try:
            response, fields = await request.response(self.endpoint)
        except UnifiedListFailed as failed:
            raise operation_error(failed.answer) from failed
        except BadArgument as error:
            raise HttpError(400, error.code, error.message, error.hint) from error
        except NotInstalled as error:
            raise HttpError(501, error.code, error.message, error.hint) from error
        except HttpError:
            raise
        except Exception as error:
            answer = failure_answer(error, self.endpoint.observe)
            raise operation_error(answer) from error
        own = [
            (name.lower().encode(), value.encode())
            for name, value in response.headers.items()
            if name.lower() in _OWN
        ]
        has_body = response.body is not None and request.scope["method"] != "HEAD"
        body = msgspec.json.encode(response.body) if has_body else b""
        if response.status >= 400:
            text = str((response.body or {}).get("detail"))
            event = RequestRefused(status=response.status, code="SCIM", message=text)
            self.endpoint.observe(event)
            if response.status == 403:
                record_refusal(request.scope, 403, Forbidden.code, request.caller)
        await send_body(send, response.status, body, (*_FIELDS, *own, *fields))

    async def refuse(
        self,
        refused: HttpError,
        scope: Scope,
        receive: Receive,  # noqa: ARG002 - the answer is short
        send: Send,
    ) -> None:
        error = refused.answer.errors[0]
        hint = error.get("extensions", {}).get("hint")
        detail = error["message"] if hint is None else f"{error['message']} {hint}"
        body = {"schemas": [_ERROR], "status": str(refused.status), "detail": detail}
        text = b"" if scope["method"] == "HEAD" else msgspec.json.encode(body)
        fields = ((b"content-type", MEDIA), (b"cache-control", b"no-store"), *refused.fields)
        await send_body(send, refused.status, text, fields)


class _Request(msgspec.Struct, frozen=True):
    """A request of a caller who was admitted."""

    scope: Scope
    headers: Headers
    body: bytes
    caller: Caller
    gateway: Gateway

    async def response(self, endpoint: Endpoint) -> tuple[ScimResponse, Fields]:
        """Return what answers it, and header fields of the operations that it took."""
        await _load()
        # An extra, and a second's work: not for those who have no use for it.
        from scim2_server.requests import ScimRequest  # noqa: PLC0415

        from gateway.scim.directory import Directory  # noqa: PLC0415
        from gateway.scim.service import answer  # noqa: PLC0415

        scope, headers, gateway = self.scope, self.headers, self.gateway
        documents = endpoint.documents
        if documents.store is not None:
            documents = documents.of_caller(self.caller, gateway.view)
        fields: list[Fields] = []

        async def read(request: GraphQLRequest) -> Answer:
            if documents.store is not None:
                documents.find({"query": request.query}, headers)
            found = await gateway.engine.execute(request)
            fields.append(found.fields)
            return found

        reads = GraphQLRequest(
            query="",
            companies=companies_of(headers.get("x-d365-company")),
            timeout=timeout_of(headers.get("x-d365-timeout")),
            fresh=is_fresh(headers) or scope["method"] == "PATCH",
            caller=self.caller,
            client=client_of(scope),
            request_id=current_request_id() or headers.get(REQUEST_ID),
        )
        lists = UnifiedLists(gateway.schema, read, reads)
        response = await answer(
            Directory(lists, gateway.settings.max_page_size),
            ScimRequest(
                method="GET" if scope["method"] == "HEAD" else scope["method"],
                base_url=_base_url(scope, headers),
                path=scope["path_params"].get("path", ""),
                query=dict(QueryParams(scope["query_string"])),
                headers=headers,
                body=self.body,
            ),
            writes=endpoint.settings.scim.writes,
        )
        return response, fields[-1] if fields else ()


async def _load() -> None:
    """Import what answers, in a thread, so that others are served meanwhile. Raises NotInstalled."""
    if _loaded:
        return
    try:
        module = await asyncio.to_thread(import_module, "gateway.scim.service")
    except ModuleNotFoundError as error:
        raise NotInstalled(
            "SCIM needs a package that is not installed.",
            hint="pip install 'd365-graphql-gateway[scim]'",
        ) from error
    _loaded.append(module)


def _base_url(scope: Scope, headers: Headers) -> str:
    """Return where SCIM is for this client: ``https://erp.example.com/e/acme/scim/v2``."""
    host = headers.get("host", "localhost")
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}{SCIM}"


async def _body(receive: Receive, most: int) -> bytes:
    """Return the body of a request. Raises HttpError, ClientDisconnected."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await read_body(receive, most)
    except TimeoutError as error:
        message = f"The body did not arrive within {BODY_TIMEOUT:g} seconds."
        raise HttpError(408, "REQUEST_TIMEOUT", message) from error
