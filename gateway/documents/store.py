"""Documents: parsed and checked against the limits and the schema, each text once.

The cache is bounded and drops the least recently used text first. What is compiled of a document is kept in
``prepared_cache``.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from typing import Any, Generic, TypeVar

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    IntValueNode,
    OperationDefinitionNode,
    parse,
    specified_scalar_types,
    validate,
)
from msgspec import Struct, field

from schema.catalog import Catalog
from schema.catalog.types import SCALARS

from .collect_fields import condition_variables
from .complexity import Complexity, measure
from .fast_validation import FastValidator
from .input_coercion import VariableReader
from .refusal import OperationRefused, refusal
from .suggestions import Suggestions

MAX_DOCUMENTS = 1_000
MAX_CHARACTERS = 500_000
"""Of all texts that are kept: a document takes about 40 bytes for each."""
MAX_ERRORS = 20

_Key = TypeVar("_Key", bound=Hashable)
_Kept = TypeVar("_Kept")


class LRUCache(Generic[_Key, _Kept]):
    """The values that were asked for last, of at most that weight."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._kept: OrderedDict[_Key, tuple[_Kept, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def table(self) -> MutableMapping[Any, Any]:
        """What is kept."""
        return self._kept

    def get(self, key: _Key) -> _Kept | None:
        """Return the value of a key, and keep it longest."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: _Key, value: _Kept, weight: int = 1) -> None:
        """Keep a new value; the oldest ones go until it fits, and it stays alone where it never does."""
        self._kept[key] = (value, weight)
        self._weight += weight
        while self._weight > self._most and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self._weight -= gone


def _untied(node: DocumentNode) -> DocumentNode:
    """Take the parser's chain of tokens apart: nobody follows it, and only the garbage collector would free it."""
    token = None if node.loc is None else node.loc.start_token
    while token is not None:
        token.prev, token.next, token = None, None, token.next
    return node


class DocumentLimits(Struct, frozen=True, kw_only=True):
    """What a document may cost."""

    tokens: int = 15_000
    depth: int = 15
    root_fields: int = 250
    selections: int = 10_000
    aliases: int = 500
    directives: int = 500
    suggestions: bool = True
    """Whether errors suggest names that look alike; they tell the schema, too."""


class Document(Struct, frozen=True, eq=False):
    """A checked document; with errors it must not be run."""

    node: DocumentNode | None
    errors: list[GraphQLError]
    code: str = ""
    """Code of the errors."""
    conditions: tuple[str, ...] = ()
    """Variables that ``@skip`` and ``@include`` use."""
    variables: dict[int, VariableReader] = field(default_factory=dict)
    """id of an operation → what reads its variables: a cache."""

    def operations(self) -> list[OperationDefinitionNode]:
        """Return the operations in their order."""
        assert self.node is not None
        return [d for d in self.node.definitions if isinstance(d, OperationDefinitionNode)]

    def check_conditions(self, variables: Mapping[str, object]) -> None:
        """Raise OperationRefused if a variable of ``@skip`` or ``@include`` is null.

        Its type allows null if it has a default, so neither validation nor coercion finds it.
        """
        for name in self.conditions:
            if name in variables and variables[name] is None:
                message = f"Variable '${name}' stands in @skip or @include and cannot be null."
                raise refusal(message, "BAD_USER_INPUT")


_EXPECTED = re.compile(r"Expected value of type '[^']*'")


def _without_digits(error: GraphQLError) -> GraphQLError:
    """Return the error in our words where a number has more digits than Python converts, and names them."""
    if "integer string conversion" not in error.message:
        return error
    lengths = [len(node.value) for node in error.nodes or () if isinstance(node, IntValueNode)]
    expected = _EXPECTED.search(error.message)
    start = "A value is no number that is taken" if expected is None else expected[0]
    digits = f"{lengths[0]:,}" if lengths else "thousands of"
    return GraphQLError(f"{start}, found a number of {digits} digits.", error.nodes)


class Documents:
    """The documents of one schema."""

    def __init__(
        self,
        catalog: Catalog,
        core: GraphQLSchema,
        limits: DocumentLimits,
    ) -> None:
        self._core = core
        self._limits = limits
        self._acceptor = FastValidator(core)
        self._suggestions: Suggestions | None = None
        if limits.suggestions:
            self._suggestions = Suggestions(
                core,
                lambda: (*specified_scalar_types, *SCALARS, *catalog.known_names()),
                prefix=catalog.prefix,
            )
        self._kept: LRUCache[str, Document] = LRUCache(MAX_CHARACTERS)

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the cache, to be cleared after retirement."""
        yield self._kept.table

    def get(self, text: str) -> Document:
        """Return the document of a text, from the cache where it was seen before."""
        found = self._kept.get(text)
        if found is None:
            found = self._read(text)
            self._kept.keep(text, found, max(len(text), MAX_CHARACTERS // MAX_DOCUMENTS))
        return found

    def get_valid(self, text: str) -> Document:
        """Return the document of a text. Raises OperationRefused if it cannot be parsed, or is not valid."""
        document = self.get(text)
        if document.errors:
            raise OperationRefused(document.errors, document.code)
        return document

    def _read(self, text: str) -> Document:
        try:
            return self._checked(_untied(parse(text, max_tokens=self._limits.tokens)))
        except GraphQLSyntaxError as error:
            return Document(None, [error], "GRAPHQL_PARSE_FAILED")
        except RecursionError:
            return Document(
                None, [GraphQLError("The document is nested too deeply.")], "GRAPHQL_PARSE_FAILED"
            )

    def _checked(self, node: DocumentNode) -> Document:
        excess = self._excess(measure(node))
        if excess is not None:
            return Document(node, [GraphQLError(excess)], "BUDGET_EXCEEDED")
        errors = [] if self._acceptor.accepts(node) else self._validate(node)
        if errors:
            return Document(node, errors, "GRAPHQL_VALIDATION_FAILED")
        return Document(node, [], conditions=condition_variables(node))

    def _validate(self, node: DocumentNode) -> list[GraphQLError]:
        """Return the errors of the full validation, with suggestions."""
        errors = validate(self._core, node, max_errors=MAX_ERRORS, hide_suggestions=True)
        if errors and self._suggestions is not None:
            errors = self._suggestions.for_document(node, errors)
        return [_without_digits(error) for error in errors]

    def _excess(self, extent: Complexity) -> str | None:
        """Say which limit a document is above."""
        most = self._limits
        if extent.depth > most.depth:
            return f"The document selects {extent.depth} levels deep; the most is {most.depth}."
        for found, limit, what in (
            (extent.top, most.root_fields, "root fields"),
            (extent.fields, most.selections, "fields"),
            (extent.aliases, most.aliases, "aliases"),
            (extent.directives, most.directives, "directives"),
        ):
            if found > limit:
                return f"The document has more than {limit:,} {what}."
        return None

    def variables(self, document: Document, operation: OperationDefinitionNode) -> VariableReader:
        """Return what reads the variables of an operation."""
        found = document.variables.get(id(operation))
        if found is None:
            definitions = operation.variable_definitions or ()
            found = VariableReader(self._core, definitions, self._suggestions)
            document.variables[id(operation)] = found
        return found
