"""Suggestions ("Did you mean …?") for names that a document or its variables misspell.

graphql-core suggests too, but compares with every name of a schema: a second at 8,000 root fields, and for a field of
``Node`` it makes every type. So it validates with ``hide_suggestions``, and a second walk finds the unknown names: by
the document's nodes and the schema's types, never by the text of messages, so that other words in a later graphql-core
cannot lose a suggestion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import cached_property, partial
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    NamedTypeNode,
    Node,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    type_from_ast,
    visit,
)
from graphql.pyutils import did_you_mean

from schema.catalog.names import add_prefix
from schema.types.mutations import writes_of
from schema.writes.suggestions import near_mutations, near_types

from .near_names import NameIndex, near_names

SUGGESTED = 3
"""Errors of one document that get a suggestion."""

Suggest = Callable[[], str]
"""Returns `` Did you mean 'a' or 'b'?``, or nothing if no name is near."""


class Suggestions:
    """Adds suggestions to the errors of documents and variables of one schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        type_names: Callable[[], Iterable[str]],
        prefix: str = "",
        *,
        is_view: bool = False,
    ) -> None:
        """``type_names`` are all that the schema may have, made or not; ``prefix`` starts every root field.

        ``is_view``: many of the names do not exist, because the schema is a view of roles.
        """
        self._is_view = is_view
        self._schema = schema
        self._type_names = type_names
        self._prefix = prefix
        self._writes = writes_of(schema)

    def for_document(
        self, document: DocumentNode, errors: Sequence[GraphQLError]
    ) -> list[GraphQLError]:
        """Return the errors of validation, the first ones with suggestions."""
        types = TypeInfo(self._schema)
        unknown = _UnknownNames(self, self._schema, types)
        visit(document, TypeInfoVisitor(types, unknown))
        return [*map(unknown.add_to, errors[:SUGGESTED]), *errors[SUGGESTED:]]

    def for_variables(
        self,
        definitions: Iterable[VariableDefinitionNode],
        values: Mapping[str, Any],
        errors: Sequence[GraphQLError],
    ) -> list[GraphQLError]:
        """Return the errors of variables, the first ones with suggestions."""
        result = list(errors)
        for definition in definitions:
            value = values.get(definition.variable.name.value)
            expected = type_from_ast(self._schema, definition.type)
            places = [i for i, e in enumerate(result[:SUGGESTED]) if definition in (e.nodes or ())]
            for name, suggest in _unknown_in_value(value, expected):
                if not places:
                    break
                # Each error quotes the name it is about; if one ever should not, its suggestion comes with the first.
                place = next((i for i in places if f"'{name}'" in result[i].message), places[0])
                places.remove(place)
                result[place] = _with_suggestion(result[place], suggest())
        return result

    def of_field(self, wrong: str, owner: Any) -> str:
        """Suggest fields of a type, or the types behind an interface that have the field."""
        if isinstance(owner, GraphQLInterfaceType) and owner.name != "Node":
            types = self._schema.get_possible_types(owner)
            having = [t.name for t in types if wrong in t.fields]
            if having:
                return did_you_mean(having, "to use an inline fragment on")
        query, mutation = self._schema.query_type, self._schema.mutation_type
        if self._prefix and owner in (query, mutation) and not wrong.startswith(self._prefix):
            wrong = add_prefix(self._prefix, wrong)
        if owner is query:
            return did_you_mean(near_names(wrong, self._root_names.near(wrong)))
        if owner is mutation and self._writes is not None:
            writes = self._writes
            near = dict.fromkeys(near_mutations(wrong, writes, self._root_names.near))
            return did_you_mean(self._existing(wrong, near, writes))
        return did_you_mean(near_names(wrong, list(getattr(owner, "fields", ()))))

    def of_type(self, wrong: str) -> str:
        """Suggest types."""
        near = dict.fromkeys(self._type_index.near(wrong))
        if self._writes is not None:
            # Types of mutations are not listed: their names follow from those of the rows they write.
            known = self._writes.catalog.known_names()
            near.update(dict.fromkeys(near_types(wrong, known, self._type_index.near)))
        return did_you_mean(self._existing(wrong, near, self._schema.type_map))

    def _existing(self, wrong: str, near: Collection[str], names: Container[str]) -> list[str]:
        """Return those of the near names that exist, the likeliest first."""
        if self._is_view:
            # Before the likeliest are chosen: what is hidden must not take the place of what shows.
            return near_names(wrong, [name for name in near if name in names])
        return [name for name in near_names(wrong, near) if name in names]

    @cached_property
    def _root_names(self) -> NameIndex:
        query = self._schema.query_type
        return NameIndex(() if query is None else query.fields)

    @cached_property
    def _type_index(self) -> NameIndex:
        return NameIndex(self._type_names())


