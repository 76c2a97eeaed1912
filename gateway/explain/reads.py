"""Explains reads: the steps of a plan, and the requests of its root fields.

The requests of the root fields come from running the plan against an upstream without rows, so they are exact, merged
key batches included. Requests below them depend on rows: they are shown for one parent, with ``{Column}`` for its
values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from msgspec import structs

from gateway.dimensions.formats import EnvironmentFormats
from gateway.engine import Engine
from gateway.errors import GatewayError, UpstreamError, UpstreamNotFound
from gateway.execution.addresses import (
    chunk_limit,
    count_query,
    with_room_for_keys,
    without_long_select,
)
from gateway.execution.fetcher import Fetcher
from gateway.execution.format_reads import load_formats
from gateway.execution.plan_runner import Loaded
from gateway.execution.trace import Trace
from gateway.execution.unkeyed import paging_method
from gateway.odata.batch import MAX_READS
from gateway.odata.dialect import Dialect
from gateway.odata.query import (
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
from gateway.odata.render import readable_url, render
from gateway.odata.response_check import Response
from gateway.operations.pages import Failure
from gateway.planning.aggregation import Aggregation
from gateway.planning.filters import all_of
from gateway.planning.page_window import Window, ends_on_upstream_page, order_by, with_window
from gateway.planning.plan import (
    AggregateRoot,
    BoundRoot,
    CallRoot,
    ChildPlan,
    FailedRoot,
    KeysRoot,
    ListRoot,
    ReadPlan,
    Via,
)
from gateway.shutdown import Shutdown

from .empty_service import empty_answer
from .report import COUNT, Step, failed_step, unquote_placeholders

_FORMATS = "order and delimiter of display values"


@dataclass
class _EmptyUpstream:
    """An upstream without rows."""

    root: str = "http://explain.invalid"
    unfinished: set[asyncio.Task[Any]] = field(default_factory=set)
    shutdown: Shutdown = field(default_factory=Shutdown)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:  # noqa: ARG002 - Sender has it
        answer = empty_answer(request, COUNT)
        if answer.status == 404:
            raise UpstreamNotFound("There is no such row.", upstream_status=404)
        return answer


async def dry_run(engine: Engine, bound: Sequence[BoundRoot], trace: Trace) -> list[Loaded]:
    """Run a plan against an upstream without rows; its requests are in ``trace``."""
    fetcher = engine.reads.fetcher(_EmptyUpstream(), trace)
    loaded = await engine.reads.runner(fetcher).run(bound)
    await fetcher.close()
    return loaded


async def explain_formats(engine: Engine, trace: Trace) -> Step:
    """Explain how the formats of display values are read; the requests are in ``trace``."""
    formats = engine.formats
    if formats.is_fresh:
        return Step(field=_FORMATS, how="are there already, so that nothing is sent for them")
    fetcher = engine.reads.fetcher(_EmptyUpstream(), trace)
    await load_formats(fetcher, EnvironmentFormats())
    await fetcher.close()
    seconds = f"{formats.lifetime:,.0f} s"
    return Step(field=_FORMATS, how=f"read once for the environment, and used for {seconds}")


def planning_error(bound: BoundRoot) -> GatewayError | None:
    """Return the error of a root field that could not be planned."""
    if isinstance(bound, FailedRoot):
        return bound.error
    if isinstance(bound, KeysRoot) and bound.errors and not any(bound.items):
        return next(iter(bound.errors.values()))
    return None


def root_error(loaded: Loaded) -> GatewayError | None:
    """Return the error of a root field that fails before it sends anything.

    Errors that the empty upstream causes (no such row) are not errors of the field.
    """
    if (error := planning_error(loaded.bound)) is not None or not isinstance(loaded.value, Failure):
        return error
    cause = loaded.value.error
    if isinstance(cause, UpstreamError) or not isinstance(cause, GatewayError):
        return None
    return cause


def explain_root(loaded: Loaded, engine: Engine) -> Step:
    """Explain a root field."""
    # A fetcher of its own: it renders requests as a run does, and sends none.
    bound, fetcher = loaded.bound, engine.reads.fetcher(_EmptyUpstream())
    dialect = fetcher.dialect
    name = bound.shape.key
    if (error := root_error(loaded)) is not None:
        return failed_step(name, error)
    match bound:
        case FailedRoot():
            return failed_step(name, bound.error)
        case CallRoot(plan=plan):
            return Step(field=name, how="function call", below=_below(plan, fetcher))
        case KeysRoot():
            return _keys(name, bound, fetcher)
        case AggregateRoot(plan=plan, aggregation=aggregation):
            return Step(
                field=name,
                how=f"{plan.query.resource.name}{_companies(plan, dialect)}, aggregated {_way(aggregation)}",
                notes=_notes(plan, dialect),
            )
        case ListRoot(plan=plan):
            scope = _companies(plan, dialect) if bound.key is None else " by key"
            source = f"{plan.query.resource.name}{scope}"
            window = plan.window
            return Step(
                field=name,
                how=source if window is None else f"{source}, {_window(window, dialect)}",
                notes=(*_together(bound), *_notes(plan, dialect)),
                below=_below(plan, fetcher),
            )


def _way(aggregation: Aggregation) -> str:
    """Return how an aggregate is computed."""
    if aggregation.counts_only:
        return "by the service ($count)"
    if aggregation.apply is not None:
        return "by the service ($apply)"
    return f"by the gateway: all rows are read, {aggregation.max_rows:,} at most"


def _together(bound: ListRoot) -> tuple[str, ...]:
    """Return the notes of a list that shares its request with others."""
    if bound.key is not None:
        return ("merged with lists that name other keys: one request for all of them",)
    if bound.together:
        return ("shares a $batch with lists that differ only in values of eq",)
    return ()


def _keys(name: str, bound: KeysRoot, fetcher: Fetcher) -> Step:
    """Explain rows by key; ``nodes`` may have several types, each with a plan."""
    # By identity: ids of one type share their plan.
    plans = {id(item[0]): item[0] for item in bound.items if item is not None}
    sets = ", ".join(dict.fromkeys(str(plan.entity_set) for plan in plans.values()))
    return Step(
        field=name,
        how=f"{sets} by key" if plans else "nothing is sent",
        below=tuple(step for plan in plans.values() for step in _below(plan, fetcher)),
    )


def explain_by_key(name: str, how: str, plan: ReadPlan, engine: Engine) -> Step:
    """Explain rows by key, whose keys are not known before."""
    fetcher = engine.reads.fetcher(_EmptyUpstream())
    keys = (Compare(Path((f.source,)), Operator.EQ, _place(f.source)) for f in plan.level.info.key)
    request, notes = _keyed(plan.query, tuple(keys), plan, fetcher)
    return Step(field=name, how=how, request=request, notes=notes, below=_below(plan, fetcher))


def _below(plan: ReadPlan | None, fetcher: Fetcher) -> tuple[Step, ...]:
    return () if plan is None else tuple(_child(c, plan, fetcher) for c in plan.children)


def _child(child: ChildPlan, parent: ReadPlan, fetcher: Fetcher) -> Step:
    plan, dialect = child.plan, fetcher.dialect
    request, why = _template(child, parent, fetcher)
    window = "" if plan.window is None else f", {_window(plan.window, dialect)}"
    is_cut = child.via is Via.KEYS and plan.window is not None and not child.own_pages
    cut = _VIA_CUT if is_cut else ()
    if child.in_order is not None:
        cut = (_IN_ORDER[child.in_order.via],)
    return Step(
        field=child.child.key,
        how=f"{_how(child)}{window}",
        request=request,
        notes=(*cut, *why, *_notes(plan, dialect)),
        below=_below(plan, fetcher),
    )


def _how(child: ChildPlan) -> str:
    """Return how a relation is loaded."""
    if not child.own_pages:
        return _VIA[child.via]
    length = round(child.child.lengths.average)
    return f"page of each parent, up to {MAX_READS} in a $batch, as whole lists have about {length:,} rows"


_VIA = {
    Via.EXPAND: "with its parents ($expand)",
    Via.KEYS: "key batch, one request for all parents (more if the URL is too long)",
    Via.PATH: "path, one request for each parent: the metadata names no join columns",
}
_IN_ORDER = {
    Via.KEYS: "sorted and cut by the gateway if the texts in the order allow it; other lists are read again, in the"
    " upstream's order, by a key batch",
    Via.PATH: "sorted and cut by the gateway if the texts in the order allow it; other lists are read again, in the"
    " upstream's order, over their parents",
}
_VIA_CUT = (
    "of several parents all children are read and the gateway cuts the page; of one parent, only the page is read",
)


def _template(
    child: ChildPlan, parent: ReadPlan, fetcher: Fetcher
) -> tuple[str | None, tuple[str, ...]]:
    """Return the request for one parent, or None if it has none of its own, and notes why it has this form."""
    plan = child.plan
    match child.via:
        case Via.EXPAND:
            return None, ()
        case Via.KEYS:
            query = plan.query
            if plan.window is not None and child.own_pages:
                return _own_page(query, plan.window, child, fetcher)
            if plan.window is not None:
                query = structs.replace(query, order=_order(child, plan.window))
            return _keyed(query, _key_of(child), plan, fetcher)
        case Via.PATH:
            return _addressed(_of_path(child, parent, fetcher.dialect), plan, fetcher)
        case _:
            assert_never(child.via)


def _own_page(
    query: Query, window: Window, child: ChildPlan, fetcher: Fetcher
) -> tuple[str, tuple[str, ...]]:
    """Return the read of one parent's page."""
    query = structs.replace(query, where=all_of(query.where, *_key_of(child)))
    if window.count_only:
        return _text(fetcher.dialect.lower(count_query(query)).query, fetcher.dialect), ()
    return _addressed(with_window(query, window, fetcher.dialect), child.plan, fetcher)


