"""The SDL that ``_service`` returns: the API with the directives by which routers compose it with other subgraphs.

    @key             natural key and ``id`` of every object type with a global id
    @shareable       PageInfo, aggregates, what is the same in every mutation, payloads of actions and services,
                     complex values; of unified models what subgraphs share (setting ``federation.unified``)
    @inaccessible    ``Node``, ``node``, ``nodes`` (or they are left out, or shared: setting ``federation.node``)
    @tag             by patterns of entity sets
    @listSize, @cost on lists, and on what takes requests of its own upstream (from version 2.9 on)

What makes the API a subgraph (``_service``, ``_entities`` and their types) is not in it. Directives:
https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives; ``@cost`` and
``@listSize`` mean what https://ibm.github.io/graphql-specs/cost-spec.html says.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache

from schema.catalog.records import RootField, TypeKind
from schema.types.build import ODataSchema
from schema.types.changes import CHANGES, CHANGES_TYPES
from schema.types.combinations import COMBINATION, COMBINATION_TYPES
from schema.types.federation import Federation
from schema.types.subscriptions import SUBSCRIPTION_TYPES

from .sdl import Marks, print_types
from .shared_unified import SharedUnified
from .type_records import DescribedType, Member, Value

_LINK = "https://specs.apollo.dev/federation/v"
_NODE_FIELDS = frozenset({"node", "nodes"})
_SHARED = frozenset(
    {
        *("PageInfo", "UserError", "FieldConflict", "Aggregate", "AggregateGroup"),
        *("DisplayValueParts", "DimensionValuePart"),
    }
)
_ONE_OF = "directive @oneOf on INPUT_OBJECT"
"""Declared here because Apollo's composition does not define it by itself."""
_REQUEST = 10
"""Cost of a field with an upstream request of its own: the default of mutations, where an object counts 1."""


def print_subgraph(schema: ODataSchema) -> Iterator[str]:
    """Yield the SDL. ``schema`` must be a copy that is a subgraph, because its records are dropped on the way."""
    assert schema.federation is not None
    plain = schema.copy_for(schema.catalog, federated=False)
    return print_types(plain, Federated(plain, schema.federation))


class Federated(Marks):
    """The directives of one subgraph."""

    def __init__(self, schema: ODataSchema, federation: Federation) -> None:
        self._schema = schema
        self._catalog = schema.catalog
        self._federation = federation
        self._tags_of = lru_cache(maxsize=1_000)(self._find_tags)
        shared = federation.unified == "shared"
        self._unified = SharedUnified(schema.unified) if shared else None
        lists = '["first", "last"]', '["nodes", "edges"]'
        self._list_size = (
            f" @listSize(assumedSize: {federation.page}, slicingArguments: {lists[0]},"
            f" sizedFields: {lists[1]}, requireOneSlicingArgument: false)"
        )

    def head(self) -> str:
        """Return the ``@link`` to the specification, importing the directives in use."""
        federation = self._federation
        used = ["@key", "@shareable"]
        if federation.node == "inaccessible":
            used.append("@inaccessible")
        if federation.tags:
            used.append("@tag")
        if federation.has_costs:
            used.extend(("@cost", "@listSize"))
        imported = ", ".join(f'"{name}"' for name in used)
        link = f'@link(url: "{_LINK}{federation.version}", import: [{imported}])'
        return f"extend schema\n  {link}\n\n{_ONE_OF}"

    def shows(self, name: str) -> bool:
        """Return False for ``Node`` if the settings omit it."""
        # Subscriptions are omitted: routers offer them by other means, and they refer to Node, which may be omitted.
        if name in SUBSCRIPTION_TYPES or name in CHANGES_TYPES or name in COMBINATION_TYPES:
            return False
        if self._unified is not None and not self._unified.shows(name):
            return False
        return name != "Node" or self._federation.node != "omit"

    def shows_field(self, owner: str, name: str) -> bool:
        """Return False for ``node`` and ``nodes`` if the settings omit them, and for ``changes``."""
        # Two gateways have two of them, and a supergraph has one.
        if owner == "Query" and name in (CHANGES, COMBINATION):
            return False
        if self._unified is not None and not self._unified.shows_field(owner, name):
            return False
        return owner != "Query" or name not in _NODE_FIELDS or self._federation.node != "omit"

    def of_type(self, shown: DescribedType) -> str:
        """Return the directives of a type."""
        if shown.name == "Node":
            return " @inaccessible" if self._federation.node == "inaccessible" else ""
        if shown.name in _SHARED:
            return " @shareable"
        if self._unified is not None and self._unified.is_shareable(shown.name):
            return " @shareable"
        entry = self._schema.entry(shown.name)
        if entry is None:
            return ""
        if entry.kind is TypeKind.OPERATION_PAYLOAD:
            # Two gateways may offer the same service; each resolves its payload below its own field of Mutation.
            return " @shareable"
        marks = "".join(self._tags_of(entry.csdl))
        if entry.kind is not TypeKind.OBJECT:
            return marks
        if entry.csdl in self._catalog.model.complex_types:
            return " @shareable" + marks
        return "".join(self._keys(entry.csdl)) + marks

    def _keys(self, csdl: str) -> Iterator[str]:
        if not self._catalog.is_node(csdl):
            return
        key = self._catalog.object(csdl).key
        if not any(part.many for part in key):  # composition rejects lists in keys
            yield f' @key(fields: "{" ".join(part.name for part in key)}")'
        yield ' @key(fields: "id")'

    def of_field(self, owner: str, field: Member | Value) -> str:
        """Return the directives of a field."""
        if not isinstance(field, Member):
            return ""
        if owner == "Query":
            return self._of_root(field)
        if owner == "Mutation":
            record = None if self._schema.writes is None else self._schema.writes[field.name]
            of_set = None if record is None else record.entity_set
            return "" if of_set is None else "".join(self._tags_of(of_set.type))
        return self._list_size if self._federation.has_costs and self._is_list(field) else ""

    def _of_root(self, field: Member) -> str:
        if field.name in _NODE_FIELDS:
            # Inaccessible fields must be shareable as well, or two gateways would not compose.
            hidden = self._federation.node == "inaccessible"
            return " @inaccessible @shareable" if hidden else " @shareable"
        if self._unified is not None and self._unified.is_shared_root(field.name):
            return " @shareable"
        root: RootField | None = self._schema.roots.get(field.name)
        marks = "" if root is None else "".join(self._tags_of(root.csdl))
        if not self._federation.has_costs or root is None:
            return marks
        size = self._list_size if self._is_list(field) else ""
        return f" @cost(weight: {_REQUEST}){size}{marks}"

    def _is_list(self, field: Member) -> bool:
        """Return whether a field is a paginated connection."""
        entry = self._catalog.known_names().get(field.type.rstrip("!"))
        return entry is not None and entry.kind is TypeKind.CONNECTION and bool(field.arguments)

    def _find_tags(self, csdl: str) -> tuple[str, ...]:
        sets = self._catalog.model.sets_of_type.get(csdl, ())
        tags = (
            tag
            for pattern, tags in self._federation.tags.items()
            if any(fnmatchcase(name, pattern) for name in sets)
            for tag in tags
        )
        return tuple(f' @tag(name: "{tag}")' for tag in dict.fromkeys(tags))
