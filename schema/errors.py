"""Errors of building a schema: raised at start-up only, never while a request runs.

    SchemaError                 the start fails; no partly correct API is served
    ├── CsdlSyntaxError         a metadata document that cannot be read: document, line, column, reason
    ├── ExposureError           exposure patterns that match nothing, or leave nothing
    ├── RelationError           declared relations that do not fit the metadata
    ├── NameCollisionError      two metadata names that need the same GraphQL name
    └── SchemaTextError         a schema to be compared that cannot be read

``message`` says what is wrong and where, ``hint`` what to do about it. ``problems``, which the text includes, lists
everything that is wrong at once, so that a configuration need not be corrected one start at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class SchemaError(Exception):
    """Metadata or schema settings that cannot be served."""

    def __init__(
        self, message: str, *, hint: str | None = None, problems: Sequence[str] = ()
    ) -> None:
        self.message = "\n  - ".join((message, *problems))
        self.hint = hint
        self.problems = tuple(problems)
        super().__init__(self.message)


class CsdlSyntaxError(SchemaError):
    """A metadata document that is not readable CSDL XML."""

    def __init__(
        self,
        reason: str,
        *,
        document: str,
        line: int,
        column: int,
        hint: str | None = None,
    ) -> None:
        super().__init__(f"{document}, line {line}, column {column}: {reason}", hint=hint)
        self.reason = reason
        self.document = document
        self.line = line
        self.column = column


class ExposureError(SchemaError):
    """Exposure patterns that select nothing."""


class RelationError(SchemaError):
    """Declared relations that do not fit the metadata."""


class NameCollisionError(SchemaError):
    """Names that need the same GraphQL name."""


class SchemaTextError(SchemaError):
    """SDL or an introspection result that cannot be read, or patterns that select nothing of it."""


def did_you_mean(wrong: str, names: Iterable[str]) -> str:
    """Return a sentence to append: ``CustomerV3`` → ``" Did you mean CustomersV3?"``; empty if no name is similar."""
    folded = {name.casefold(): name for name in names}
    near = [folded[key] for key in get_close_matches(wrong.casefold(), folded)]
    return f" Did you mean {' or '.join(near)}?" if near else ""
