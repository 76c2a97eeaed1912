"""Root lists of one operation that differ in values of ``eq`` only: asked for together, in one request.

Lists whose ``eq`` names a whole key have one row at the most, so that each page can be cut exactly from the rows of all
their keys: they become a key batch. Of other lists it is not known where one ends in rows that came for all of them;
they stay requests of their own, but share a ``$batch``, where the service is known to answer one.
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
    """Return whether a filter names a whole key by ``eq``."""
    return _pinned(info, where, dialect) is not None


def _pinned(
    info: ObjectInfo, where: Expr | None, dialect: Dialect
) -> tuple[Key, Expr | None] | None:
    """Return the key that a filter names by ``eq``, and the rest of the filter; None where it names none."""
    found: dict[str, Compare] = {}
    rest: list[Expr] = []
    names = {part.source for part in info.key}
    for term in terms_of(where):
        match term:
            case Compare(Path((name,)), Operator.EQ, Literal(value) as literal) if (
                name in names - found.keys()
                and value is not None
                and not has_star(dialect, literal)
            ):
                found[name] = term
            case _:
                rest.append(term)
    if not names or len(found) != len(names):
        return None
    return tuple(found[part.source].value.value for part in info.key), all_of(*rest)


def unite_lists(roots: Sequence[BoundRoot], dialect: Dialect) -> tuple[BoundRoot, ...]:
    """Return the roots, with a note on those lists that are asked for together."""
    lists = [r for r in roots if isinstance(r, ListRoot) and r.plan.window is not None]
    if len(lists) < 2:
        return tuple(roots)
    made: dict[int, BoundRoot] = {id(root): root for root in roots}
    for group in _groups((root, _template(_keyed(root, dialect))) for root in lists):
        made.update((id(root), _keyed(root, dialect)) for root in group)
    if dialect.batches_reads:
        alone = [root for root in lists if made[id(root)] is root]
        for group in _groups((root, _shape(root)) for root in alone):
            if len({repr(root.plan.query.where) for root in group}) > 1:
                made.update((id(root), structs.replace(root, together=True)) for root in group)
    return tuple(made[id(root)] for root in roots)


def _groups(places: Iterable[tuple[ListRoot, Hashable]]) -> list[list[ListRoot]]:
    """Gather roots of one place, which is not None; those that are alone are left out."""
    found: dict[Hashable, list[ListRoot]] = {}
    for root, place in places:
        if place is not None:
            found.setdefault(place, []).append(root)
    return [group for group in found.values() if len(group) > 1]


def _keyed(root: ListRoot, dialect: Dialect) -> ListRoot:
    """Return the root as a list of one key, where its filter names one."""
    query, info = root.plan.query, root.plan.level.info
    found = _pinned(info, query.where, dialect)
    if found is None:
        return root
    key, rest = found
    plan = structs.replace(root.plan, query=structs.replace(query, where=rest))
    return structs.replace(root, plan=plan, key=key)


def _template(root: ListRoot) -> Hashable:
    """Return what lists of one key share when they are united; None for a list of no key."""
    query, window = root.plan.query, root.plan.window
    assert window is not None
    if root.key is None:
        return None
    order = order_by(window.order, backward=False)
    return (query.resource, repr(query.where), query.expand, order)


def _shape(root: ListRoot) -> Hashable:
    """Return what lists share that differ in values of ``eq`` only; None for a list without any."""
    terms = terms_of(root.plan.query.where)
    is_eq = [isinstance(term, Compare) and term.operator is Operator.EQ for term in terms]
    if not any(is_eq):
        return None
    shapes = (
        repr(term.path) if eq and isinstance(term, Compare) else repr(term)
        for term, eq in zip(terms, is_eq, strict=True)
    )
    return (root.plan.query.resource, tuple(shapes))
