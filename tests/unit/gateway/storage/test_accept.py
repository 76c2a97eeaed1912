"""``gateway.storage.accept``: preferences of clients, by RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.accept import Preference, coding_quality, media_quality, preferences

JSON = "application/json"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        (" , ,", []),
        (";, ;q=1", []),
        ("text/html", [Preference("text/html", 1.0)]),
        (" Text/HTML ;Q=0.5 ", [Preference("text/html", 0.5)]),
        ("a/b;q=0", [Preference("a/b", 0.0)]),
        ("a/b;q=0.125", [Preference("a/b", 0.125)]),
        ("a/b;q=.5", [Preference("a/b", 0.5)]),
        ("a/b;q=1.000", [Preference("a/b", 1.0)]),
        ("a/b;q=1.9", [Preference("a/b", 1.0)]),
        ("a/b;q=2", [Preference("a/b", 0.0)]),
        ("a/b;q=-1", [Preference("a/b", 0.0)]),
        ("a/b;q=nan", [Preference("a/b", 0.0)]),
        ("a/b;q=much", [Preference("a/b", 0.0)]),
        ("a/b;q=", [Preference("a/b", 0.0)]),
        ("a/b;v=1;q=0.5", [Preference("a/b", 0.5, ("v=1",))]),
        ('a/b;charset="UTF-8"', [Preference("a/b", 1.0, ("charset=utf-8",))]),
        (r'a/b;x="1,2;q=0\"", c/d', [Preference("a/b", 1.0, ('x=1,2;q=0"',)), Preference("c/d", 1.0)]),
        ("a/b, c/d;q=0.1", [Preference("a/b", 1.0), Preference("c/d", 0.1)]),
    ],
)  # fmt: skip
def test_a_list_is_read_as_its_grammar_says(header: str, expected: list[Preference]) -> None:
    assert list(preferences(header)) == expected


@pytest.mark.parametrize(
    ("header", "quality"),
    [
        ("", 1.0),
        ("  ", 1.0),
        ("*/*", 1.0),
        ("*/*;q=0.1", 0.1),
        ("application/*;q=0.3, */*;q=0.1", 0.3),
        ("*/*, application/json;q=0.2", 0.2),
        ("application/json;q=0, */*", 0.0),
        ("application/json;charset=utf-8;q=0.9, application/json;q=0.4", 0.9),
        ("application/json;q=0.4, application/json; Charset=UTF-8", 1.0),
        ("application/json;version=2", 1.0),
        ("application/json;q=0.5, application/json;q=0.7", 0.7),
        ("APPLICATION/JSON", 1.0),
        ("text/*", 0.0),
        ("application/jsonx", 0.0),
        ("json", 0.0),
    ],
)
def test_the_most_specific_range_decides(header: str, quality: float) -> None:
    assert media_quality(header, JSON) == quality


@pytest.mark.parametrize(
    ("header", "quality"),
    [
        ("", 0.0),
        ("*/*", 0.0),
        ("application/*", 0.0),
        ("*/*, application/json;q=0.5", 0.5),
        ("application/json;q=0", 0.0),
    ],
)
def test_wildcards_do_not_count_for_a_type_that_must_be_named(header: str, quality: float) -> None:
    assert media_quality(header, JSON, is_named=True) == quality


@pytest.mark.parametrize(
    ("header", "quality"),
    [
        ("", 0.0),
        ("gzip", 1.0),
        ("x-gzip;q=0.5", 0.5),
        ("br, gzip;q=0.5", 0.5),
        ("*;q=0.3", 0.3),
        ("*, gzip;q=0", 0.0),
        ("identity", 0.0),
    ],
)
def test_a_coding_is_wanted_by_its_name_or_a_wildcard(header: str, quality: float) -> None:
    assert coding_quality(header, "gzip") == quality


@given(st.text(alphabet='ab/*;,=q."\\ 01é\t', max_size=60))
def test_any_text_has_qualities_from_0_to_1(header: str) -> None:
    assert all(0 <= item.quality <= 1 for item in preferences(header))
    assert 0 <= media_quality(header, JSON) <= 1
