"""Sends groups of writes that do not depend on each other, many in one ``$batch``, and returns the outcome of each.

A group is a row by itself, or rows that are written all or not at all. The answer to a batch is read group by group:

    2xx, a refusal        as the answer to the same write by itself
    429                   not processed: sent again, in a batch of those that are left
    401, 403              not processed; the error of each of its rows
    anything else         OUTCOME_UNKNOWN, with the row to check
    no answer, but the batch ends in a refusal and with its last boundary
                          not processed: a service that does not know ``odata.continue-on-error`` stops at a refusal
                          (OData 4.0 Protocol, section 11.7.2), so the rest is sent again
    no answer otherwise   OUTCOME_UNKNOWN
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

from gateway.errors import GatewayError, OutcomeUnknown
from gateway.odata.batch import BATCH_URL, is_whole, unprocessed_part, write_batch
from gateway.odata.batch_parts import holding
from gateway.odata.query import Request
from gateway.odata.response_check import UNPROCESSED, Response, raise_for_answer, shows_outcome

from .outcome import Outcome, read_outcome, unsent_outcome
from .plan import Identity, RowWrite
from .refusal_attribution import attribute_refusal
from .requests import row_request
from .sender import WriteSender, groups_in, unknown_by

Group = Sequence[RowWrite]
"""Rows that are written all or not at all."""
_BUSY = 429


@dataclass(slots=True)
class BatchSender(WriteSender):
    """Sends the writes of one operation, one by one or in batches."""

    batch_size: int = 0
    """The most writes of one ``$batch``; 0 if writes that do not depend on each other are not sent in one."""

    async def write_groups(self, groups: Sequence[Group]) -> list[list[Outcome]]:
        """Write groups of rows, and return the outcomes of each in their order.

        A refused group does not stop the others; an upstream that fails does. Raises AuditUnavailable as ``write_row``
        does.
        """
        outcomes: list[list[Outcome]] = []
        has_failed = False
        for batch in self._batches(groups):
            if has_failed:
                outcomes.extend([unsent_outcome(write) for write in group] for group in batch)
                continue
            results = await self._write_batch(batch)
            has_failed = any(o.cause is not None for group in results for o in group)
            outcomes.extend(results)
        return outcomes

    def _batches(self, groups: Sequence[Group]) -> Iterator[list[Group]]:
        """Yield the groups of each batch. What depends on an earlier write of the same row is in a later one."""
        batch: list[Group] = []
        size, rows = 0, set[Identity]()
        for group in groups:
            own = {write.identity for write in group if write.key is not None}
            if batch and (size + len(group) > self.batch_size or not rows.isdisjoint(own)):
                yield batch
                batch, size, rows = [], 0, set()
            batch.append(group)
            size += len(group)
            rows |= own
        if batch:
            yield batch

    async def _write_batch(self, groups: Sequence[Group]) -> list[list[Outcome]]:
        if len(groups) == 1:
            (group,) = groups
            if len(group) == 1:
                return [[await self.write_row(group[0])]]
            return [await self.write_changeset(group)]
        sizes = [len(group) for group in groups]
        writes = [write for group in groups for write in group]
        outcomes = iter(await self._recorded(writes, partial(self._write_independently, sizes)))
        return [list(islice(outcomes, size)) for size in sizes]

    async def _write_independently(
        self, sizes: Sequence[int], writes: Sequence[RowWrite]
    ) -> list[Outcome]:
        """Check groups of these sizes, and send those that may be."""
        try:
            checked = iter(await self._check(writes))
        except GatewayError as error:
            return self._failed(writes, error)
        results: dict[int, list[Outcome]] = {}
        pending: dict[int, list[RowWrite]] = {}
        for number, size in enumerate(sizes):
            group = list(islice(checked, size))
            refused = self._refused_together(group)
            if refused is None:
                pending[number] = [write for write, _ in group]
            else:
                results[number] = refused
        while pending:
            settled = await self._send_groups(pending)
            results.update(settled)
            pending = {n: group for n, group in pending.items() if n not in settled}
        return await self._shown([o for number in range(len(sizes)) for o in results[number]])

    async def _send_groups(
        self, pending: Mapping[int, list[RowWrite]]
    ) -> Mapping[int, list[Outcome]]:
        """Send groups in one batch. Return the outcomes of those that were processed, or failed: at least one."""
        requests = [[row_request(w, self.dialect) for w in group] for group in pending.values()]
        request = write_batch(requests)
        try:
            with holding(list(chain.from_iterable(requests))) as parts:
                response = await self._batch_answer(request, unprocessed_part)
            answers = groups_in(response)
            parts.answered(list(chain.from_iterable(answers)))
            if len(answers) > len(pending):
                raise unknown_by(response)
        except GatewayError as error:
            return {number: self._failed(group, error) for number, group in pending.items()}
        settled = {}
        for (number, group), own in zip(pending.items(), answers, strict=False):
            if not (len(own) == 1 and own[0].status == _BUSY):
                settled[number] = self._group_outcomes(request, group, own)
        has_stopped = is_whole(response) and any(a.status >= 300 for a in answers[-1])
        for number, group in [] if has_stopped else list(pending.items())[len(answers) :]:
            settled[number] = self._failed(group, unknown_by(response))
        if not settled:
            # Else it would be sent for ever.
            return {number: self._failed(g, unknown_by(response)) for number, g in pending.items()}
        return settled

    def _group_outcomes(
        self, request: Request, group: Group, answers: Sequence[Response]
    ) -> list[Outcome]:
        """Return the outcomes of a group by its answers: one for each write, or one refusal for all."""
        try:
            for answer in answers:
                self._require_outcome(request, answer)
            is_refused = len(answers) == 1 and answers[0].status >= 300
            is_done = len(answers) == len(group) and all(a.status < 300 for a in answers)
            if not (is_refused or is_done):
                raise OutcomeUnknown(
                    f"The upstream gave {len(answers)} answers to {len(group)} writes that belong together."
                )
        except GatewayError as error:
            return self._failed(group, error)
        if is_done:
            return [self._outcome(w, a) for w, a in zip(group, answers, strict=True)]
        if len(group) == 1:
            return [read_outcome(group[0], answers[0], self.field_name, self.dialect.errors)]
        return attribute_refusal(group, answers[0], self.field_name, self.dialect.errors)

    def _require_outcome(self, request: Request, answer: Response) -> None:
        """Raise the error of a part that was not processed, or does not show what became of it."""
        if answer.status in UNPROCESSED:
            raise_for_answer(request, answer, BATCH_URL, time.time(), self.dialect.errors)
        if not shows_outcome(answer):
            raise unknown_by(answer)