def _keyed(
    query: Query, keys: Sequence[Expr], plan: ReadPlan, fetcher: Fetcher
) -> tuple[str, tuple[str, ...]]:
    """Return the request of a key batch for one key, in the form that it has for several."""
    dialect, limit = fetcher.dialect, fetcher.requests.max_url_length
    narrow = with_room_for_keys(query, [plan.row_type], dialect, limit)
    notes: tuple[str, ...] = () if narrow is query else (_NO_SELECT,)
    lowered = dialect.lower(narrow).query
    if chunk_limit(lowered, dialect, limit) > limit:
        length = len(render(lowered, options=dialect.options).url)
        notes += (f"in a $batch: {length:,} characters besides the keys leave too little room",)
    one_key = structs.replace(narrow, where=all_of(narrow.where, *keys))
    return _text(dialect.lower(one_key).query, dialect), notes


_NO_SELECT = "no $select: it would leave too little room for keys"


def _addressed(query: Query, plan: ReadPlan, fetcher: Fetcher) -> tuple[str, tuple[str, ...]]:
    """Return a request that is sent as it is, or without ``$select``, or in a ``$batch`` if it is too long."""
    dialect, limit = fetcher.dialect, fetcher.requests.max_url_length
    lowered = dialect.lower(query).query
    length = len(render(lowered, options=dialect.options).url)
    if length <= limit:
        return _text(lowered, dialect), ()
    shortened = without_long_select(lowered, plan.row_type, dialect, limit)
    if shortened is not None:
        request, why = shortened
        return unquote_placeholders(readable_url(request)), (why,)
    return _text(lowered, dialect), (f"in a $batch: its URL of {length:,} characters is too long",)


