"""Refuses writes outside ``company_limit``, just before they are sent, when every value is known.

    create, upsert   FORBIDDEN if the new row would be outside, or does not say which company it belongs to
    update, delete   NOT_FOUND if the row is outside; FORBIDDEN if a patch would move it there
    a call           FORBIDDEN, or NOT_FOUND if it is bound to a row outside

If the key does not tell a row's legal entity, the row is read first, by a plan that is bounded itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.odata.error_details import Problem
from gateway.planning.company_limit import CompanyLimit
from schema.catalog.records import Verb

from .outcome import ABSENT
from .plan import CallWrite, Identity, RowWrite

FORBIDDEN = "FORBIDDEN"
FindExisting = Callable[[Sequence[RowWrite]], Awaitable[frozenset[Identity]]]
"""Returns the identities of those rows that exist inside the limit. Raises GatewayError."""


@dataclass(frozen=True, slots=True)
class CompanyBounds:
    """Checks the writes of one operation."""

    limit: CompanyLimit
    find_existing: FindExisting

    async def check_rows(self, writes: Sequence[RowWrite]) -> list[tuple[RowWrite, Problem | None]]:
        """Return each write, and why it must not be sent; None if it may.

        An upsert of a row that is not inside becomes a create. Raises GatewayError if rows cannot be read.
        """
        if not self.limit:
            return [(write, None) for write in writes]
        unclear = [w for w in writes if w.verb is not Verb.CREATE and not self._key_tells(w)]
        existing = await self.find_existing(unclear) if unclear else frozenset()
        return [self._check(w, w not in unclear or w.identity in existing) for w in writes]

    def _check(self, write: RowWrite, exists: bool) -> tuple[RowWrite, Problem | None]:
        if write.verb is Verb.CREATE or write.verb is Verb.UPSERT:
            problem = self._forbidden(write, write.body, is_new=True)
            # An upsert might change a row with this key that lies outside; a create is refused if there is one.
            if problem is None and write.verb is Verb.UPSERT and not exists:
                write = replace(write, verb=Verb.CREATE)
            return write, problem
        # Not FORBIDDEN, which would confirm that another company has a row with this key.
        if not exists or not self._is_inside(write):
            return write, ABSENT
        return write, self._forbidden(write, write.body, is_new=False)

    def _key_tells(self, write: RowWrite) -> bool:
        """Return whether the key tells the legal entity of a row."""
        names = write.key_values.keys()
        return names >= set(self.limit.columns_of(write.csdl, write.entity_set))

    def _is_inside(self, write: RowWrite) -> bool:
        columns = self.limit.columns_of(write.csdl, write.entity_set)
        shared = self.limit.may_be_shared(write.csdl, write.entity_set)
        if not columns:
            return shared
        key = write.key_values
        return all(self.limit.holds(key[c], may_be_shared=shared) for c in columns if c in key)

    def _forbidden(
        self, write: RowWrite, body: Mapping[str, Any], *, is_new: bool
    ) -> Problem | None:
        columns = self.limit.columns_of(write.csdl, write.entity_set)
        shared = self.limit.may_be_shared(write.csdl, write.entity_set)
        if not columns:
            return None if shared else Problem(FORBIDDEN, "Shared data are outside company_limit.")
        for column in columns:
            # A patch that leaves the company alone cannot move the row out of it.
            if column not in body and not is_new:
                continue
            if not self.limit.holds(body.get(column), may_be_shared=shared):
                reason = "is outside company_limit" if column in body else "must be given"
                return Problem(FORBIDDEN, f"The company of the row {reason}.", property=column)
        return None

    async def check_call(self, call: CallWrite) -> Problem | None:
        """Return why a call must not be sent; None if it may. Raises Forbidden for its parameters."""
        if not self.limit:
            return None
        if call.row is None:
            self.limit.check_arguments(call.body)
            return None
        ((_, problem),) = await self.check_rows([call.row])
        if problem is None:
            self.limit.check_arguments(call.body, is_bound=True)
        return problem
