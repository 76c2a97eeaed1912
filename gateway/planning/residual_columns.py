"""Columns of the filter terms that the gateway must test again, because the product answers them too widely."""

from __future__ import annotations

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.odata.query import Expr, Query, Resource
from gateway.odata.simplify import paths
from schema.catalog.records import Field, ObjectInfo


def residual_columns(info: ObjectInfo, where: Expr | None, dialect: Dialect) -> list[Field]:
    """Return the columns that the residual of a filter reads; none if the product answers the filter exactly.

    Raises UnsupportedQuery if one of them belongs to a related row, which is not at hand when rows are tested.
    """
    if where is None:
        return []
    residual = dialect.lower(Query(resource=Resource("_"), where=where)).residual
    columns: list[Field] = []
    for path in () if residual is None else paths(residual):
        if len(path.segments) > 1:
            raise UnsupportedQuery(
                f"Text with a star cannot be searched through {path.segments[0]}.",
                hint=f"{dialect.title} reads * as a wildcard; filter by a field of the row itself.",
            )
        columns.append(info.by_source(path.segments[0]))
    return columns
