"""The result of explain, as records, JSON and text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.cost.gate import Price, price_json
from gateway.errors import GatewayError
from gateway.execution.trace import TracedRequest
from gateway.odata.query import Request
from gateway.odata.render import readable_url

from .empty_service import requests_within

COUNT = 10**12
"""The count that the empty upstream answers: so large that positions counted from the end can be recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One field of the plan."""

    field: str
    how: str
    request: str | None = None
    """Template of its request; None if it comes with its parent's, or is one of the exact requests."""
    notes: tuple[str, ...] = ()
    below: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request that would be sent."""

    method: str
    path: str
    """As it would be sent, relative to the service root."""
    text: str
    """The same, decoded for people."""
    fields: tuple[str, ...] = ()
    """Response fields for which it is sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    within: tuple[PlannedRequest, ...] = ()
    """The writes of a changeset, or the reads of a batch."""
    notes: tuple[str, ...] = ()
    """Why it is sent in this form."""

    def lines(self) -> Iterator[str]:
        """Yield its lines: the request, its notes, and its body or the reads of a batch."""
        yield f"{self.method} {self.text}"
        yield from (f"note: {note}" for note in self.notes)
        if self.within and all(part.method == "GET" for part in self.within):
            yield from (f"GET {part.text}" for part in self.within)
            return
        yield from (f"If-Match: {v}" for n, v in self.headers.items() if n == "If-Match")
        yield from (self.body or "").splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an operation would do."""

    steps: tuple[Step, ...]
    requests: tuple[PlannedRequest, ...]
    """Exact requests of the root fields, or of each poll of a subscription."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False
    """Whether a root field has arguments that cannot be used."""
    changes: bool = False
    """Whether it is a mutation operation."""
    repeats: bool = False
    """Whether it is a subscription: the requests are those of each poll."""
    cost: Price | None = None
    """What it would cost; None if nothing is priced here."""
    placeholders: frozenset[str] = frozenset()
    """Properties whose values the service generates: the requests have ``{Property}`` for them."""

    @property
    def cannot_run(self) -> bool:
        """Whether the operation is refused, or one of its root fields."""
        return self.failed or bool(self.errors)

    def text(self) -> str:
        """Return it as text for a terminal."""
        return "\n".join(_lines(self))

    def to_json(self, service: str | None) -> dict[str, Any]:
        """Return it as JSON values; ``service`` is the root of the paths."""
        return {
            "text": self.text(),
            "changes": self.changes,
            "repeats": self.repeats,
            "failed": self.cannot_run,
            "service": service,
            "steps": [_step_json(step) for step in self.steps],
            "requests": [_request_json(request) for request in self.requests],
            "placeholders": sorted(self.placeholders),
            "cost": None if self.cost is None else price_json(self.cost),
        }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "field": step.field,
        "how": step.how,
        "notes": list(step.notes),
        "request": step.request,
        "below": [_step_json(below) for below in step.below],
    }


def _request_json(request: PlannedRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "text": request.text,
        "fields": list(request.fields),
        "headers": dict(request.headers),
        "body": request.body,
        "within": [_request_json(part) for part in request.within],
        "notes": list(request.notes),
    }


def planned_request(traced: TracedRequest) -> PlannedRequest:
    """Return a request that explain has recorded."""
    planned = replace(_of_request(traced.request, tuple(traced.fields)), notes=tuple(traced.notes))
    if any(part.shown is not None for part in traced.parts):
        # The body of a batch has the rules of its reads in full.
        planned = replace(planned, body=None, within=tuple(map(_of_request, traced.parts)))
    return planned


def _of_request(request: Request, fields: tuple[str, ...] = ()) -> PlannedRequest:
    body = request.body if request.shown_body is None else request.shown_body
    return PlannedRequest(
        method=request.method,
        path=request.url if request.shown is None else request.shown,
        text=_text(request),
        fields=fields,
        headers=request.headers,
        body=None if body is None else body.decode(),
        within=tuple(map(_of_request, requests_within(body))),
    )


def _text(request: Request) -> str:
    """Return a request as text; a position counted from the end of the list as ``{count - 5}``."""

    def position(match: re.Match[str]) -> str:
        before_end = COUNT - int(match[1])
        # Counted from the end if it is near the made-up count.
        return f"$skip={{count - {before_end}}}" if before_end < COUNT // 2 else match[0]

    return re.sub(r"\$skip=(\d+)", position, readable_url(request))


def failed_step(name: str, error: GatewayError) -> Step:
    """Return the step of a field that fails before anything is sent for it."""
    notes = () if error.hint is None else (error.hint,)
    return Step(field=name, how=f"fails: {error.code}: {error.message}", notes=notes)


def error_json(error: GatewayError) -> dict[str, Any]:
    """Return a GraphQL error, without an error id: it is not logged."""
    return {"message": error.message, "extensions": {"code": error.code, "hint": error.hint}}


def unquote_placeholders(text: str) -> str:
    """``CustomerAccount eq '{CustomerAccount}'`` → ``CustomerAccount eq {CustomerAccount}``."""
    return re.sub(r"'(\{\w+\})'", r"\1", text)


def _lines(explanation: Explanation) -> Iterator[str]:
    for error in explanation.errors:
        place = error.get("locations") or ()
        at = "".join(f" (line {p['line']}, column {p['column']})" for p in place[:1])
        yield f"error: {error['message']}{at}"
        hint = (error.get("extensions") or {}).get("hint")
        if hint:
            yield f"  note: {hint}"
    if explanation.errors:
        return
    for step in explanation.steps:
        yield from _step_lines(step, "")
    if explanation.steps:
        yield ""
    if any(_has_template(step) for step in explanation.steps):
        row = "changed or the parent row" if explanation.repeats else "parent row"
        yield f"{{Column}}: the value in the {row}."
    for name in sorted(explanation.placeholders):
        yield f"{{{name}}}: the value that the upstream generates for the new row."
    yield f"Requests{_which(explanation)}: {len(explanation.requests)}"
    for request in explanation.requests:
        first, *more = request.lines()
        yield f"  {first}"
        yield from (f"    {line}".rstrip() for line in more)
    if explanation.cost is not None and explanation.cost.requests:
        yield f"Estimated cost: {_cost(explanation.cost)}"


def _cost(price: Price) -> str:
    """Return a price as text: all requests that are expected, those below the root fields included."""
    requests, rows = round(price.requests), round(price.rows)
    return (
        f"{requests:,} {'request' if requests == 1 else 'requests'},"
        f" {rows:,} {'row' if rows == 1 else 'rows'}, {price.points:,.1f} points"
    )


def _which(explanation: Explanation) -> str:
    if explanation.changes:
        return ", if none is refused"
    return " of each poll" if explanation.repeats else " of the root fields"


def _has_template(step: Step) -> bool:
    return step.request is not None or any(_has_template(below) for below in step.below)


def _step_lines(step: Step, indent: str) -> Iterator[str]:
    yield f"{indent}{step.field}: {step.how}"
    for note in step.notes:
        yield f"{indent}  note: {note}"
    if step.request is not None:
        yield f"{indent}  GET {step.request}"
    for below in step.below:
        yield from _step_lines(below, f"{indent}  ")
