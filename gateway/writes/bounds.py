"""What of a mutation is outside ``company_limit``: found at the last door, where every value is known.

    create, upsert   FORBIDDEN where the new row would be outside, or does not say whose it is
    update, delete   NOT_FOUND where the row is outside; FORBIDDEN where a patch would move it there
    a call           FORBIDDEN, or NOT_FOUND where it is bound to a row outside

Where the key does not tell a row's legal entity, the row is read first, by a plan that is bounded itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.odata.error_details import Problem
from gateway.planning.company_limit import CompanyLimit
from schema.catalog.records import Verb

from .outcome import ABSENT
from .plan import CallWrite, RowWrite

FORBIDDEN = "FORBIDDEN"
Existing = Callable[[Sequence[RowWrite]], Awaitable[frozenset[tuple[Any, ...]]]]
"""Returns the identities of those rows that are there and inside. Raises GatewayError."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Judges the writes of one operation."""

    limit: CompanyLimit
    existing: Existing
    identity: Callable[[RowWrite], tuple[Any, ...]]

    async def judged(self, writes: Sequence[RowWrite]) -> list[tuple[RowWrite, Problem | None]]:
        """Return each write, an upsert of a row that is not inside as a create, and why it must not be sent."""
        if not self.limit:
            return [(write, None) for write in writes]
        unclear = [w for w in writes if w.verb is not Verb.CREATE and not self._is_told(w)]
        there = await self.existing(unclear) if unclear else frozenset()
        return [self._judged(w, w not in unclear or self.identity(w) in there) for w in writes]

    def _judged(self, write: RowWrite, is_there: bool) -> tuple[RowWrite, Problem | None]:
        if write.verb is Verb.CREATE or write.verb is Verb.UPSERT:
            problem = self._forbidden(write, write.body, is_new=True)
            if problem is None and write.verb is Verb.UPSERT and not is_there:
                write = replace(write, verb=Verb.CREATE)
            return write, problem
        if not is_there or not self._is_inside(write):
            return write, ABSENT
        return write, self._forbidden(write, write.body, is_new=False)

    def _is_told(self, write: RowWrite) -> bool:
        """Return whether the key tells the legal entity of a row."""
        names = {part.name for part in write.key or ()}
        return names.issuperset(self.limit.columns_of(write.csdl, write.entity_set))

    def _is_inside(self, write: RowWrite) -> bool:
        columns = self.limit.columns_of(write.csdl, write.entity_set)
        shared = self.limit.may_be_shared(write.csdl, write.entity_set)
        if not columns:
            return shared
        key = {part.name: part.value.value for part in write.key or ()}
        return all(self.limit.holds(key[c], may_be_shared=shared) for c in columns if c in key)

    def _forbidden(
        self, write: RowWrite, body: Mapping[str, Any], *, is_new: bool
    ) -> Problem | None:
        columns = self.limit.columns_of(write.csdl, write.entity_set)
        shared = self.limit.may_be_shared(write.csdl, write.entity_set)
        if not columns:
            return None if shared else Problem(FORBIDDEN, "Shared data are outside company_limit.")
        for column in columns:
            if column not in body and not is_new:
                continue
            if not self.limit.holds(body.get(column), may_be_shared=shared):
                said = "is outside company_limit" if column in body else "must be given"
                return Problem(FORBIDDEN, f"The company of the row {said}.", property=column)
        return None

    async def judge_call(self, call: CallWrite) -> Problem | None:
        """Return why a call must not be sent. Raises Forbidden for its parameters."""
        if not self.limit:
            return None
        if call.row is None:
            self.limit.check_arguments(call.body)
            return None
        ((_, problem),) = await self.judged([call.row])
        if problem is None:
            self.limit.check_arguments(call.body, is_bound=True)
        return problem
