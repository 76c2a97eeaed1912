"""Filters that name many keys, cut into requests whose URLs have a bounded length.

A literal is printed once and lengths are added up, because a level may have thousands of keys and each request
holds some forty: printing runs of keys only to see how long they become would cost more than all the rest. That
works for keys that the product takes as they stand. Others (a star where it is a wildcard, nulls) go the way of
every filter, as an ``Expr``: :func:`key_filter`, :func:`split_by_length`.

Shared values are written once, so that URLs are short: ``dataAreaId eq 'usmf' and (Order eq 'a' or Order eq 'b')``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from msgspec import Struct

from .literals import to_url
from .lower import lower_where
from .query import And, Compare, Expr, In, Literal, Operator, Or, Path, Query, Request, Value
from .render import JSON_HEADERS, Options, frame, percent_encode, render, url_length

if TYPE_CHECKING:
    from .dialect import Dialect

T = TypeVar("T")
Column = tuple[str, str, bool]
"""Name, Edm or enum type, whether it is an enum."""
Key = tuple[Value, ...]

_OR, _AND, _EQ = "%20or%20", "%20and%20", "%20eq%20"
_FEW = 20
"""Values of a list in a filter that is never cut."""
_AS_IT_STANDS = re.compile(r"[A-Za-z0-9_.~(),:$=;/@!-]*")
"""Text that neither a literal nor a URL spells in another way."""


def by_column(keys: Sequence[Key]) -> list[list[Value]]:
    """Return the values of each part; ``zip(*keys)`` would make an object a key, which wakes the garbage collector."""
    return [list(map(itemgetter(i), keys)) for i in range(len(keys[0]))] if keys else []


# Keys that stand in a URL as they are


def key_requests(
    dialect: Dialect, query: Query, columns: Sequence[Column], keys: Sequence[Key], *, limit: int
) -> list[tuple[Request, Sequence[Key]]] | None:
    """Cut distinct keys into requests of ``query`` (lowered) whose URLs have at most ``limit`` characters.

    A key that is too long by itself goes alone. None where some key cannot be asked for exactly by ``eq``.
    Raises UnsupportedQuery for columns that the product cannot compare.
    """
    table = _Table(columns, keys)
    if not table.is_plain(dialect):
        return None
    for (name, edm_type, is_enum), value in zip(columns, keys[0], strict=True):
        path = Path(tuple(name.split("/")))
        lower_where(dialect, Compare(path, Operator.EQ, Literal(value, edm_type, is_enum)))
    around = frame(query, options=dialect.options)
    shared, groups = table.grouped(limit)
    before = around.before + _AND.join([*shared, ""])
    is_alone = around.is_alone and not shared
    room = limit - len(before) - len(around.after) - 2
    return [
        (
            Request("GET", before + _filter(run, is_alone) + around.after, JSON_HEADERS),
            list(chain.from_iterable(keys for piece in run for keys in piece.key_lists)),
        )
        for run in _runs(groups, room)
    ]


class _Test(Struct, frozen=True):
    """``Name eq`` and what stands around each value."""

    start: str
    end: str

    def one(self, value: str) -> str:
        return f"{self.start}{value}{self.end}"

    def any(self, values: Sequence[str]) -> str:
        return self.one(f"{self.end}{_OR}{self.start}".join(values))

    @property
    def length(self) -> int:
        """Characters of one test beside its value, with the ``or`` before it."""
        return len(_OR) + len(self.start) + len(self.end)


class _Group(Struct):
    """Keys that differ in the last column only: ``head and (test v or test w)``; several heads take the same values."""

    head: str
    """Printed test of the other columns; empty where they are the same for all keys."""
    test: _Test
    values: Sequence[str]
    """Of the last column, printed."""
    key_lists: list[Sequence[Key]]
    """One list for each head, as long as ``values``."""

    def piece(self, start: int, end: int) -> _Group:
        keys = [keys[start:end] for keys in self.key_lists]
        return _Group(self.head, self.test, self.values[start:end], keys)

    def text(self) -> str:
        tests = self.test.any(self.values)
        if not self.head:
            return tests
        return self.head + _AND + (f"({tests})" if len(self.values) > 1 else tests)

    @property
    def overhead(self) -> int:
        """Characters beside those of the tests and their ``or``."""
        return len(self.head) + len(_AND) + len("()") if self.head else 0


class _Table:
    """Keys, column by column."""

    def __init__(self, columns: Sequence[Column], keys: Sequence[Key]) -> None:
        self._columns = columns
        self._keys = keys
        self._values = by_column(keys)
        self._distinct = [set(values) for values in self._values]

    def is_plain(self, dialect: Dialect) -> bool:
        """Return whether ``eq`` is the way to ask, and asks for each of the keys exactly: no nulls, no wildcards."""
        if dialect.has_in or any(None in distinct for distinct in self._distinct):
            return False
        if not dialect.wildcard_eq:
            return True
        return not any(
            edm_type == "Edm.String" and _has_star(values)
            for (_, edm_type, _), values in zip(self._columns, self._values, strict=True)
        )

    def grouped(self, limit: int) -> tuple[list[str], list[_Group]]:
        """Return the tests that all keys share, and what is left of the keys; columns of few values stand first."""
        columns, values, keys = self._columns, self._values, self._keys
        sizes = [len(distinct) for distinct in self._distinct]
        *first, last = sorted(range(len(columns)), key=sizes.__getitem__)
        shared = [_tests(columns[i], values[i][:1])[0] for i in first if sizes[i] == 1]
        heads = [_tests(columns[i], values[i]) for i in first if sizes[i] > 1]
        test, texts = _printed(columns[last], values[last])
        if not heads:
            return shared, [_Group("", test, texts, [keys])]
        places: dict[str, list[int]] = {}
        for place, head in enumerate(map(_AND.join, zip(*heads, strict=True))):
            places.setdefault(head, []).append(place)
        groups = (
            _Group(head, test, [texts[i] for i in own], [[keys[i] for i in own]])
            for head, own in places.items()
        )
        return shared, _merged(groups, limit // 4)


def _merged(groups: Iterable[_Group], most: int) -> list[_Group]:
    """Join groups of the same values, as long as their heads have at most so many characters."""
    by_values: dict[tuple[str, ...], _Group] = {}
    found: list[_Group] = []
    for group in groups:
        values = tuple(group.values)
        other = by_values.get(values)
        if other is None or len(other.head) + len(group.head) > most:
            by_values[values] = group
            found.append(group)
        else:
            other.head += _OR + group.head
            other.key_lists += group.key_lists
    for group in found:
        if len(group.key_lists) > 1:
            group.head = f"({group.head})"
    return found


def _has_star(values: Sequence[Any]) -> bool:
    try:
        return "*" in "".join(values)
    except TypeError:
        return True


def _tests(column: Column, values: Sequence[Value]) -> list[str]:
    """Print ``Name eq value`` for each of the values, of which there are few different ones."""
    distinct = list(dict.fromkeys(values))
    test, texts = _printed(column, distinct)
    printed = dict(zip(distinct, map(test.one, texts), strict=True))
    return [printed[value] for value in values]


def _printed(column: Column, values: Sequence[Value]) -> tuple[_Test, Sequence[str]]:
    """Print literals, percent-encoded; what they have in common is in the test."""
    name, edm_type, is_enum = column
    start = quote(name, safe="/") + _EQ
    if edm_type == "Edm.String":
        with suppress(TypeError):
            if _AS_IT_STANDS.fullmatch("".join(values)):  # type: ignore[arg-type]
                return _Test(f"{start}'", "'"), values  # type: ignore[return-value]
    literals = (to_url(Literal(value, edm_type, is_enum)) for value in values)
    return _Test(start, ""), [percent_encode(literal) for literal in literals]


def _runs(groups: Iterable[_Group], room: int) -> Iterator[list[_Group]]:
    """Cut the groups into runs of at most ``room`` characters."""
    run: list[_Group] = []
    left = room
    for group in groups:
        # Of the first n tests; the "or" before the first stands for the one between groups.
        lengths = map(group.test.length.__add__, map(len, group.values))
        ends = list(accumulate(lengths, initial=0))
        start, size = 0, len(group.values)
        while start < size:
            free = left - group.overhead + (0 if run else len(_OR))
            end = bisect_right(ends, ends[start] + free, start + 1) - 1
            if end == start and run:
                yield run
                run, left = [], room
                continue
            end = max(end, start + 1)
            run.append(group.piece(start, end))
            left = free - (ends[end] - ends[start])
            start = end
            if start < size:
                yield run
                run, left = [], room
    if run:
        yield run


def _filter(run: list[_Group], is_alone: bool) -> str:
    text = _OR.join([group.text() for group in run])
    has_or = len(run) > 1 or not (run[0].head or len(run[0].values) == 1)
    return f"({text})" if has_or and not is_alone else text


# Lists of values in a filter


class LongList(Struct, frozen=True):
    """A filter with a list of values that may be cut: each row that passes has one of them."""

    before: tuple[Expr, ...]
    values: In
    after: tuple[Expr, ...]

    def of(self, values: Sequence[Literal]) -> Expr:
        """Return the filter for some of the values."""
        return And((*self.before, In(self.values.path, tuple(values)), *self.after))


def long_list(where: Expr | None) -> LongList | None:
    """Return the longest ``in`` that every row must pass; None where none is long enough to be cut."""
    terms = tuple(terms_of(where))
    sizes = [len(term.values) if isinstance(term, In) else 0 for term in terms]
    if max(sizes, default=0) <= _FEW:
        return None
    place = sizes.index(max(sizes))
    found = terms[place]
    assert isinstance(found, In)
    return LongList(terms[:place], found, terms[place + 1 :])


def terms_of(where: Expr | None) -> list[Expr]:
    """Return what ``and`` joins, nested or not."""
    if isinstance(where, And):
        return [term for inner in where.terms for term in terms_of(inner)]
    return [] if where is None else [where]


# Keys that need the dialect's lowering


def key_filter(columns: Sequence[Column], keys: Sequence[Key]) -> Expr:
    """Return the filter that holds for rows whose columns (name, type, is enum) equal one of the keys.

    Shared values are written once, the columns with the fewest values outermost, so that the URL is short:
    ``dataAreaId eq 'usmf' and (Order eq 'a' or Order eq 'b')``.
    """
    distinct = [len({key[i] for key in keys}) for i in range(len(columns))]
    order = sorted(range(len(columns)), key=lambda i: distinct[i])
    rows = dict.fromkeys(tuple(key[i] for i in order) for key in keys)
    return _factored([columns[i] for i in order], list(rows))


def split_by_length(
    build: Callable[[Sequence[T]], Query], items: Sequence[T], *, limit: int, options: Options = ()
) -> list[list[T]]:
    """Cut ``items`` into runs whose rendered URLs have at most ``limit`` characters.

    ``build`` gives the (lowered) query for a run. An item that is too long by itself goes alone.
    """

    def length(size: int) -> int:
        return url_length(render(build(items[start : start + size]), options=options))

    runs: list[list[T]] = []
    start, size = 0, 16
    while start < len(items):
        size = _longest_run(length, len(items) - start, size, limit)
        runs.append(list(items[start : start + size]))
        start += size
    return runs


def _longest_run(length: Callable[[int], int], most: int, guess: int, limit: int) -> int:
    """Return a size whose length fits, within a sixteenth of the longest: interpolated, then verified."""
    fits, first, too_long = 1, length(1), most + 1
    while first < limit and too_long - fits > 1:
        size = min(max(guess, fits + 1), too_long - 1)
        measured = length(size)
        fits, too_long = (size, too_long) if measured <= limit else (fits, size)
        each = max(1.0, (measured - first) / (size - 1))
        guess = 1 + int((limit - first) / each)
        if size == fits and guess <= fits + fits // 16:
            break
    return fits


def _factored(columns: list[Column], keys: list[Key]) -> Expr:
    (name, edm_type, is_enum), *rest = columns
    path = Path(tuple(name.split("/")))

    def one_of(values: Iterable[Value]) -> In:
        return In(path, tuple(Literal(v, edm_type, is_enum) for v in values))

    if not rest:
        return one_of(key[0] for key in keys)
    tails: dict[Value, list[Key]] = {}
    for key in keys:
        tails.setdefault(key[0], []).append(key[1:])
    heads: dict[Expr, list[Value]] = {}
    for value, tail in tails.items():
        heads.setdefault(_factored(rest, tail), []).append(value)
    return Or(tuple(And((one_of(values), tail)) for tail, values in heads.items()))
