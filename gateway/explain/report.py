"""What explain tells, as data and as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.errors import GatewayError
from gateway.execution.trace import TracedRequest
from gateway.odata.query import Request
from gateway.odata.render import decoded

from .empty_service import requests_within

COUNT = 10**12
"""What an empty upstream counts: a position that is reckoned back from it is told from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One field of the plan."""

    field: str
    how: str
    request: str | None = None
    """Template of its request; None where it comes with its parent or stands among the exact ones."""
    notes: tuple[str, ...] = ()
    below: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request that would be sent."""

    method: str
    path: str
    """As it would be sent, relative to the service root."""
    text: str
    """The same for people."""
    fields: tuple[str, ...] = ()
    """Fields of the answer that it is for."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    within: tuple[PlannedRequest, ...] = ()
    """The writes of a changeset, or the reads of a batch."""
    notes: tuple[str, ...] = ()
    """Why a read is sent in this way."""

    def lines(self) -> Iterator[str]:
        """Print it, the version it needs and its body below; of a batch of reads, these."""
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
    """Requests of the root fields, or of each look of a subscription, exact."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False
    """Whether a root field has arguments that cannot be used."""
    changes: bool = False
    """Whether it is a mutation operation."""
    repeats: bool = False
    """Whether it is a subscription: the requests are those of each look."""
    made_up: frozenset[str] = frozenset()
    """Properties of new rows that stand in the requests as ``{Property}``."""

    @property
    def cannot_run(self) -> bool:
        """Whether the operation is refused, or one of its root fields."""
        return self.failed or bool(self.errors)

    def text(self) -> str:
        """Print it for a terminal."""
        return "\n".join(_lines(self))

    def to_json(self, service: str | None) -> dict[str, Any]:
        """Return it as JSON has it; ``service`` is the service root that the paths are relative to."""
        return {
            "text": self.text(),
            "changes": self.changes,
            "repeats": self.repeats,
            "failed": self.cannot_run,
            "service": service,
            "steps": [_step_json(step) for step in self.steps],
            "requests": [_request_json(request) for request in self.requests],
            "placeholders": sorted(self.made_up),
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


def planned_request(asked: TracedRequest) -> PlannedRequest:
    return replace(_of_request(asked.request, tuple(asked.fields)), notes=tuple(asked.notes))


def _of_request(request: Request, fields: tuple[str, ...] = ()) -> PlannedRequest:
    return PlannedRequest(
        method=request.method,
        path=request.url,
        text=_shown(request),
        fields=fields,
        headers=request.headers,
        body=None if request.body is None else request.body.decode(),
        within=tuple(map(_of_request, requests_within(request.body))),
    )


def _shown(request: Request) -> str:
    """Print a request; a position that is counted from the end of the list as what it is."""

    def position(match: re.Match[str]) -> str:
        before_end = COUNT - int(match[1])
        return f"$skip={{count - {before_end}}}" if before_end < COUNT // 2 else match[0]

    return re.sub(r"\$skip=(\d+)", position, decoded(request))


def failed_step(name: str, error: GatewayError) -> Step:
    notes = () if error.hint is None else (error.hint,)
    return Step(field=name, how=f"fails: {error.code}: {error.message}", notes=notes)


def error_json(error: GatewayError) -> dict[str, Any]:
    return {"message": error.message, "extensions": {"code": error.code, "hint": error.hint}}


def unquote_placeholders(text: str) -> str:
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
        of = "changed row, or of the parent's" if explanation.repeats else "parent's row"
        yield f"{{Column}}: the value of the {of}."
    for name in sorted(explanation.made_up):
        yield f"{{{name}}}: what the upstream gives the new row."
    yield f"Requests{_which(explanation)}: {len(explanation.requests)}"
    for request in explanation.requests:
        first, *more = request.lines()
        yield f"  {first}"
        yield from (f"    {line}".rstrip() for line in more)


def _which(explanation: Explanation) -> str:
    if explanation.changes:
        return ", as long as nothing is refused"
    return " of each look" if explanation.repeats else " of the root fields"


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
