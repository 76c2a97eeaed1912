"""The table of Edm primitive types: the GraphQL scalar of each, and its kind, which decides the operators.

Primitive types: CSDL XML 4.01 section 3.3. ``Decimal`` and ``Long`` are strings in JSON, so that no parser rounds them.
"""

from __future__ import annotations

from msgspec import Struct


class EdmType(Struct, frozen=True):
    """One primitive type."""

    name: str
    scalar: str
    """GraphQL scalar."""
    kind: str
    """Kind of value: ``string number temporal date boolean guid binary duration other``."""


_ROWS = (
    EdmType("Edm.String", "String", "string"),
    EdmType("Edm.Boolean", "Boolean", "boolean"),
    EdmType("Edm.Byte", "Int", "number"),
    EdmType("Edm.SByte", "Int", "number"),
    EdmType("Edm.Int16", "Int", "number"),
    EdmType("Edm.Int32", "Int", "number"),
    EdmType("Edm.Int64", "Long", "number"),
    EdmType("Edm.Decimal", "Decimal", "number"),
    EdmType("Edm.Double", "Float", "number"),
    EdmType("Edm.Single", "Float", "number"),
    EdmType("Edm.Guid", "UUID", "guid"),
    EdmType("Edm.DateTimeOffset", "DateTime", "temporal"),
    EdmType("Edm.Date", "Date", "date"),
    EdmType("Edm.TimeOfDay", "TimeOfDay", "temporal"),
    EdmType("Edm.Duration", "Duration", "duration"),
    EdmType("Edm.Binary", "Base64", "binary"),
)

EDM = {row.name: row for row in _ROWS}

NOT_IN_ROWS = frozenset({"Edm.Stream"})
"""Types whose values are not part of an entity's JSON, so that they get no field."""


def edm_type(name: str) -> EdmType:
    """Return the row of a primitive type; types outside the table (geography, untyped…) are plain JSON."""
    row = EDM.get(name)
    return EdmType(name, "JSON", "other") if row is None else row
