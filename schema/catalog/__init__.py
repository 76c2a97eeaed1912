"""The catalogue of the GraphQL API: every name, type, field and operator, decided before any GraphQL type exists.

Nothing of an entity is computed before it is asked for, so a catalogue of 4,000 entities costs its names only.
Strawberry types, the planner, ``schema why`` and the printers all read this one truth. Contract: design section 3.

Four layers, each knowing only those above it: ``types`` (names of types, values), ``objects`` (their fields),
``inputs`` (what may be asked), ``roots`` (the fields of ``Query``); ``reach`` tells which of all that is part of the
schema.
"""

from .roots import Catalog
from .types import RESERVED_TYPES, SCALARS

__all__ = ["RESERVED_TYPES", "SCALARS", "Catalog"]
