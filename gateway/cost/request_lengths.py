"""How many requests a filter with many values takes: estimated from the length of its address. Pure.

Execution prints the requests themselves (``execution.key_chunks``, ``execution.long_lists``); a price needs no more
than two addresses and a division.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil

from msgspec import structs

from gateway.errors import GatewayError
from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import LongList
from gateway.odata.query import And, Expr, In, Not, Or, Query, Rule
from gateway.odata.render import Options, render
from schema.catalog.records import Field

_AROUND_VALUE = len("%20or%20") + len("%20eq%20") + len("''")
_AROUND_TESTS = len("&$filter=") + len("%20and%20()")


def can_match(query: Query, dialect: Dialect) -> bool:
    """Return whether any row can pass the filter of a query: else nothing is sent for it."""
    if query.where is None or not _names_nothing(query.where):
        return True
    try:
        return not dialect.lower(query).empty
    except GatewayError:
        return True


def _names_nothing(where: Expr) -> bool:
    """Return whether a filter has a list without values or terms: only then may no row pass."""
    match where:
        case And(terms) | Or(terms):
            return not terms or any(map(_names_nothing, terms))
        case Not(term) | Rule(term):
            return _names_nothing(term)
        case In(_, values):
            return not values
        case _:
            return False


def runs_of_list(query: Query, filtered: LongList, dialect: Dialect, limit: int) -> int:
    """Return the requests for a list whose filter may name more values than an address of ``limit`` characters has."""
    values = filtered.values.values
    # Each once, as the upstream compares them.
    number = len({str(value.value).casefold() for value in values})
    whole = _length(query, dialect)
    if whole <= limit:
        return 1
    least = _length(structs.replace(query, where=filtered.with_values(values[:1])), dialect)
    # One value that takes half of an address: the list is sent whole, in a $batch.
    if least > limit // 2:
        return 1
    each = (whole - least) / (len(values) - 1)
    return ceil(number / max(1, 1 + int((limit - least) / each)))


def chunks_of_keys(
    query: Query,
    columns: Sequence[Field],
    keys: float,
    values: float,
    dialect: Dialect,
    limit: int,
) -> int:
    """Return the requests for rows of so many keys; ``values`` are the characters of all of their values.

    ``query`` has the order of the rows and no keys yet; an address has at most ``limit`` characters.
    """
    company = dialect.company_property
    names = [f.source for f in columns if f.source != company] or [f.source for f in columns]
    length = _length(query, dialect)
    # With less than half of an address left to them, keys go into a $batch.
    room = limit - length if length <= limit // 2 else limit
    room -= _AROUND_TESTS
    if len(names) < len(columns):
        room -= len(company or "") + _AROUND_VALUE
    each = sum(map(len, names)) + _AROUND_VALUE * len(names) + values / keys
    return ceil(keys / max(1, room / each))


def _length(query: Query, dialect: Dialect) -> int:
    """Return the characters of a query's address, 0 if the product cannot answer it."""
    if query.where is None and not query.expand and not query.resource.key:
        return _plain_length(query, dialect)
    try:
        return len(render(dialect.lower(query).query, options=dialect.options).url)
    except GatewayError:
        return 0


def _plain_length(query: Query, dialect: Dialect) -> int:
    """Return the same for a query of columns and order only, without printing it."""
    select, order = query.select, query.order
    length = len(query.resource.name) + _options_length(dialect.options)
    if select:
        length += len("&$select=") + len(",".join(select))
    if order:
        length += len("&$orderby=") + len(",".join(["/".join(o.path.segments) for o in order]))
        length += len("%20desc") * sum(o.descending for o in order)
    return length


@cache
def _options_length(options: Options) -> int:
    return sum(len(name) + len(value) + len("&=") for name, value in options)
