"""Explain: the plan of an operation and its exact requests, without sending any.

The requests of the root fields come from running the plan against an upstream that is always empty, so they are
what would be sent, merged key batches included. Requests below depend on rows: they are shown with ``{Column}``
in the place of the parents' values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .errors import UpstreamRejected
from .execute import Engine, GraphQLRequest, Ready
from .odata.answers import Response
from .odata.dialect import Dialect
from .odata.query import Query, Request
from .odata.render import decoded, render
from .plan import BoundRoot, CallRoot, ChildPlan, FailedRoot, KeysRoot, ListRoot, ReadPlan, Via
from .window import Window, bounded


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
class Explanation:
    """What an operation would do."""

    steps: tuple[Step, ...]
    requests: tuple[str, ...]
    """Requests of the root fields, exact."""
    errors: list[dict[str, Any]] = field(default_factory=list)

    def text(self) -> str:
        """Print it for a terminal."""
        return "\n".join(_lines(self))


@dataclass
class _Empty:
    """An upstream without rows."""

    root: str = "http://explain.invalid"

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:  # noqa: ARG002
        path = request.url.partition("?")[0]
        if path.endswith("/$count"):
            return Response(200, {}, b"0", request.url)
        if ")" in path:
            raise UpstreamRejected("There is no such row.", upstream_status=404)
        return Response(200, {"content-type": "application/json"}, b'{"value":[]}', request.url)


async def explain(engine: Engine, request: GraphQLRequest) -> Explanation:
    """Explain an operation; one that cannot run has its errors instead of steps."""
    ready = engine.ready(request)
    if not isinstance(ready, Ready):
        return Explanation(steps=(), requests=(), errors=ready.errors)
    fetcher = engine.fetcher(_Empty())
    await engine.runner(fetcher).run(ready.bound)
    await fetcher.close()
    steps = tuple(_root(bound, engine.dialect) for bound in ready.bound)
    return Explanation(steps=steps, requests=tuple(decoded(r) for r in fetcher.sent))


def _root(bound: BoundRoot, dialect: Dialect) -> Step:
    name = bound.shape.key
    match bound:
        case FailedRoot(error=error):
            return Step(field=name, how=f"fails: {error.code}: {error.message}")
        case CallRoot(plan=plan):
            return Step(field=name, how="function call", below=_below(plan, dialect))
        case KeysRoot(items=items):
            plan = next((item[0] for item in items if item is not None), None)
            how = "nothing" if plan is None else f"{plan.entity_set} by key"
            return Step(field=name, how=how, below=_below(plan, dialect))
        case ListRoot(plan=plan):
            how = (
                plan.query.resource.name
                if plan.window is None
                else f"{plan.entity_set}, {_window(plan.window)}"
            )
            return Step(
                field=name, how=how, notes=_notes(plan, dialect), below=_below(plan, dialect)
            )


def _below(plan: ReadPlan | None, dialect: Dialect) -> tuple[Step, ...]:
    return () if plan is None else tuple(_child(c, dialect) for c in plan.children)


def _child(child: ChildPlan, dialect: Dialect) -> Step:
    plan = child.plan
    window = "" if plan.window is None else f", {_window(plan.window)}"
    template = None if child.via is Via.EXPAND else _template(child, dialect)
    return Step(
        field=child.child.field.name,
        how=f"{_VIA[child.via]}{window}",
        request=template,
        notes=_notes(plan, dialect),
        below=_below(plan, dialect),
    )


_VIA = {
    Via.EXPAND: "with its parents ($expand)",
    Via.KEYS: "key batch, one request for all parents (more where the URL grows too long)",
    Via.PATH: "path, one request for each parent: the metadata names no join columns",
}


def _template(child: ChildPlan, dialect: Dialect) -> str:
    plan, join = child.plan, child.join
    query: Query = plan.query
    if plan.window is not None and plan.window.keyset and not plan.window.has_cursor:
        asked = bounded(query, plan.window, dialect)
        query = Query(
            resource=query.resource,
            select=query.select,
            expand=query.expand,
            where=query.where,
            order=asked.order,
        )
    lowered = dialect.lower(query).query
    text = decoded(render(lowered, options=dialect.options))
    if child.via is Via.PATH or join is None:
        return f"{{parent}}/{child.child.field.source}{text}"
    pairs = zip(join.parent, join.target, strict=True)
    keys = " and ".join(f"{t.source} eq {{{p.source}}}" for p, t in pairs)
    return (
        text.replace("$filter=", f"$filter=({keys}) and ", 1)
        if "$filter=" in text
        else _with_filter(text, keys)
    )


def _with_filter(text: str, keys: str) -> str:
    head, _, options = text.partition("&$orderby=")
    return f"{head}&$filter={keys}&$orderby={options}" if options else f"{text}&$filter={keys}"


def _window(window: Window) -> str:
    if window.count_only:
        return "count only"
    order = ", ".join(t.field.source + (" desc" if t.descending else "") for t in window.order)
    end = "last" if window.backward else "first"
    kind = "keyset" if window.keyset else "offset"
    return f"{end} {window.size} by {order or 'no order'} ({kind} cursors)"


def _notes(plan: ReadPlan, dialect: Dialect) -> tuple[str, ...]:
    notes: list[str] = []
    lowered = dialect.lower(plan.query)
    if lowered.empty:
        notes.append("no row can match: nothing is sent")
    if lowered.residual is not None:
        notes.append("text with * is filtered here: all rows that may match are read")
    if plan.window is not None and not plan.window.keyset:
        notes.append(
            "offset cursors: this order has a field that cannot be compared, or there is no key"
        )
    return tuple(notes)


def _lines(explanation: Explanation) -> Iterator[str]:
    for error in explanation.errors:
        yield f"error: {error['message']}"
    for step in explanation.steps:
        yield from _step_lines(step, "")
    if explanation.steps:
        yield ""
        yield f"Requests of the root fields: {len(explanation.requests)}"
        yield from (f"  GET {request}" for request in explanation.requests)


def _step_lines(step: Step, indent: str) -> Iterator[str]:
    yield f"{indent}{step.field}: {step.how}"
    for note in step.notes:
        yield f"{indent}  note: {note}"
    if step.request is not None:
        yield f"{indent}  GET {step.request}"
    for below in step.below:
        yield from _step_lines(below, f"{indent}  ")
