"""The events of an operation that was answered: what log, metrics and status know of it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.events import OperationServed, loggable
from gateway.events.operations import OperationSlow
from gateway.identity.caller import ANONYMOUS
from gateway.introspection.answers import LongAnswer
from gateway.request import Answer, GraphQLRequest
from gateway.telemetry.outcomes import outcome_of

MOST_SHOWN = 30
"""Requests of a slow operation that are logged."""


def served_event(
    request: GraphQLRequest, answer: Answer, seconds: float, profile: str | None
) -> OperationServed:
    """Return the event of an answer that took so many seconds."""
    errors, caller = answer.errors, request.caller
    codes = tuple(_codes(answer)) if errors else ()
    upstream = min(answer.upstream_seconds, seconds)
    return OperationServed(
        name=request.operation_name or answer.name,
        document=None if request.trusted is None else request.trusted.id,
        seconds=seconds,
        requests=len(answer.requests),
        rows=answer.rows,
        errors=len(errors),
        type=answer.kind,
        outcome=outcome_of(codes, has_data=answer.has_data) if codes else "ok",
        own=seconds - upstream,
        upstream=upstream,
        codes=codes,
        size=_size(answer),
        reused=answer.reused,
        age=answer.age or None,
        points=answer.points,
        caller=None if caller is ANONYMOUS or caller == ANONYMOUS else caller.log_id,
        client=request.client_name,
        client_version=request.client_version,
        profile=profile,
        companies=request.companies,
    )


def slow_event(served: OperationServed, answer: Answer) -> OperationSlow:
    """Return the event of an operation that was slow: with the first of the requests that it sent."""
    sent = answer.requests
    return OperationSlow(
        name=served.name,
        document=served.document,
        seconds=served.seconds,
        own=served.own,
        upstream=served.upstream,
        sent=len(sent),
        plan=tuple(f"{r.method} {loggable(r.url)}" for r in sent[:MOST_SHOWN]),
    )


def _codes(answer: Answer) -> Iterator[str]:
    """Yield the codes of errors, each once; one without a code violates the specification of GraphQL."""
    yield from dict.fromkeys(
        error.get("extensions", {}).get("code", "GRAPHQL_ERROR") for error in answer.errors
    )


def _size(answer: Answer) -> int:
    """Return the bytes of an answer, which is encoded once."""
    if isinstance(answer.written, LongAnswer):
        return answer.written.stored.size
    return answer.sent + len(answer.encode())
