"""Checks that packages have the rows that the list has, as far as a count can tell.

What a data project exports is set up in the environment: one with a filter, with change tracking (then only what has
changed comes), or across legal entities gives other rows, and says nothing of it. So the rows of a finished export are
compared with the number that the service counts. Some may have been added or deleted since the project began.
"""

from __future__ import annotations

from gateway.errors import UpstreamRejected
from gateway.export.parts import count_rows
from gateway.export.reading import Read
from gateway.export.request import Export
from gateway.request import GraphQLRequest

_SHARE = 10
"""One row of so many may be another one."""


async def check_rows(
    read: Read, export: Export, reads: GraphQLRequest, rows: int, project: str
) -> None:
    """Raise UpstreamRejected if an export has far more or fewer rows than its list. Raises ExportFailed."""
    counted = await count_rows(read, export, export.first(reads))
    if counted is None or abs(rows - counted) <= max(counted // _SHARE, _SHARE):
        return
    raise UpstreamRejected(
        f"The packages have {rows:,} rows, and the list {counted:,}.",
        hint=f"The data project {project} must be a full push, without a filter and for one legal entity at a time.",
    )
