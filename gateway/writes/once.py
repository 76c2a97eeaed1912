"""Runs a mutation operation once under an idempotency key, and answers it again from the ledger.

An answer is stored if anything was written, may have been written, or was refused by the service. If nothing came so
far (invalid arguments, no connection, 401, 429), the key is free again: the same request may be sent once more.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import msgspec
from graphql import print_ast

from gateway.errors import GatewayError, OutcomeUnknown
from gateway.idempotency.ledger import Ledger, Run
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, PassingOn, WriteUpstream, whole_response
from gateway.request import Answer, GraphQLRequest, ValidOperation

REPLAYED = (b"idempotent-replayed", b"true")
"""Header field of an answer that was stored."""
_REFUSAL = 400
_OPEN = (b'"OUTCOME_UNKNOWN"', b'"PARTLY_WRITTEN"')


class StoredAnswer(msgspec.Struct):
    """An answer as the ledger has it."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    errors: list[dict[str, Any]] = []


class NotingWriter(PassingOn[WriteUpstream]):
    """Sends the writes of one operation, and notes what became of them."""

    def __init__(self, upstream: WriteUpstream) -> None:
        super().__init__(upstream)
        self.reset()

    def reset(self) -> None:
        """Forget what was noted."""
        self.may_have_written = False
        self.was_refused = False
        """Whether the service has refused a write."""
        self.has_failed = False
        """Whether a write failed before the service processed it."""

    @property
    def is_final(self) -> bool:
        """Whether the operation came to an end that another try would not improve, or repeat."""
        return self.may_have_written or (self.was_refused and not self.has_failed)

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Return the answer to a write; see ``WriteUpstream.write``."""
        try:
            response = await self._upstream.write(request, outcome_part, begins)
        except OutcomeUnknown:
            self.may_have_written = True
            raise
        except GatewayError:
            self.has_failed = True
            raise
        except BaseException:
            self.may_have_written = True
            raise
        if outcome_part(response).status >= _REFUSAL:
            self.was_refused = True
        else:
            self.may_have_written = True
        return response


def is_open(answer: bytes) -> bool:
    """Return whether an answer says of a row that its outcome is not known, or that it was written in part."""
    return any(code in answer for code in _OPEN)


Write: TypeAlias = Callable[[WriteUpstream], Awaitable[Answer]]
"""Runs an operation by a writer, and answers it."""


async def to_its_end(writer: WriteUpstream, answering: Coroutine[Any, Any, Answer]) -> Answer:
    """Return an answer; a caller who is cancelled does not stop what has begun."""
    task = asyncio.ensure_future(answering)
    writer.unfinished.add(task)
    task.add_done_callback(lambda ended: _end(writer, ended))
    return await asyncio.shield(task)


def _end(writer: WriteUpstream, task: asyncio.Task[Answer]) -> None:
    writer.unfinished.discard(task)
    if not task.cancelled():
        # Retrieved, so that asyncio does not log an error for which nobody waits any more.
        task.exception()


async def answer_once(
    ledger: Ledger,
    request: GraphQLRequest,
    digest: str,
    writer: NotingWriter,
    write: Write,
    *,
    repeatable: bool,
) -> Answer:
    """Return the answer of ``write``, or the stored one of an earlier request. Raises GatewayError.

    ``repeatable``: it finds what it has written, so it may run again after a run that was killed, or whose outcome is
    not known.
    """
    assert request.idempotency_key is not None
    begun = await ledger.begin(
        request.caller.log_id, request.idempotency_key, digest, repeatable=repeatable
    )
    if isinstance(begun, bytes):
        stored = msgspec.json.decode(begun, type=StoredAnswer)
        return Answer(stored.data, stored.errors, changed=True, fields=(REPLAYED,))
    return await _run(begun, writer, write, repeatable=repeatable)


async def _run(run: Run, writer: NotingWriter, write: Write, *, repeatable: bool) -> Answer:
    """Return the answer of a run, and store it if it is final."""
    try:
        answer = await write(writer)
        encoded = Answer(answer.data, answer.errors).encode()
    except Exception:
        # Of what failed after a write, there is no answer that could be stored.
        if writer.may_have_written:
            run.abandon()
        else:
            await run.release()
        raise
    except BaseException:
        run.abandon()
        raise
    if writer.is_final and not (repeatable and is_open(encoded)):
        await run.finish(encoded)
    else:
        await run.release()
    return answer


def input_digest(operation: ValidOperation, profile: str) -> str:
    """Return a digest of all that decides what an operation writes and answers; layout and comments do not."""
    request, node = operation.request, operation.document.node
    assert node is not None
    parts = (
        profile,
        print_ast(node),
        request.operation_name,
        request.variables,
        request.companies,
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
