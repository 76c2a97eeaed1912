"""Explain: the plan of an operation and its exact requests, without sending any.

The requests of the root fields come from running the plan against an upstream that is always empty, so they are
what would be sent, merged key batches included. Requests below depend on rows: they are shown for one parent, with
``{Column}`` in the place of its values.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from graphql import FieldNode

from .errors import GatewayError, UpstreamRejected
from .execute import Checked, Engine, GraphQLRequest, Reads, Ready
from .explain_writes import Taking, told, writes_within
from .odata.answers import Response
from .odata.dialect import Dialect
from .odata.query import (
    And,
    Compare,
    Expr,
    In,
    KeyPart,
    Literal,
    Operator,
    Order,
    Path,
    Query,
    Request,
    Resource,
)
from .odata.render import decoded, render
from .plan import BoundRoot, CallRoot, ChildPlan, FailedRoot, KeysRoot, ListRoot, ReadPlan, Via
from .trace import Asked, Trace, Traced
from .where import all_of
from .window import Window, bounded, orders
from .writes.references import is_atomic as atomic

COUNT = 10**12
"""What the empty upstream counts: a position that is reckoned back from it is told from others."""


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
class Planned:
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
    within: tuple[Planned, ...] = ()
    """The writes of a changeset."""

    def lines(self) -> Iterator[str]:
        """Print it, the version it needs and its body below."""
        yield f"{self.method} {self.text}"
        yield from (f"If-Match: {v}" for n, v in self.headers.items() if n == "If-Match")
        yield from (self.body or "").splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an operation would do."""

    steps: tuple[Step, ...]
    requests: tuple[Planned, ...]
    """Requests of the root fields, exact."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False
    """Whether a root field has arguments that cannot be used."""
    changes: bool = False
    """Whether it is a mutation operation."""
    made_up: frozenset[str] = frozenset()
    """Properties of new rows that stand in the requests as ``{Property}``."""

    def text(self) -> str:
        """Print it for a terminal."""
        return "\n".join(_lines(self))


@dataclass
class _Empty:
    """An upstream without rows."""

    root: str = "http://explain.invalid"
    unfinished: set[asyncio.Task[Any]] = field(default_factory=set)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:  # noqa: ARG002
        path = request.url.partition("?")[0]
        if path.endswith("/$count"):
            return Response(200, {}, str(COUNT).encode(), request.url)
        if ")" in path:
            raise UpstreamRejected("There is no such row.", upstream_status=404)
        return Response(200, {"content-type": "application/json"}, b'{"value":[]}', request.url)


async def explain(engine: Engine, request: GraphQLRequest) -> Explanation:
    """Explain an operation; one that cannot run has its errors instead of steps."""
    if engine.subscribes(request) and isinstance(found := engine.checked(request), Checked):
        return Explanation(steps=_subscribed(found), requests=())
    ready = engine.ready(request)
    if isinstance(ready, Checked):
        return await _explain_writes(engine, ready, request)
    if not isinstance(ready, Ready):
        return Explanation(steps=(), requests=(), errors=ready.errors)
    trace = Trace()
    fetcher = engine.fetcher(_Empty(), trace)
    await engine.runner(fetcher).run(ready.bound)
    await fetcher.close()
    return Explanation(
        steps=tuple(_root(bound, engine.dialect) for bound in ready.bound),
        requests=tuple(map(_planned, trace.requests)),
        failed=any(isinstance(bound, FailedRoot) for bound in ready.bound),
    )


def _subscribed(checked: Checked) -> tuple[Step, ...]:
    """Tell of a subscription: what its looks ask depends on what they find."""
    fields = (f for f in checked.operation.selection_set.selections if isinstance(f, FieldNode))
    how = "a subscription: the set is looked at again and again, once for all who watch the same"
    note = "what a look asks is not told before"
    return tuple(Step(field=(f.alias or f.name).value, how=how, notes=(note,)) for f in fields)


async def _explain_writes(
    engine: Engine, changing: Checked, request: GraphQLRequest
) -> Explanation:
    """Run a mutation operation against an upstream that takes everything: its writes are exact."""
    assert engine.mutations is not None
    trace, taking = Trace(), Taking(engine.schema.catalog)
    upstream = Traced(taking, trace)
    try:
        performed = await engine.perform(
            request, changing, upstream, Reads(engine, upstream, trace)
        )
    except GatewayError as error:
        return Explanation(steps=(), requests=(), errors=[_told(error)])
    requests = tuple(map(_written, trace.requests))
    is_atomic, size = atomic(changing.operation), engine.mutations.limits.changeset_size

    def step(key: str, payload: object) -> Step:
        if isinstance(payload, GatewayError):
            return _failing(key, payload)
        how, notes = told(performed.bound[key], is_atomic=is_atomic, size=size)
        return Step(field=key, how=how, notes=notes)

    return Explanation(
        steps=tuple(step(key, payload) for key, payload in performed.payloads.items()),
        requests=requests,
        failed=any(isinstance(p, GatewayError) for p in performed.payloads.values()),
        changes=True,
        made_up=frozenset(n for n in taking.made_up if any(map(_names(n), requests))),
    )


def _told(error: GatewayError) -> dict[str, Any]:
    return {"message": error.message, "extensions": {"code": error.code, "hint": error.hint}}


def _names(column: str) -> Callable[[Planned], bool]:
    place = f"{{{column}}}"
    return lambda request: any(place in line for line in request.lines())


def _planned(asked: Asked) -> Planned:
    return _of_request(asked.request, tuple(asked.fields))


def _of_request(request: Request, fields: tuple[str, ...] = ()) -> Planned:
    return Planned(
        method=request.method,
        path=request.url,
        text=_shown(request),
        fields=fields,
        headers=request.headers,
        body=None if request.body is None else request.body.decode(),
        within=tuple(map(_of_request, writes_within(request.body))),
    )


def _written(asked: Asked) -> Planned:
    """The same of a mutation: values that only the service knows are in no quotes."""
    found = _planned(asked)
    return replace(found, text=_unquoted(found.text))


def _unquoted(text: str) -> str:
    return re.sub(r"'(\{\w+\})'", r"\1", text)


def _shown(request: Request) -> str:
    """Print a request; a position that is counted from the end of the list as what it is."""

    def position(match: re.Match[str]) -> str:
        before_end = COUNT - int(match[1])
        return f"$skip={{count - {before_end}}}" if before_end < COUNT // 2 else match[0]

    return re.sub(r"\$skip=(\d+)", position, decoded(request))


def _root(bound: BoundRoot, dialect: Dialect) -> Step:
    name = bound.shape.key
    match bound:
        case FailedRoot(error=error):
            return _failing(name, error)
        case CallRoot(plan=plan):
            return Step(field=name, how="function call", below=_below(plan, dialect))
        case KeysRoot():
            return _keys(name, bound, dialect)
        case ListRoot(plan=plan):
            source = f"{plan.query.resource.name}{_companies(plan, dialect)}"
            window = plan.window
            return Step(
                field=name,
                how=source if window is None else f"{source}, {_window(window)}",
                notes=_notes(plan, dialect),
                below=_below(plan, dialect),
            )


def _failing(name: str, error: GatewayError) -> Step:
    notes = () if error.hint is None else (error.hint,)
    return Step(field=name, how=f"fails: {error.code}: {error.message}", notes=notes)


def _keys(name: str, bound: KeysRoot, dialect: Dialect) -> Step:
    """Explain entities by key; ``nodes`` may have several types, each with a plan."""
    plans = {id(item[0]): item[0] for item in bound.items if item is not None}
    sets = ", ".join(dict.fromkeys(str(plan.entity_set) for plan in plans.values()))
    return Step(
        field=name,
        how=f"{sets} by key" if plans else "nothing is sent",
        below=tuple(step for plan in plans.values() for step in _below(plan, dialect)),
    )


def _below(plan: ReadPlan | None, dialect: Dialect) -> tuple[Step, ...]:
    return () if plan is None else tuple(_child(c, plan, dialect) for c in plan.children)


def _child(child: ChildPlan, parent: ReadPlan, dialect: Dialect) -> Step:
    plan = child.plan
    window = "" if plan.window is None else f", {_window(plan.window)}"
    cut = _VIA_CUT if child.via is Via.KEYS and plan.window is not None else ()
    return Step(
        field=child.child.key,
        how=f"{_VIA[child.via]}{window}",
        request=_template(child, parent, dialect),
        notes=(*cut, *_notes(plan, dialect)),
        below=_below(plan, dialect),
    )


_VIA = {
    Via.EXPAND: "with its parents ($expand)",
    Via.KEYS: "key batch, one request for all parents (more where the URL grows too long)",
    Via.PATH: "path, one request for each parent: the metadata names no join columns",
}
_VIA_CUT = (
    "of several parents all children are read and the page is cut here; of one parent, just the page",
)


def _template(child: ChildPlan, parent: ReadPlan, dialect: Dialect) -> str | None:
    """Print the request for one parent; None where there is none of its own."""
    match child.via:
        case Via.EXPAND:
            return None
        case Via.KEYS:
            query = _of_keys(child)
        case Via.PATH:
            query = _of_path(child, parent, dialect)
        case _:
            assert_never(child.via)
    text = decoded(render(dialect.lower(query).query, options=dialect.options))
    return _unquoted(text)


def _of_keys(child: ChildPlan) -> Query:
    plan, join = child.plan, child.join
    assert join is not None
    pairs = zip(join.parent, join.target, strict=True)
    keys = (Compare(Path((t.source,)), Operator.EQ, _place(p.source)) for p, t in pairs)
    query = replace(plan.query, where=all_of(plan.query.where, *keys))
    return query if plan.window is None else replace(query, order=_order(child, plan.window))


def _of_path(child: ChildPlan, parent: ReadPlan, dialect: Dialect) -> Query:
    parts = tuple(KeyPart(f.source, _place(f.source)) for f in parent.level.info.key)
    resource = Resource(parent.entity_set or "", parts, child.name)
    query, window = replace(child.plan.query, resource=resource), child.plan.window
    return query if window is None or not window.keyset else bounded(query, window, dialect)


def _place(column: str) -> Literal:
    """Give what stands for a value of the parent's row; its quotes are taken off the printed request."""
    return Literal(f"{{{column}}}", "Edm.String")


