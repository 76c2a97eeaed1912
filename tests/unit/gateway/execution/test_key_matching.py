"""Rows and keys that are equal for the upstream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gateway.execution.key_matching import (
    ManyIndex,
    OneIndex,
    are_distinct,
    hashable,
    keys_of,
    normal_forms,
    referring_keys,
)
from gateway.odata.local_filter import comparable

TYPES = ("Edm.String", "Edm.Int32")
TEXT = st.text("aAßé ", max_size=4)


@dataclass
class Row:
    a0: Any
    a1: Any


def test_keys_are_read_in_the_order_of_the_rows() -> None:
    rows = [Row("a", 1), Row("b", 2), Row("a", 1)]

    assert keys_of(rows, ["a1", "a0"]) == [(1, "a"), (2, "b"), (1, "a")]
    assert keys_of(rows, ["a0"]) == [("a",), ("b",), ("a",)]
    assert keys_of([], ["a0", "a1"]) == []


@pytest.mark.parametrize(
    ("keys", "has_nulls", "remaining"),
    [
        ([("usmf", "a"), ("usmf", "b")], False, [("usmf", "a"), ("usmf", "b")]),
        ([("usmf", ""), ("usmf", "b")], False, [("usmf", "b")]),
        ([("usmf", ""), ("usmf", "b")], True, [("usmf", ""), ("usmf", "b")]),
        ([(None, "a"), ("usmf", None), ("usmf", UNSET)], True, []),
        ([], False, []),
    ],
)
def test_a_key_with_a_gap_refers_to_nothing(keys: Any, has_nulls: bool, remaining: Any) -> None:
    assert referring_keys(keys, [1], has_nulls=has_nulls) == remaining


def test_a_key_of_the_company_alone_refers_even_if_empty() -> None:
    assert referring_keys([("",)], [], has_nulls=False) == [("",)]


@given(st.lists(st.tuples(TEXT, st.integers(0, 3)), max_size=8), st.booleans())
def test_normal_forms_are_what_each_part_is_compared_by(keys: list[Any], insensitive: bool) -> None:
    assert normal_forms(TYPES, keys, case_insensitive=insensitive) == [
        tuple(
            comparable(edm, part, case_insensitive=insensitive)
            for edm, part in zip(TYPES, key, strict=True)
        )
        for key in keys
    ]


@given(
    st.lists(st.tuples(TEXT, st.integers(0, 3)), max_size=6, unique=True),
    st.lists(st.tuples(TEXT, st.integers(0, 3)), max_size=12),
    st.booleans(),
)
def test_rows_belong_to_the_first_key_that_is_equal_upstream(
    keys: list[Any], row_keys: list[tuple[str, int]], insensitive: bool
) -> None:
    def normal(key: Any) -> Any:
        return normal_forms(TYPES, [key], case_insensitive=insensitive)[0]

    requested = list({normal(key): key for key in keys}.values())
    rows = [Row(*key) for key in row_keys]
    lists = ManyIndex(TYPES, requested, case_insensitive=insensitive)
    lists.add(rows, ["a0", "a1"])
    singles = OneIndex(TYPES, requested, case_insensitive=insensitive)
    singles.add(rows, ["a0", "a1"])

    own = {k: [r for r in rows if normal((r.a0, r.a1)) == normal(k)] for k in requested}
    assert lists.all() == own
    assert singles.all().keys() == own.keys()
    for key, row in singles.all().items():
        assert row in own[key] if own[key] else row is None
    assert are_distinct(TYPES, keys, case_insensitive=insensitive) == (len(requested) == len(keys))


def test_of_two_rows_with_one_key_the_first_counts() -> None:
    places = OneIndex(TYPES, [("a", 1), ("b", 1)], case_insensitive=True)
    rows = [Row("a", 1), Row("a", 1)]
    places.add(rows, ["a0", "a1"])

    assert places.all()["a", 1] is rows[0]


@pytest.mark.parametrize("kind", [ManyIndex, OneIndex])
@pytest.mark.parametrize("bad", [None, UNSET])
def test_a_row_without_its_key_is_refused(kind: type[ManyIndex | OneIndex], bad: object) -> None:
    places = kind(TYPES, [("a", 1), ("b", 2)], case_insensitive=True)

    with pytest.raises(ValueError, match="without a value"):
        places.add([Row("a", bad)], ["a0", "a1"])


def test_what_is_no_plain_value_can_still_be_told_apart() -> None:
    key: Any = ("a", [1], {"b": 2})
    value: Any = hashable(key)

    assert value == ("a", ("[1]",), ("{'b': 2}",))
