"""Writes a new row first, then the rows below it in as many changesets as they need; takes all back if one fails.

This is the way if a number sequence gives the row's key, or if the rows below it are more than one changeset takes.
What is taken back is every row that was written, the lower ones first. What could not be taken back, or is not known,
is PARTLY_WRITTEN with what remains: nothing stays half-written in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schema.catalog.records import Verb

from .binder import Binder
from .outcome import (
    OUTCOME_UNKNOWN,
    PARTLY_WRITTEN,
    Outcome,
    UserError,
    rolled_back_outcome,
    root_errors,
)
from .plan import RowWrite
from .sender import WriteSender, what_to_check
from .success import json_object_of


@dataclass(frozen=True, slots=True)
class HeaderFirstWriter:
    """Writes headers with their rows; ``size`` is the most rows of a changeset."""

    sender: WriteSender
    binder: Binder
    size: int
    with_key: Callable[[Outcome], Outcome]
    """Returns an outcome with the key that the upstream gave a new row."""

    async def write(self, write: RowWrite) -> Outcome:
        """Write a row and the rows below it, and return the outcome of both."""
        refused = self.sender.refused_below(write)
        if refused:
            return replace(Outcome(write=write), errors=root_errors(refused))
        header = self.with_key(await self.sender.write_row(write))
        if not header.is_done:
            return header
        rows = self.join(write, known_values(header))
        if rows is None:
            return partly_written(
                header, "its rows could not be joined to it: the answer lacks its key"
            )
        written: list[Outcome] = []
        for group in self._groups(rows):
            outcomes = await self.sender.write_changeset(group)
            errors = root_errors(outcomes)
            # Rows whose fate is unknown are not deleted: the caller has to check them first.
            if any(e.code == OUTCOME_UNKNOWN for e in errors):
                reason = unknown_rows(len(written), len(group), len(rows))
                return partly_written(header, reason, errors)
            if errors:
                return await self._take_back(header, written, errors)
            written.extend(map(self.with_key, outcomes))
        return header

    def _groups(self, rows: Sequence[RowWrite]) -> Iterator[Sequence[RowWrite]]:
        for start in range(0, len(rows), self.size):
            yield rows[start : start + self.size]

    def join(self, write: RowWrite, header: Mapping[str, Any]) -> list[RowWrite] | None:
        """Return the rows below, joined to the header; None if not all values that join them are known."""
        needed = {source for children in write.children for source, _ in children.join}
        if any(header.get(name) is None for name in needed):
            return None
        return [row for c in write.children for row in self.binder.joined(c, header)]

    async def _take_back(
        self, header: Outcome, written: Sequence[Outcome], errors: Sequence[UserError]
    ) -> Outcome:
        """Delete a row and the rows below it that were written, and return what became of them."""
        if header.write.key is None:
            return partly_written(
                header, "its key is not known, so that it was not deleted", errors
            )
        # Without etags: lines touch their header (reference d365-odata 5.2), so its version may be another by now.
        keyed = [o.write for o in written if o.write.key is not None]
        deletions = [deletion_of(write) for write in (*reversed(keyed), header.write)]
        deleted = 0
        for group in self._groups(deletions):
            outcomes = await self._delete(group)
            if not all(outcome.is_done for outcome in outcomes):
                return not_taken_back(header, outcomes, len(written) - deleted, errors)
            deleted += len(group)
        if len(keyed) < len(written):
            left = len(written) - len(keyed)
            reason = (
                f"deleted again; {left:,} of the rows below it could not, their keys are unknown"
            )
            return replace(partly_written(header, reason, errors), response=None)
        return taken_back(header, errors)

    async def _delete(self, group: Sequence[RowWrite]) -> list[Outcome]:
        if len(group) == 1:
            return [await self.sender.write_row(group[0])]
        return await self.sender.write_changeset(group)


def deletion_of(write: RowWrite) -> RowWrite:
    return replace(
        write, verb=Verb.DELETE, body={}, children=(), if_match=None, version=None, takes_back=True
    )


def known_values(header: Outcome) -> Mapping[str, Any]:
    """Return what is known of a new row: what was sent, its key, and the row in the answer."""
    row = json_object_of(header.response) or {}
    return {**header.write.body, **header.write.key_values, **row}


def unknown_rows(written: int, unknown: int, rows: int) -> str:
    """Return what is known of the rows below a header if an answer was lost."""
    if unknown == rows:
        return "it is not known whether its rows were written"
    left = rows - written - unknown
    return (
        f"of its {rows:,} rows {written:,} were written, of {unknown:,} it is not known,"
        f" and {left:,} were not sent"
    )


def taken_back(header: Outcome, errors: Sequence[UserError]) -> Outcome:
    """Return the outcome of a row that was deleted again because of ``errors`` of rows below it."""
    reason = "The row was created and deleted again: the rows below it were refused."
    cause = replace(header, errors=tuple(errors))
    outcome = rolled_back_outcome(header, reason, cause=cause)
    return replace(outcome, errors=(*errors, *outcome.errors))


def not_taken_back(
    header: Outcome, deletions: Sequence[Outcome], rows: int, errors: Sequence[UserError]
) -> Outcome:
    """Return the outcome of a row that could not be taken back.

    ``deletions`` are the last ones that were tried; ``rows`` below the header existed before them.
    """
    causes = root_errors(deletions)
    is_unknown = any(e.code == OUTCOME_UNKNOWN for e in causes)
    touches_header = deletions[-1].write.place == header.write.place
    messages = "; ".join(e.message for e in causes)
    below = f" with {rows:,} of its rows" if rows > 0 else ""
    if is_unknown and not touches_header:
        reason = f"it was not deleted again, and {rows:,} of its rows may be there: {messages}"
        return partly_written(header, reason, errors)
    if is_unknown:
        reason = f"it is not known whether it{below} was deleted again: {messages}"
        return replace(partly_written(header, reason, errors), response=None)
    return partly_written(header, f"it{below} could not be deleted again: {messages}", errors)


def partly_written(header: Outcome, reason: str, more: Sequence[UserError] = ()) -> Outcome:
    error = UserError(
        code=PARTLY_WRITTEN,
        message=f"The row was created, but {reason.rstrip('.')}. {what_to_check(header.write)}",
        path=header.write.place,
    )
    return replace(header, errors=(*more, error))
