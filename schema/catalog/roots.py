"""The fields of ``Query`` and their arguments: the top layer of the catalogue."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Unpack

from schema.model.records import Model, Operation, OperationKind, short
from schema.model.snapshot import forget_records, reopen, tables_of
from schema.policy.records import Right

from . import descriptions as describe
from .aggregates import GROUP_BY, AggregateRoots
from .inputs import CatalogInputs
from .names import Names, field_name, type_name
from .naming import (
    NO_TABLES,
    NameTables,
    Naming,
    Roots,
    named_roots,
    names_from_whole,
    root_names,
    set_of,
)
from .reach import reachable_names
from .records import (
    Argument,
    MutationField,
    Result,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
)
from .renames import check_renames
from .types import CatalogOptions
from .usage import Usage
from .values import Abilities


class Catalog(CatalogInputs):
    """The API of a model, under a product's abilities and the settings.

    ``renames`` maps metadata names to GraphQL names: ``CustomerV3`` (a type, with its companions),
    ``CustomerV3.CreditLimit`` (a field), ``NoYes.Yes`` (an enum value), ``Query.CustomersV3`` (the list of a set),
    ``Query.CustomerV3`` (a by-key field). Raises SchemaError if a rename names nothing, or is not a GraphQL name.
    ``naming`` is the result of an earlier catalogue of the same model, abilities, renames and prefixes. ``prefix`` goes
    before the fields of ``Query`` and ``Mutation`` except ``node`` and ``nodes``, ``type_prefix`` before types.
    """

    def __init__(
        self,
        model: Model,
        abilities: Abilities,
        *,
        prefix: str = "",
        **options: Unpack[CatalogOptions],
    ) -> None:
        super().__init__(model, abilities, **options)
        naming = options.get("naming")
        self.description: str | None = None
        """Description of the schema; set by the caller."""
        self.origin: Catalog | None = None
        """The catalogue of which it is a copy, or with which it shares its names, kept for further ones."""
        self.tag = ""
        """Tag of the environment, to which ids and cursors belong; empty for that of the settings."""
        self.prefix = prefix
        self.usage = Usage(model)
        """Where types are used; shared by the copies and views of this catalogue."""
        self._unreachable: frozenset[str] | None = None
        self._parents: Mapping[str, tuple[tuple[str, str], ...]] | None = None
        self._root_names = Names(_RESERVED, self.renames, " in Query", prefix)
        self.roots: Mapping[str, RootField]
        if naming is None:
            self.roots = {r.name: r for r in self._name_roots()}
            check_renames(self.renames, model, self._type_names, self._root_names)
        else:
            like = options.get("like", NO_TABLES)
            self.roots = Roots(named_roots(naming, like), model)
            self._unreachable, self._parents = naming.reach(like)
            self._root_names.findings.extend(naming.root_findings)

    @property
    def name_tables(self) -> NameTables:
        """The tables of names, which further catalogues share where they are equal."""
        if not isinstance(self.roots, Roots) or self._unreachable is None or self._parents is None:
            return NO_TABLES  # of a model that is read for the first time
        return NameTables(
            families=self._families,
            entries=self._entries,
            roots=self.roots.by_name,
            unreachable=self._unreachable,
            parents=self._parents,
        )

    @property
    def whole(self) -> Catalog:
        """The catalogue of all that is served: this one, unless it is a view of roles."""
        return self

    @property
    def calls_any(self) -> bool:
        """Whether any action, function or custom service may exist."""
        return True

    def gives(self, right: Right, of_set: str) -> bool:  # noqa: ARG002 - of a view it depends on both
        """Return whether a right on an entity set is given; the settings may still deny it."""
        return True

    def sets_with(self, right: Right) -> Iterator[str]:  # noqa: ARG002 - likewise
        """Yield the entity sets on which a right is given."""
        return iter(self.model.entity_sets)

    def shows_call(self, field: MutationField) -> bool:  # noqa: ARG002 - likewise
        """Return whether an action or custom service exists."""
        return True

    @property
    def aggregates(self) -> AggregateRoots:
        """The fields of ``Query`` that aggregate lists; ``roots`` has all others."""
        return AggregateRoots(self)

    @property
    def has_watchable(self) -> bool:
        """Whether subscriptions may watch any entity set: rows need global ids."""
        return "node" in self.roots

    def naming(self) -> Naming:
        """Return the names, for the next catalogue of the same model; reads the whole model."""
        return Naming(
            families={
                csdl: tuple((e.kind, e.name) for e in family.values())
                for csdl, family in self._families.items()
            },
            roots=tuple(root_names(self.roots.values(), self.model)),
            type_findings=tuple(self._type_names.findings),
            root_findings=tuple(self._root_names.findings),
            unreachable=tuple(name for name in self._entries if not self._is_reachable(name)),
            parents=dict(self.parents),
        )

    def naming_of_part(self, part: Catalog) -> Naming:
        """Return the naming of a catalogue over a part of this model, with the names used here."""
        named = self.roots.named() if isinstance(self.roots, Roots) else None
        roots = root_names(self.roots.values(), self.model) if named is None else named
        return names_from_whole(
            part.naming(), part.model, self._entries.values(), roots, self.model
        )

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings about the names, one sentence each; those of fields appear once their type has been read."""
        naming = (self._type_names.findings, self._root_names.findings, self._field_findings)
        return (*self.model.findings, *self._overloads, *(f for part in naming for f in part))

    def fresh_copy(self) -> Catalog:
        """Return a catalogue with the same names that reads every record anew and can ``forget`` independently.

        For one walk through the whole catalogue, which must not fill the tables of the one that serves requests.
        """
        result = copy.copy(self)
        result.model = reopen(self.model)
        if isinstance(self.roots, Roots):
            result.roots = self.roots.copy_for(result.model)
        # The copy gets tables of its own, so that a walk through it does not fill those of the original.
        small = (
            "enums",
            "values",
            "property_values",
            "filters",
            "operators",
            "keys",
            "interfaces",
            "can_filter",
            "can_order",
        )
        vars(result).update({f"_{name}": {} for name in small}, _field_findings=[])
        result.forget()
        return result

    def forget(self) -> None:
        """Drop the records of single types, and the model's records that can be read again."""
        super().forget()
        if isinstance(self.roots, Roots):
            self.roots.forget()
        forget_records(self.model)

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most memory."""
        yield from super().tables()
        if isinstance(self.roots, Roots):
            yield self.roots.table
        yield from tables_of(self.model)

    # Which types there are

    def entry(self, name: str) -> TypeEntry | None:
        """Return the entry of a generated type; None if the schema has none of that name."""
        entry = self._entries.get(name)
        if entry is None or not self._exists(entry):
            return None
        return entry if self._is_listed(entry) or self._is_reachable(name) else None

    def entries(self) -> Iterator[TypeEntry]:
        """Return every generated type of the schema; reads the whole model."""
        return chain.from_iterable(entries for _, entries in self.families())

    def families(self) -> Iterator[tuple[str, Iterator[TypeEntry]]]:
        """Yield (CSDL type, its generated types); reads the model as far as it is consumed."""
        for csdl, entries in groupby(self._entries.values(), attrgetter("csdl")):
            yield csdl, (e for e in entries if self._is_reachable(e.name) and self._exists(e))

    @cached_property
    def parents(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Entity type → (parent type, set of the child rows) for each to-many navigation with a known join."""
        if self._parents is not None:
            return self._parents
        above: dict[str, dict[tuple[str, str], None]] = {}
        for csdl in self.model.sets_of_type:
            if self.is_served(csdl):
                for navigation, of_set in self.joined_below(csdl):
                    above.setdefault(navigation.target, {})[csdl, of_set] = None
        return {csdl: tuple(above) for csdl, above in above.items()}

    def set_roots(self) -> Iterator[tuple[RootKind, str, str]]:
        """Return (kind, entity set, name) of the lists and by-key fields, without reading the model."""
        named = self.roots.named() if isinstance(self.roots, Roots) else self.roots.values()
        for root in named:
            if root.kind in (RootKind.LIST, RootKind.BY_KEY):
                yield root.kind, set_of(root), root.name

    def implementers(
        self, interface: str, entry: Callable[[str], TypeEntry | None] | None = None
    ) -> tuple[list[str], list[str]]:
        """Return the names of the generated object types and interfaces that implement an interface.

        ``entry`` looks types up if the schema has more than the catalogue's own.
        """
        is_there = entry or self.entry
        names: dict[TypeKind, list[str]] = {TypeKind.OBJECT: [], TypeKind.INTERFACE: []}
        for other in self._relatives(interface):
            is_one = other.kind in names and other.name != interface and self.is_served(other.csdl)
            if is_one and interface in self.interfaces(other.csdl) and is_there(other.name):
                names[other.kind].append(other.name)
        return names[TypeKind.OBJECT], names[TypeKind.INTERFACE]

    def _relatives(self, interface: str) -> Iterator[TypeEntry]:
        """Return the candidates for implementing an interface, in order; none for a hand-written interface."""
        if interface == "Node":
            return iter(self._entries.values())
        entry = self._entries.get(interface)
        family = frozenset(() if entry is None else self.model.family(entry.csdl))
        return (e for csdl, own in self._families.items() if csdl in family for e in own.values())

    def _is_listed(self, entry: TypeEntry) -> bool:
        """Return whether a type is certainly part of the schema because a root field lists its rows."""
        return (
            entry.csdl in self.model.sets_of_type
            and entry.kind is not TypeKind.COLLECTION_WHERE
            and self.generated_name(TypeKind.CONNECTION, entry.csdl) is not None
        )

    def _is_reachable(self, name: str) -> bool:
        """Return whether a root field leads to a type."""
        # Few types are unreachable, and their names are stored.
        if self._unreachable is not None:
            return name not in self._unreachable
        return name in self._reachable

    @cached_property
    def _reachable(self) -> frozenset[str]:
        return reachable_names(self, self.roots.values())

    # Arguments

    def list_arguments(self, csdl: str, *, root: bool) -> tuple[Argument, ...]:
        """Return the arguments of a connection of rows of that type."""
        return (
            *_PAGING,
            *self._where_argument(csdl),
            *self._order_argument(csdl),
            *(self._companies(csdl) if root else ()),
        )

    def _where_argument(self, csdl: str) -> Iterator[Argument]:
        if self.can_filter(csdl):
            name = self.name_of(TypeKind.WHERE, csdl)
            yield Argument(name="where", type_name=name, description=describe.WHERE)

    def _order_argument(self, csdl: str) -> Iterator[Argument]:
        if self.can_order(csdl):
            name = self.name_of(TypeKind.ORDER_BY, csdl)
            yield Argument(name="orderBy", type_name=name, many=True, description=describe.ORDER_BY)

    def _companies(self, csdl: str) -> tuple[Argument, ...]:
        company = self.abilities.company_property
        has_company = any(p.name == company for p in self.properties_of(csdl))
        return (_COMPANIES,) if has_company else ()

    def key_arguments(self, csdl: str) -> tuple[Argument, ...]:
        """Return the arguments of a by-key field: the key; the company is optional, for the scope may provide it."""
        return tuple(
            Argument(
                name=f.name,
                type_name=f.type_name,
                nullable=f.source == self.abilities.company_property,
                many=f.many,
                description=f.description,
                of=f,
                source=f.source,
            )
            for f in self.key_fields(csdl)
        )

    def root_arguments(self, root: RootField) -> tuple[Argument, ...]:
        """Return the arguments of a root field."""
        if root.kind is RootKind.LIST:
            return self.list_arguments(root.csdl, root=True)
        if root.kind is RootKind.BY_KEY:
            return self.key_arguments(root.csdl)
        if root.kind is RootKind.AGGREGATE:
            return (*self._where_argument(root.csdl), GROUP_BY, *self._companies(root.csdl))
        if root.kind is RootKind.NODE:
            return (_NODE_ID,)
        if root.kind is RootKind.NODES:
            return (_NODE_IDS,)
        return () if root.operation is None else self._parameters(root.operation)

    def _parameters(self, operation: Operation) -> tuple[Argument, ...]:
        key = self.key_arguments(operation.bound_to.name) if operation.bound_to is not None else ()
        names = Names(k.name for k in key)
        return key + tuple(
            Argument(
                name=names.take(field_name(p.name), f"{operation.name}.{p.name}"),
                type_name=value.scalar,
                nullable=p.nullable,
                many=p.type.many or value.many,
                description=describe.parameter(p),
                value=value,
                source=p.name,
            )
            for p in operation.parameters
            for value in (self.value_of(p.type),)
        )

    def result(self, root: RootField) -> Result:
        """Return the type of a root field."""
        if root.kind is RootKind.LIST:
            return Result(self.name_of(TypeKind.CONNECTION, root.csdl), nullable=False)
        if root.kind is RootKind.AGGREGATE:
            return Result("Aggregate")
        if root.kind is RootKind.NODE:
            return Result("Node")
        if root.kind is RootKind.NODES:
            return Result("Node", nullable=False, many=True, gaps=True)
        operation = root.operation
        if operation is None or operation.returns is None:
            return Result(self.reference_name(root.csdl))
        returns = operation.returns
        if root.csdl:
            return Result(self.reference_name(root.csdl), many=returns.many)
        value = self.value_of(returns)
        return Result(value.scalar, many=returns.many or value.many)

    def root_description(self, root: RootField) -> str:
        """Describe a root field."""
        return describe.root(root, self.labels)

    # Roots

    def _name_roots(self) -> Iterator[RootField]:
        lists = tuple(self._lists())
        yield from lists
        yield from (by_key for r in lists for by_key in self._by_key(r))
        yield from self._singletons()
        yield from self._functions()
        # ``node`` reads rows from the entity set of their type.
        if any(self.is_node(r.csdl) for r in lists):
            yield RootField(name="node", kind=RootKind.NODE)
            yield RootField(name="nodes", kind=RootKind.NODES)

    def _lists(self) -> Iterator[RootField]:
        for entity_set in self.model.entity_sets.values():
            if self.is_served(entity_set.type):
                name = self._root_names.take(
                    field_name(entity_set.name), f"Query.{entity_set.name}"
                )
                yield RootField(
                    name=name, kind=RootKind.LIST, entity_set=entity_set, csdl=entity_set.type
                )

    def _by_key(self, listed: RootField) -> Iterator[RootField]:
        """Yield the by-key field of a set, named after the type, or after the set if that name is taken."""
        entity_set = listed.entity_set
        if entity_set is None or not self.key_of(entity_set.type):
            return
        owner = f"Query.{short(entity_set.type)}"
        requested = self.renames.get(owner, self.row_name(entity_set.type))
        is_first = self.model.sets_of_type[entity_set.type][0] == entity_set.name
        if not is_first or self._root_names.is_taken(requested):
            name = listed.name.removeprefix(self.prefix)
            requested, owner = f"{name}ByKey", f"Query.{entity_set.name}ByKey"
        name = self._root_names.take(requested, owner)
        yield RootField(
            name=name, kind=RootKind.BY_KEY, entity_set=entity_set, csdl=entity_set.type
        )

    def _singletons(self) -> Iterator[RootField]:
        for single in self.model.singletons.values():
            if self.is_served(single.type):
                name = self._root_names.take(field_name(single.name), f"Query.{single.name}")
                yield RootField(
                    name=name, kind=RootKind.SINGLETON, singleton=single, csdl=single.type
                )

    def _functions(self) -> Iterator[RootField]:
        for operation in self._askable:
            bound = operation.bound_to
            is_row_function = bound is not None and not bound.many
            if is_row_function and bound is not None and self.is_node(bound.name):
                wanted = self.row_name(bound.name) + type_name(short(operation.name))
                owner = f"Query.{short(bound.name)}.{short(operation.name)}"
                yield self._function(self._root_names.take(wanted, owner), operation)
        for imported in self.model.imports.values():
            overloads = self._unbound.get(imported.operation, ())
            if imported.kind is OperationKind.FUNCTION and overloads:
                name = self._root_names.take(field_name(imported.name), f"Query.{imported.name}")
                yield self._function(name, overloads[0], imported.name)

    def _function(self, name: str, operation: Operation, imported: str | None = None) -> RootField:
        returns = operation.returns
        return RootField(
            name=name,
            kind=RootKind.FUNCTION,
            operation=operation,
            operation_import=None if imported is None else self.model.imports[imported],
            csdl=returns.name if returns is not None and self.is_served(returns.name) else "",
        )

    @cached_property
    def _askable(self) -> tuple[Operation, ...]:
        return tuple(o for o in self.model.operations if self._is_askable(o))

    @cached_property
    def _unbound(self) -> Mapping[str, tuple[Operation, ...]]:
        """Name of an unbound function → its overloads, the one that asks for most first."""
        by_name: dict[str, list[Operation]] = {}
        for operation in self._askable:
            if operation.bound_to is None:
                by_name.setdefault(operation.name, []).append(operation)
        return {
            name: tuple(sorted(overloads, key=lambda o: -len(o.parameters)))
            for name, overloads in by_name.items()
        }

    @property
    def _overloads(self) -> Iterator[str]:
        for name, overloads in self._unbound.items():
            if len(overloads) > 1:
                parameters = ", ".join(p.name for p in overloads[0].parameters)
                yield (
                    f"{name} has {len(overloads)} overloads; "
                    f"the one with parameters ({parameters}) is served."
                )

    def _is_askable(self, operation: Operation) -> bool:
        """Return whether an operation is a function with plain parameters only, whose result type is served."""
        model = self.model
        if operation.kind is not OperationKind.FUNCTION or operation.returns is None:
            return False
        names = (operation.returns.name, *(p.type.name for p in operation.parameters))
        structured = [n in model.entity_types or n in model.complex_types for n in names]
        if any(structured[1:]) or "Edm.Stream" in names:
            return False
        return not structured[0] or self.is_served(names[0])


_RESERVED = ("node", "nodes", "changes", "_service", "_entities")
_PAGING = (
    Argument(name="first", type_name="Int", description=describe.FIRST),
    Argument(name="after", type_name="String", description=describe.AFTER),
    Argument(name="last", type_name="Int", description=describe.LAST),
    Argument(name="before", type_name="String", description=describe.BEFORE),
)
_COMPANIES = Argument(
    name="companies", type_name="String", many=True, description=describe.COMPANIES
)
_NODE_ID = Argument(name="id", type_name="ID", nullable=False, description=describe.NODE_ID)
_NODE_IDS = Argument(
    name="ids", type_name="ID", nullable=False, many=True, description=describe.NODE_IDS
)
