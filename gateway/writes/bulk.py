"""Writes lists of rows that do not depend on each other, with the rows below them, in few requests.

    1  one ``$batch``   the rows by themselves; with the rows below if their keys are known: a changeset for each
    2  one ``$batch``   the rows below the new rows whose keys the upstream has given: a changeset for each
    3  one ``$batch``   deletes the new rows again whose rows below were refused

A row with more rows below it than a changeset takes goes by itself, after the others (``header_first``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .batch_sender import BatchSender
from .header_first import (
    HeaderFirstWriter,
    deletion_of,
    known_values,
    not_taken_back,
    partly_written,
    taken_back,
    unknown_rows,
)
from .outcome import OUTCOME_UNKNOWN, Outcome, root_errors, unsent_outcome
from .plan import RowWrite


@dataclass(frozen=True, slots=True)
class BulkWriter:
    """Writes the rows of one list; ``size`` is the most rows of a changeset."""

    sender: BatchSender
    header_first: HeaderFirstWriter
    size: int
    with_children: Callable[[RowWrite], list[RowWrite]]
    """Returns a row whose key is known, and the rows below it as they are sent."""
    with_key: Callable[[Outcome], Outcome]
    """Returns an outcome with the key that the upstream gave a new row."""

    async def write(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        """Write the rows of a list, and return the outcome of each in their order."""
        results: dict[int, Outcome] = {}
        alone: list[int] = []
        groups: dict[int, list[RowWrite]] = {}
        large = {w.identity for w in writes if w.key is not None and _below(w) > self.size}
        for number, write in enumerate(writes):
            refused = self.sender.refused_below(write) if write.has_rows_below else []
            below = _below(write)
            # Writes of the same row keep their order.
            is_late = below > self.size or (write.key is not None and write.identity in large)
            if refused:
                results[number] = replace(Outcome(write=write), errors=root_errors(refused))
            elif is_late:
                alone.append(number)
            elif write.key is not None and below:
                groups[number] = self.with_children(write)
            else:
                groups[number] = [write]
        written = await self.sender.write_groups(list(groups.values()))
        headers: dict[int, Outcome] = {}
        for (number, group), own in zip(groups.items(), written, strict=True):
            if len(group) > 1:
                results[number] = replace(own[0], errors=root_errors(own))
                continue
            results[number] = self.with_key(own[0])
            if results[number].is_done and own[0].write.has_rows_below:
                headers[number] = results[number]
        results.update(await self._write_below(headers))
        for number in alone:
            has_failed = any(outcome.cause is not None for outcome in results.values())
            results[number] = (
                unsent_outcome(writes[number])
                if has_failed
                else await self.header_first.write(writes[number])
            )
        return [results[number] for number in range(len(writes))]

    async def _write_below(self, headers: Mapping[int, Outcome]) -> dict[int, Outcome]:
        """Write the rows below new rows that were written alone; return the outcomes of those that have changed."""
        results: dict[int, Outcome] = {}
        groups: dict[int, list[RowWrite]] = {}
        for number, header in headers.items():
            rows = self.header_first.join(header.write, known_values(header))
            if rows is None:
                reason = "its rows could not be joined to it: the answer lacks its key"
                results[number] = partly_written(header, reason)
            else:
                groups[number] = rows
        written = await self.sender.write_groups(list(groups.values()))
        refused: dict[int, Sequence[Outcome]] = {}
        for number, outcomes in zip(groups, written, strict=True):
            errors = root_errors(outcomes)
            # Rows whose fate is unknown are not deleted: the caller has to check them first.
            if any(e.code == OUTCOME_UNKNOWN for e in errors):
                reason = unknown_rows(0, len(outcomes), len(outcomes))
                results[number] = partly_written(headers[number], reason, errors)
            elif errors:
                refused[number] = outcomes
        results.update(await self._take_back(headers, refused))
        return results

    async def _take_back(
        self, headers: Mapping[int, Outcome], refused: Mapping[int, Sequence[Outcome]]
    ) -> dict[int, Outcome]:
        """Delete new rows whose rows below were refused, and return what became of them."""
        results: dict[int, Outcome] = {}
        deletions: dict[int, list[RowWrite]] = {}
        for number, outcomes in refused.items():
            header = headers[number]
            if header.write.key is None:
                reason = "its key is not known, so that it was not deleted"
                results[number] = partly_written(header, reason, root_errors(outcomes))
            else:
                deletions[number] = [deletion_of(header.write)]
        deleted = await self.sender.write_groups(list(deletions.values()))
        for number, (outcome,) in zip(deletions, deleted, strict=True):
            header, errors = headers[number], root_errors(refused[number])
            results[number] = (
                taken_back(header, errors)
                if outcome.is_done
                else not_taken_back(header, [outcome], 0, errors)
            )
        return results


def _below(write: RowWrite) -> int:
    """Return the number of rows below a row."""
    return sum(len(children.rows) for children in write.children)
