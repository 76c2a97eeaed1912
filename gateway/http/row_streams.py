"""What endpoints for programs have in common: exports, imports, files and SCIM are checked, refused and ended alike."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from msgspec import Struct
from starlette.types import Receive, Scope, Send

from gateway.errors import BadArgument, Forbidden, InvalidCursor, Overloaded, UnknownSet
from gateway.events import RequestRefused
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.request import Answer
from gateway.runtime.generations import GenerationManager
from gateway.shutdown import STOPPING

from .edge import send_refusal
from .endpoints import Endpoint
from .graphql_endpoint import GRAPHQL, is_foreign, status_of
from .refusals import (
    HttpError,
    UnknownApi,
    caller_error,
    cross_site_error,
    error_fields,
    no_route,
    overload_error,
    starting,
)
from .request_audit import record_refused
from .request_parameters import ClientDisconnected, Headers, headers_of
from .responses import send_body

_OF_CALLERS = {Forbidden.code: 403, InvalidCursor.code: 400}
"""Statuses of errors of operations that are those of the request."""


class Admitted(Struct, frozen=True):
    """A request whose caller is admitted."""

    scope: Scope
    headers: Headers
    caller: Caller
    live: GenerationManager
    """What serves the API to the caller."""


class AdmittingEndpoint(ABC):
    """An ASGI application that serves admitted callers, and refuses others.

    A class: to a function, Starlette's router would pass GET only.
    """

    methods: ClassVar[tuple[str, ...]]
    wrong_method: ClassVar[str]
    """The message to a request with none of the methods."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @abstractmethod
    async def serve(self, admitted: Admitted, receive: Receive, send: Send) -> None:
        """Answer a request. Raises HttpError or Overloaded if nothing was sent, ClientDisconnected."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await send_body(send, 200, b"", (self._allow(),))
            return
        headers, caller = headers_of(scope), ANONYMOUS
        try:
            self._check(scope, headers)
            caller, live = await self.endpoint.admit(scope)
            if live is None:
                raise starting()
            await self.serve(Admitted(scope, headers, caller, live), receive, send)
        except UnknownApi:
            await no_route(scope, receive, send)
        except ClientDisconnected:
            return
        except (HttpError, Overloaded) as error:
            refused = error if isinstance(error, HttpError) else caller_error(error)
            record_refused(scope, refused, caller)
            event = RequestRefused(status=refused.status, code=refused.code, message=str(refused))
            self.endpoint.observe(event)
            await self.refuse(refused, scope, receive, send)

    async def refuse(self, refused: HttpError, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a refusal."""
        await send_refusal(refused, scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise HttpError if a request is refused before its caller is known."""
        endpoint = self.endpoint
        if scope["method"] not in self.methods:
            fields = (self._allow(),)
            raise HttpError(405, "METHOD_NOT_ALLOWED", self.wrong_method, fields=fields)
        if endpoint.waiting.is_full:
            raise overload_error()
        if endpoint.running.is_full:
            raise caller_error(endpoint.running.refusal())
        if is_foreign(headers, endpoint.settings.cors_origins):
            raise cross_site_error()

    def _allow(self) -> tuple[bytes, bytes]:
        return b"allow", ", ".join((*self.methods, "OPTIONS")).encode()


@contextmanager
def as_refusals() -> Iterator[None]:
    """Raise HttpError for what is wrong with a request."""
    try:
        yield
    except UnknownSet as error:
        raise HttpError(404, error.code, error.message, error.hint) from error
    except Forbidden as error:
        raise HttpError(403, error.code, error.message, error.hint) from error
    except BadArgument as error:
        raise HttpError(400, error.code, error.message, error.hint) from error


def operation_error(answer: Answer) -> HttpError:
    """Return an error with the errors of an operation that could not run."""
    code = answer.code
    status = _OF_CALLERS.get(code) or status_of(answer, GRAPHQL)
    # An operation that fails is 200 for clients of GraphQL, who read its errors.
    status = 502 if status == 200 else status
    refused = HttpError(status, code, answer.errors[0]["message"])
    refused.answer = Answer(errors=answer.errors)
    refused.fields = (*answer.fields, *error_fields(answer.errors))
    return refused


async def until_stopping(scope: Scope) -> None:
    """Return when the server stops."""
    event: asyncio.Event | None = scope.get("state", {}).get(STOPPING)
    await (asyncio.Event() if event is None else event).wait()


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
