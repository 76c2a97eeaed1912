"""From a prepared operation and its variables to a plan. Pure: nothing is sent here.

:class:`Planner` belongs to a schema, :class:`OperationPlanner` to one operation with its values. The latter plans root
fields and the rows of a level (:meth:`OperationPlanner.read`). The rest of a plan is made next door: function calls in
``calls``, rows by id in ``entity_lookups``, relations in ``relations`` (how each is loaded in ``load_strategy``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLField, GraphQLSchema
from graphql.execution.values import VariableValues
from msgspec import structs

from gateway.documents.collect_fields import has_variables
from gateway.documents.input_coercion import coerce_arguments
from gateway.errors import BadArgument, GatewayError
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import long_list
from gateway.odata.query import Expr, Query, Resource
from gateway.operations.connection_parts import ConnectionRequirements
from gateway.operations.prepared_operation import Prepared, RootShape
from gateway.operations.row_types import RowType
from gateway.operations.shapes import RowRequirements
from gateway.operations.value_conversion import to_literal
from schema.catalog import Catalog
from schema.catalog.records import Argument, Field, ObjectInfo, RootKind
from schema.unified.views import UnifiedType

from .aggregates import plan_aggregate
from .calls import plan_call
from .cells import Cells, cells_of, redaction
from .company_limit import CompanyLimit
from .entity_lookups import EntityLookups
from .filters import WhereReader, all_of
from .limits import PlanLimits
from .page_arguments import Paging
from .page_window import Window
from .plan import BoundRoot, ChildPlan, FailedRoot, KeysRoot, ListRoot, ReadPlan, Via
from .relations import RelationPlanner, expand_item, parent_columns
from .residual_columns import residual_columns
from .row_bounds import RowBounds, ViewBounds, ViewRules, companies_in
from .select import cast_path, select_of, uncast_types
from .unified_arguments import are_dated, conditions, row_arguments
from .unified_lookups import Lookups
from .uniting import pins_key, unite_lists

_USER_COMPANY = "$user.company"


class Planner:
    """Plans the operations of one schema."""

    def __init__(
        self,
        catalog: Catalog,
        core: GraphQLSchema,
        dialect: Dialect,
        limits: PlanLimits,
        rules: ViewRules | None = None,
    ) -> None:
        """``rules``: what the roles add whose view ``catalog`` is."""
        self.catalog = catalog
        self.core = core
        self.dialect = dialect
        self.limits = limits
        self.rules = rules
        sealer = None if rules is None else rules.sealer
        self.paging = Paging(dialect, limits.default_page, limits.max_page, sealer, catalog.tag)
        self.company_limit = CompanyLimit(
            catalog if rules is None else rules.rules.catalog,
            dialect,
            limits.company_limit,
            limits.company_limit_shared,
        )
        limit = self.company_limit
        self._view = None if rules is None else ViewBounds(rules, limit)
        self._default_companies = () if rules is None else rules.view.default_companies
        self.where = WhereReader(catalog, limit.relation_predicate if limit else None, dialect)

    def plan(
        self,
        prepared: Prepared,
        variables: VariableValues,
        companies: tuple[str, ...] | None = None,
        caller: Caller = ANONYMOUS,
        max_page: int | None = None,
        lookups: Lookups | None = None,
    ) -> tuple[BoundRoot, ...]:
        """Return the plan of every generated root field; ``companies`` is the scope of the request's header."""
        operation = self.for_operation(prepared, variables, companies, caller)
        operation.lookups = lookups
        if max_page is not None:
            operation.paging = structs.replace(self.paging, max_page=max_page)
        roots = [operation.root(shape) for shape in prepared.roots]
        # Last, because it compares whole plans.
        return unite_lists(roots, self.dialect)

    def for_operation(
        self,
        prepared: Prepared,
        variables: VariableValues,
        companies: tuple[str, ...] | None = None,
        caller: Caller = ANONYMOUS,
    ) -> OperationPlanner:
        """Return the planner of one operation.

        The nearest company scope counts: request, roles, the environment's user, settings, limit.
        """
        scope = (
            companies
            or self._companies_of(caller)
            or self.limits.companies
            or self.company_limit.companies
            or None
        )
        bounds = None if self._view is None else self._view.of(caller)
        return OperationPlanner(self, prepared, variables, scope, bounds)

    def _companies_of(self, caller: Caller) -> tuple[str, ...]:
        """Return the default company scope of a caller; empty: none."""
        if caller is ANONYMOUS and self._view is None:
            return ()
        declared = self._default_companies
        own = companies_in(declared, caller) if declared else ()
        return own or (companies_in((_USER_COMPANY,), caller) if caller.user else ())

    def scope_of(self, caller: Caller) -> Hashable:
        """Return what is equal for callers who see the same, in the same default companies; None if all do."""
        companies = self._companies_of(caller)
        if self._view is None:
            return companies or None
        return (*self._view.of(caller).scope, companies)


