"""Searches all root fields, types and fields by name and label, without creating a GraphQL type.

``words`` splits names and queries, ``index`` is built by one walk through the metadata (a few megabytes for the whole
of Finance & Operations), ``find`` ranks.
"""

from .find import Hit, Root, complete, find
from .index import FORMAT, Index, index_of, pack, unpack

__all__ = [
    "FORMAT",
    "Hit",
    "Index",
    "Root",
    "complete",
    "find",
    "index_of",
    "pack",
    "unpack",
]
