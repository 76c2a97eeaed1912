"""Display values are divided and joined without loss; what could be read in two ways is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dimensions.display_values import (
    DELIMITERS,
    AmbiguousError,
    escaped,
    join,
    split,
    unescaped,
)

SEGMENTS = {
    "one segment": ("600150", "-", ["600150"]),
    "several": ("600150-001-022", "-", ["600150", "001", "022"]),
    "blank ones": ("110180--022--", "-", ["110180", "", "022", "", ""]),
    "an escaped delimiter": (r"US\-101-001", "-", ["US-101", "001"]),
    "only blank ones": ("--", "-", ["", "", ""]),
    "another backslash": (r"A\B-1", "-", [r"A\B", "1"]),
    "a bar": (r"1|a\|b|", "|", ["1", "a|b", ""]),
    "two characters": ("1--2----4", "--", ["1", "2", "", "4"]),
    "half of two characters": ("a-b--c", "--", ["a-b", "c"]),
    "escaped two characters": (r"a\--b--c", "--", ["a--b", "c"]),
}
AMBIGUOUS = {
    "an escaped escape": (r"A\\-1", "-"),
    "three of two characters": ("a---b", "--"),
    "five of two characters": ("a_____b", "__"),
}


@pytest.mark.parametrize(("text", "delimiter", "segments"), SEGMENTS.values(), ids=SEGMENTS)
def test_a_display_value_is_divided(text: str, delimiter: str, segments: list[str]) -> None:
    assert split(text, delimiter) == segments
    assert join(segments, delimiter) == text


@pytest.mark.parametrize(("text", "delimiter"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(text: str, delimiter: str) -> None:
    with pytest.raises(AmbiguousError):
        split(text, delimiter)


@pytest.mark.parametrize("segments", [["a\\", "b"], ["\\-"]], ids=str)
def test_what_cannot_be_written_in_one_way_is_refused(segments: list[str]) -> None:
    with pytest.raises(AmbiguousError):
        join(segments, "-")


@given(
    st.sampled_from(sorted(DELIMITERS.values())).flatmap(
        lambda delimiter: st.tuples(
            st.just(delimiter),
            st.lists(st.text(f"{delimiter[0]}\\aB1 ", max_size=6), min_size=1, max_size=5),
        )
    )
)
def test_what_is_joined_divides_into_the_same(case: tuple[str, list[str]]) -> None:
    delimiter, segments = case
    try:
        text = join(segments, delimiter)
    except AmbiguousError:
        assert any("\\" in s or (len(delimiter) > 1 and delimiter[0] in s) for s in segments)
    else:
        assert split(text, delimiter) == segments


@given(st.sampled_from(sorted(DELIMITERS.values())), st.text("-.\\aB1", max_size=8))
def test_what_is_divided_joins_to_the_same(delimiter: str, text: str) -> None:
    try:
        segments = split(text, delimiter)
        joined = join(segments, delimiter)
    except AmbiguousError:
        assert "\\" in text or len(delimiter) > 1
    else:
        assert joined == text


@given(st.sampled_from(sorted(DELIMITERS.values())), st.text("-._aB1", max_size=8))
def test_an_account_as_a_whole_comes_back(delimiter: str, number: str) -> None:
    assert unescaped(escaped(number, delimiter), delimiter) == number
