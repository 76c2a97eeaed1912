"""Number sequences and line numbers: values that the service generates (section 5.4).

A sequence continues from the greatest number in the rows of the company, in their form (``US-122`` after ``US-121``). A
number is used once only, even if its row was rolled back.
"""

from __future__ import annotations

import re
import uuid
import zlib
from collections import Counter
from decimal import Decimal

from . import sql
from .store import Storage, Store
from .values import Kind, Stored
from .world import COMPANY

_NUMBERED = re.compile(r"(.*?)(\d{1,17})", re.DOTALL)


class Numbers:
    """Generates the next numbers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[tuple[str, str, Stored], tuple[str, int, int]] = {}

    def next(self, storage: Storage, name: str, company: Stored) -> Stored:
        """Return the next value of a sequence, as it is stored."""
        key = (storage.name, name, company)
        prefix, width, last = self._last.get(key) or self._read_sequence(storage, name, company)
        self._last[key] = (prefix, width, last + 1)
        field = storage.fields[name]
        if field.kind is Kind.GUID:
            # Counted as well, so that Guids are the same in every run.
            salt = zlib.crc32(f"{storage.name}/{name}".encode())
            return str(uuid.UUID(int=(salt << 64) + last + 1))
        if field.kind is Kind.TEXT:
            return f"{prefix}{last + 1:0{width}d}"
        return field.to_stored(last + 1)

    def mark_used(self, storage: Storage, name: str, company: Stored, value: Stored) -> None:
        """Record a number that the caller chose, so that the sequence continues above it."""
        key = (storage.name, name, company)
        prefix, width, last = self._last.get(key) or self._read_sequence(storage, name, company)
        match = _NUMBERED.fullmatch(str(value))
        if match is not None and match[1] == prefix and len(match[2]) == width:
            self._last[key] = (prefix, width, max(last, int(match[2])))

    def count(self, storage: Storage, name: str, group: dict[str, Stored]) -> Stored:
        """Return the number after the greatest one among the rows with these values."""
        rows = self._store.find(storage, group, greatest=name, limit=1)
        last = Decimal(str(rows[0][name])) if rows else Decimal()
        return storage.fields[name].to_stored(int(last) + 1)

    def _read_sequence(self, storage: Storage, name: str, company: Stored) -> tuple[str, int, int]:
        """Return (prefix, digits, greatest number) of the existing values."""
        column = storage.column(name)
        where = sql.TRUE if company is None else sql.equal(storage.column(COMPANY), company)
        rows = self._store.fetch(sql.select([column], storage.table, where))
        values = [str(row[0]) for row in rows]
        if storage.fields[name].kind is Kind.GUID:
            return "", 1, len(values)
        matches = [match for match in map(_NUMBERED.fullmatch, values) if match]
        if not matches:
            return "", 6, 0
        form, _ = Counter((m[1], len(m[2])) for m in matches).most_common(1)[0]
        numbers = [int(m[2]) for m in matches if (m[1], len(m[2])) == form]
        if storage.fields[name].kind is not Kind.TEXT:
            numbers = [int(Decimal(value)) for value in values]
        return form[0], form[1], max(numbers)
