"""The rows, in SQLite through SQLAlchemy Core.

A storage is one table: the rows of a set, of several sets that are versions of one entity, or of
contained entities of a type. Tables are made and filled when a request first touches them, so a
document of thousands of sets starts at once. Statements run on the event loop: they are short, and
a thread hop costs more than most of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from .values import SHADOWED, Field, Kind, Stored
from .world import COMPANY, World

ID, TAG, TYPE = "_id", "_tag", "_type"
_SQL_TYPES: dict[Kind, type[sa.types.TypeEngine[Any]]] = {
    Kind.INTEGER: sa.BigInteger,
    Kind.BOOLEAN: sa.Integer,
    Kind.ENUM: sa.Integer,
    Kind.REAL: sa.Float,
}
Row = Mapping[str, Any]


class RowSource(Protocol):
    """Where the first rows of a storage come from."""

    def rows(self, storage: str) -> Iterable[Row]:
        """Give rows by property name; ``@type`` names the entity type where a storage holds several."""
        ...


@dataclass(frozen=True, slots=True)
class Storage:
    """One table and what its columns hold."""

    name: str
    table: sa.FromClause
    """The table, or an alias of it where a statement uses it twice."""
    fields: Mapping[str, Field]
    types: tuple[str, ...]

    def column(self, name: str) -> sa.ColumnElement[Any]:
        """Give the column that is answered."""
        return self.table.c[name]

    def compared(self, name: str) -> sa.ColumnElement[Any]:
        """Give the column that filters, joins and orders use."""
        return (
            self.table.c[_shadow(name)]
            if self.fields[name].kind in SHADOWED
            else self.table.c[name]
        )


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
        self._metadata = sa.MetaData()
        url = "sqlite://" if database == ":memory:" else f"sqlite:///{database}"
        self._engine = sa.create_engine(
            url, poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._claim(database, fingerprint)

    def _claim(self, database: str, fingerprint: str) -> None:
        """Note whose rows a file holds; ValueError if they are of another document, scale or seed."""
        marks = sa.Table("_sandbox", self._metadata, sa.Column("fingerprint", sa.Text))
        if not sa.inspect(self._connection).has_table(marks.name):
            self._connection.execute(sa.schema.CreateTable(marks))
            self._connection.execute(marks.insert().values(fingerprint=fingerprint))
        found = self._connection.execute(sa.select(marks.c.fingerprint)).scalar_one()
        if found != fingerprint:
            self.close()
            raise ValueError(f"{database} holds the rows of '{found}', not of '{fingerprint}'")

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def storage(self, name: str) -> Storage:
        """Give a storage, made and filled if this is the first touch."""
        found = self._storages.get(name)
        if found is None:
            found = self._make(name)
            if not sa.inspect(self._connection).has_table(name):
                with self._transaction():
                    self._create(found)
            self._storages[name] = found
        return found

    def fetch(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return self._connection.execute(statement).all()

    def count(self, storage: Storage, condition: sa.ColumnElement[bool]) -> int:
        statement = sa.select(sa.func.count()).select_from(storage.table).where(condition)
        return int(self._connection.execute(statement).scalar_one())

    def insert(self, name: str, rows: Iterable[Row]) -> None:
        """Put rows into a set's storage: unset properties get their unset values. For seeds and tests."""
        storage = self.storage(self.world.storage_of_set(name))
        with self._transaction():
            self._load(storage, rows, recversion=1)

    def delete(self, name: str, **values: Any) -> int:
        """Remove the rows whose properties equal the values; gives how many there were."""
        storage = self.storage(self.world.storage_of_set(name))
        tests = [storage.column(n) == storage.fields[n].to_stored(v) for n, v in values.items()]
        return self._connection.execute(sa.delete(self._table(storage)).where(*tests)).rowcount

    def _make(self, name: str) -> Storage:
        types = self.world.types_in(name)
        fields: dict[str, Field] = {}
        for type_name in types:
            fields.update(self.world.fields_of(type_name))
        columns: list[sa.Column[Any]] = [
            sa.Column(ID, sa.Integer, primary_key=True),
            sa.Column(TAG, sa.Text),
            sa.Column(TYPE, sa.Integer),
        ]
        taken = {ID, TAG, TYPE}
        for field in fields.values():
            column = _free(field.name, taken)
            columns.append(sa.Column(column, _SQL_TYPES.get(field.kind, sa.Text), key=field.name))
            if field.kind in SHADOWED:
                columns.append(sa.Column(_shadow(column), sa.Text, key=_shadow(field.name)))
        return Storage(name, sa.Table(name, self._metadata, *columns), fields, types)

    def _create(self, storage: Storage) -> None:
        self._connection.execute(sa.schema.CreateTable(self._table(storage)))
        self._load(storage, self._source.rows(storage.name), recversion=0)
        for number, name in enumerate(self._joined(storage)):
            index = sa.Index(f"ix_{storage.name}_{number}", storage.compared(name))
            self._connection.execute(sa.schema.CreateIndex(index))

    def _joined(self, storage: Storage) -> list[str]:
        """Give the properties worth an index: keys and what navigations join on, without the company."""
        names: dict[str, None] = {}
        for type_name in storage.types:
            names.update(dict.fromkeys(self.world.model.key_of(type_name)))
            for navigation in self.world.model.navigations_of(type_name):
                names.update({pair.property: None for pair in self.world.join_of(navigation)})
        return [n for n in names if n != COMPANY and n in storage.fields]

    def _load(self, storage: Storage, rows: Iterable[Row], *, recversion: int) -> None:
        fields = list(storage.fields.values())
        count = 3 + sum(2 if f.kind in SHADOWED else 1 for f in fields)
        first = self._next_id(storage)
        tag = _Tags(storage, self.world, recversion)
        type_numbers = {name: number for number, name in enumerate(storage.types)}
        defaults = [(f, f.unset, f.shadow(f.unset) if f.kind in SHADOWED else None) for f in fields]
        values: list[tuple[Stored, ...]] = []
        for number, row in enumerate(rows, first):
            cells: list[Stored] = [
                number,
                tag.of(number),
                type_numbers.get(row.get("@type", ""), 0),
            ]
            for field, unset, unset_shadow in defaults:
                _append(cells, row, field, unset, unset_shadow)
            values.append(tuple(cells))
        if values:
            marks = ",".join("?" * count)
            table = self._connection.dialect.identifier_preparer.format_table(self._table(storage))
            self._connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.exec_driver_sql("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.exec_driver_sql("ROLLBACK")
            raise
        self._connection.exec_driver_sql("COMMIT")

    def _table(self, storage: Storage) -> sa.Table:
        return self._metadata.tables[storage.name]

    def _next_id(self, storage: Storage) -> int:
        last = self._connection.execute(sa.select(sa.func.max(storage.table.c[ID]))).scalar()
        return (last or 0) + 1


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
    """Give a column name that differs from the others also without case: SQLite has no other names."""
    free = name
    while free.casefold() in taken:
        free += "_"
    taken.add(free.casefold())
    return free


class _Tags:
    """The content of etags: ``'RecVersion,RecId;…'``, a pair per data source (section 5.2)."""

    def __init__(self, storage: Storage, world: World, recversion: int) -> None:
        facts = world.catalogue.facts.get(storage.name)
        self._sources = 1 if facts is None else facts.sources
        self._base = 5_637_144_576 + zlib.crc32(storage.name.encode()) % 10_000 * 1_000_000
        self._recversion = recversion

    def of(self, number: int) -> str:
        edited = (
            number % 7 == 3
        )  # some rows were changed since they were made: their version is a random-looking Int32
        version = (
            75_000_468 + number * 7919 if edited and not self._recversion else self._recversion
        )
        pairs = [f"{version},{self._base + number}"]
        pairs += [
            "1,68719482794" if s == 1 and number % 2 else "0,0" for s in range(1, self._sources)
        ]
        return f"'{';'.join(pairs)}'"
