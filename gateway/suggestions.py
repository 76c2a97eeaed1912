"""Validation with "Did you mean …?" whose cost does not grow with the catalogue.

graphql-core compares a misspelled name with every name that there is: with 8,000 root fields that takes a second, which
makes a typing mistake a denial of service. Here validation runs without suggestions; for a misspelled root field the
names that look most alike at a glance are compared properly, everything else is small enough to be compared in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from graphql import DocumentNode, GraphQLError, GraphQLSchema, validate
from graphql.pyutils import did_you_mean, suggestion_list

SMALL = 500
"""Names among which graphql-core may look by itself."""
GLANCED = 150
"""Names that pass the glance at their letters."""
COMPARED = 25
"""Names that are compared letter by letter."""
_UNKNOWN_ROOT = re.compile(r"Cannot query field '(\w+)' on type 'Query'\.$")
_UNKNOWN_TYPE = re.compile(r"Unknown type '(\w+)'\.$")


class Validator:
    """Validates documents against one schema with these root fields."""

    def __init__(self, schema: GraphQLSchema, roots: Iterable[str], max_errors: int) -> None:
        self._schema = schema
        self._max_errors = max_errors
        self._roots = tuple(roots)

    def errors(self, document: DocumentNode) -> list[GraphQLError]:
        """Give the errors of a document, with suggestions where names look alike."""
        schema, most = self._schema, self._max_errors
        if len(self._roots) <= SMALL:
            return validate(schema, document, max_errors=most)
        errors = validate(schema, document, max_errors=most, hide_suggestions=True)
        if not errors:
            return errors
        if not any(
            _UNKNOWN_ROOT.search(e.message) or _UNKNOWN_TYPE.search(e.message) for e in errors
        ):
            return validate(schema, document, max_errors=most)
        return [self._with_suggestion(error) for error in errors]

    def _with_suggestion(self, error: GraphQLError) -> GraphQLError:
        found = _UNKNOWN_ROOT.search(error.message)
        if found is None:
            return error
        alike = suggestion_list(found[1], self.look_alikes(found[1]))
        return GraphQLError(error.message + did_you_mean(alike), error.nodes)

    def look_alikes(self, wrong: str) -> list[str]:
        """Give the root fields that look most like a misspelled name: by letters, then by neighbouring letters."""
        letters, length = _letters(wrong), len(wrong)
        names, all_letters = self._roots, self._root_letters
        glance = sorted(
            range(len(names)),
            key=lambda i: (letters ^ all_letters[i]).bit_count() + abs(len(names[i]) - length),
        )
        pairs = _pairs(wrong)
        kept = sorted(
            (names[i] for i in glance[:GLANCED]), key=lambda name: len(pairs ^ _pairs(name))
        )
        return kept[:COMPARED]

    @cached_property
    def _root_letters(self) -> list[int]:
        return [_letters(name) for name in self._roots]


def _letters(name: str) -> int:
    """Give a bit for each letter or digit that occurs, whatever its case."""
    bits = 0
    for code in name.lower().encode():
        bits |= 1 << (code & 63)
    return bits


def _pairs(name: str) -> set[str]:
    lowered = name.lower()
    return {lowered[i : i + 2] for i in range(len(lowered) - 1)}
