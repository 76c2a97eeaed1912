"""What a row must fulfil: editable fields, lengths, related rows, mandatory fields (sections 5.1 and 5.3)."""

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
    from .writing import Row, Written


class Checks:
    """Validates rows on their way into the store."""

    def __init__(
        self, settings: SandboxSettings, world: World, store: Store, accounts: Accounts
    ) -> None:
        self._settings = settings
        self._world = world
        self._store = store
        self._accounts = accounts

    def editable(self, at: Written, given: Row, row: Row | None) -> Row:
        """Return what may be set; the rest is refused or passed over, a knob ([U], section 5.4)."""
        found: Row = {}
        for name, value in given.items():
            declared = at.storage.fields[name].declared
            if row is None:
                able = declared.allow_edit_on_create
            else:
                able = self.may_change(at, declared)
                if not able and _same(at.storage.fields[name], value, row[name]):
                    continue
            if able:
                found[name] = value
            elif self._settings.read_only_fields == "refuse":
                reason = f"Field '{at.infolog.label(name)}' cannot be edited"
                raise at.infolog.field_failed(name, reason, "update" if row else "create")
        return found

    def may_change(self, at: Written, declared: Property) -> bool:
        """Return whether a property of a stored row may be set: never a part of its key."""
        return declared.allow_edit and declared.name not in self._world.model.key_of(at.type_name)

    def fields(self, at: Written, row: Row, names: Sequence[str], operation: str) -> list[str]:
        """Validate properties one by one; gives those that cannot be judged before the row is complete."""
        postponed = []
        for name in names:
            self._length(at, row, name, operation)
            if self._found(at, row, name, operation) is None:
                postponed.append(name)
        return postponed

    def mandatory(self, at: Written, row: Row, names: Iterable[str], operation: str) -> None:
        """Refuse a row whose required properties are not filled in; names them all."""
        fields = self._world.fields_of(at.type_name)
        missing = [
            f"Field '{at.infolog.label(name)}' must be filled in"
            for name in names
            if name in fields and must_be_sent(fields[name].declared) and self._lacks(at, row, name)
        ]
        if missing:
            raise at.infolog.write_failed(*missing, operation=operation)

    def related(self, at: Written, name: str, row: Row) -> Row | None:
        """Return the row that the value of a property leads to."""
        lookup = at.rules.lookups.get(name) or at.rules.parent
        if lookup is None or not all(own in row for own, _ in lookup.pairs):
            return None
        found = self.leading(at, lookup, row)
        return found[0] if found else None

    def leading(self, at: Written, lookup: Lookup, row: Row) -> list[Row]:
        """Return the row of the lookup's set that a row names, if it is there."""
        storage = self._store.storage(self._world.storage_of_set(lookup.target))
        values = {theirs: row[own] for own, theirs in lookup.pairs}
        sources = {theirs: at.storage.fields[own] for own, theirs in lookup.pairs}
        return self._equal(storage, values, sources)[:1]

    def naming(self, at: Written, lookup: Lookup, row: Row) -> list[Row]:
        """Return the rows of a set whose lookup leads to that row."""
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

    def _found(self, at: Written, row: Row, name: str, operation: str) -> bool | None:
        """Refuse a value that is not found where it must be; None if other values are needed to tell."""
        if name in at.rules.accounts:
            return self._account(at, row, name, operation)
        parent = at.rules.parent
        is_parent = parent is not None and name == parent.property
        lookup = parent if is_parent else at.rules.lookups.get(name)
        field = at.storage.fields[name]
        if lookup is None or not self._settings.foreign_keys or _blank(field, row[name]):
            return True
        if not all(own in row for own, _ in lookup.pairs):
            return None
        if not _names_itself(at, lookup, row) and not self.leading(at, lookup, row):
            raise at.infolog.not_found(name, str(plain(field, row[name])), lookup.target, operation)
        return True

    def _account(self, at: Written, row: Row, name: str, operation: str) -> bool | None:
        kind_name = at.rules.accounts[name]
        if kind_name not in row:
            return None
        kind = str(plain(at.storage.fields[kind_name], row[kind_name]))
        display = str(row[name] or "")
        missing = self._accounts.missing(kind, display, row.get("dataAreaId")) if display else None
        if missing is not None and self._settings.foreign_keys:
            raise at.infolog.not_found(name, *missing, operation)
        return True

    def _length(self, at: Written, row: Row, name: str, operation: str) -> None:
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

    def _lacks(self, at: Written, row: Row, name: str) -> bool:
        if name not in row:
            return True
        field = at.storage.fields[name]
        if name in at.rules.optional or field.kind not in (Kind.TEXT, Kind.MOMENT):
            return row[name] is None and not field.declared.nullable
        return _blank(field, row[name])


def _names_itself(at: Written, lookup: Lookup, row: Row) -> bool:
    """Return whether a row leads to itself, as the first of a hierarchy does."""
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
    seen: Any = plain(source, value)
    return target.to_stored(seen)
