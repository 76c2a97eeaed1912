"""Records the writes of an operation in the audit log: one line for each row or call, and what became of it.

With ``audit.required`` a write is announced before anything of it is sent: an intent without an outcome shows where a
process ended. If the intent cannot be recorded, the write is refused (AuditUnavailable).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from msgspec import structs

from gateway.audit.entries import Entry, OutcomeWord
from gateway.audit.log import AuditLog
from gateway.errors import AuditUnavailable, GatewayError, NotSent, OutcomeUnknown, RequestError
from gateway.identity.caller import Caller
from gateway.identity.who import who_of
from gateway.odata.error_details import Problem
from gateway.process.masking import mask
from gateway.request import ValidOperation

from .outcome import NOT_SENT, OUTCOME_UNKNOWN, ROLLED_BACK, Outcome
from .plan import CallWrite, RowWrite

_LONGEST = 200
"""Characters of a recorded value."""
_WORDS: Mapping[str, OutcomeWord] = {
    OUTCOME_UNKNOWN: "unknown",
    ROLLED_BACK: "rolled_back",
    NOT_SENT: "not_sent",
    AuditUnavailable.code: "not_sent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAudit:
    """What the writes of all operations are recorded with."""

    log: AuditLog
    environment: str
    company_property: str | None
    """Property that holds the legal entity of a row."""
    values: Sequence[str] = ()
    """Patterns of the properties, as ``Set.Property``, whose values are recorded."""

    def trail(
        self,
        *,
        caller: Caller,
        client: str | None,
        request: str | None,
        operation: str | None,
        document: str,
        companies: tuple[str, ...] | None,
    ) -> WriteTrail:
        """Return the trail of one mutation operation."""
        common = Entry(
            kind="write",
            who=who_of(caller),
            client=client,
            request=request[:_LONGEST] if request else secrets.token_hex(8),
            environment=self.environment,
            operation=operation,
            operation_hash=hashlib.sha256(document.encode()).hexdigest(),
            companies=companies or (),
        )
        return WriteTrail(self, common)


class WriteTrail:
    """The entries of one operation."""

    def __init__(self, audit: WriteAudit, common: Entry) -> None:
        self._audit = audit
        self._log = audit.log
        self._common = common
        self._fields = {name: getattr(common, name) for name in common.__struct_fields__}

    async def announce(self, entries: Sequence[Entry]) -> None:
        """Record that writes are about to be sent, if that is required. Raises AuditUnavailable."""
        if not self._log.required:
            return
        try:
            await self._log.recorded(structs.replace(entry, kind="intent") for entry in entries)
        except BaseException:
            # Some of them may have been written: they must not look as if the process had ended.
            for entry in entries:
                self._log.record(structs.replace(entry, outcome="not_sent"))
            raise

    def abandon(self, entries: Sequence[Entry]) -> None:
        """Record writes whose sending ended in a bug, or was cancelled: nobody knows what became of them."""
        for entry in entries:
            self._log.record(structs.replace(entry, outcome="unknown"))

    async def close(self, entries: Sequence[Entry]) -> None:
        """Record what became of writes. They have been sent, so a failure of the log stops nothing here."""
        if not self._log.required:
            for entry in entries:
                self._log.record(entry)
            return
        try:
            await self._log.recorded(entries)
        except AuditUnavailable:
            return  # the log reports it, and refuses the next write

    def entries_of(self, writes: Sequence[RowWrite]) -> list[Entry]:
        """Return the entries of rows, without outcomes."""
        return [self._row(write) for write in writes]

    def entries_of_existing(self, writes: Sequence[RowWrite]) -> list[Entry]:
        """Return the entries of rows that were found by their natural keys: nothing of them was set."""
        return list(map(as_existing, self.entries_of(writes)))

    def entry_of_call(self, call: CallWrite) -> Entry:
        """Return the entry of a call, without its outcome."""
        row, path = call.row, call.path.partition("?")[0]
        return self._entry(
            write=self._log.number(),
            verb="call",
            call=path,
            set=None if row is None else row.entity_set,
            key={} if row is None else row.key_values,
            fields=tuple(call.body),
            values=self._values(path.rpartition("/")[2].rpartition(".")[2], call.body),
        )

    def _row(self, write: RowWrite) -> Entry:
        keys = write.key_values
        name = self._audit.company_property
        company = None if name is None else keys.get(name, write.body.get(name))
        return self._entry(
            write=self._log.number(),
            verb=write.verb.value,
            set=write.entity_set,
            key=keys,
            company=None if company is None else str(company),
            fields=tuple(write.body),
            values=self._values(write.entity_set, write.body),
        )

    def _entry(self, **facts: Any) -> Entry:
        at = Entry(kind="write", who=self._common.who).at
        return Entry(**{**self._fields, "at": at, **facts})

    def _values(self, owner: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        patterns = self._audit.values
        return {
            name: _recordable(value)
            for name, value in body.items()
            if any(fnmatchcase(f"{owner}.{name}", pattern) for pattern in patterns)
        }


def as_existing(entry: Entry) -> Entry:
    """Return the entry of a write that was found done: nothing was sent."""
    return structs.replace(entry, outcome="existed", fields=(), values={})


def with_outcome(entry: Entry, outcome: Outcome, request_id: str | None) -> Entry:
    """Return the entry of a row with what became of it. ``request_id``: the upstream's, if its answer has one."""
    code = outcome.errors[0].code if outcome.errors else None
    word: OutcomeWord = "done"
    if code is not None:
        is_refused = outcome.cause is None or isinstance(outcome.cause, RequestError)
        word = _WORDS.get(code) or ("refused" if is_refused else "failed")
    cause = None if outcome.cause is None else outcome.cause.upstream_request_id
    keys = outcome.write.key_values or entry.key
    presets = (name for name in outcome.write.body if name in outcome.write.presets)
    entry = structs.replace(entry, fields=tuple(dict.fromkeys((*entry.fields, *presets))))
    return _closed(entry, word, code, request_id or cause, key=keys)


def with_result(entry: Entry, problems: Sequence[Problem], request_id: str | None) -> Entry:
    """Return the entry of a call with what became of it."""
    code = problems[0].code if problems else None
    return _closed(entry, "refused" if problems else "done", code, request_id, key=entry.key)


def with_error(entry: Entry, error: GatewayError) -> Entry:
    """Return the entry of a call that failed."""
    word: OutcomeWord = "failed"
    if isinstance(error, OutcomeUnknown):
        word = "unknown"
    elif isinstance(error, NotSent):
        word = "not_sent"
    elif isinstance(error, RequestError):
        word = "refused"
    return _closed(entry, word, error.code, error.upstream_request_id, key=entry.key)


def _closed(
    entry: Entry,
    word: OutcomeWord,
    code: str | None,
    request_id: str | None,
    *,
    key: Mapping[str, Any],
) -> Entry:
    at = Entry(kind="write", who=entry.who).at
    return structs.replace(
        entry, at=at, outcome=word, code=code, upstream_request=request_id, key=key
    )


def _recordable(value: object) -> object:
    """Return a value as it is recorded: texts are cut off, and credentials in them masked."""
    if not isinstance(value, str):
        return value
    masked = mask(value)
    return masked if len(masked) <= _LONGEST else f"{masked[:_LONGEST]}…"


def trail_of(audit: WriteAudit, operation: ValidOperation) -> WriteTrail:
    """Return where the writes of an operation are recorded."""
    request, name = operation.request, operation.operation.name
    return audit.trail(
        caller=request.caller,
        client=request.client,
        request=request.request_id,
        operation=None if name is None else name.value,
        document=request.query,
        companies=request.companies,
    )
