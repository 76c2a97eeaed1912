"""What the tree of a ``$filter`` has besides odata-query's nodes."""

from __future__ import annotations

from dataclasses import dataclass

from odata_query import ast


@dataclass(frozen=True)
class EnumLiteral(ast._Literal):  # noqa: SLF001 - the library has no public base
    """``NS.Type'Member'``."""

    type: str
    val: str


@dataclass(frozen=True)
class Has(ast._Comparator):  # noqa: SLF001 - the library has no public base
    """The ``has`` operator of flags enumerations."""
