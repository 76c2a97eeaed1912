"""The refusal of an operation that cannot run: raised where it is noticed, answered in one place (``Engine``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError


class OperationRefused(Exception):
    """An operation that cannot run as it stands; nothing was sent upstream for it."""

    def __init__(self, errors: Sequence[GraphQLError], code: str) -> None:
        super().__init__(errors[0].message)
        self.code = code
        self.errors: list[dict[str, Any]] = [
            {**error.formatted, "extensions": {"code": code}} for error in errors
        ]
        """The ``errors`` of the response (GraphQL section 7.1.6)."""


def refusal(message: str, code: str) -> OperationRefused:
    """Return the refusal of an operation as a whole, for one reason."""
    return OperationRefused([GraphQLError(message)], code)
