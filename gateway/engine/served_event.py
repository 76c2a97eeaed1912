"""The event of an operation that was answered: what log, metrics and status know of it."""

from __future__ import annotations

from gateway.events import OperationServed
from gateway.introspection.answers import LongAnswer
from gateway.request import Answer, GraphQLRequest


def served_event(request: GraphQLRequest, answer: Answer, seconds: float) -> OperationServed:
    """Return the event of an answer that took so many seconds."""
    errors = answer.errors
    return OperationServed(
        name=request.operation_name or answer.name,
        document=None if request.trusted is None else request.trusted.id,
        seconds=seconds,
        requests=len(answer.requests),
        rows=answer.rows,
        errors=len(errors),
        type=answer.kind,
        upstream=min(answer.upstream_seconds, seconds),
        codes=_codes(answer) if errors else (),
        is_refused=bool(errors) and not answer.has_data,
        size=_size(answer),
        reused=answer.reused,
        age=answer.age or None,
    )


def _codes(answer: Answer) -> tuple[str, ...]:
    """Return the codes of errors, each once; one without a code violates the specification of GraphQL."""
    codes = (e.get("extensions", {}).get("code", "GRAPHQL_ERROR") for e in answer.errors)
    return tuple(dict.fromkeys(codes))


def _size(answer: Answer) -> int:
    """Return the bytes of an answer; 0 for one that cannot be encoded, which whoever sends it reports."""
    if isinstance(answer.written, LongAnswer):
        return answer.written.stored.size
    try:
        return len(answer.encode())
    except Exception:
        return 0
