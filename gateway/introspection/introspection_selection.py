"""Reads the introspection selection of an operation that selects only ``__schema``, ``__type`` or ``_service``."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import BooleanValueNode, FieldNode, StringValueNode, ValueNode, VariableNode

from gateway.documents.collect_fields import Nodes, Selection
from schema.introspection import Selected
from schema.types.federation import SERVICE, SERVICE_TYPE

_QUERY = frozenset({"Query"})
BELOW: Mapping[str, Mapping[str, str]] = {
    "Query": {"__schema": "__Schema", "__type": "__Type", "__typename": ""},
    "__Schema": {
        "__typename": "",
        "description": "",
        "types": "__Type",
        "queryType": "__Type",
        "mutationType": "__Type",
        "subscriptionType": "__Type",
        "directives": "__Directive",
    },
    "__Type": {
        "__typename": "",
        "kind": "",
        "name": "",
        "description": "",
        "specifiedByURL": "",
        "isOneOf": "",
        "fields": "__Field",
        "interfaces": "__Type",
        "possibleTypes": "__Type",
        "enumValues": "__EnumValue",
        "inputFields": "__InputValue",
        "ofType": "__Type",
    },
    "__Field": {
        "__typename": "",
        "name": "",
        "description": "",
        "args": "__InputValue",
        "type": "__Type",
        "isDeprecated": "",
        "deprecationReason": "",
    },
    "__InputValue": {
        "__typename": "",
        "name": "",
        "description": "",
        "type": "__Type",
        "defaultValue": "",
        "isDeprecated": "",
        "deprecationReason": "",
    },
    "__EnumValue": {
        "__typename": "",
        "name": "",
        "description": "",
        "isDeprecated": "",
        "deprecationReason": "",
    },
    "__Directive": {
        "__typename": "",
        "name": "",
        "description": "",
        "isRepeatable": "",
        "locations": "",
        "args": "__InputValue",
        "isDeprecated": "",
        "deprecationReason": "",
    },
}
"""Introspection type → field → type of the field, empty for leaves (GraphQL section 4.2)."""


_OF_SUBGRAPHS: Mapping[str, Mapping[str, str]] = {
    "Query": {SERVICE: SERVICE_TYPE},
    SERVICE_TYPE: {"__typename": "", "sdl": ""},
}
"""The fields that Apollo Federation adds, if the schema is a subgraph."""


class _Unknown(Exception):
    """A field outside introspection, or one that a library has added to it."""


def read_selection(
    selection: Selection, variables: Mapping[str, object]
) -> tuple[Selected, ...] | None:
    """Return the merged selections of a valid operation; None if it selects anything but the schema.

    ``variables`` are coerced.
    """
    roots = selection.fields((selection.operation.selection_set,), _QUERY)
    merge = _Merge(selection, variables)
    try:
        return merge.all(roots, "Query")
    except _Unknown:
        return None


class _Merge:
    def __init__(self, selection: Selection, variables: Mapping[str, object]) -> None:
        self._selection = selection
        self._variables = variables

    def all(self, collected: Mapping[str, Nodes], type_name: str) -> tuple[Selected, ...]:
        return tuple(self._one(key, nodes, type_name) for key, nodes in collected.items())

    def _one(self, key: str, nodes: Nodes, type_name: str) -> Selected:
        node = nodes[0]
        name = node.name.value
        below = BELOW.get(type_name, {}).get(name, _OF_SUBGRAPHS.get(type_name, {}).get(name))
        if below is None:
            raise _Unknown
        inner: tuple[Selected, ...] = ()
        if below:
            inner = self.all(self._selection.subfields(nodes, frozenset({below})), below)
        arguments = self._arguments(node)
        return Selected(
            key,
            name,
            inner,
            include_deprecated=arguments.get("includeDeprecated") is True,
            type_name=str(arguments.get("name", "")),
        )

    def _arguments(self, node: FieldNode) -> dict[str, object]:
        return {a.name.value: self._value(a.value) for a in node.arguments or ()}

    def _value(self, value: ValueNode) -> object:
        if isinstance(value, VariableNode):
            return self._variables.get(value.name.value)
        return value.value if isinstance(value, BooleanValueNode | StringValueNode) else None
