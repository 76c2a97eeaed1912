"""Introspection without GraphQL types: what ``__schema`` and ``__type`` answer, written straight from the catalogue.

graphql-core answers introspection from its types, all of which it must make for that: a minute and more than a
gigabyte for the whole of Finance & Operations. Here the selection is compiled into writers of JSON
(``selected``, ``writers``), a type is described by small records made from the catalogue's (``described``,
``types``), and a list of all types is written family by family, forgetting each (``whole``, ``ahead``).

What graphql-core would answer is the measure, to the last byte of every description: tests compare type by type.
"""

from .answer import introspect
from .sdl import print_types
from .selection import Selected, is_whole
from .slice import Wanted, write_slice
from .subgraph import print_subgraph

__all__ = [
    "Selected",
    "Wanted",
    "introspect",
    "is_whole",
    "print_subgraph",
    "print_types",
    "write_slice",
]
