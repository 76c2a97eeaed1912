"""Validation with "Did you mean …?" whose cost does not grow with the catalogue.

graphql-core compares a misspelled name letter by letter with every name that there is: with 8,000 root fields that is
a second, with the 300 fields of one ``where`` some 20 ms for each mistake, and for a field of ``Node`` it makes every
type of the schema. Here validation runs without suggestions, and they are added afterwards in graphql-core's words: of
many names only those that look most alike at a glance are compared, and only the first few errors get any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLSchema,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    validate,
)
from graphql.pyutils import did_you_mean, suggestion_list
from graphql.validation.rules.fields_on_correct_type import get_suggested_type_names

from schema.catalog.names import prefixed
from schema.types.mutations import writes_of
from schema.writes.suggestions import near_mutations, near_types

SUGGESTED = 3
"""Errors of one document that get a suggestion."""
SMALL = 50
"""Names that are compared with a misspelled one as they are."""
GLANCED = 60
"""Names that pass the glance at their letters."""
COMPARED = 15
"""Names that are compared letter by letter."""
_START = 3
_END = 4
_LONGER = 3
_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'\.$")
_TYPE = re.compile(r"Unknown type '(\w+)'\.$")
_ARGUMENT = re.compile(r"Unknown argument '(\w+)' on field '(\w+)\.(\w+)'\.$")
_ENUM_VALUE = re.compile(r"Value '(\w+)' does not exist in '(\w+)' enum\.$")
_INPUT_FIELD = re.compile(
    r"Expected value of type '(\w+)[!]?' not to include unknown field '(\w+)', found: "
)


_META_FIELDS = {
    "__schema": SchemaMetaFieldDef,
    "__type": TypeMetaFieldDef,
    "__typename": TypeNameMetaFieldDef,
}
"""Fields that no type lists (GraphQL section 4.1)."""


class Validator:
    """Validates documents against one schema. ``types`` gives the names that its types may have."""

    def __init__(
        self,
        schema: GraphQLSchema,
        max_errors: int,
        types: Callable[[], Iterable[str]],
        *,
        suggests: bool = True,
        prefix: str = "",
    ) -> None:
        """``prefix`` is what the fields of root types begin with."""
        self._schema = schema
        self._prefix = prefix
        self._suggested = SUGGESTED if suggests else 0
        self._max_errors = max_errors
        self._types = types
        self._writes = writes_of(schema)

    def errors(self, document: DocumentNode) -> list[GraphQLError]:
        """Return the errors of a document, with suggestions where names look alike."""
        found = validate(self._schema, document, max_errors=self._max_errors, hide_suggestions=True)
        return self.with_suggestions(found)

    def with_suggestions(self, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
        """Add suggestions to the first errors that have none."""
        most = self._suggested
        return [*map(self._with_suggestion, errors[:most]), *errors[most:]]

    def _with_suggestion(self, error: GraphQLError) -> GraphQLError:
        message = self._completed(error.message)
        if message == error.message:
            return error
        return GraphQLError(message, error.nodes, original_error=error.original_error)

    def _completed(self, message: str) -> str:
        """Return a message with its suggestion. A text of the document may look like a message, and name nothing."""
        if found := _FIELD.search(message):
            return message + self._field(found[1], found[2])
        if found := _TYPE.search(message):
            types = alike(found[1], self._near_types(found[1]))
            return message + did_you_mean([t for t in types if t in self._schema.type_map])
        if found := _ARGUMENT.search(message):
            return message + did_you_mean(alike(found[1], self._arguments(found[2], found[3])))
        if found := _ENUM_VALUE.search(message):
            values = getattr(self._schema.type_map.get(found[2]), "values", ())
            return message + did_you_mean(alike(found[1], values), "the enum value")
        if found := _INPUT_FIELD.search(message):
            suggestion = did_you_mean(alike(found[2], self._fields(found[1])))
            head, tail = message[: found.end()], message[found.end() :]
            ending = f".{suggestion} Found: " if suggestion else ", found: "
            return head.removesuffix(", found: ") + ending + tail
        return message

    def _arguments(self, owner: str, field: str) -> Collection[str]:
        """Return the arguments of a field; those of ``__type`` are not among the fields of ``Query``."""
        fields = getattr(self._schema.type_map.get(owner), "fields", {})
        found = fields.get(field) or _META_FIELDS.get(field)
        return list(found.args) if found is not None else ()

    def _field(self, wrong: str, owner: str) -> str:
        found = self._schema.type_map.get(owner)
        if isinstance(found, GraphQLInterfaceType) and owner != "Node":
            types = get_suggested_type_names(self._schema, found, wrong)
            if types:
                return did_you_mean(types, "to use an inline fragment on")
        query, mutation = self._schema.query_type, self._schema.mutation_type
        if self._prefix and owner in ("Query", "Mutation") and not wrong.startswith(self._prefix):
            wrong = prefixed(self._prefix, wrong)
        if query is not None and owner == query.name:
            return did_you_mean(alike(wrong, self._root_names.near(wrong)))
        writes = self._writes
        if mutation is not None and owner == mutation.name and writes is not None:
            near = dict.fromkeys(near_mutations(wrong, writes, self._root_names.near))
            return did_you_mean([name for name in alike(wrong, near) if name in writes])
        return did_you_mean(alike(wrong, self._fields(owner)))

    def _near_types(self, wrong: str) -> Collection[str]:
        near = dict.fromkeys(self._type_names.near(wrong))
        if self._writes is not None:
            known = self._writes.catalog.known_names()
            near.update(dict.fromkeys(near_types(wrong, known, self._type_names.near)))
        return near

    def _fields(self, owner: str) -> Collection[str]:
        return list(getattr(self._schema.type_map.get(owner), "fields", ()))

    @cached_property
    def _root_names(self) -> ManyNames:
        query = self._schema.query_type
        return ManyNames(() if query is None else query.fields)

    @cached_property
    def _type_names(self) -> ManyNames:
        return ManyNames(self._types())


class ManyNames:
    """Thousands of names, by their starts and by their ends: a misspelled one has one of the two right."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._by_start: dict[str, list[str]] = {}
        self._by_end: dict[str, list[str]] = {}
        for name in self._names:
            self._by_start.setdefault(name[:_START].lower(), []).append(name)
            self._by_end.setdefault(name[-_END:].lower(), []).append(name)

    def near(self, wrong: str) -> list[str]:
        """Return the names that start or end alike, and are about as long; few names all."""
        if len(self._names) <= SMALL:
            return list(self._names)
        length = len(wrong)
        nearest = dict.fromkeys(self._by_start.get(wrong[:_START].lower(), ()))
        nearest.update(dict.fromkeys(self._by_end.get(wrong[-_END:].lower(), ())))
        return [name for name in nearest if abs(len(name) - length) <= _LONGER]


def alike(wrong: str, names: Collection[str]) -> list[str]:
    """Return the names that a misspelled one may mean, the likeliest first."""
    return suggestion_list(wrong, look_alikes(wrong, names))


def look_alikes(wrong: str, names: Collection[str]) -> list[str]:
    """Return the names that look most like a misspelled one: by letters, then by neighbouring letters."""
    if len(names) <= SMALL:
        return list(names)
    letters, length = frozenset(wrong.lower()), len(wrong)
    glanced = sorted(
        names, key=lambda n: len(letters.symmetric_difference(n.lower())) + abs(len(n) - length)
    )
    pairs = _pairs(wrong)
    return sorted(glanced[:GLANCED], key=lambda n: len(pairs ^ _pairs(n)))[:COMPARED]


def _pairs(name: str) -> set[str]:
    lowered = name.lower()
    return {lowered[i : i + 2] for i in range(len(lowered) - 1)}
