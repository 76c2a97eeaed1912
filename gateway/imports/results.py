"""What became of the rows of an import: one record a row, one line of NDJSON each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from gateway.odata.error_details import CONFLICT, DUPLICATE_KEY, MISSING_FIELD, NOT_FOUND
from gateway.writes.outcome import OUTCOME_UNKNOWN, PARTLY_WRITTEN

Status: TypeAlias = Literal[
    "created", "exists", "written", "valid", "refused", "unknown", "not_sent"
]
SERVICE_REFUSALS = frozenset(
    {
        *(CONFLICT, DUPLICATE_KEY, MISSING_FIELD, NOT_FOUND),
        *("RELATED_RECORD_NOT_FOUND", "INVALID_VALUE", "BUSINESS_RULE", "ROLLED_BACK"),
    }
)
"""Codes of rows that the service has refused: it does so again."""
CALLER_REFUSALS = frozenset({"BAD_ARGUMENT", "BAD_USER_INPUT", "FORBIDDEN", "BUDGET_EXCEEDED"})
"""Codes of rows that are refused here, for what they are: nothing was sent."""
_UNKNOWN = frozenset({OUTCOME_UNKNOWN, PARTLY_WRITTEN})


class RowResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one row."""

    row: int
    status: Status
    id: str | None = None
    """Global id of the row that was written."""
    errors: list[Mapping[str, Any]] = []
    replayed: bool = False
    """Whether it was written by an earlier import under the same key."""

    @property
    def is_refused(self) -> bool:
        """Whether it counts as an error."""
        return self.status in ("refused", "unknown", "not_sent")


class Counts:
    """Counts results."""

    def __init__(self, by_status: Mapping[str, int] | None = None) -> None:
        self.by_status: Counter[str] = Counter(by_status)
        self.rows = self.by_status.total()

    def add(self, results: Sequence[RowResult]) -> None:
        """Count results."""
        self.rows += len(results)
        self.by_status.update(result.status for result in results)

    @property
    def refused(self) -> int:
        """Rows that count as errors."""
        by = self.by_status
        return by["refused"] + by["unknown"] + by["not_sent"]

    def to_json(self) -> Mapping[str, int]:
        """Return the number of rows, and of those with each status that there is."""
        return {"rows": self.rows, **dict(sorted(self.by_status.items()))}


def status_of(codes: Iterable[str], done: Status) -> Status:
    """Return the status of a row by the codes of its errors; ``done`` if there are none."""
    found = set(codes)
    if not found:
        return done
    if found & _UNKNOWN:
        return "unknown"
    return "refused" if found & (SERVICE_REFUSALS | CALLER_REFUSALS) else "not_sent"


def row_errors(errors: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return user errors with paths that begin in the row, and without what is empty."""
    return [
        {name: value for name, value in {**e, "path": list(e["path"])[2:]}.items() if value}
        for e in errors
    ]


def lines(results: Iterable[RowResult]) -> bytes:
    """Return results as NDJSON."""
    return b"".join(msgspec.json.encode(result) + b"\n" for result in results)
