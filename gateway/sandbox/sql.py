"""Parts of SQL statements with their values, as SQLite understands them: what filters, orders and joins need.

SQLAlchemy would do the same, but importing it takes a tenth of the start of a sandbox, and 12 MiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

_ATOM, _COMPARISON, _NOT, _AND, _OR = range(5)
"""How loosely the parts of an expression hold together: looser ones are put in parentheses."""


class Sql(Struct, frozen=True, eq=False):
    """A part of a statement."""

    text: str
    values: tuple[Any, ...] = ()
    """Of its question marks."""
    looseness: int = _ATOM


class Table(Struct, frozen=True, eq=False):
    """A table, under its own name or another one."""

    name: str
    names: Mapping[str, str]
    """Key → name of the column."""
    label: str
    columns: Mapping[str, Sql]
    """Key → the column in expressions."""

    def labelled(self, label: str) -> Table:
        """Return it under another name, for statements that use it twice."""
        return table_of(self.name, self.names, label)

    @property
    def source(self) -> str:
        """Return what stands behind FROM."""
        return f"{quote(self.name)} AS {quote(self.label)}"


def table_of(name: str, names: Mapping[str, str], label: str | None = None) -> Table:
    """Return a table with these columns."""
    label = name if label is None else label
    columns = {key: Sql(f"{quote(label)}.{quote(column)}") for key, column in names.items()}
    return Table(name, names, label, columns)


def quote(name: str) -> str:
    """Return a name in quotation marks."""
    return '"' + name.replace('"', '""') + '"'


TRUE, FALSE = Sql("1"), Sql("0")


def select(
    columns: Sequence[Sql],
    table: Table,
    where: Sql = TRUE,
    order: Sequence[Sql] = (),
    limit: int = -1,
    offset: int = 0,
) -> Sql:
    """Return a statement that reads rows; ``limit`` -1: all."""
    chosen, by = _joined(", ", columns), _joined(", ", order)
    ordered = f" ORDER BY {by.text}" if order else ""
    limited = f" LIMIT {limit} OFFSET {offset}" if limit >= 0 or offset else ""
    return Sql(
        f"SELECT {chosen.text} FROM {table.source} WHERE {where.text}{ordered}{limited}",  # noqa: S608 - values are bound
        (*chosen.values, *where.values, *by.values),
    )


def lookup(statement: Sql) -> Sql:
    """Return the first value of a statement."""
    return Sql(f"({statement.text})", statement.values)


def exists(statement: Sql) -> Sql:
    """Return the condition that a statement finds a row."""
    return Sql(f"EXISTS ({statement.text})", statement.values)


def ordered(term: Sql, *, descending: bool, nulls_last: bool) -> Sql:
    """Return a term of an order."""
    direction = "DESC" if descending else "ASC"
    return Sql(f"{term.text} {direction} NULLS {'LAST' if nulls_last else 'FIRST'}", term.values)


def compare(left: Any, operator: str, right: Any) -> Sql:
    """Return ``left operator right``. Sides that are no parts of SQL are values."""
    return _binary(left, operator, right, _COMPARISON)


def calculate(left: Any, operator: str, right: Any) -> Sql:
    """Return the number ``left operator right``."""
    result = _binary(left, operator, right, _COMPARISON)
    return Sql(f"({result.text})", result.values)


def equal(left: Sql, right: Any) -> Sql:
    """Return ``left = right``. Of two columns of which one is null, it is neither true nor false."""
    return is_null(left) if right is None else compare(left, "=", right)


def is_null(part: Sql) -> Sql:
    """Return the condition that there is no value."""
    return Sql(f"{_within(part, _ATOM)} IS NULL", part.values, _COMPARISON)


def is_not_null(part: Sql) -> Sql:
    """Return the condition that there is a value."""
    return Sql(f"{_within(part, _ATOM)} IS NOT NULL", part.values, _COMPARISON)


def among(part: Sql, values: Iterable[Any]) -> Sql:
    """Return the condition that a part is one of the values, which may be none at all."""
    listed = _joined(", ", [_part(value) for value in values])
    text = f"{_within(part, _ATOM)} IN ({listed.text})"
    return Sql(text, (*part.values, *listed.values), _COMPARISON)


def rows_among(parts: Sequence[Sql], rows: Sequence[tuple[Any, ...]]) -> Sql:
    """Return the condition that several parts together have the values of one of the rows."""
    ours = _joined(", ", parts)
    row = f"({','.join('?' * len(parts))})"
    values = (*ours.values, *(value for values in rows for value in values))
    return Sql(f"({ours.text}) IN (VALUES {','.join([row] * len(rows))})", values, _COMPARISON)


def like(part: Sql, pattern: str) -> Sql:
    """Return the condition that a text matches a pattern, in which a backslash stands before what is no wildcard."""
    return Sql(f"{_within(part, _ATOM)} LIKE ? ESCAPE '\\'", (*part.values, pattern), _COMPARISON)


def call(function: str, *arguments: Any) -> Sql:
    """Return the value of a function of SQLite."""
    listed = _joined(", ", [_part(argument) for argument in arguments])
    return Sql(f"{function}({listed.text})", listed.values)


def cast(part: Any, type_name: str) -> Sql:
    """Return a value as one of another type."""
    value = _part(part)
    return Sql(f"CAST({value.text} AS {type_name})", value.values)


def all_of(*conditions: Sql) -> Sql:
    """Return the condition that all hold."""
    needed = [condition for condition in conditions if condition is not TRUE]
    return _chain(" AND ", needed, _AND) if needed else TRUE


def any_of(*conditions: Sql) -> Sql:
    """Return the condition that one holds."""
    return _chain(" OR ", conditions, _OR) if conditions else FALSE


def negated(condition: Sql) -> Sql:
    """Return the condition that another does not hold."""
    if condition.looseness == _NOT:
        # Not twice: SQLite's parser takes a limited depth.
        return Sql(condition.text.removeprefix("NOT "), condition.values)
    return Sql(f"NOT {_within(condition, _ATOM)}", condition.values, _NOT)


def _chain(word: str, conditions: Sequence[Sql], looseness: int) -> Sql:
    if len(conditions) == 1:
        return conditions[0]
    text = word.join(_within(condition, looseness) for condition in conditions)
    return Sql(text, tuple(v for condition in conditions for v in condition.values), looseness)


def _binary(left: Any, operator: str, right: Any, looseness: int) -> Sql:
    ours, theirs = _part(left), _part(right)
    text = f"{_within(ours, _ATOM)} {operator} {_within(theirs, _ATOM)}"
    return Sql(text, (*ours.values, *theirs.values), looseness)


def _part(value: Any) -> Sql:
    return value if isinstance(value, Sql) else Sql("?", (value,))


def _within(part: Sql, looseness: int) -> str:
    return f"({part.text})" if part.looseness > looseness else part.text


def _joined(separator: str, parts: Sequence[Sql]) -> Sql:
    return Sql(separator.join([p.text for p in parts]), tuple(v for p in parts for v in p.values))
