"""Two schemas, and what changed from the one to the other: breaking, dangerous or safe for those who call.

A schema is compared where it lies (``sources``): as SDL text, as an introspection result or as a catalogue. Types are
described one at a time and only those that differ are made, so two schemas of 40,000 types fit into memory. What a
difference means is graphql-core's to say (``changes``).
"""

from .changes import Change, Comparison, Level, compare
from .sdl import SdlSource
from .sources import IntrospectionSource, ServedSource, Source

__all__ = [
    "Change",
    "Comparison",
    "IntrospectionSource",
    "Level",
    "SdlSource",
    "ServedSource",
    "Source",
    "compare",
]
