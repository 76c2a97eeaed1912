"""The catalogue of the GraphQL API: every name, type, field and operator, decided before any GraphQL type exists.

Everything but names is computed on demand, so a catalogue of 4,000 entities costs little more than its names.
Strawberry types, the planner, ``schema why`` and the printers all read the catalogue.

Four layers, each using only those before it: ``types`` (names of types, values), ``objects`` (their fields), ``inputs``
(filters and sort orders), ``roots`` (the fields of ``Query``). ``reach`` determines which types are part of the schema.
"""

from .roots import Catalog
from .types import RESERVED_TYPES, SCALARS

__all__ = ["RESERVED_TYPES", "SCALARS", "Catalog"]
