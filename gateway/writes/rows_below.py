"""Completes the rows below rows that are there: what is missing of them is written, and nothing twice.

    as many rows as the mutation has            they are all there
    fewer, and each equals one of the mutation  the others are written, in changesets
    fewer, and one equals none of them; more    DUPLICATE_KEY: another document has this natural key

Rows of a changeset whose answer was lost may still be on their way, so rows count as missing only if they are missing
twice, with a pause between. It reads all rows below, also those that the caller may not see: a row that does not show
must not be written again. Nothing of them is answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gateway.errors import GatewayError
from gateway.odata.error_details import DUPLICATE_KEY
from gateway.odata.literals import parse_value
from gateway.odata.local_filter import comparable
from gateway.planning.plan import Key
from schema.catalog.records import Field

from .binder import Binder
from .outcome import OUTCOME_UNKNOWN, PARTLY_WRITTEN, Outcome, UserError, root_errors
from .plan import ChildWrites, RowWrite
from .row_lookup import RowLookup, Values
from .sender import WriteSender

Missing = list[RowWrite] | UserError
"""The rows to write below a row, or why none is."""


@dataclass(frozen=True, slots=True)
class RowsBelow:
    """Completes the rows below the rows of one operation; ``size`` is the most rows of a changeset."""

    lookup: RowLookup
    sender: WriteSender
    binder: Binder
    size: int
    pause: float
    """Seconds before rows count as missing."""

    async def complete(self, headers: Sequence[Outcome], *, writes: bool = True) -> list[Outcome]:
        """Return the outcomes of rows that are there, with all rows below them.

        Without ``writes`` nothing is written: rows that lack some below are DUPLICATE_KEY. Raises GatewayError.
        """
        missing = await self._missing(headers)
        if not any(missing):
            return list(headers)
        await asyncio.sleep(self.pause)
        missing = await self._missing(headers)
        pairs = zip(headers, missing, strict=True)
        return [await self._completed(header, rows, writes=writes) for header, rows in pairs]

    async def _completed(self, header: Outcome, missing: Missing, *, writes: bool) -> Outcome:
        if isinstance(missing, UserError):
            return replace(header, errors=(missing,))
        if missing and not writes:
            return replace(header, errors=(_differing(header.write, missing[0].entity_set),))
        if missing and self.sender.may_still_run:
            return _incomplete(
                header, (), " The service may still be writing them: send it again later."
            )
        for tries_left in (True, False):
            if not missing:
                return header
            errors = await self._write(missing)
            if not errors:
                return header
            if not any(error.code == OUTCOME_UNKNOWN for error in errors):
                return _incomplete(header, errors)
            await asyncio.sleep(self.pause)
            try:
                (left,) = await self._missing([header])
            except GatewayError:
                return _incomplete(header, errors)
            is_last = not tries_left or self.sender.may_still_run
            if isinstance(left, UserError) or (left and is_last):
                return _incomplete(header, errors)
            missing = left
        return header

    async def _write(self, rows: Sequence[RowWrite]) -> tuple[UserError, ...]:
        """Write rows in changesets; return why one was not written, none if all were."""
        for start in range(0, len(rows), self.size):
            errors = root_errors(await self.sender.write_changeset(rows[start : start + self.size]))
            if errors:
                return errors
        return ()

    # What is missing

    async def _missing(self, headers: Sequence[Outcome]) -> list[Missing]:
        """Return what is missing below each row. Raises GatewayError."""
        groups: dict[Hashable, list[tuple[ChildWrites, Key]]] = {}
        for header in filter(_shows_joins, headers):
            for children in _with_rows(header.write):
                key = self._key(children, header.row or {})
                groups.setdefault(_group(children), []).append((children, key))
        read = {group: await self._read(items) for group, items in groups.items()}
        return [self._missing_of(header, read) for header in headers]

    def _key(self, children: ChildWrites, parent: Values) -> Key:
        """Return the values by which rows are joined to a row."""
        fields = self._targets(children)
        pairs = zip(children.join, fields, strict=True)
        return tuple(_typed(field, parent.get(source)) for (source, _), field in pairs)

    def _targets(self, children: ChildWrites) -> list[Field]:
        info = self.lookup.info(children.field.target)
        return [info.by_source(target) for _, target in children.join]

    async def _read(self, items: Sequence[tuple[ChildWrites, Key]]) -> Mapping[Key, list[Values]]:
        children = items[0][0]
        columns = dict.fromkeys(n for own, _ in items for row in own.rows for n in row.body)
        return await self.lookup.find(
            children.field.target_set or "",
            children.field.target,
            self._targets(children),
            [key for _, key in items],
            columns,
        )

    def _missing_of(
        self, header: Outcome, read: Mapping[Hashable, Mapping[Key, list[Values]]]
    ) -> Missing:
        if not _shows_joins(header):
            return _hidden(header.write)
        missing: list[RowWrite] = []
        for children in _with_rows(header.write):
            key = self._key(children, header.row or {})
            existing = read[_group(children)].get(key, [])
            if len(existing) == len(children.rows):
                continue
            rows = self._unwritten(children.rows, existing)
            if rows is None:
                return _differing(header.write, children.field.target_set or "")
            joined = ChildWrites(children.field, children.join, tuple(rows))
            missing.extend(self.binder.joined(joined, header.row or {}))
        return missing

    def _unwritten(
        self, rows: Sequence[RowWrite], existing: Sequence[Values]
    ) -> list[RowWrite] | None:
        """Return the rows that none of those that exist is; None if one of these is none of the rows."""
        if len(existing) > len(rows):
            return None
        fields = {f.source: f for f in self.lookup.info(rows[0].csdl).fields.values()}
        forms = [self._form(row.body, fields) for row in rows]
        there: Counter[Hashable] = Counter()
        for values in existing:
            own = {name: value for name, value in self._form(values, fields) if name in fields}
            fitting = {form for form in forms if all(own.get(n) == v for n, v in form if n in own)}
            # Rows that set different fields may both fit: which of them it is nobody knows.
            if len(fitting) != 1:
                return None
            there[fitting.pop()] += 1
        unwritten = []
        for row, form in zip(rows, forms, strict=True):
            if there[form]:
                there[form] -= 1
            else:
                unwritten.append(row)
        return unwritten if not +there else None

    def _form(self, values: Values, fields: Mapping[str, Field]) -> tuple[tuple[str, Any], ...]:
        """Return values as they compare: property by property, sorted."""
        insensitive = self.binder.dialect.case_insensitive
        return tuple(
            (name, _comparable(fields.get(name), values[name], insensitive))
            for name in sorted(values)
            if not isinstance(values[name], list | dict)
        )


def _with_rows(write: RowWrite) -> list[ChildWrites]:
    return [children for children in write.children if children.rows]


def _shows_joins(header: Outcome) -> bool:
    """Return whether the caller sees the values by which the rows below a row are joined to it."""
    row = header.row or {}
    return all(row.get(s) is not None for c in _with_rows(header.write) for s, _ in c.join)


def _hidden(write: RowWrite) -> UserError:
    message = (
        "A row with this natural key is there. Whether the rows below it are cannot be looked up, as the"
        " caller does not see what joins them to it."
    )
    return UserError(code=DUPLICATE_KEY, message=message, path=write.place)


def _group(children: ChildWrites) -> Hashable:
    return children.field.declared_by, children.field.source


def _typed(field: Field, value: Any) -> Any:
    kind = field.value
    return value if kind is None or kind.is_enum or value is None else parse_value(kind.edm, value)


def _comparable(field: Field | None, value: Any, case_insensitive: bool) -> Any:
    """Return a value in a form that compares as its type; an unset text equals an empty one."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(value)).normalize()
    if field is not None and field.value is not None and value is not None:
        with suppress(ValueError):
            return comparable(field.value.edm, value, case_insensitive=case_insensitive)
    return "" if value is None else value


def _differing(write: RowWrite, set_name: str) -> UserError:
    message = (
        f"A row with this natural key is there, with other rows of {set_name} below it than this"
        " mutation has: nothing was written."
    )
    return UserError(code=DUPLICATE_KEY, message=message, path=write.place)


def _incomplete(header: Outcome, errors: Iterable[UserError], advice: str = "") -> Outcome:
    error = UserError(
        code=PARTLY_WRITTEN,
        message=f"The row is there, but not all of the rows below it.{advice}",
        path=header.write.place,
    )
    return replace(header, errors=(*errors, error))
