"""Filters rows that the upstream could only be asked for more widely (``odata.wildcard_residual``)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gateway.errors import UpstreamMalformed
from gateway.odata.dialect import Dialect
from gateway.odata.local_filter import evaluate
from gateway.odata.query import Expr, Path, Value
from gateway.operations.row_types import RowType


def passing_rows(
    rows: Sequence[Any], residual: Expr, row_type: RowType, dialect: Dialect
) -> list[Any]:
    """Return the rows for which ``residual`` is true. Raises UpstreamMalformed if a value is not of its type."""
    by_source = {source: attribute for (_, source), attribute in row_type.attributes.items()}
    insensitive, absent = dialect.case_insensitive, dialect.absent

    def passes(row: Any) -> bool:
        def get(path: Path) -> Value:
            value: Value = getattr(row, by_source[path.segments[0]])
            return value if isinstance(value, str | int | float | bool | Decimal) else None

        return evaluate(residual, get, case_insensitive=insensitive, absent=absent) is True

    try:
        return [row for row in rows if passes(row)]
    except (AttributeError, TypeError, ValueError) as error:
        raise UpstreamMalformed(
            "The upstream sent rows that cannot be filtered: a value is not of its type."
        ) from error
