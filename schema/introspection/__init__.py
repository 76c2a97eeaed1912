"""Introspection without GraphQL types: the JSON of ``__schema`` and ``__type`` is written straight from the catalogue.

graphql-core answers introspection from its types and must create all of them for it: more than a minute and a gigabyte
for the whole of Finance & Operations. Here the selection is compiled into JSON writers (``selection``, ``writers``), a
type is described by small records (``type_records``, ``types``), and the list of all types is written family by
family, dropping the records of each (``answer``, ``family_writer``).

The result equals graphql-core's to the last byte of every description: tests compare type by type.
"""

from .answer import introspect
from .sdl import print_types
from .selection import Selected, is_whole
from .slice import SliceRequest, write_slice
from .subgraph import print_subgraph

__all__ = [
    "Selected",
    "SliceRequest",
    "introspect",
    "is_whole",
    "print_subgraph",
    "print_types",
    "write_slice",
]
