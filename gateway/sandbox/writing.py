"""Creates, updates and deletes rows by F&O's rules.

In F&O's order (section 5.1): the fields in the body are set and validated one by one, then the others get their
defaults, then the row as a whole is validated and written. Rows of other services are written the same way, by the
rules in their metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .accounts import Accounts
from .business import Business
from .checks import Checks
from .infolog import Infolog
from .numbers import Numbers
from .refusal import Refusal
from .rules import Rules, WriteRules
from .seed import TODAY
from .settings import SandboxSettings
from .store import ID, TYPE, Storage, Store
from .values import Stored, fold, plain
from .world import COMPANY, World

Row = dict[str, Stored]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTarget:
    """The set to which a row is written."""

    entity_set: str
    type_name: str
    storage: Storage
    rules: WriteRules
    infolog: Infolog


class RowWriter:
    """Writes rows for one account."""

    def __init__(self, settings: SandboxSettings, world: World, store: Store) -> None:
        self._settings = settings
        self._world = world
        self._store = store
        self._rules = Rules(world)
        self._numbers = Numbers(store)
        self._accounts = Accounts(world, store)
        self._checks = Checks(settings, world, store, self._accounts)
        self._business = Business(store, self._numbers, active=bool(world.catalogue.facts))

    def target(self, entity_set: str, type_name: str | None = None) -> WriteTarget:
        """Return the target of writes to a set; ``type_name`` is that of a row of a derived type."""
        rules = self._rules.of(entity_set)
        return WriteTarget(
            entity_set=entity_set,
            type_name=type_name or self._world.type_of(entity_set),
            storage=self._store.storage(self._world.storage_of_set(entity_set)),
            rules=rules,
            infolog=Infolog(
                self._world, entity_set, self._settings.write_error_status, rules.table
            ),
        )

    def create(self, at: WriteTarget, given: Row) -> int:
        """Create a row, and return its number in the storage. Raises Refusal."""
        row = self._checks.editable_values(at, given, None)
        if self._world.is_scoped(at.type_name):
            row[COMPANY] = self._company(at, given)
        with self._store.transaction():
            postponed = self._checks.validate_fields(at, row, list(row), "create")
            self._fill(at, row)
            self._checks.validate_fields(at, row, postponed, "create")
            self._checks.require_mandatory(at, row, at.storage.fields, "create")
            self._business.derive(at.storage.name, row, given.keys())
            self._business.check(at.infolog, at.storage.name, row, "create")
            key = self._complete_key(at, row)
            self._refuse_duplicate(at, key)
            number = self._store.add(at.storage, at.type_name, row)
            self._note_numbers(at, given, row)
            self._business.update_tables(at.storage.name, row, None)
            self._after(at, row, None)
        return number

    def update(self, at: WriteTarget, row: Row, given: Row, *, replace: bool = False) -> None:
        """Update a row; with ``replace`` properties that are not given get their unset values. Raises Refusal."""
        changes = self._checks.editable_values(at, given, row)
        if replace:
            fields = self._world.fields_of(at.type_name)
            left = {
                name: field.initial
                for name, field in fields.items()
                if name not in given and self._checks.may_change(at, field.declared)
            }
            changes = {**left, **changes}
        after = {**row, **changes}
        with self._store.transaction():
            self._business.check(at.infolog, at.storage.name, row, "update")
            self._checks.validate_fields(at, after, list(changes), "update")
            self._checks.require_mandatory(at, after, changes, "update")
            self._business.derive(at.storage.name, after, changes.keys())
            number = row[ID]
            assert isinstance(number, int)
            self._store.change(
                at.storage, number, {n: after[n] for n in at.storage.fields if after[n] != row[n]}
            )
            self._business.update_tables(at.storage.name, after, row)
            self._after(at, after, row)

    def delete(self, at: WriteTarget, row: Row) -> None:
        """Delete a row with the rows that are parts of it. Raises Refusal if others refer to it."""
        with self._store.transaction():
            self._business.check(at.infolog, at.storage.name, row, "delete")
            for name, lookup, owned in self._rules.dependents(at.entity_set):
                child_at = self.target(name)
                children = self._checks.referring_rows(child_at, lookup, row)
                if child_at.storage is at.storage:
                    children = [child for child in children if child[ID] != row[ID]]
                for child in children if owned else ():
                    self._remove(child_at, child)
                if children and not owned:
                    label = at.infolog.set_label(name)
                    raise at.infolog.failed(
                        f"Error: The record cannot be deleted, because dependent {label} exist",
                        operation="delete",
                    )
            self._remove(at, row)
            self._after(at, None, row)

    def _remove(self, at: WriteTarget, row: Row) -> None:
        number = row[ID]
        assert isinstance(number, int)
        self._store.remove(at.storage, number)
        self._business.update_tables(at.storage.name, None, row)

    def _company(self, at: WriteTarget, given: Row) -> str:
        """Return the company of a new row: the body's, else the caller's default (section 1.2)."""
        company = str(given.get(COMPANY) or self._settings.default_company)
        allowed = self._settings.accessible_companies
        known = (
            self._accounts.company(company)
            if self._world.catalogue.facts
            # Other metadata has no legal entities.
            else fold(company)
        )
        if known is None or (allowed is not None and known not in map(fold, allowed)):
            raise at.infolog.not_found(COMPANY, company, "LegalEntities", "create")
        return known

    def _fill(self, at: WriteTarget, row: Row) -> None:
        """Add numbers and defaults for the properties that the caller did not set."""
        fields, rules = at.storage.fields, at.rules
        company = row.get(COMPANY)
        for name in rules.numbers:
            if name in fields and not row.get(name):
                row[name] = self._numbers.next(at.storage, name, company)
        if rules.counts is not None and rules.counts not in row and rules.parent is not None:
            group = {own: row[own] for own, _ in rules.parent.pairs if own in row}
            row[rules.counts] = self._numbers.count(at.storage, rules.counts, group)
        for name, source in rules.defaults.items():
            if name in fields and name not in row:
                value = self._default(at, row, source)
                if value is not None:
                    row[name] = fields[name].to_stored(value)
        for name, field in fields.items():
            if name not in row and not self._must_be_given(at, name):
                row[name] = field.initial

    def _must_be_given(self, at: WriteTarget, name: str) -> bool:
        declared = at.storage.fields[name].declared
        if name in at.rules.optional or not declared.allow_edit_on_create:
            return False
        return declared.required or name in self._world.model.key_of(at.type_name)

    def _default(self, at: WriteTarget, row: Row, source: str) -> Any:
        """Return the value of a default's text; None if it refers to nothing."""
        if source == "today":
            return TODAY
        if source == "now":
            return f"{TODAY.isoformat()}T12:00:00"
        head, _, tail = source.partition("/")
        if head == "company":
            return self._accounts.ledger(row.get(COMPANY)).get(tail)
        if not source.startswith("@"):
            return source
        if not tail:
            return plain(at.storage.fields[head[1:]], row.get(head[1:]))
        related = self._checks.related_row(at, head[1:], row)
        return None if related is None else related.get(tail)

    def _complete_key(self, at: WriteTarget, row: Row) -> Row:
        key = self._world.model.key_of(at.type_name)
        missing = [name for name in key if name not in row]
        if missing:
            raise Refusal(400, f"The key property '{missing[0]}' of '{at.type_name}' is missing.")
        return {name: row[name] for name in key}

    def _refuse_duplicate(self, at: WriteTarget, key: Row) -> None:
        if key and self._store.find(at.storage, key, limit=1):
            texts = {name: str(value) for name, value in key.items() if name != COMPANY}
            raise at.infolog.duplicate(texts)

    def _note_numbers(self, at: WriteTarget, given: Mapping[str, Stored], row: Row) -> None:
        for name in at.rules.numbers:
            if given.get(name):
                self._numbers.mark_used(at.storage, name, row.get(COMPANY), given[name])

    def _after(self, at: WriteTarget, row: Row | None, before: Row | None) -> None:
        """Update the parent: writes of lines touch the row of their header (section 5.2, [R: G12])."""
        lookup, current = at.rules.parent, row or before
        if lookup is None or current is None:
            return
        storage = self._store.storage(self._world.storage_of_set(lookup.target))
        for parent in self._checks.target_rows(at, lookup, current):
            number = parent[ID]
            assert isinstance(number, int)
            changes = self._business.parent_changes(at.storage.name, parent, row, before)
            self._store.change(storage, number, changes)


def type_of_row(storage: Storage, row: Row) -> str:
    """Return the entity type of a stored row."""
    number = row[TYPE]
    assert isinstance(number, int)
    return storage.types[number]
