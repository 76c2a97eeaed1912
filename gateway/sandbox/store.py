"""Stores the rows in SQLite.

A storage is one table: the rows of a set, of several sets that are versions of one entity, or of contained entities of
a type. Tables are created and filled at their first use, so a document of thousands of sets starts at once. Statements
run on the event loop: they are short, and handing them to a thread costs more than most of them.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from . import sql
from .data_events import DataEvents
from .sql import Sql, Table, quote
from .values import SHADOWED, Field, Kind, Stored, plain
from .world import COMPANY, World

ID, TAG, TYPE = "_id", "_tag", "_type"
_SQL_TYPES = {
    Kind.INTEGER: "BIGINT",
    Kind.BOOLEAN: "INTEGER",
    Kind.ENUM: "INTEGER",
    Kind.REAL: "FLOAT",
}
Row = Mapping[str, Any]


class RowSource(Protocol):
    """Provides the initial rows of a storage."""

    def rows(self, storage: str) -> Iterable[Row]:
        """Return rows by property name; ``@type`` names the entity type if a storage holds several."""
        ...


@dataclass(frozen=True, slots=True)
class Storage:
    """One table and what its columns hold."""

    name: str
    table: Table
    """The table, under another name if a statement uses it twice."""
    fields: Mapping[str, Field]
    types: tuple[str, ...]

    def column(self, name: str) -> Sql:
        """Return the column with the value itself."""
        return self.table.columns[name]

    def compared(self, name: str) -> Sql:
        """Return the column that filters, joins and orders use."""
        return (
            self.table.columns[_shadow(name)]
            if self.fields[name].kind in SHADOWED
            else self.table.columns[name]
        )


def _compared(storage: Storage, name: str) -> str:
    """Return the key of the column that comparisons use."""
    field = storage.fields.get(name)
    return _shadow(name) if field is not None and field.kind in SHADOWED else name


def _comparing(storage: Storage, name: str, value: Stored) -> Stored:
    """Return a stored value as the comparing column holds it."""
    field = storage.fields.get(name)
    return field.shadow(value) if field is not None and field.kind in SHADOWED else value


def _quoted(storage: Storage) -> str:
    return quote(storage.name)


def _name(storage: Storage, key: str) -> str:
    """Return the quoted name of a column by its key."""
    return quote(storage.table.names[key])


def _shadow(name: str) -> str:
    return f"{name}~"


class Store:
    """Every storage of a world."""

    def __init__(
        self, world: World, source: RowSource, database: str, fingerprint: str = ""
    ) -> None:
        self.world = world
        self._source = source
        self._storages: dict[str, Storage] = {}
        self._depth = 0
        self._afterwards: list[Callable[[], None]] = []
        self.events: DataEvents | None = None
        """Told of each row that is written; None: nobody is."""
        self._last_ids: dict[str, int] = {}
        # One connection for all: a database in memory lives only as long as its connection. The driver begins no
        # transactions, so that those of ``transaction`` are the only ones.
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self._claim(database, fingerprint)

    def _claim(self, database: str, fingerprint: str) -> None:
        """Record whose rows a file holds. Raises ValueError if they are of another document, scale or seed."""
        if not self._has_table("_sandbox"):
            self._connection.execute("CREATE TABLE _sandbox (fingerprint TEXT)")
            self._connection.execute("INSERT INTO _sandbox VALUES (?)", (fingerprint,))
        (actual,) = self._connection.execute("SELECT fingerprint FROM _sandbox").fetchone()
        if actual != fingerprint:
            self.close()
            raise ValueError(f"{database} holds the rows of '{actual}', not of '{fingerprint}'")

    def close(self) -> None:
        self._connection.close()

    def _has_table(self, name: str) -> bool:
        return bool(self._connection.execute(f"PRAGMA table_info({quote(name)})").fetchall())

    def storage(self, name: str) -> Storage:
        """Return a storage, which is created and filled at its first use."""
        storage = self._storages.get(name)
        if storage is None:
            storage = self._make(name)
            if not self._has_table(name):
                with self.transaction():
                    self._create(storage)
            self._storages[name] = storage
        return storage

    def fetch(self, statement: Sql) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(statement.text, statement.values).fetchall()

    def count(self, storage: Storage, condition: Sql) -> int:
        ((number,),) = self.fetch(sql.select([Sql("COUNT(*)")], storage.table, condition))
        return int(number)

    def insert(self, name: str, rows: Iterable[Row]) -> None:
        """Insert rows into a set's storage; missing properties get their unset values. For seeds and tests."""
        storage = self.storage(self.world.storage_of_set(name))
        with self.transaction():
            self._load(storage, rows, recversion=1)

    def delete(self, name: str, **values: Any) -> int:
        """Delete the rows whose properties equal the values, and return their number."""
        storage = self.storage(self.world.storage_of_set(name))
        fields = storage.fields
        tests = (sql.equal(storage.column(n), fields[n].to_stored(v)) for n, v in values.items())
        test = sql.all_of(*tests)
        self._last_ids[storage.name] = self._next_id(storage) - 1
        statement = f"DELETE FROM {_quoted(storage)} WHERE {test.text}"  # noqa: S608 - our own names
        return self._connection.execute(statement, test.values).rowcount

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        """Return the rows of a set whose properties equal the values, as JSON. For tests."""
        storage = self.storage(self.world.storage_of_set(name))
        rows = self.find(storage, {n: storage.fields[n].to_stored(v) for n, v in values.items()})
        own = self.world.fields_of(self.world.type_of(name))
        return [{n: plain(f, row[n]) for n, f in own.items()} for row in rows]

    def find(
        self,
        storage: Storage,
        values: Mapping[str, Stored],
        *,
        greatest: str | None = None,
        limit: int = -1,
    ) -> list[dict[str, Stored]]:
        """Return whole rows that have these values, compared as filters compare; null equals nothing.

        Rows are stored values by property, with ``_id``, ``_tag`` and ``_type``, in the order of their creation, or
        those with the greatest value of a property first. In plain SQL: a write needs some ten of these.
        """
        names = (ID, TAG, TYPE, *storage.fields)
        tests = " AND ".join(f"{_name(storage, _compared(storage, n))}=?" for n in values)
        order = "" if greatest is None else f"{_name(storage, _compared(storage, greatest))} DESC,"
        statement = (
            f"SELECT {','.join(_name(storage, n) for n in names)} FROM {_quoted(storage)}"  # noqa: S608 - our own names
            f" WHERE {tests or 1} ORDER BY {order}{ID} LIMIT {limit}"
        )
        parameters = tuple(_comparing(storage, n, value) for n, value in values.items())
        rows = self._connection.execute(statement, parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def add(self, storage: Storage, type_name: str, values: Mapping[str, Stored]) -> int:
        """Insert one row of stored values, and return its ``_id``. Its RecVersion is 1 (section 5.2)."""
        number = self._next_id(storage)
        self._last_ids[storage.name] = number
        cells = {
            ID: number,
            TAG: _Tags(storage, self.world, recversion=1).of(number),
            TYPE: storage.types.index(type_name),
            **_shadowed(storage, {n: values.get(n, f.initial) for n, f in storage.fields.items()}),
        }
        names = ",".join(_name(storage, n) for n in cells)
        marks = ",".join("?" * len(cells))
        self._connection.execute(
            f"INSERT INTO {_quoted(storage)} ({names}) VALUES ({marks})",  # noqa: S608 - our own names
            tuple(cells.values()),
        )
        return number

    def change(self, storage: Storage, number: int, values: Mapping[str, Stored]) -> None:
        """Update properties of the row with that ``_id``; its RecVersion changes even without any."""
        tag = str(self.find(storage, {ID: number})[0][TAG])
        cells = {TAG: _next_tag(tag), **_shadowed(storage, values)}
        changes = ",".join(f"{_name(storage, n)}=?" for n in cells)
        self._connection.execute(
            f"UPDATE {_quoted(storage)} SET {changes} WHERE {ID}=?",  # noqa: S608 - our own names
            (*cells.values(), number),
        )

    def remove(self, storage: Storage, number: int) -> None:
        """Delete the row with that ``_id``."""
        self._last_ids[storage.name] = self._next_id(storage) - 1
        self._connection.execute(
            f"DELETE FROM {_quoted(storage)} WHERE {ID}=?",  # noqa: S608 - our own names
            (number,),
        )

    def _make(self, name: str) -> Storage:
        types = self.world.types_in(name)
        fields: dict[str, Field] = {}
        for type_name in types:
            fields.update(self.world.fields_of(type_name))
        names = {ID: ID, TAG: TAG, TYPE: TYPE}
        taken = {ID, TAG, TYPE}
        for field in fields.values():
            column = _free(field.name, taken)
            names[field.name] = column
            if field.kind in SHADOWED:
                names[_shadow(field.name)] = _shadow(column)
        return Storage(name, sql.table_of(name, names), fields, types)

    def _create(self, storage: Storage) -> None:
        types = {ID: "INTEGER PRIMARY KEY", TYPE: "INTEGER"}
        types |= {n: _SQL_TYPES.get(f.kind, "TEXT") for n, f in storage.fields.items()}
        columns = ",".join(
            f"{quote(name)} {types.get(key, 'TEXT')}" for key, name in storage.table.names.items()
        )
        self._connection.execute(f"CREATE TABLE {_quoted(storage)} ({columns})")
        self._load(storage, self._source.rows(storage.name), recversion=0)
        keys = dict.fromkeys(self.world.model.key_of(name) for name in storage.types)
        indexed = [*keys, *((name,) for name in self._joined(storage))]
        for number, names in enumerate(names for names in indexed if names):
            compared = ",".join(_name(storage, _compared(storage, name)) for name in names)
            index = quote(f"ix_{storage.name}_{number}")
            self._connection.execute(f"CREATE INDEX {index} ON {_quoted(storage)} ({compared})")

    def _joined(self, storage: Storage) -> list[str]:
        """Return the properties to index: keys and what navigations join on, without the company."""
        names: dict[str, None] = {}
        for type_name in storage.types:
            names.update(dict.fromkeys(self.world.model.key_of(type_name)))
            for navigation in self.world.model.navigations_of(type_name):
                names.update({pair.property: None for pair in self.world.join_of(navigation)})
        return [n for n in names if n != COMPANY and n in storage.fields]

    def _load(self, storage: Storage, rows: Iterable[Row], *, recversion: int) -> None:
        tags = _Tags(storage, self.world, recversion)
        cells = _cells_of(storage, rows, self._next_id(storage), tags)
        if cells:
            marks = ",".join("?" * len(cells[0]))
            statement = f"INSERT INTO {_quoted(storage)} VALUES ({marks})"  # noqa: S608 - our own names
            self._connection.executemany(statement, cells)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run statements all or nothing; inside another transaction, as a part of it that may fail alone."""
        existing, announced = set(self._storages), len(self._afterwards)
        self._depth += 1
        mark = f"level_{self._depth}"
        begin, rollback, commit = (
            ("BEGIN", "ROLLBACK", "COMMIT")
            if self._depth == 1
            else (f"SAVEPOINT {mark}", f"ROLLBACK TO {mark}", f"RELEASE {mark}")
        )
        self._connection.execute(begin)
        try:
            yield
        except BaseException:
            self._connection.execute(rollback)
            self._forget(self._storages.keys() - existing)
            del self._afterwards[announced:]
            raise
        else:
            self._connection.execute(commit)
        finally:
            self._depth -= 1
        self._settle()

    def after_commit(self, act: Callable[[], None]) -> None:
        """Do something once the outermost transaction is committed: at once if there is none."""
        self._afterwards.append(act)
        self._settle()

    def _settle(self) -> None:
        if self._depth == 0:
            acts, self._afterwards = self._afterwards, []
            for act in acts:
                act()

    def _forget(self, names: set[str]) -> None:
        """Forget tables whose creation was rolled back."""
        for name in names:
            del self._storages[name]

    def _next_id(self, storage: Storage) -> int:
        """Return a number that no row has or had: record ids are used once only."""
        statement = f"SELECT MAX({ID}) FROM {_quoted(storage)}"  # noqa: S608 - our own names
        (last,) = self._connection.execute(statement).fetchone()
        return max(last or 0, self._last_ids.get(storage.name, 0)) + 1


def _cells_of(
    storage: Storage, rows: Iterable[Row], first: int, tags: _Tags
) -> list[tuple[Stored, ...]]:
    """Return the cells of rows in the order of the table's columns; ``first`` is the ``_id`` of the first row."""
    fields = storage.fields.values()
    defaults = [(f, f.unset, f.shadow(f.unset) if f.kind in SHADOWED else None) for f in fields]
    type_numbers = {name: number for number, name in enumerate(storage.types)}
    result: list[tuple[Stored, ...]] = []
    for number, row in enumerate(rows, first):
        cells: list[Stored] = [
            number,
            tags.of(number),
            type_numbers.get(row.get("@type", ""), 0),
        ]
        for field, unset, unset_shadow in defaults:
            _append(cells, row, field, unset, unset_shadow)
        result.append(tuple(cells))
    return result


def _append(
    cells: list[Stored], row: Row, field: Field, unset: Stored, unset_shadow: str | None
) -> None:
    if field.name in row:
        stored = field.to_stored(row[field.name])
        cells.append(stored)
        if field.kind in SHADOWED:
            cells.append(field.shadow(stored))
        return
    cells.append(unset)
    if field.kind in SHADOWED:
        cells.append(unset_shadow)


def _free(name: str, taken: set[str]) -> str:
    """Return a column name that differs from the others regardless of case, as SQLite requires."""
    free = name
    while free.casefold() in taken:
        free += "_"
    taken.add(free.casefold())
    return free


def _shadowed(storage: Storage, values: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return the cells of stored values, with those that comparing uses."""
    cells = dict(values)
    for name, stored in values.items():
        field = storage.fields[name]
        if field.kind in SHADOWED:
            cells[_shadow(name)] = field.shadow(stored)
    return cells


def _next_tag(tag: str) -> str:
    """Return a tag whose first RecVersion is another, random-looking one (section 5.2)."""
    version, _, rest = tag.removeprefix("'").partition(",")
    return f"'{zlib.crc32(f'{version}/{rest}'.encode()) % 2_147_483_647 + 2},{rest}"


class _Tags:
    """The content of etags: ``'RecVersion,RecId;…'``, a pair per data source (section 5.2)."""

    def __init__(self, storage: Storage, world: World, recversion: int) -> None:
        facts = world.catalogue.facts.get(storage.name)
        self._sources = 1 if facts is None else facts.sources
        self._base = 5_637_144_576 + zlib.crc32(storage.name.encode()) % 10_000 * 1_000_000
        self.recversion = recversion

    def of(self, number: int) -> str:
        # Some rows have been changed since they were created: their version is a random-looking Int32.
        edited = number % 7 == 3
        version = 75_000_468 + number * 7919 if edited and not self.recversion else self.recversion
        pairs = [f"{version},{self._base + number}"]
        pairs += [
            "1,68719482794" if s == 1 and number % 2 else "0,0" for s in range(1, self._sources)
        ]
        return f"'{';'.join(pairs)}'"
