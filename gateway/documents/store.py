"""Documents: each text is parsed and validated once, and checked against the limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    IntValueNode,
    OperationDefinitionNode,
    specified_scalar_types,
    validate,
)
from graphql.execution.values import VariableValues
from msgspec import Struct, field

from schema.catalog import Catalog
from schema.catalog.records import CUSTOM_FIELDS
from schema.catalog.types import SCALARS

from .collect_fields import condition_variables
from .complexity import Complexity, measure
from .fast_parser import parse_document
from .fast_validation import FastValidator
from .input_coercion import VariableReader
from .lru_cache import LRUCache
from .refusal import OperationRefused, refusal
from .suggestions import Suggestions

MAX_DOCUMENTS = 1_000
MAX_CHARACTERS = 500_000
"""Characters of all cached texts: a document takes about 40 bytes of memory for each."""
MAX_ERRORS = 20
"""Errors of one document; validation stops there."""


class DocumentLimits(Struct, frozen=True, kw_only=True):
    """Limits of one document, so that parsing and validating it stays cheap."""

    tokens: int = 15_000
    depth: int = 15
    root_fields: int = 250
    selections: int = 10_000
    aliases: int = 500
    directives: int = 500
    suggestions: bool = True
    """Whether errors suggest similar names, which reveal a part of the schema."""


class Document(Struct, frozen=True, eq=False):
    """A checked document; with errors it must not be run."""

    node: DocumentNode | None
    errors: list[GraphQLError]
    code: str = ""
    """Code of the errors."""
    conditions: tuple[str, ...] = ()
    """Names of the variables that decide what is selected: in ``@skip``, ``@include`` and ``customFields``."""
    variables: dict[int, VariableReader] = field(default_factory=dict)
    """id of an operation → what reads its variables: a cache."""
    readings: dict[str | None, tuple[OperationDefinitionNode, VariableValues]] = field(
        default_factory=dict
    )
    """Name in the request → the query that it means, without values for its variables: a cache."""

    def operations(self) -> list[OperationDefinitionNode]:
        """Return the operations in the order of the text."""
        assert self.node is not None
        return [d for d in self.node.definitions if isinstance(d, OperationDefinitionNode)]

    def check_conditions(self, variables: Mapping[str, object]) -> None:
        """Raise OperationRefused if a variable that decides what is selected is null.

        Its type allows null if it has a default, so neither validation nor coercion finds it.
        """
        for name in self.conditions:
            if name in variables and variables[name] is None:
                message = f"Variable '${name}' decides what is selected and cannot be null."
                raise refusal(message, "BAD_USER_INPUT")


_EXPECTED = re.compile(r"Expected value of type '[^']*'")


def _without_digits(error: GraphQLError) -> GraphQLError:
    """Return the error in other words if a number has more digits than Python converts: the original prints all."""
    if "integer string conversion" not in error.message:
        return error
    lengths = [len(node.value) for node in error.nodes or () if isinstance(node, IntValueNode)]
    expected = _EXPECTED.search(error.message)
    start = "A value is not a valid number" if expected is None else expected[0]
    digits = f"{lengths[0]:,}" if lengths else "thousands of"
    return GraphQLError(f"{start}, found a number of {digits} digits.", error.nodes)


class Documents:
    """The documents of one schema."""

    def __init__(
        self,
        catalog: Catalog,
        core: GraphQLSchema,
        limits: DocumentLimits,
        *,
        max_documents: int = MAX_DOCUMENTS,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._core = core
        self._limits = limits
        self._fast_validator = FastValidator(core)
        self._suggestions: Suggestions | None = None
        if limits.suggestions:
            self._suggestions = Suggestions(
                core,
                lambda: (*specified_scalar_types, *SCALARS, *catalog.known_names()),
                prefix=catalog.prefix,
                is_view=catalog.whole is not catalog,
            )
        self._cache: LRUCache[str, Document] = LRUCache(max_characters)
        # A short text weighs as much as the average of ``max_documents``, so that one limit bounds both.
        self._least_weight = max_characters // max_documents

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the cache, to be cleared after retirement."""
        yield from (self._cache.table, self._cache.pinned)

    def pin(self, text: str) -> None:
        """Make the document of a text stay in the cache."""
        self.get(text)
        self._cache.pin(text)

    def unpin_all(self) -> None:
        """Let documents leave the cache again."""
        self._cache.pinned.clear()

    def get(self, text: str) -> Document:
        """Return the document of a text, from the cache if it was seen before."""
        document = self._cache.get(text)
        if document is None:
            document = self._read(text)
            self._cache.put(text, document, max(len(text), self._least_weight))
        return document

    def get_valid(self, text: str) -> Document:
        """Return the document of a text. Raises OperationRefused if it cannot be parsed, or is not valid."""
        document = self.get(text)
        if document.errors:
            raise OperationRefused(document.errors, document.code)
        return document

    def _read(self, text: str) -> Document:
        try:
            return self._check(text, parse_document(text, self._limits.tokens))
        except GraphQLSyntaxError as error:
            return Document(None, [error], "GRAPHQL_PARSE_FAILED")
        # The parser recurses as deeply as the text is nested.
        except RecursionError:
            return Document(
                None, [GraphQLError("The document is nested too deeply.")], "GRAPHQL_PARSE_FAILED"
            )

    def _check(self, text: str, node: DocumentNode) -> Document:
        # Before validation, whose time grows with what fragments expand to.
        excess = None if self._is_small(text, node) else self._excess(measure(node))
        if excess is not None:
            return Document(node, [GraphQLError(excess)], "BUDGET_EXCEEDED")
        # Nearly all documents are valid, and accepted in a fraction of the time.
        errors = [] if self._fast_validator.accepts(node) else self._validate(node)
        if errors:
            return Document(node, errors, "GRAPHQL_VALIDATION_FAILED")
        has_conditions = "@" in text or CUSTOM_FIELDS in text
        return Document(node, [], conditions=condition_variables(node) if has_conditions else ())

    def _validate(self, node: DocumentNode) -> list[GraphQLError]:
        """Return the errors of the full validation, with suggestions."""
        errors = validate(self._core, node, max_errors=MAX_ERRORS, hide_suggestions=True)
        if errors and self._suggestions is not None:
            errors = self._suggestions.for_document(node, errors)
        return [_without_digits(error) for error in errors]

    def _is_small(self, text: str, node: DocumentNode) -> bool:
        """Return whether a document surely exceeds no limit, by the characters that write what is limited.

        Without fragments nothing counts that is not written.
        """
        limits = self._limits
        return (
            node.token_count <= min(limits.root_fields, limits.selections)
            and text.count("{") <= limits.depth
            and text.count(":") <= limits.aliases
            and text.count("@") <= limits.directives
            and "..." not in text
        )

    def _excess(self, size: Complexity) -> str | None:
        """Return an error message for the first limit that the document exceeds."""
        limits = self._limits
        if size.depth > limits.depth:
            return f"The document selects {size.depth} levels deep; the limit is {limits.depth}."
        for count, limit, what in (
            (size.root_fields, limits.root_fields, "root fields"),
            (size.fields, limits.selections, "fields"),
            (size.aliases, limits.aliases, "aliases"),
            (size.directives, limits.directives, "directives"),
        ):
            if count > limit:
                return f"The document has more than {limit:,} {what}."
        return None

    def variables(self, document: Document, operation: OperationDefinitionNode) -> VariableReader:
        """Return the reader of an operation's variables."""
        # The id is safe as a key: the document keeps its operations.
        reader = document.variables.get(id(operation))
        if reader is None:
            definitions = operation.variable_definitions or ()
            reader = VariableReader(self._core, definitions, self._suggestions)
            document.variables[id(operation)] = reader
        return reader
