"""Compares two schemas and classifies the changes for clients: breaking, dangerous or safe.

A schema is read from SDL text, an introspection result or a catalogue (``sources``). Types are described one at a time
and only differing ones become graphql-core types, so two schemas of 40,000 types fit into memory. graphql-core
classifies the differences (``changes``).
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
