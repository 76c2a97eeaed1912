"""Splits filters by many keys into requests whose URLs have a limited length.

Each literal is printed once and lengths are added up, because a level may have thousands of keys and each request
has room for some forty: printing runs of keys only to measure them would cost more than all the rest. That works for
keys that ``eq`` finds exactly. Others (a star that is a wildcard, nulls) are filtered like anything else, by an
``Expr``: :func:`key_filter`, :func:`split_by_length`.

Shared values are written once, so that URLs are short: ``dataAreaId eq 'usmf' and (Order eq 'a' or Order eq 'b')``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate, chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from msgspec import Struct

from .literals import to_url
from .lower import lower_where
from .query import And, Compare, Expr, In, Literal, Operator, Or, Path, Query, Request, Value
from .render import JSON_HEADERS, Frame, Options, frame, percent_encode, render, url_length

if TYPE_CHECKING:
    from .dialect import Dialect

T = TypeVar("T")
Column = tuple[str, str, bool]
"""Name, Edm or enum type, and whether it is an enum."""
Key = tuple[Value, ...]

_OR, _AND, _EQ = "%20or%20", "%20and%20", "%20eq%20"
_FEW = 20
"""Values; a list in a filter that is not longer is never split."""
_NEEDS_NO_ENCODING = re.compile(r"[A-Za-z0-9_.~(),:$=;/@!-]*")
"""Text that stays the same in a literal and in a URL."""


def by_column(keys: Sequence[Key]) -> list[list[Value]]:
    """Return the values of each part."""
    # Not zip(*keys): that makes an iterator for each key, which triggers garbage collection.
    return [list(map(itemgetter(i), keys)) for i in range(len(keys[0]))] if keys else []


# Keys that ``eq`` finds exactly


def key_requests(
    dialect: Dialect, query: Query, columns: Sequence[Column], keys: Sequence[Key], *, limit: int
) -> list[tuple[Request, Sequence[Key]]] | None:
    """Return requests of ``query`` (lowered) for distinct keys, each with its keys: see :class:`KeyRequests`."""
    return KeyRequests(dialect, query, columns, limit=limit).of(keys)


class KeyRequests:
    """Prints requests of one query (lowered) for keys; what does not depend on these is printed once."""

    def __init__(
        self, dialect: Dialect, query: Query, columns: Sequence[Column], *, limit: int
    ) -> None:
        """``limit``: characters that a URL has at most, unless one key alone is longer."""
        self._dialect = dialect
        self._query = query
        self._columns = columns
        self._limit = limit
        self._around: Frame | None = None

    def of(
        self, keys: Sequence[Key], values: Sequence[Sequence[Value]] | None = None
    ) -> list[tuple[Request, Sequence[Key]]] | None:
        """Return requests for distinct keys, each with its keys; None if ``eq`` does not find some key exactly.

        ``values``: those of each part, if they are known. Raises UnsupportedQuery for columns that the product cannot
        compare.
        """
        table = _Table(self._columns, keys, by_column(keys) if values is None else values)
        if not table.is_plain(self._dialect):
            return None
        around = self._around
        if around is None:
            around = self._around = self._printed(keys[0])
        shared, groups = table.grouped(self._limit)
        before = around.before + _AND.join([*shared, ""])
        shown = None if around.shown is None else around.shown + _AND.join([*shared, ""])
        is_alone = around.is_alone and not shared
        room = self._limit - len(before) - len(around.after) - len("()")

        def request(run: list[_Group]) -> Request:
            end = _filter(run, is_alone) + around.after
            to_show = None if shown is None else shown + end
            return Request("GET", before + end, JSON_HEADERS, None, to_show)

        return [
            (request(run), list(chain.from_iterable(k for piece in run for k in piece.key_lists)))
            for run in _runs(groups, room)
        ]

    def _printed(self, key: Key) -> Frame:
        # Lowered only to learn whether the product compares these columns: how keys are printed is the same for each.
        for (name, edm_type, is_enum), value in zip(self._columns, key, strict=True):
            path = Path(tuple(name.split("/")))
            literal = Literal(value, edm_type, is_enum)
            lower_where(self._dialect, Compare(path, Operator.EQ, literal))
        return frame(self._query, options=self._dialect.options)


class _Test(Struct, frozen=True):
    """The text before and after each value of a column: ``Name eq '`` and ``'``."""

    start: str
    end: str

    def one(self, value: str) -> str:
        return f"{self.start}{value}{self.end}"

    def any(self, values: Sequence[str]) -> str:
        return self.one(f"{self.end}{_OR}{self.start}".join(values))

    @property
    def length(self) -> int:
        """Characters of one test without its value, with the ``or`` before it."""
        return len(_OR) + len(self.start) + len(self.end)


class _Group(Struct):
    """Keys that differ in the last column only: ``head and (test v or test w)``; heads with equal values are joined."""

    head: str
    """Printed test of the other columns; empty if they are the same for all keys."""
    test: _Test
    values: Sequence[str]
    """Values of the last column, printed."""
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
        """Characters that are not of the tests and the ``or`` between them."""
        return len(self.head) + len(_AND) + len("()") if self.head else 0


class _Table:
    """Keys, column by column."""

    def __init__(
        self, columns: Sequence[Column], keys: Sequence[Key], values: Sequence[Sequence[Value]]
    ) -> None:
        self._columns = columns
        self._keys = keys
        self._values = values
        self._distinct = [set(values) for values in self._values]

    def is_plain(self, dialect: Dialect) -> bool:
        """Return whether ``eq`` is the shortest test and finds each key exactly: no ``in``, no nulls, no wildcards."""
        if dialect.has_in or any(None in distinct for distinct in self._distinct):
            return False
        if not dialect.wildcard_eq:
            return True
        return not any(
            edm_type == "Edm.String" and _has_star(values)
            for (_, edm_type, _), values in zip(self._columns, self._distinct, strict=True)
        )

    def grouped(self, limit: int) -> tuple[list[str], list[_Group]]:
        """Return the tests that all keys share, and the other tests in groups; columns with few values come first."""
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
        # Heads must leave most of an address to the values.
        return shared, _merged(groups, limit // 4)


def _merged(groups: Iterable[_Group], max_head: int) -> list[_Group]:
    """Return the groups, those of the same values joined while their heads have at most ``max_head`` characters."""
    by_values: dict[tuple[str, ...], _Group] = {}
    merged: list[_Group] = []
    for group in groups:
        values = tuple(group.values)
        other = by_values.get(values)
        if other is None or len(other.head) + len(group.head) > max_head:
            by_values[values] = group
            merged.append(group)
        else:
            other.head += _OR + group.head
            other.key_lists += group.key_lists
    for group in merged:
        if len(group.key_lists) > 1:
            group.head = f"({group.head})"
    return merged


def _has_star(values: Iterable[Any]) -> bool:
    """Return whether a text holds a star; True if some value is no text."""
    try:
        return "*" in "".join(values)
    except TypeError:
        return True


def _tests(column: Column, values: Sequence[Value]) -> list[str]:
    """Return ``Name eq value`` for each of the values; each distinct one is printed once."""
    distinct = list(dict.fromkeys(values))
    test, texts = _printed(column, distinct)
    printed = dict(zip(distinct, map(test.one, texts), strict=True))
    return [printed[value] for value in values]


@lru_cache(maxsize=1_000)
def _start(name: str) -> str:
    return quote(name, safe="/") + _EQ


def _printed(column: Column, values: Sequence[Value]) -> tuple[_Test, Sequence[str]]:
    """Return the literals, percent-encoded, and the text around each of them."""
    name, edm_type, is_enum = column
    start = _start(name)
    if edm_type == "Edm.String":
        # One match over all texts instead of one for each; values that are no texts take the slow way.
        with suppress(TypeError):
            if _NEEDS_NO_ENCODING.fullmatch("".join(values)):  # type: ignore[arg-type]
                return _Test(f"{start}'", "'"), values  # type: ignore[return-value]
    literals = (to_url(Literal(value, edm_type, is_enum)) for value in values)
    return _Test(start, ""), [percent_encode(literal) for literal in literals]


def _runs(groups: Iterable[_Group], room: int) -> Iterator[list[_Group]]:
    """Yield the groups in runs of at most ``room`` characters; a long group is split."""
    run: list[_Group] = []
    left = room
    for group in groups:
        # ends[n]: characters of the first n tests; the "or" before the first is the one between groups.
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
    """A filter with a list of values that can be split: each row that passes has one of them."""

    before: tuple[Expr, ...]
    values: In
    after: tuple[Expr, ...]

    def with_values(self, values: Sequence[Literal]) -> Expr:
        """Return the filter for some of the values."""
        return And((*self.before, In(self.values.path, tuple(values)), *self.after))


def long_list(where: Expr | None) -> LongList | None:
    """Return the longest ``in`` that every row must pass; None if none is long enough to be split."""
    terms = tuple(terms_of(where))
    sizes = [len(term.values) if isinstance(term, In) else 0 for term in terms]
    if max(sizes, default=0) <= _FEW:
        return None
    place = sizes.index(max(sizes))
    longest = terms[place]
    assert isinstance(longest, In)
    return LongList(terms[:place], longest, terms[place + 1 :])


def terms_of(where: Expr | None) -> list[Expr]:
    """Return the terms that ``and`` joins, nested ones included."""
    if isinstance(where, And):
        return [term for inner in where.terms for term in terms_of(inner)]
    return [] if where is None else [where]


# Keys that need the dialect's lowering


def key_filter(columns: Sequence[Column], keys: Sequence[Key]) -> Expr:
    """Return the filter for rows whose columns equal one of the keys; columns with few values are outermost."""
    distinct = [len({key[i] for key in keys}) for i in range(len(columns))]
    order = sorted(range(len(columns)), key=lambda i: distinct[i])
    rows = dict.fromkeys(tuple(key[i] for i in order) for key in keys)
    return _factored([columns[i] for i in order], list(rows))


def split_by_length(
    build: Callable[[Sequence[T]], Query], items: Sequence[T], *, limit: int, options: Options = ()
) -> list[list[T]]:
    """Return ``items`` in runs whose rendered URLs have at most ``limit`` characters.

    ``build`` returns the (lowered) query for a run. An item that is too long by itself has a run of its own.
    """

    def length(size: int) -> int:
        return url_length(render(build(items[start : start + size]), options=options))

    runs: list[list[T]] = []
    # The length of one run is the first guess for the next: most runs then need two renderings.
    start, size = 0, 16
    while start < len(items):
        size = _longest_run(length, len(items) - start, size, limit)
        runs.append(list(items[start : start + size]))
        start += size
    return runs


def _longest_run(length: Callable[[int], int], most: int, guess: int, limit: int) -> int:
    """Return a number of items whose URL fits, within a sixteenth of the largest: interpolated, then measured."""
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
