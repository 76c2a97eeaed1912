"""Parts of SQL hold together as they were put together, and values are bound."""

from __future__ import annotations

import sqlite3

from gateway.sandbox import sql
from gateway.sandbox.sql import Sql

A, B, C = (sql.compare(Sql(name), "=", 1) for name in "abc")


def test_looser_parts_are_put_in_parentheses() -> None:
    either = sql.any_of(A, B)
    assert sql.all_of(either, sql.TRUE, C).text == "(a = ? OR b = ?) AND c = ?"
    assert sql.any_of(sql.all_of(A, B), C).text == "a = ? AND b = ? OR c = ?"
    assert sql.any_of(sql.negated(either), A).text == "NOT (a = ? OR b = ?) OR a = ?"
    assert sql.compare(A, "IS", B).text == "(a = ?) IS (b = ?)"
    assert sql.negated(sql.negated(either)).text == "(a = ? OR b = ?)"
    assert (sql.all_of(), sql.any_of()) == (sql.TRUE, sql.FALSE)


def test_statements_read_what_they_say() -> None:
    table = sql.table_of('odd "name"', {"key": 'a "b"', "other": "order"})
    connection = sqlite3.connect(":memory:")
    name = sql.quote(table.name)
    connection.execute(f"CREATE TABLE {name} ({', '.join(map(sql.quote, table.names.values()))})")
    rows = [("x%", 1), ("xy", None), ("z", 3)]
    connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
    key, other = table.columns["key"], table.columns["other"]

    def read(where: Sql, *, nulls_last: bool = True) -> list[str]:
        order = [sql.ordered(other, descending=True, nulls_last=nulls_last)]
        statement = sql.select([key, sql.calculate(other, "*", 2)], table, where, order, limit=2)
        return [row[0] for row in connection.execute(statement.text, statement.values)]

    assert read(sql.TRUE) == ["z", "x%"]
    assert read(sql.TRUE, nulls_last=False) == ["xy", "z"]
    assert read(sql.like(key, "x\\%")) == ["x%"]
    assert read(sql.among(key, [])) == []
    assert read(sql.rows_among([key, other], [("z", 3), ("x%", 2)])) == ["z"]
    assert read(sql.equal(other, None)) == ["xy"]
    inner = table.labelled("inner")
    smaller = sql.compare(inner.columns["other"], "<", other)
    assert read(sql.exists(sql.select([sql.TRUE], inner, smaller))) == ["z"]
    greatest = sql.lookup(sql.select([sql.call("max", inner.columns["other"])], inner))
    assert read(sql.compare(greatest, "=", other)) == ["z"]
    connection.close()