class _UnknownNames(Visitor):
    """The names of a document that the schema lacks (GraphQL sections 5.3.1, 5.4.1, 5.5.1.2, 5.6.1 and 5.6.2)."""

    def __init__(self, suggestions: Suggestions, schema: GraphQLSchema, types: TypeInfo) -> None:
        super().__init__()
        self._suggestions = suggestions
        self._schema = schema
        self._types = types
        self._by_node: dict[int, Suggest] = {}
        """id of the node with the name → its suggestion."""

    def add_to(self, error: GraphQLError) -> GraphQLError:
        """Return the error with the suggestion for the name that it is about."""
        suggest = self._by_node.pop(id(error.nodes[0]), None) if error.nodes else None
        return error if suggest is None else _with_suggestion(error, suggest())

    def _add(self, node: Node, suggest: Callable[..., str], *arguments: Any) -> None:
        self._by_node[id(node)] = partial(suggest, *arguments)

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        owner = self._types.get_parent_type()
        if owner is not None and self._types.get_field_def() is None:
            self._add(node, self._suggestions.of_field, node.name.value, owner)

    def enter_named_type(self, node: NamedTypeNode, *_: Any) -> None:
        if node.name.value not in self._schema.type_map:
            self._add(node, self._suggestions.of_type, node.name.value)

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        owner = self._types.get_directive() or self._types.get_field_def()
        if owner is not None and self._types.get_argument() is None:
            self._add(node, _of_names, node.name.value, owner.args)

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
        owner = get_named_type(self._types.get_parent_input_type())
        if isinstance(owner, GraphQLInputObjectType) and node.name.value not in owner.fields:
            self._add(node, _of_names, node.name.value, owner.fields)

    def enter_enum_value(self, node: EnumValueNode, *_: Any) -> None:
        expected = get_named_type(self._types.get_input_type())
        if isinstance(expected, GraphQLEnumType) and _is_unknown(node.value, expected):
            self._add(node, _of_enum_values, node.value, expected.values)


def _unknown_in_value(value: Any, expected: Any) -> Iterator[tuple[str, Suggest]]:
    """Yield the unknown input fields and enum values of a JSON value, outer ones first."""
    queue = deque([(value, expected)])
    while queue:
        value, expected = queue.popleft()
        if isinstance(expected, GraphQLNonNull):
            expected = get_nullable_type(expected)
        if isinstance(expected, GraphQLList):
            items = value if isinstance(value, list) else [value]
            queue.extend((item, expected.of_type) for item in items)
        elif isinstance(expected, GraphQLInputObjectType) and isinstance(value, dict):
            for name, inner in value.items():
                field = expected.fields.get(name)
                if field is None:
                    yield name, partial(_of_names, name, expected.fields)
                else:
                    queue.append((inner, field.type))
        elif isinstance(expected, GraphQLEnumType) and _is_unknown(value, expected):
            yield value, partial(_of_enum_values, value, expected.values)


def _is_unknown(value: Any, enum: GraphQLEnumType) -> bool:
    return isinstance(value, str) and value not in enum.values


def _of_names(wrong: str, names: Collection[str]) -> str:
    return did_you_mean(near_names(wrong, list(names)))


def _of_enum_values(wrong: str, names: Collection[str]) -> str:
    return did_you_mean(near_names(wrong, list(names)), "the enum value")


def _with_suggestion(error: GraphQLError, suggestion: str) -> GraphQLError:
    if not suggestion:
        return error
    message = error.message + suggestion
    return GraphQLError(message, error.nodes, original_error=error.original_error)
