"""Root lists of one operation that differ in values of ``eq`` only are read together, in one HTTP request.

A list whose ``eq`` pins a whole key has one row at most, so the rows of many such lists can be told apart: they become
one key batch. Other lists stay requests of their own, but share a ``$batch`` if the service is known to support it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from msgspec import structs

from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import terms_of
from gateway.odata.query import Compare, Expr, Literal, Operator, Path
from gateway.odata.wildcard_residual import has_star
from schema.catalog.records import ObjectInfo

from .filters import all_of
from .page_window import order_by
from .plan import BoundRoot, Key, ListRoot


def pins_key(info: ObjectInfo, where: Expr | None, dialect: Dialect) -> bool:
    """Return whether a filter pins a whole key by ``eq``."""
    return _pinned_key(info, where, dialect) is not None


def _pinned_key(
    info: ObjectInfo, where: Expr | None, dialect: Dialect
) -> tuple[Key, Expr | None] | None:
    """Return the key that a filter pins by ``eq``, and the rest of the filter; None if it pins none."""
    pinned: dict[str, Compare] = {}
    rest: list[Expr] = []
    names = {part.source for part in info.key}
    for term in terms_of(where):
        match term:
            case Compare(Path((name,)), Operator.EQ, Literal(value) as literal) if (
                name in names - pinned.keys()
                and value is not None
                and not has_star(dialect, literal)
            ):
                pinned[name] = term
            case _:
                rest.append(term)
    if not names or len(pinned) != len(names):
        return None
    return tuple(pinned[part.source].value.value for part in info.key), all_of(*rest)


def unite_lists(roots: Sequence[BoundRoot], dialect: Dialect) -> tuple[BoundRoot, ...]:
    """Return the roots, with those lists marked that are read together."""
    lists = [r for r in roots if isinstance(r, ListRoot) and r.plan.window is not None]
    # The usual case, on the hot path.
    if len(lists) < 2:
        return tuple(roots)
    result: dict[int, BoundRoot] = {id(root): root for root in roots}
    for group in _groups((root, _template(_with_key(root, dialect))) for root in lists):
        result.update((id(root), _with_key(root, dialect)) for root in group)
    # Services that do not know $batch for reads get one request for each list.
    if dialect.batches_reads:
        separate = [root for root in lists if result[id(root)] is root]
        for group in _groups((root, _shape(root)) for root in separate):
            if len({repr(root.plan.query.where) for root in group}) > 1:
                result.update((id(root), structs.replace(root, together=True)) for root in group)
    return tuple(result[id(root)] for root in roots)


def _groups(keyed: Iterable[tuple[ListRoot, Hashable]]) -> list[list[ListRoot]]:
    """Return the groups of at least two roots with equal keys; roots with the key None are left out."""
    groups: dict[Hashable, list[ListRoot]] = {}
    for root, key in keyed:
        if key is not None:
            groups.setdefault(key, []).append(root)
    return [group for group in groups.values() if len(group) > 1]


def _with_key(root: ListRoot, dialect: Dialect) -> ListRoot:
    """Return the root as a list of one key if its filter pins one, else as it is."""
    query, info = root.plan.query, root.plan.level.info
    pinned = _pinned_key(info, query.where, dialect)
    if pinned is None:
        return root
    key, rest = pinned
    plan = structs.replace(root.plan, query=structs.replace(query, where=rest))
    return structs.replace(root, plan=plan, key=key)


def _template(root: ListRoot) -> Hashable:
    """Return what lists must have in common to become one key batch; None for a list without a pinned key."""
    query, window = root.plan.query, root.plan.window
    assert window is not None
    if root.key is None:
        return None
    order = order_by(window.order, backward=False)
    return (query.resource, repr(query.where), query.expand, order)


def _shape(root: ListRoot) -> Hashable:
    """Return what lists have in common that differ in values of ``eq`` only; None for a list without ``eq``."""
    terms = terms_of(root.plan.query.where)
    is_eq = [isinstance(term, Compare) and term.operator is Operator.EQ for term in terms]
    if not any(is_eq):
        return None
    shapes = (
        repr(term.path) if eq and isinstance(term, Compare) else repr(term)
        for term, eq in zip(terms, is_eq, strict=True)
    )
    return (root.plan.query.resource, tuple(shapes))
