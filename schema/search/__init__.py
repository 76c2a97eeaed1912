"""Finds what a person looks for among all root fields, types and fields, without making a GraphQL type.

``words`` splits names and queries, ``index`` holds what is searched (a few megabytes for the whole of Finance &
Operations, made by one walk through the metadata), ``find`` ranks.
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
