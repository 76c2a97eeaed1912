"""Validates rows: editable fields, lengths, related rows, mandatory fields (sections 5.1 and 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from schema.model.records import Property

from .accounts import Accounts
from .refusal import Refusal
from .rules import Lookup, must_be_sent
from .settings import SandboxSettings
from .store import Storage, Store
from .values import Field, Kind, Stored, plain
from .world import World

if TYPE_CHECKING:
    from .writing import Row, WriteTarget


class Checks:
    """Validates rows on their way into the store."""

    def __init__(
        self, settings: SandboxSettings, world: World, store: Store, accounts: Accounts
    ) -> None:
        self._settings = settings
        self._world = world
        self._store = store
        self._accounts = accounts

    def editable_values(self, at: WriteTarget, given: Row, row: Row | None) -> Row:
        """Return the values that may be set; others are refused or ignored, which is a setting ([U], section 5.4)."""
        values: Row = {}
        for name, value in given.items():
            declared = at.storage.fields[name].declared
            if row is None:
                able = declared.allow_edit_on_create
            else:
                able = self.may_change(at, declared)
                if not able and _same(at.storage.fields[name], value, row[name]):
                    continue
            if able:
                values[name] = value
            elif self._settings.read_only_fields == "refuse":
                reason = f"Field '{at.infolog.label(name)}' cannot be edited"
                raise at.infolog.field_failed(name, reason, "update" if row else "create")
        return values

    def may_change(self, at: WriteTarget, declared: Property) -> bool:
        """Return whether a property of a stored row may be set: never a part of its key."""
        return declared.allow_edit and declared.name not in self._world.model.key_of(at.type_name)

    def validate_fields(
        self, at: WriteTarget, row: Row, names: Sequence[str], operation: str
    ) -> list[str]:
        """Validate properties one by one, and return those that cannot be judged before the row is complete."""
        postponed = []
        for name in names:
            self._check_length(at, row, name, operation)
            if self._check_reference(at, row, name, operation) is None:
                postponed.append(name)
        return postponed

    def require_mandatory(
        self, at: WriteTarget, row: Row, names: Iterable[str], operation: str
    ) -> None:
        """Raise Refusal, naming them all, if required properties are not filled in."""
        fields = self._world.fields_of(at.type_name)
        missing = [
            f"Field '{at.infolog.label(name)}' must be filled in"
            for name in names
            if name in fields and must_be_sent(fields[name].declared) and self._lacks(at, row, name)
        ]
        if missing:
            raise at.infolog.write_failed(*missing, operation=operation)

    def related_row(self, at: WriteTarget, name: str, row: Row) -> Row | None:
        """Return the row that a property refers to; None if absent."""
        lookup = at.rules.lookups.get(name) or at.rules.parent
        if lookup is None or not all(own in row for own, _ in lookup.pairs):
            return None
        rows = self.target_rows(at, lookup, row)
        return rows[0] if rows else None

    def target_rows(self, at: WriteTarget, lookup: Lookup, row: Row) -> list[Row]:
        """Return the row that a lookup of a row refers to; empty if it does not exist."""
        storage = self._store.storage(self._world.storage_of_set(lookup.target))
        values = {theirs: row[own] for own, theirs in lookup.pairs}
        sources = {theirs: at.storage.fields[own] for own, theirs in lookup.pairs}
        return self._equal(storage, values, sources)[:1]

    def referring_rows(self, at: WriteTarget, lookup: Lookup, row: Row) -> list[Row]:
        """Return the rows of a set whose lookup refers to this row."""
        target = self._store.storage(self._world.storage_of_set(lookup.target))
        values = {own: row[theirs] for own, theirs in lookup.pairs}
        sources = {own: target.fields[theirs] for own, theirs in lookup.pairs}
        return self._equal(at.storage, values, sources)

    def _equal(self, storage: Storage, values: Row, sources: dict[str, Field]) -> list[Row]:
        return self._store.find(
            storage,
            {
                name: _converted(value, sources[name], storage.fields[name])
                for name, value in values.items()
            },
        )

    def _check_reference(self, at: WriteTarget, row: Row, name: str, operation: str) -> bool | None:
        """Raise Refusal for a value that its related set does not hold; None if other values are needed to tell."""
        if name in at.rules.accounts:
            return self._check_account(at, row, name, operation)
        parent = at.rules.parent
        is_parent = parent is not None and name == parent.property
        lookup = parent if is_parent else at.rules.lookups.get(name)
        field = at.storage.fields[name]
        if lookup is None or not self._settings.foreign_keys or _blank(field, row[name]):
            return True
        if not all(own in row for own, _ in lookup.pairs):
            return None
        if not _refers_to_itself(at, lookup, row) and not self.target_rows(at, lookup, row):
            raise at.infolog.not_found(name, str(plain(field, row[name])), lookup.target, operation)
        return True

    def _check_account(self, at: WriteTarget, row: Row, name: str, operation: str) -> bool | None:
        kind_name = at.rules.accounts[name]
        if kind_name not in row:
            return None
        kind = str(plain(at.storage.fields[kind_name], row[kind_name]))
        display = str(row[name] or "")
        missing = self._accounts.missing(kind, display, row.get("dataAreaId")) if display else None
        if missing is not None and self._settings.foreign_keys:
            raise at.infolog.not_found(name, *missing, operation)
        return True

    def _check_length(self, at: WriteTarget, row: Row, name: str, operation: str) -> None:
        limit = at.storage.fields[name].declared.max_length
        value = row[name]
        if limit is None or not isinstance(value, str) or len(value) <= limit:
            return
        if self._settings.long_strings == "truncate":
            row[name] = value[:limit]
            return
        reason = f"The value in field '{at.infolog.label(name)}' is longer than {limit} characters"
        if not self._world.finops:
            raise Refusal(400, f"{reason}.")
        raise at.infolog.field_failed(name, reason, operation)

    def _lacks(self, at: WriteTarget, row: Row, name: str) -> bool:
        if name not in row:
            return True
        field = at.storage.fields[name]
        if name in at.rules.optional or field.kind not in (Kind.TEXT, Kind.MOMENT):
            return row[name] is None and not field.declared.nullable
        return _blank(field, row[name])


def _refers_to_itself(at: WriteTarget, lookup: Lookup, row: Row) -> bool:
    """Return whether a row refers to itself, as the top of a hierarchy does."""
    if lookup.target != at.entity_set:
        return False
    return all(row.get(own) == row.get(theirs) for own, theirs in lookup.pairs)


def _blank(field: Field, stored: Stored) -> bool:
    return stored is None or (not field.has_nulls and stored == field.unset)


def _same(field: Field, one: Stored, other: Stored) -> bool:
    if field.kind is Kind.TEXT and one is not None and other is not None:
        return field.shadow(one) == field.shadow(other)
    return one == other


def _converted(value: Stored, source: Field, target: Field) -> Stored:
    """Return a stored value as another property stores it."""
    if source.kind is target.kind and source.kind is not Kind.ENUM:
        return value
    json_value: Any = plain(source, value)
    return target.to_stored(json_value)