def _text(lowered: Query, dialect: Dialect) -> str:
    return unquote_placeholders(readable_url(render(lowered, options=dialect.options)))


def _key_of(child: ChildPlan) -> tuple[Expr, ...]:
    """Return the filter for the key of one parent, whose values are not known."""
    join = child.join
    assert join is not None
    pairs = zip(join.parent, join.target, strict=True)
    return tuple(Compare(Path((t.source,)), Operator.EQ, _place(p.source)) for p, t in pairs)


def _of_path(child: ChildPlan, parent: ReadPlan, dialect: Dialect) -> Query:
    parts = tuple(KeyPart(f.source, _place(f.source)) for f in parent.level.info.key)
    resource = Resource(parent.entity_set or "", parts, child.name)
    query, window = structs.replace(child.plan.query, resource=resource), child.plan.window
    return query if window is None or not window.keyset else with_window(query, window, dialect)


def _place(column: str) -> Literal:
    """Return the placeholder of a value in the parent row; its quotes are removed from the printed request."""
    return Literal(f"{{{column}}}", "Edm.String")


def _order(child: ChildPlan, window: Window) -> tuple[Order, ...]:
    if window.order or child.join is None:
        return order_by(window.order, backward=False)
    return tuple(Order(Path((f.source,))) for f in child.join.target)


