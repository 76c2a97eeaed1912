"""``gateway.operations.cursors``: they go round, they fit one list only, and nothing else is taken for one."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidCursor
from gateway.operations.cursors import (
    Cursor,
    fingerprint,
    keyset_cursor,
    offset_cursor,
    parse_cursor,
)

HERE = fingerprint("CustomersV3", (("Name", False),), None, ("usmf",))
THERE = fingerprint("VendorsV2", (("Name", False),), None, ("usmf",))
VALUES = st.lists(
    st.none()
    | st.booleans()
    | st.text(max_size=40)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False),
    min_size=1,
    max_size=5,
)


def packed(*parts: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")


def parse(text: str, terms: int = 1) -> Cursor:
    return parse_cursor(text, binding=HERE, terms=terms, argument="after")


@given(VALUES)
def test_the_values_of_a_row_come_back(values: list[Any]) -> None:
    text = keyset_cursor(HERE, values)

    assert parse(text, len(values)) == Cursor(values=tuple(values))


@given(st.integers(0, 2**40))
def test_a_position_comes_back(offset: int) -> None:
    assert parse(offset_cursor(HERE, offset)) == Cursor(offset=offset)


def test_a_decimal_travels_as_its_digits() -> None:
    text = keyset_cursor(HERE, [Decimal("1234567890123456789012345.6700")])

    assert parse(text).values == ("1234567890123456789012345.6700",)


@given(VALUES)
def test_a_cursor_is_url_safe_text_without_padding(values: list[object]) -> None:
    text = keyset_cursor(HERE, values)

    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(VALUES)
def test_a_cursor_of_another_list_is_refused(values: list[object]) -> None:
    with pytest.raises(InvalidCursor, match="another list"):
        parse(keyset_cursor(THERE, values), len(values))


@pytest.mark.parametrize("count", [1, 3])
def test_a_cursor_with_another_number_of_values_is_refused(count: int) -> None:
    with pytest.raises(InvalidCursor, match="damaged"):
        parse(keyset_cursor(HERE, ["a"] * count), 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "=",
        "====",
        "not base64!",
        "ünïcode",
        "MQ",
        "A" * 4097,
        "A" * 1_000_000,
        packed(),
        packed(1),
        packed(2, HERE, 0, "a"),
        packed("1", HERE, 0, "a"),
        packed(1, HERE, 0),
        packed(1, HERE, 7, "a"),
        packed(1, HERE, 1, -1),
        packed(1, HERE, 1, "3"),
        packed(1, HERE, 1, 3, 4),
        packed(1, HERE, None, "a"),
        packed(1, None, 0, "a"),
        base64.urlsafe_b64encode(msgspec.msgpack.encode({"a": 1})).decode(),
        base64.urlsafe_b64encode(b"\x91" * 3000).decode(),
        base64.urlsafe_b64encode(b"\xc1").decode(),
        base64.urlsafe_b64encode(b"\x82\x90\x01\x80\x02").decode(),
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor) as caught:
        parse(text)

    assert caught.value.code == "INVALID_CURSOR"
    assert caught.value.message.startswith("after: ")
    assert caught.value.hint


@given(VALUES, st.data())
def test_a_changed_cursor_is_refused_or_still_of_this_list(
    values: list[object], data: st.DataObject
) -> None:
    """Cursors are no secrets and not signed: a forged one may only ever be another place in the same list."""
    raw = bytearray(base64.urlsafe_b64decode(keyset_cursor(HERE, values) + "=="))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))

    try:
        found = parse(base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), len(values))
    except InvalidCursor:
        return
    assert found.offset is not None or len(found.values) == len(values)


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse(text)


def test_fingerprints_differ_by_list_but_not_by_process() -> None:
    assert fingerprint("a", ("b",)) == fingerprint("a", ("b",))
    assert fingerprint("a", ("b",)) != fingerprint("a", ("b", None))
    assert fingerprint("CustomersV3", None, ("usmf",)).hex() == "3922af1469baf028"
