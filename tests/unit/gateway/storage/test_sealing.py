"""Sealed values open in their context only; hashes differ by purpose and secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.sealing import NotSealed, Sealer

SECRET, OLD, OTHER = (bytes([n]) * 32 for n in range(3))
SEALER = Sealer(SECRET, [OLD])


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_what_is_sealed_opens_in_its_context(value: bytes, context: bytes) -> None:
    sealed = SEALER.seal(value, context)

    assert SEALER.open(sealed, context) == value
    assert SEALER.seal(value, context) == sealed


@given(st.binary(max_size=20), st.integers(0, 30), st.integers(1, 255))
def test_a_changed_byte_does_not_open(value: bytes, at: int, change: int) -> None:
    sealed = bytearray(SEALER.seal(value, b"list"))
    sealed[at % len(sealed)] ^= change

    with pytest.raises(NotSealed):
        SEALER.open(bytes(sealed), b"list")


@pytest.mark.parametrize(
    ("sealed", "context"),
    [
        (SEALER.seal(b"x", b"a"), b"b"),
        (Sealer(OTHER).seal(b"x", b"a"), b"a"),
        (b"", b"a"),
        (b"\x01", b"a"),
        (b"\x01short", b"a"),
        (b"\x02" + SEALER.seal(b"x", b"a")[1:], b"a"),
        (SEALER.seal(b"x", b"a")[:-1], b"a"),
    ],
)
def test_foreign_texts_do_not_open(sealed: bytes, context: bytes) -> None:
    with pytest.raises(NotSealed):
        SEALER.open(sealed, context)


def test_old_secrets_open_and_do_not_seal() -> None:
    sealed = Sealer(OLD).seal(b"x", b"a")

    assert SEALER.open(sealed, b"a") == b"x"
    assert SEALER.seal(b"x", b"a") == Sealer(SECRET).seal(b"x", b"a") != sealed


def test_a_sealed_value_hides_its_text() -> None:
    assert b"secret name" not in SEALER.seal(b"secret name", b"list")


def test_hashes_differ_by_purpose_and_secret() -> None:
    hashes = {
        SEALER.digest("masks", b"x"),
        SEALER.digest("audit", b"x"),
        SEALER.digest("masks", b"y"),
        Sealer(OTHER).digest("masks", b"x"),
    }

    assert len(hashes) == 4
    assert SEALER.digest("masks", b"x") == Sealer(SECRET).digest("masks", b"x")