_UNKEYED = {"skip": "offset", "links": "next link", "auto": "next link or offset"}
_UNKEYED_NOTE = "this order has a field that cannot be compared, or there is no key"


def _unkeyed(window: Window, dialect: Dialect) -> str:
    """Explain the paging of a list whose order cannot be put into a cursor."""
    prefer = f"Prefer: odata.maxpagesize={window.size}"
    way = paging_method(window, dialect)
    match way:
        case "skip":
            return f"offset cursors: {_UNKEYED_NOTE}"
        case "links":
            return f"cursors of the service's next links ({prefer}): {_UNKEYED_NOTE}"
        case "auto":
            return (
                f"cursors of the service's next links ({prefer}) if they have a skip token, else offset"
                f" cursors: {_UNKEYED_NOTE}"
            )
        case _:
            assert_never(way)


def _window(window: Window, dialect: Dialect) -> str:
    if window.count_only:
        return "count only"
    order = ", ".join(t.field.source + (" desc" if t.descending else "") for t in window.order)
    end = "last" if window.backward else "first"
    kind = "keyset" if window.keyset else _UNKEYED[paging_method(window, dialect)]
    bounds = "".join(
        f" {name} a cursor"
        for name, cursor in (("after", window.after), ("before", window.before))
        if cursor is not None
    )
    return f"{end} {window.size}{bounds} by {order or 'no order'} ({kind} cursors)"


def _companies(plan: ReadPlan, dialect: Dialect) -> str:
    """Return the company scope of a list, read from its filter."""
    column = dialect.company_property
    if column is None or not plan.level.info.has_company:
        return ""
    where = plan.query.where
    # The scope is the first term on the company column; others are the caller's own filter.
    terms = where.terms if isinstance(where, And) else (where,)
    scopes = [names for term in terms if (names := _values(term, column))]
    scope = ", ".join(scopes[0]) if scopes else "all that the account can read"
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
        notes.append(
            "text with * is filtered by the gateway: rows are read until enough match, or all of them for a count,"
            " positions or several parents (at most max_filtered_rows in an operation)"
        )
    if plan.window is not None and plan.window.null_order == "unknown":
        notes.append(
            "order of nulls unknown: assumed first in ascending order, and checked at the end of a list that was paged"
            " (null_order)"
        )
    if plan.window is not None and not plan.window.keyset:
        notes.append(_unkeyed(plan.window, dialect))
    if plan.window is not None and ends_on_upstream_page(plan.window, dialect):
        notes.append(
            "the page takes whole upstream pages: their next link, not an extra row, says whether there are more"
        )
    return tuple(notes)
