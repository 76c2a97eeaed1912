"""Binding: a prepared operation and its variables become a plan. Pure; nothing is sent here.

Here it is decided how each relation is loaded. The order of preference is the number of requests: ``$expand``
where the dialect can carry what is asked (none more), a key batch (one more for all parents), a path (one more
for each parent).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLField, GraphQLSchema
from graphql.execution.values import VariableValues
from msgspec import structs

from gateway.documents.collect_fields import has_variables
from gateway.documents.input_coercion import arguments_of
from gateway.errors import BadArgument, Forbidden, GatewayError, UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import long_list
from gateway.odata.query import (
    Call,
    Expr,
    KeyPart,
    ListPart,
    Literal,
    Query,
    Resource,
)
from gateway.odata.simplify import paths
from gateway.operations.prepared_operation import Prepared, RootShape
from gateway.operations.row_types import RowType
from gateway.operations.shapes import ChildRequirements, ConnectionRequirements, RowRequirements
from gateway.operations.value_conversion import to_literal, to_literals
from schema.catalog import Catalog
from schema.catalog.records import ETAG, Argument, Field, FieldKind, ObjectInfo, RootKind, ValueType

from .company_limit import CompanyLimit
from .entity_lookups import Entities
from .filters import WhereReader, all_of
from .joins import join_of
from .limits import PlanLimits
from .load_strategy import expand_item, fallback_strategy, has_other_way, qualified
from .page_arguments import Paging
from .page_window import Window
from .plan import (
    BoundRoot,
    CallRoot,
    ChildPlan,
    FailedRoot,
    KeysRoot,
    ListRoot,
    ReadPlan,
    Via,
)
from .proven_order import depends_on_text, may_sort
from .uniting import pins_key, united


class Planner:
    """Binds operations of one schema."""

    def __init__(
        self, catalog: Catalog, core: GraphQLSchema, dialect: Dialect, limits: PlanLimits
    ) -> None:
        self.catalog = catalog
        self.core = core
        self.dialect = dialect
        self.limits = limits
        self.paging = Paging(dialect, limits.default_page, limits.max_page)
        self.limit = CompanyLimit(
            catalog, dialect, limits.company_limit, limits.company_limit_shared
        )
        self._where = WhereReader(catalog, self.limit.related if self.limit else None)

    def bind(
        self,
        prepared: Prepared,
        variables: VariableValues,
        companies: tuple[str, ...] | None = None,
    ) -> tuple[BoundRoot, ...]:
        """Return the plan of every generated root field. ``companies`` is the request's scope (header)."""
        binding = self.binding(prepared, variables, companies)
        roots = [binding.root(shape) for shape in prepared.roots]
        return united(roots, self.dialect)

    def binding(
        self,
        prepared: Prepared,
        variables: VariableValues,
        companies: tuple[str, ...] | None = None,
    ) -> Binding:
        """Return what plans the rows of one operation."""
        asked = companies or self.limits.companies or self.limit.companies or None
        return Binding(self, prepared, variables, asked)

    def where(self, csdl: str, given: object) -> Expr | None:
        """Read a ``where`` argument."""
        return self._where.read(csdl, given)


