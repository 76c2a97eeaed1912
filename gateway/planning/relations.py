"""Plans of what hangs below the rows of one plan. How each relation is loaded is decided in ``load_strategy``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from gateway.odata.dialect import Dialect
from gateway.odata.query import Expand, Expr
from gateway.operations.shapes import ChildRequirements, ChildView, RowRequirements
from schema.catalog.records import Field, FieldKind

from .filters import all_of
from .joins import join_of
from .load_strategy import (
    Expansion,
    Relation,
    expansion,
    fallback_strategy,
    may_read_own_pages,
)
from .page_window import Window, order_by, with_window
from .plan import ChildPlan, Followed, Join, Via
from .proven_order import depends_on_text
from .select import cast_path, uncast_types
from .unified_arguments import are_dated, conditions

if TYPE_CHECKING:
    from .planner import OperationPlanner


class RelationPlanner:
    """Plans the relations of one level."""

    def __init__(
        self,
        operation: OperationPlanner,
        level: RowRequirements,
        set_name: str | None,
        depth: int,
    ) -> None:
        """``depth`` counts the ``$expand`` options around the level."""
        self._operation = operation
        self._level = level
        self._set_name = set_name
        self._depth = depth
        self._uncast = uncast_types(level, set_name, operation.catalog, is_expanded=depth > 0)
        self._expanded: set[str] = set()
        """Navigations that ``$expand`` names already: it may name each once."""

    def plans(self) -> tuple[ChildPlan, ...]:
        """Return the plan of each relation, in the order of the selection."""
        return tuple(self._plan(child) for child in self._level.children.values())

    def _plan(self, child: ChildRequirements) -> ChildPlan:
        operation, field = self._operation, child.field
        join = join_of(field, operation.catalog, operation.dialect)
        relation = Relation(field, self._level.info, self._set_name, child.level.info, join)
        where, window = self._rows(child, join)
        if window is None or not may_read_own_pages(relation, where, window, operation.dialect):
            return self._in_one(child, relation, where, window)
        longest = operation.planner.limits.long_list_rows
        follows = Followed(child.lengths, window.rows_read, longest)
        if follows.are_long:
            plan = self._separately(child, relation, where, window, own_pages=True)
        else:
            plan = self._in_one(child, relation, where, window)
        follows = structs.replace(follows, were_long=plan.own_pages)
        return structs.replace(plan, follows=follows)

    def _in_one(
        self,
        child: ChildRequirements,
        relation: Relation,
        where: Expr | None,
        window: Window | None,
    ) -> ChildPlan:
        """Return the plan that reads the lists of all parents at once, in whatever way."""
        operation, field, join = self._operation, child.field, relation.join
        brings = (
            expansion(relation, where, window, operation.dialect)
            if self._may_expand(field)
            else None
        )
        if brings is None:
            return self._separately(child, relation, where, window)
        self._expanded.add(field.source)
        plan = operation.read(
            child.level,
            field.target_set,
            where=where,
            window=window,
            depth=self._depth + 1,
            lasts=_lasts(child),
        )
        in_order = None
        if (
            relation.has_fallback
            and window is not None
            and _order_may_be_lost(window, join, operation.dialect)
        ):
            in_order = self._separately(child, relation, where, window)
        return ChildPlan(
            child=child,
            via=Via.EXPAND,
            join=join,
            plan=plan,
            name=self._name(field),
            owners=self._owners(field),
            paged=brings is Expansion.WINDOW,
            in_order=in_order,
        )

    def _separately(
        self,
        child: ChildRequirements,
        relation: Relation,
        where: Expr | None,
        window: Window | None,
        *,
        own_pages: bool = False,
    ) -> ChildPlan:
        """Plan the rows in requests of their own. Raises UnsupportedQuery if that is not possible."""
        operation, field, info = self._operation, child.field, child.level.info
        via = fallback_strategy(relation)
        # A path to one row takes no filter, so a limit of companies cannot be applied to it.
        if via is Via.PATH and window is None:
            operation.bounds.check_readable(info, field.target_set, field.name)
        # The rows of a key batch are assigned to their parents by the join.
        is_joined = relation.join is not None and via is Via.KEYS
        columns = relation.join.target if relation.join and is_joined else info.key
        plan = operation.read(
            child.level,
            field.target_set,
            where=where,
            window=window,
            extras=columns,
            lasts=_lasts(child),
        )
        return ChildPlan(
            child=child,
            via=via,
            join=relation.join,
            plan=plan,
            name=self._name(field),
            owners=self._owners(field),
            own_pages=own_pages,
        )

    def _may_expand(self, field: Field) -> bool:
        """Return whether the navigation may stand in ``$expand`` here at all."""
        operation = self._operation
        assert field.navigation is not None
        return (
            operation.planner.limits.can_expand
            and self._depth < operation.dialect.expand_depth
            and not field.navigation.declared  # declared in the settings: the service does not know it
            and field.source not in self._expanded
        )

    def _rows(
        self, child: ChildRequirements, join: Join | None
    ) -> tuple[Expr | None, Window | None]:
        """Return which of the related rows are read: the filter with the company scope, and the page."""
        operation, field, info = self._operation, child.field, child.level.info
        arguments = self._arguments(child)
        limit, company = operation.bounds, operation.dialect.company_property
        if join is not None and any(f.source == company for f in join.target):
            scope = limit.relation_predicate(
                field
            )  # the join keeps the rows in the company of their parent
        else:
            scope = limit.scoped_predicate(info, field.target_set, operation.companies)
        where = all_of(scope, operation.where(info.csdl, arguments.get("where")))
        if child.view is not None:
            where = all_of(where, conditions(child.view.where))
        if child.connection is None:
            return where, None
        # One argument applies to the lists of all parents, so a cursor is not bound to its parent.
        place = f"{field.declared_by}/{field.source}"
        return where, operation.window(place, info, arguments, where, child.connection)

    def _arguments(self, child: ChildRequirements) -> Mapping[str, Any]:
        if child.view is not None:
            return self._view_arguments(child, child.view)
        if child.field.kind is not FieldKind.TO_MANY or not child.node.arguments:
            return {}
        operation = self._operation
        owner = operation.catalog.reference_name(child.field.declared_by)
        parent = operation.planner.core.type_map[owner]
        return operation.arguments(parent.fields[child.field.name], child.node)  # type: ignore[attr-defined]

    def _view_arguments(self, child: ChildRequirements, view: ChildView) -> Mapping[str, Any]:
        """Return the arguments of rows below a unified object: those of its field, or all rows."""
        operation = self._operation
        if view.of is None or view.place is None:
            return {"first": operation.paging.max_page}
        if not child.node.arguments:
            return {}
        owner, name = view.place
        field = operation.planner.core.type_map[owner].fields[name]  # type: ignore[attr-defined]
        return operation.row_arguments(view.of, operation.arguments(field, child.node))

    def _name(self, field: Field) -> str:
        return cast_path(field.declared_by, field.source, self._uncast)

    def _owners(self, field: Field) -> frozenset[str] | None:
        """Return the types of the rows that have the navigation; None for all."""
        if field.declared_by in self._level.bases:
            return None
        return frozenset(self._operation.catalog.model.family(field.declared_by))


def _lasts(child: ChildRequirements) -> bool:
    """Return whether the filter of related rows would be the same at any time."""
    return child.view is None or not are_dated(child.view.where)


def _order_may_be_lost(window: Window, join: Join | None, dialect: Dialect) -> bool:
    """Return whether a list comes unordered, and only its texts show if the upstream's order can be restored here.

    Texts that the database may order otherwise than Python are then read again in order.
    """
    comes_unordered = not dialect.expand_options and window.keyset
    return comes_unordered and depends_on_text(window.order, () if join is None else join.target)


def parent_columns(child: ChildPlan, level: RowRequirements) -> Sequence[Field]:
    """Return the columns of the parents by which the rows of a relation are read."""
    if child.via is Via.KEYS and child.join is not None:
        return child.join.parent
    return level.info.key if child.via is Via.PATH else ()


def expand_item(child: ChildPlan, dialect: Dialect) -> Expand:
    """Return the ``$expand`` item of a relation, with the page in it if the dialect takes options."""
    query, window = child.plan.query, child.plan.window
    if window is not None and dialect.expand_options:
        if not child.paged:
            query = structs.replace(query, order=order_by(window.order, backward=False))
        elif window.count_only:
            query = structs.replace(with_window(query, window, dialect), top=0)
        else:
            query = with_window(query, window, dialect)
    return Expand(
        navigation=child.name,
        select=query.select,
        expand=query.expand,
        where=query.where,
        order=query.order,
        top=query.top,
        skip=query.skip,
        count=query.count,
        ruling=query.ruling,
    )
