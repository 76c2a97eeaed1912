"""A new row first, then the rows below it, in as many changesets as they need; taken back where one of these fails.

That is the way where a number sequence gives the row's key, and where the rows below it are more than one changeset
takes. What is taken back is every row that was written, the lower ones first. What could not be taken back, or is not
known, is PARTLY_WRITTEN with what stands: nothing stays half-written in silence.
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
    reasons_of,
    rolled_back,
)
from .plan import RowWrite
from .sender import Exchange, what_to_check
from .success import json_object_of


@dataclass(frozen=True, slots=True)
class HeaderFirst:
    """Writes headers with their rows; ``size`` is the most rows of a changeset."""

    exchange: Exchange
    binder: Binder
    size: int
    keyed: Callable[[Outcome], Outcome]
    """Puts in the key of a new row that the upstream gave."""

    async def write(self, write: RowWrite) -> Outcome:
        """Write a row and the rows below it, and return the outcome of both."""
        header = self.keyed(await self.exchange.one(write))
        if not header.is_done:
            return header
        rows = self._joined(write, _known_of(header))
        if rows is None:
            return _partly(header, "its rows could not be joined to it: the answer lacks its key")
        written: list[Outcome] = []
        for group in self._groups(rows):
            outcomes = await self.exchange.together(group)
            errors = reasons_of(outcomes)
            if any(e.code == OUTCOME_UNKNOWN for e in errors):
                return _partly(header, _open(len(written), len(group), len(rows)), errors)
            if errors:
                return await self._take_back(header, written, errors)
            written.extend(map(self.keyed, outcomes))
        return header

    def _groups(self, rows: Sequence[RowWrite]) -> Iterator[Sequence[RowWrite]]:
        for start in range(0, len(rows), self.size):
            yield rows[start : start + self.size]

    def _joined(self, write: RowWrite, made: Mapping[str, Any]) -> list[RowWrite] | None:
        """Join the rows below to the row that was made; None where its answer lacks what joins them."""
        needed = {source for children in write.children for source, _ in children.join}
        if any(made.get(n) is None for n in needed):
            return None
        return [row for c in write.children for row in self.binder.joined(c, made)]

    async def _take_back(
        self, header: Outcome, written: Sequence[Outcome], errors: Sequence[UserError]
    ) -> Outcome:
        """Delete a row and the rows below it that were written, and return what became of them."""
        if header.write.key is None:
            return _partly(header, "its key is not known, so that it was not deleted", errors)
        # Without etags: lines touch their header (reference d365-odata 5.2), so its version may be another by now.
        known = [o.write for o in written if o.write.key is not None]
        doomed = [_deletion(write) for write in (*reversed(known), header.write)]
        gone = 0
        for group in self._groups(doomed):
            deleted = await self._deleted(group)
            if not all(outcome.is_done for outcome in deleted):
                return _stuck(header, deleted, len(written) - gone, errors)
            gone += len(group)
        if len(known) < len(written):
            left = len(written) - len(known)
            said = f"deleted again; {left:,} of the rows below it could not, their keys are unknown"
            return replace(_partly(header, said, errors), response=None)
        because = "The row was created and deleted again: the rows below it were refused."
        back = rolled_back(header, because, cause=replace(header, errors=tuple(errors)))
        return replace(back, errors=(*errors, *back.errors))

    async def _deleted(self, group: Sequence[RowWrite]) -> list[Outcome]:
        if len(group) == 1:
            return [await self.exchange.one(group[0])]
        return await self.exchange.together(group)


def _deletion(write: RowWrite) -> RowWrite:
    return replace(write, verb=Verb.DELETE, body={}, children=(), if_match=None)


def _known_of(made: Outcome) -> Mapping[str, Any]:
    """Return what is known of a new row: what was sent, its key, and the row in the answer."""
    key = {part.name: part.value.value for part in made.write.key or ()}
    return {**made.write.body, **key, **(json_object_of(made.response) or {})}


def _open(written: int, unknown: int, rows: int) -> str:
    """Say what is known of rows below a header, of which an answer was lost."""
    if unknown == rows:
        return "it is not known whether its rows were written"
    left = rows - written - unknown
    return (
        f"of its {rows:,} rows {written:,} were written, of {unknown:,} it is not known,"
        f" and {left:,} were not sent"
    )


def _stuck(
    header: Outcome, deleted: Sequence[Outcome], rows: int, errors: Sequence[UserError]
) -> Outcome:
    """Return the outcome of a row that could not be taken back; ``rows`` below it were there before the last try."""
    found = reasons_of(deleted)
    is_lost = any(e.code == OUTCOME_UNKNOWN for e in found)
    touches_header = deleted[-1].write.place == header.write.place
    said = "; ".join(e.message for e in found)
    below = f" with {rows:,} of its rows" if rows > 0 else ""
    if is_lost and not touches_header:
        reason = f"it was not deleted again, and {rows:,} of its rows may be there: {said}"
        return _partly(header, reason, errors)
    if is_lost:
        reason = f"it is not known whether it{below} was deleted again: {said}"
        return replace(_partly(header, reason, errors), response=None)
    return _partly(header, f"it{below} could not be deleted again: {said}", errors)


def _partly(header: Outcome, reason: str, more: Sequence[UserError] = ()) -> Outcome:
    error = UserError(
        code=PARTLY_WRITTEN,
        message=f"The row was created, but {reason.rstrip('.')}. {what_to_check(header.write)}",
        path=header.write.place,
    )
    return replace(header, errors=(*more, error))