class Binding:
    """One operation with its values."""

    def __init__(
        self,
        planner: Planner,
        prepared: Prepared,
        variables: VariableValues,
        companies: tuple[str, ...] | None,
    ) -> None:
        self.planner = planner
        self.catalog = planner.catalog
        self.dialect = planner.dialect
        self.prepared = prepared
        self.variables = variables
        self.companies = companies

    # Arguments

    def arguments(self, field: GraphQLField, compiled: FieldNode) -> Mapping[str, Any]:
        """Coerce a field's arguments; those without variables once for the document."""
        node = self.prepared.node(compiled)
        found = self.prepared.constants.get(id(node))
        if found is None:
            found = arguments_of(field, node, self.variables)
            if not has_variables(node.arguments):
                self.prepared.constants[id(node)] = found
        return found

    # Roots

    def root(self, shape: RootShape) -> BoundRoot:
        query_type = self.planner.core.query_type
        assert query_type is not None
        field = query_type.fields[shape.root.name]
        try:
            arguments = self.arguments(field, shape.node)
            return self._root(shape, arguments)
        except GatewayError as error:
            return FailedRoot(shape, error)
        except GraphQLError as error:
            # A null that came by a nullable variable with a default: all else is found before.
            return FailedRoot(shape, BadArgument(error.message))

    def _root(self, shape: RootShape, arguments: Mapping[str, Any]) -> BoundRoot:
        match shape.root.kind:
            case RootKind.LIST:
                return self._list(shape, arguments)
            case RootKind.BY_KEY:
                return self._by_key(shape, arguments)
            case RootKind.SINGLETON:
                return self._singleton(shape)
            case RootKind.FUNCTION:
                return self._call(shape, arguments)
            case RootKind.NODE:
                return Entities(self, shape).node(arguments["id"])
            case RootKind.NODES:
                return Entities(self, shape).nodes(arguments["ids"])
            case RootKind.ENTITIES:
                return Entities(self, shape).entities(arguments["representations"])

    def _list(self, shape: RootShape, arguments: Mapping[str, Any]) -> ListRoot:
        given = arguments.get("companies")
        if given is None:
            return self._list_in_scope(shape, arguments)
        narrower = Binding(self.planner, self.prepared, self.variables, tuple(given))
        return narrower._list_in_scope(shape, arguments)

    def _list_in_scope(self, shape: RootShape, arguments: Mapping[str, Any]) -> ListRoot:
        assert shape.level is not None
        assert shape.needs is not None
        assert shape.root.entity_set is not None
        info = shape.level.info
        name = shape.root.entity_set.name
        scope = self.planner.limit.scope(info, name, self.companies)
        where = all_of(scope, self.planner.where(info.csdl, arguments.get("where")))
        window = self._window(name, info, arguments, where, shape.needs)
        return ListRoot(shape, self.read(shape.level, name, where=where, window=window))

    def _by_key(self, shape: RootShape, arguments: Mapping[str, Any]) -> KeysRoot:
        assert shape.level is not None
        assert shape.root.entity_set is not None
        key = tuple(
            self.key_value(a, arguments) for a in self.catalog.key_arguments(shape.root.csdl)
        )
        plan = self.keyed(shape.level, shape.root.entity_set.name)
        return KeysRoot(shape, ((plan, key),))

    def key_value(self, argument: Argument, arguments: Mapping[str, Any]) -> Any:
        """Return a part of a key from coerced arguments; the company may be that of the scope. Raises BadArgument."""
        assert argument.of is not None
        assert argument.of.value is not None
        given = arguments.get(argument.name)
        if given is None and argument.source == self.dialect.company_property:
            return self._one_company(argument.name)
        return to_literal(argument.of.value, given, what=argument.name).value

    def _one_company(self, name: str) -> str:
        if self.companies is None or len(self.companies) != 1:
            raise BadArgument(
                f"{name} is missing, and the company scope is not one company.",
                hint=f"Give {name}, or one company in the header X-D365-Company.",
            )
        return self.companies[0]

    def _singleton(self, shape: RootShape) -> ListRoot:
        assert shape.level is not None
        assert shape.root.singleton is not None
        self.planner.limit.check_readable(shape.level.info, None, shape.root.name)
        plan = self.read(shape.level, None, resource=Resource(shape.root.singleton.name))
        return ListRoot(shape, plan)

    def _call(self, shape: RootShape, arguments: Mapping[str, Any]) -> CallRoot:
        operation = shape.root.operation
        assert operation is not None
        assert operation.returns is not None
        given = self.catalog.root_arguments(shape.root)
        self._check_call(shape, given, arguments)
        parts = [
            _call_part(a, a.value, arguments[a.name])
            for a in given
            if a.value is not None and arguments.get(a.name) is not None
        ]
        imported = shape.root.operation_import
        name = operation.name if imported is None else imported.name
        resource = Resource(call=Call(name, tuple(parts)))
        if operation.bound_to is not None:
            key = self._bound_key(given, arguments)
            set_name = self.catalog.set_for(operation.bound_to.name) or ""
            resource = structs.replace(resource, name=set_name, key=key)
        if shape.level is None:
            return CallRoot(shape, Query(resource=resource), None, operation.returns.many)
        is_entity = operation.returns.name in self.catalog.model.entity_types
        set_name_found = self.catalog.set_for(operation.returns.name) if is_entity else None
        plan = self.read(shape.level, set_name_found, resource=resource)
        return CallRoot(shape, plan.query, plan, operation.returns.many)

    def _check_call(
        self, shape: RootShape, given: Sequence[Argument], arguments: Mapping[str, Any]
    ) -> None:
        """Raise Forbidden for a function that is outside the limit of companies, or whose rows may be."""
        limit, operation = self.planner.limit, shape.root.operation
        if not limit:
            return
        assert operation is not None
        named = {a.source: arguments.get(a.name) for a in given if a.name in arguments}
        if operation.bound_to is not None:
            info = self.catalog.object(operation.bound_to.name)
            key = {a.source: self.key_value(a, arguments) for a in given if a.of is not None}
            if not limit.admits(info, None, key):
                raise Forbidden(f"{shape.root.name} is asked of a row outside company_limit.")
        limit.check_arguments(named, is_bound=operation.bound_to is not None)
        returns = "" if operation.returns is None else operation.returns.name
        if shape.level is not None and returns in self.catalog.model.entity_types:
            limit.check_readable(shape.level.info, None, shape.root.name)

    def _bound_key(
        self, given: Iterable[Argument], arguments: Mapping[str, Any]
    ) -> tuple[KeyPart, ...]:
        parts = []
        for a in given:
            if a.of is not None and a.of.value is not None:
                kind = a.of.value
                parts.append(
                    KeyPart(a.source, Literal(self.key_value(a, arguments), kind.edm, kind.is_enum))
                )
        return tuple(parts)

    # Scope, order, window

    def _window(
        self,
        place: str,
        info: ObjectInfo,
        arguments: Mapping[str, Any],
        where: Expr | None,
        needs: ConnectionRequirements,
    ) -> Window:
        return self.planner.paging.window(info, arguments, needs, (place, where, self.companies))

    # Levels

    def keyed(self, level: RowRequirements, set_name: str) -> ReadPlan:
        """Plan entities that are picked by key."""
        where = self.planner.limit.predicate(level.info, set_name)
        return self.read(level, set_name, where=where, extras=level.info.key)

    def read(
        self,
        level: RowRequirements,
        set_name: str | None,
        *,
        resource: Resource | None = None,
        where: Expr | None = None,
        window: Window | None = None,
        extras: Sequence[Field] = (),
        depth: int = 0,
    ) -> ReadPlan:
        """Plan the rows of a level and everything below it; ``depth`` counts the expands around it."""
        children = self._children(level, set_name, depth)
        residual = self._residual_fields(level.info, where)
        columns = [*extras, *residual]
        parted = bool(residual) and window is not None and not window.count_only
        parted = parted or long_list(where) is not None
        several = len(self.prepared.roots) > 1
        parted = parted or (several and pins_key(level.info, where, self.dialect))
        if window is not None and (window.reads_order or depth or extras or parted):
            columns.extend(t.field for t in window.order)
        for child in children:
            columns.extend(_parent_columns(child, level))
            if child.in_order is not None:
                columns.extend(_parent_columns(child.in_order, level))
        expanded = {c.child.index: c.plan.row_type for c in children if c.via is Via.EXPAND}
        row_type = self.prepared.row_types.get(level, tuple(columns), expanded)
        query = Query(
            resource=resource or Resource(set_name or ""),
            select=self._select(row_type, self._bases(level, set_name, depth)),
            expand=tuple(expand_item(c, self.dialect) for c in children if c.via is Via.EXPAND),
            where=where,
        )
        return ReadPlan(
            level=level,
            row_type=row_type,
            query=query,
            entity_set=set_name,
            window=window,
            children=children,
        )

    def _bases(self, level: RowRequirements, set_name: str | None, depth: int) -> frozenset[str]:
        """Return the types whose declarations need no cast: those of the set, which may hold other rows too."""
        found = None if depth else self.catalog.model.entity_sets.get(set_name or "")
        if found is None or found.type == level.info.csdl:
            return level.bases
        return frozenset(t.name for t in self.catalog.model.lineage(found.type))

    def _select(self, row_type: RowType, bases: frozenset[str]) -> tuple[str, ...]:
        """Return the ``$select``; where no value is asked the smallest one, the key."""
        level = row_type.level
        if level.needs_rest:
            return ()
        if bases is level.bases and row_type.select:
            return row_type.select
        asked = [place for place in row_type.attributes if place[1] != ETAG]
        names = asked or [(f.declared_by, f.source) for f in level.info.key]
        return tuple(qualified(by, name, bases) for by, name in names)

    def _residual_fields(self, info: ObjectInfo, where: Expr | None) -> list[Field]:
        """Return the columns of tests that must be repeated on our side; refuses those that cannot be."""
        if where is None:
            return []
        residual = self.dialect.lower(Query(resource=Resource("_"), where=where)).residual
        found: list[Field] = []
        for path in () if residual is None else paths(residual):
            if len(path.segments) > 1:
                raise UnsupportedQuery(
                    f"Text with a star cannot be searched through {path.segments[0]}.",
                    hint="F&O reads * as a wildcard; filter by a field of the row itself.",
                )
            found.append(info.by_source(path.segments[0]))
        return found

    def _children(
        self, level: RowRequirements, set_name: str | None, depth: int
    ) -> tuple[ChildPlan, ...]:
        taken: set[str] = set()
        return tuple(
            self._child(child, level, set_name, depth, taken) for child in level.children.values()
        )

    def _child(
        self,
        child: ChildRequirements,
        level: RowRequirements,
        set_name: str | None,
        depth: int,
        taken: set[str],
    ) -> ChildPlan:
        field, info = child.field, child.level.info
        join = join_of(field, self.catalog, self.dialect)
        arguments = self._child_arguments(child)
        company = self.dialect.company_property
        joined = join is not None and any(f.source == company for f in join.target)
        limit = self.planner.limit
        asked = None if joined else limit.scope(info, field.target_set, self.companies)
        scope = limit.related(field) if joined else asked
        where = all_of(scope, self.planner.where(info.csdl, arguments.get("where")))
        place = f"{field.declared_by}/{field.source}"
        window = None
        if child.connection is not None:
            window = self._window(place, info, arguments, where, child.connection)
        is_own = field.declared_by in level.bases
        owners = None if is_own else frozenset(self.catalog.model.family(field.declared_by))
        name = qualified(field.declared_by, field.source, self._bases(level, set_name, depth))
        made = partial(ChildPlan, child=child, join=join, name=name, owners=owners)
        has_way = has_other_way(field, level.info, set_name, join)
        expand = self._expansion(field, where, window, depth, taken, has_way=has_way)

        def otherwise() -> ChildPlan:
            via = fallback_strategy(field, level.info, set_name, join)
            if via is Via.PATH and window is None:
                limit.check_readable(info, field.target_set, field.name)
            extras = join.target if join is not None and via is Via.KEYS else info.key
            plan = self.read(
                child.level, field.target_set, where=where, window=window, extras=extras
            )
            return made(via=via, plan=plan)

        if expand is None:
            return otherwise()
        taken.add(field.source)
        plan = self.read(child.level, field.target_set, where=where, window=window, depth=depth + 1)
        same = () if join is None else join.target
        in_order = None
        if has_way and window is not None and self._is_sorted_here(window, same):
            in_order = otherwise()
        return made(via=Via.EXPAND, plan=plan, paged=expand, in_order=in_order)

    def _is_sorted_here(self, window: Window, same: tuple[Field, ...]) -> bool:
        """Return whether a list comes unordered, and its texts decide whether the upstream's order can be restored."""
        anyhow = not self.dialect.expand_options and window.keyset
        return anyhow and depends_on_text(window.order, same)

    def _child_arguments(self, child: ChildRequirements) -> Mapping[str, Any]:
        if child.field.kind is not FieldKind.TO_MANY or not child.node.arguments:
            return {}
        owner = self.catalog.reference_name(child.field.declared_by)
        parent = self.planner.core.type_map[owner]
        return self.arguments(parent.fields[child.field.name], child.node)  # type: ignore[attr-defined]

    def _expansion(
        self,
        field: Field,
        where: Expr | None,
        window: Window | None,
        depth: int,
        taken: set[str],
        *,
        has_way: bool,
    ) -> bool | None:
        """Return whether ``$expand`` carries the child: None no, True with its window, False all of its rows.

        ``has_way``: whether there is another way to read it.
        """
        dialect = self.dialect
        navigation = field.navigation
        assert navigation is not None
        possible = self.planner.limits.can_expand and depth < dialect.expand_depth
        if navigation.declared or not possible or field.source in taken:
            return None
        if dialect.expand_options:
            starred = where is not None and self._residual_fields(
                self.catalog.object(field.target), where
            )
            if starred or (window is None and where is not None):
                return None
            if window is None or not window.keyset:
                return False
            unbounded = window.needs.total or window.null_order == "unknown"
            if window.has_cursor and unbounded:
                # Rows behind a cursor are compared by the upstream, where it can be asked to.
                return None if has_way else False
            return True
        whole = where is None and (
            window is None or self._sorts(window) or (window.is_default_order and not has_way)
        )
        return False if whole else None

    def _sorts(self, window: Window) -> bool:
        """Return whether whole lists can be put in the order of a window here, and its page be cut out of them."""
        plain = window.is_default_order and window.keyset and not window.has_cursor
        return plain and may_sort(window.order, self.dialect)


def _parent_columns(child: ChildPlan, level: RowRequirements) -> Sequence[Field]:
    """Return the columns of a parent by which its children are read."""
    if child.via is Via.KEYS and child.join is not None:
        return child.join.parent
    return level.info.key if child.via is Via.PATH else ()


def _call_part(argument: Argument, value: ValueType, given: Any) -> KeyPart | ListPart:
    """Return an argument of a function; a collection is one only where the values themselves are no lists."""
    if argument.many and not value.many:
        return ListPart(argument.source, to_literals(value, given, what=argument.name))
    return KeyPart(argument.source, to_literal(value, given, what=argument.name))
