"""``gateway.operations.global_ids``: the same row has the same id, and nothing but an id is taken for one."""

from __future__ import annotations

import base64
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidId
from gateway.operations.global_ids import node_id, node_ids, parse_id

KEYS = st.lists(
    st.text(max_size=40)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none(),
    min_size=1,
    max_size=4,
)


def packed(*parts: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")


@given(st.text(min_size=1, max_size=30), KEYS)
def test_type_and_key_come_back(name: str, key: list[object]) -> None:
    assert parse_id(node_id(name, *key)) == (name, tuple(key))


@given(KEYS, KEYS)
def test_two_keys_have_one_id_only_when_they_are_equal(
    one: list[object], other: list[object]
) -> None:
    same = [(type(v), v) for v in one] == [(type(v), v) for v in other]

    assert (node_id("T", *one) == node_id("T", *other)) is same


def test_a_decimal_key_is_its_digits() -> None:
    assert parse_id(node_id("Rate", Decimal("1.50"))) == ("Rate", ("1.50",))


def test_the_form_of_version_1_stays() -> None:
    """Clients keep ids: changing this text means a new version."""
    assert node_id("CustomerV3", "usmf", "US-001") == "lAGqQ3VzdG9tZXJWM6R1c21mplVTLTAwMQ"


@given(st.text(min_size=1, max_size=30), KEYS)
def test_ids_belong_to_one_environment(name: str, key: list[object]) -> None:
    texts = {tag: node_ids(tag)(name, *key) for tag in ("", "a", "b")}

    for tag, text in texts.items():
        assert parse_id(text, tag) == (name, tuple(key))
        for other in texts.keys() - {tag}:
            with pytest.raises(InvalidId):
                parse_id(text, other)


def test_the_form_of_version_2_stays() -> None:
    assert node_ids("x1")("CustomerV3", "usmf", "US-001") == (
        "lQKieDGqQ3VzdG9tZXJWM6R1c21mplVTLTAwMQ"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "CustomerV3:1",
        "ünïcode",
        "A" * 5000,
        "A" * 70_000,
        packed(1, "T"),
        packed(2, "T", "k"),
        packed(1, 5, "k"),
        packed(1, None, "k"),
        packed(1, "T", ["k"]),
        packed(1, "T", {"k": 1}),
        packed(1, "T", b"k"),
        base64.urlsafe_b64encode(b"\x91" * 3000).decode(),
        base64.urlsafe_b64encode(msgspec.msgpack.encode("text")).decode(),
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId) as caught:
        parse_id(text)

    assert caught.value.code == "INVALID_ID"
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_refused_in_the_same_way(text: str) -> None:
    with pytest.raises(InvalidId):
        parse_id(text)