def _order(child: ChildPlan, window: Window) -> tuple[Order, ...]:
    if window.order or child.join is None:
        return orders(window.order, backward=False)
    return tuple(Order(Path((f.source,))) for f in child.join.target)


def _window(window: Window) -> str:
    if window.count_only:
        return "count only"
    order = ", ".join(t.field.source + (" desc" if t.descending else "") for t in window.order)
    end = "last" if window.backward else "first"
    kind = "keyset" if window.keyset else "offset"
    bounds = "".join(
        f" {name} a cursor"
        for name, cursor in (("after", window.after), ("before", window.before))
        if cursor is not None
    )
    return f"{end} {window.size}{bounds} by {order or 'no order'} ({kind} cursors)"


def _companies(plan: ReadPlan, dialect: Dialect) -> str:
    """Tell the company scope of a list, as its filter says it."""
    column = dialect.company_property
    if column is None or not plan.level.info.has_company:
        return ""
    where = plan.query.where
    terms = where.terms if isinstance(where, And) else (where,)
    scopes = [names for term in terms if (names := _values(term, column))]
    scope = ", ".join(scopes[0]) if scopes else "all that the account may read"
    return f" (companies: {scope})"


def _values(term: Expr | None, column: str) -> tuple[str, ...]:
    match term:
        case Compare(Path((name,)), Operator.EQ, Literal(value)) if name == column:
            return (str(value),)
        case In(Path((name,)), values) if name == column:
            return tuple(str(v.value) for v in values)
        case _:
            return ()


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
        yield "{Column}: the value of the parent's row."
    for name in sorted(explanation.made_up):
        yield f"{{{name}}}: what the upstream gives the new row."
    of = "as long as nothing is refused" if explanation.changes else "of the root fields"
    yield f"Requests{',' if explanation.changes else ''} {of}: {len(explanation.requests)}"
    for request in explanation.requests:
        first, *more = request.lines()
        yield f"  {first}"
        yield from (f"    {line}".rstrip() for line in more)


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