class OperationPlanner:
    """Plans the rows of one operation with the values of its variables."""

    def __init__(
        self,
        planner: Planner,
        prepared: Prepared,
        variables: VariableValues,
        companies: tuple[str, ...] | None,
        row_bounds: RowBounds | None = None,
    ) -> None:
        self.planner = planner
        self.paging = planner.paging
        self.catalog = planner.catalog
        self.dialect = planner.dialect
        self.row_bounds = row_bounds
        """The bounds of the caller's roles, if there are any."""
        self.bounds: CompanyLimit | RowBounds = row_bounds or planner.company_limit
        """What bounds all rows of the operation."""
        self.prepared = prepared
        self.variables = variables
        self.companies = companies
        self.lookups: Lookups | None = None
        """The look-ups of the operation; None: placeholders do."""

    def row_arguments(self, view: UnifiedType, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return coerced arguments of a unified list as those of the list of its rows. Raises BadArgument."""
        return row_arguments(view, arguments, self.lookups or Lookups())

    def arguments(self, field: GraphQLField, compiled: FieldNode) -> Mapping[str, Any]:
        """Return the coerced arguments of a field; those without variables are coerced once for a document."""
        # Shapes hold the nodes of the document that was compiled; the values are in this one's.
        node = self.prepared.node(compiled)
        arguments = self.prepared.constants.get(id(node))
        if arguments is None:
            arguments = coerce_arguments(field, node, self.variables)
            if not has_variables(node.arguments):
                self.prepared.constants[id(node)] = arguments
        return arguments

    def root(self, shape: RootShape) -> BoundRoot:
        """Return the plan of a root field, FailedRoot if its arguments cannot be used."""
        field: GraphQLField = self.planner.core.type_map[shape.owner].fields[shape.root.name]  # type: ignore[attr-defined]
        try:
            arguments = self.arguments(field, shape.node)
            if shape.view is not None:
                return self._view_root(shape, shape.view, arguments)
            return self._root(shape, arguments)
        except GatewayError as error:
            return FailedRoot(shape, error)
        except GraphQLError as error:
            # Only a null in a nullable variable with a default gets here: validation finds everything else.
            return FailedRoot(shape, BadArgument(error.message))

    def _root(self, shape: RootShape, arguments: Mapping[str, Any]) -> BoundRoot:
        match shape.root.kind:
            case RootKind.LIST:
                return self._in_companies(arguments).list_root(shape, arguments)
            case RootKind.AGGREGATE:
                return plan_aggregate(self._in_companies(arguments), shape, arguments)
            case RootKind.BY_KEY:
                return self._by_key(shape, arguments)
            case RootKind.SINGLETON:
                return self._singleton(shape)
            case RootKind.FUNCTION:
                return plan_call(self, shape, arguments)
            case RootKind.NODE:
                return EntityLookups(self, shape).node(arguments["id"])
            case RootKind.NODES:
                return EntityLookups(self, shape).nodes(arguments["ids"])
            case RootKind.ENTITIES:
                return EntityLookups(self, shape).entities(arguments["representations"])

    def _view_root(
        self, shape: RootShape, view: UnifiedType, arguments: Mapping[str, Any]
    ) -> BoundRoot:
        """Return the plan of a field below a unified model: a list of rows, or a row by its id."""
        if shape.root.kind is RootKind.LIST:
            own = self.row_arguments(view, arguments)
            return self._in_companies(arguments).list_root(shape, own)
        lookups = EntityLookups(self, shape)
        if shape.root.kind is RootKind.NODES:
            return lookups.of_views(view, arguments["ids"])
        return lookups.of_view(view, arguments["id"])

    def _in_companies(self, arguments: Mapping[str, Any]) -> OperationPlanner:
        """Return the planner of a field with these arguments, which may name the companies of all below it."""
        companies = arguments.get("companies")
        if companies is None:
            return self
        narrowed = OperationPlanner(
            self.planner, self.prepared, self.variables, tuple(companies), self.row_bounds
        )
        narrowed.lookups = self.lookups
        return narrowed

    def list_root(self, shape: RootShape, arguments: Mapping[str, Any]) -> ListRoot:
        """Return the plan of a list in the companies of this planner."""
        assert shape.level is not None
        assert shape.needs is not None
        assert shape.root.entity_set is not None
        info = shape.level.info
        name = shape.root.entity_set.name
        scope = self.bounds.scoped_predicate(info, name, self.companies)
        where, lasts = all_of(scope, self.where(info.csdl, arguments.get("where"))), True
        if shape.view is not None:
            where = all_of(where, conditions(shape.view.where))
            lasts = not are_dated(shape.view.where)
        window = self.window(name, info, arguments, where, shape.needs, may_shift=True)
        plan = self.read(shape.level, name, where=where, window=window, lasts=lasts)
        return ListRoot(shape, plan)

    def _by_key(self, shape: RootShape, arguments: Mapping[str, Any]) -> KeysRoot:
        assert shape.level is not None
        assert shape.root.entity_set is not None
        key = tuple(
            self.key_value(a, arguments) for a in self.catalog.key_arguments(shape.root.csdl)
        )
        plan = self.read_by_key(shape.level, shape.root.entity_set.name)
        return KeysRoot(shape, ((plan, key),))

    def key_value(self, argument: Argument, arguments: Mapping[str, Any]) -> Any:
        """Return a part of a key from coerced arguments, a missing company from the scope.

        Raises BadArgument if the scope is not one company.
        """
        assert argument.of is not None
        assert argument.of.value is not None
        value = arguments.get(argument.name)
        if value is None and argument.source == self.dialect.company_property:
            return self._single_company(argument.name)
        return to_literal(argument.of.value, value, what=argument.name).value

    def _single_company(self, name: str) -> str:
        if self.companies is None or len(self.companies) != 1:
            raise BadArgument(
                f"{name} is missing, and the company scope is not one company.",
                hint=f"Pass {name}, or name one company in the header X-D365-Company.",
            )
        return self.companies[0]

    def _singleton(self, shape: RootShape) -> ListRoot:
        assert shape.level is not None
        assert shape.root.singleton is not None
        name = shape.root.singleton.name
        self.bounds.check_singleton(shape.level.info, name, shape.root.name)
        plan = self.read(shape.level, None, resource=Resource(name))
        return ListRoot(shape, plan)

    def window(
        self,
        place: str,
        info: ObjectInfo,
        arguments: Mapping[str, Any],
        where: Expr | None,
        needs: ConnectionRequirements,
        *,
        may_shift: bool = False,
    ) -> Window:
        """Return the page that the arguments of a connection ask for. Cursors are bound to place, filter and scope.

        ``may_shift``: see ``Paging.window``.
        """
        bound_to: tuple[object, ...] = (place, where, self.companies)
        if self.row_bounds is not None:
            bound_to += self.row_bounds.scope
        return self.paging.window(info, arguments, needs, bound_to, may_shift=may_shift)

    def where(self, csdl: str, argument: object) -> Expr | None:
        """Return the filter of a ``where`` argument for rows of a type; None if it excludes nothing."""
        if self.row_bounds is None:
            return self.planner.where.read(csdl, argument)
        reader = WhereReader(self.catalog, self.row_bounds.relation_predicate, self.dialect)
        return reader.read(csdl, argument)

    def read_by_key(
        self,
        level: RowRequirements,
        set_name: str,
        where: Expr | None = None,
        *,
        lasts: bool = True,
    ) -> ReadPlan:
        """Return the plan of rows that are picked by key, and pass a filter."""
        where = all_of(self.bounds.predicate(level.info, set_name), where)
        return self.read(level, set_name, where=where, extras=level.info.key, lasts=lasts)

    def read(  # noqa: PLR0913 - the parts of a plan
        self,
        level: RowRequirements,
        set_name: str | None,
        *,
        resource: Resource | None = None,
        where: Expr | None = None,
        window: Window | None = None,
        extras: Sequence[Field] = (),
        depth: int = 0,
        lasts: bool = True,
    ) -> ReadPlan:
        """Return the plan of a level's rows and of everything below them.

        ``extras`` are further columns that the caller needs, ``depth`` counts the ``$expand`` options around the level.
        ``lasts``: whether ``where`` would be the same at any time.
        """
        children = RelationPlanner(self, level, set_name, depth).plans() if level.children else ()
        columns = [*extras, *residual_columns(level.info, where, self.dialect)]
        is_residual = len(columns) > len(extras)
        if window is not None and (
            window.reads_order
            or depth
            or extras
            or self._is_cut_here(level, where, window, is_residual=is_residual)
        ):
            columns.extend(t.field for t in window.order)
        columns.extend(_columns_for(children, level))
        # Rows in an $expand are decoded with their parents, so the row type depends on how relations are loaded.
        inside = [c for c in children if c.via is Via.EXPAND]
        expanded = {c.child.index: c.plan.row_type.cached for c in inside}
        cells, ruling = None, tuple[Field, ...]()
        if self.row_bounds is not None:
            shown = (*level.values.values(), *columns)
            singleton = None if resource is None or resource.call is not None else resource.name
            cells = cells_of(self.row_bounds, level.info.csdl, set_name or singleton, shown)
            if cells is not None:
                columns.extend(cells.columns)
                places = {(f.declared_by, f.source) for f in shown}
                ruling = tuple(f for f in cells.columns if (f.declared_by, f.source) not in places)
        row_type = self.prepared.row_types.get(level, tuple(columns), expanded)
        if self.row_bounds is not None:
            row_type = self._redacting(row_type, cells, inside, self.row_bounds)
        uncast = uncast_types(level, set_name, self.catalog, is_expanded=depth > 0)
        query = Query(
            resource=resource or Resource(set_name or ""),
            select=select_of(row_type, uncast),
            expand=tuple(expand_item(c, self.dialect) for c in children if c.via is Via.EXPAND),
            where=where,
            ruling=frozenset(cast_path(f.declared_by, f.source, uncast) for f in ruling),
        )
        return ReadPlan(
            level=level,
            row_type=row_type,
            query=query,
            entity_set=set_name,
            window=window,
            children=children,
            lasts=lasts and all(child.lasts for child in children),
            followed=tuple(followed for child in children for followed in child.followed),
        )

    def _redacting(
        self,
        row_type: RowType,
        cells: Cells | None,
        inside: Sequence[ChildPlan],
        bounds: RowBounds,
    ) -> RowType:
        """Return the row type with the redaction of its rows and of those inside them."""
        below = {
            c.child.slot: redact for c in inside if (redact := c.plan.row_type.redact) is not None
        }
        redact = redaction(cells, row_type, bounds, below)
        return row_type if redact is None else row_type.redacting(redact)

    def _is_cut_here(
        self, level: RowRequirements, where: Expr | None, window: Window, *, is_residual: bool
    ) -> bool:
        """Return whether the page is cut out of several answers, or of more rows than it asked for."""
        if is_residual and not window.count_only:
            return True
        if long_list(where) is not None:  # does not fit into one address
            return True
        return len(self.prepared.roots) > 1 and pins_key(level.info, where, self.dialect)


def _columns_for(children: Sequence[ChildPlan], level: RowRequirements) -> Iterator[Field]:
    """Yield the columns of a level by which its relations are read."""
    for child in children:
        yield from parent_columns(child, level)
        if child.in_order is not None:
            yield from parent_columns(child.in_order, level)
