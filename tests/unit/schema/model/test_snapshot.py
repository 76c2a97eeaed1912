"""``schema.model.snapshot``: what was packed comes back, a record at a time; damaged bytes give nothing at all."""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
import types
import typing
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.model import snapshot
from schema.model.records import EnumMember, EnumType, Model, Record
from schema.model.snapshot import Records, Unpacked, pack, unpack
from tests.support.metadata_documents import REAL_CATALOGUE, every_name, parsed
from tests.support.small_models import NO_YES, entity, model, nav, prop
from tests.support.soak import SOAK

FINGERPRINT = b"the document, the settings and the program"
TABLES = tuple(field.name for field in dataclasses.fields(Model) if "Mapping" in str(field.type))

texts = st.text(st.characters(codec="utf-8"), max_size=12)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Random values of an annotation, records within records included."""
    inner = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values_of, inner))
    if origin is tuple:
        return st.lists(values_of(inner[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(texts, values_of(inner[1]), max_size=3)
    if issubclass(hint, Record):
        return records_of(hint)
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    plain = {
        str: texts,
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**64 - 1),
        type(None): st.none(),
    }
    return plain[hint]


@functools.cache
def records_of(cls: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{name: values_of(hint) for name, hint in hints.items()})


def packed(given: Model, notes: bytes = b"") -> bytes:
    return b"".join(pack(given, fingerprint=FINGERPRINT, notes=notes))


def unpacked(content: bytes) -> Unpacked:
    found = unpack(content, fingerprint=FINGERPRINT)
    assert found is not None
    return found


def decoded(lazy: Model) -> int:
    return sum(getattr(lazy, table).decoded for table in TABLES)


def assert_same(lazy: Model, eager: Model) -> None:
    assert lazy == eager
    for table in TABLES:
        assert list(getattr(lazy, table)) == list(getattr(eager, table))
    for question in ("derived", "sets_of_type"):
        actual, asked = getattr(lazy, question), getattr(eager, question)
        assert list(actual.items()) == list(asked.items())


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(records_of(Model), st.binary(max_size=20))
def test_unpacking_undoes_packing(eager: Model, notes: bytes) -> None:
    found = unpacked(packed(eager, notes))

    assert_same(found.model, eager)
    assert found.notes == notes


@pytest.mark.heavy
@pytest.mark.catalogue
@pytest.mark.parametrize("name", [n for n in every_name() if SOAK or n != REAL_CATALOGUE])
def test_every_document_comes_back(name: str) -> None:
    eager = parsed(name)

    assert_same(unpacked(packed(eager)).model, eager)


def test_every_mapping_of_the_model_is_a_table() -> None:
    assert set(snapshot._TABLES) == set(TABLES)


def test_the_same_model_gives_the_same_bytes() -> None:
    assert packed(SMALL) == packed(SMALL)


# -- what is decoded, and when

SMALL = model(
    entity("Base", prop("Id"), key=("Id",), abstract=True),
    entity("Customer", prop("Name"), nav("Orders", "Order", many=True), base="Base"),
    entity("Order", prop("Paid", "NoYes"), key=("Id",)),
    NO_YES,
    sets={"Customers": "Customer", "Orders": "Order"},
)


def test_opening_decodes_no_record() -> None:
    lazy = unpacked(packed(SMALL)).model

    assert decoded(lazy) == 0
    assert list(lazy.entity_types) == list(SMALL.entity_types)
    assert "Customers" in lazy.entity_sets
    assert len(lazy.enum_types) == 1
    assert lazy.derived
    assert lazy.sets_of_type
    assert decoded(lazy) == 0


def test_a_record_is_decoded_once_and_kept() -> None:
    lazy = unpacked(packed(SMALL)).model

    first = lazy.entity_sets["Customers"]

    assert first == SMALL.entity_sets["Customers"]
    assert lazy.entity_sets["Customers"] is first
    assert decoded(lazy) == 1


def test_a_type_is_decoded_with_its_bases_only() -> None:
    lazy = unpacked(packed(SMALL)).model

    assert lazy.key_of("Microsoft.Dynamics.DataEntities.Customer") == ("Id",)
    assert decoded(lazy) == 2


def test_records_are_a_mapping() -> None:
    lazy = unpacked(packed(SMALL)).model.entity_sets
    assert isinstance(lazy, Records)

    assert lazy.get("Nobody") is None
    with pytest.raises(KeyError, match="Nobody"):
        lazy["Nobody"]
    assert lazy == SMALL.entity_sets
    assert SMALL.entity_sets == lazy
    assert lazy != {}
    assert repr(lazy) == "<2 records, 2 of them decoded>"


# -- bytes that are not what was written

CONTENT = packed(SMALL, b"notes")
REGIONS = {
    "magic": (0, 9),
    "records": (9, 200),
    "index": (200, len(CONTENT) - 72),
    "end": (len(CONTENT) - 72, len(CONTENT)),
}


@pytest.mark.parametrize("region", REGIONS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_gives_nothing(region: str, data: st.DataObject) -> None:
    first, end = REGIONS[region]
    damaged = bytearray(CONTENT)
    damaged[data.draw(st.integers(first, end - 1))] ^= 1 << data.draw(st.integers(0, 7))

    assert unpack(bytes(damaged), fingerprint=FINGERPRINT) is None


@settings(deadline=None)
@given(st.integers(0, len(CONTENT) - 1))
def test_bytes_that_are_cut_off_give_nothing(length: int) -> None:
    assert unpack(CONTENT[:length], fingerprint=FINGERPRINT) is None
    assert unpack(CONTENT[length + 1 :], fingerprint=FINGERPRINT) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_foreign_bytes_give_nothing(content: bytes) -> None:
    assert unpack(content, fingerprint=FINGERPRINT) is None
    assert unpack(CONTENT[:9] + content, fingerprint=FINGERPRINT) is None
    assert unpack(CONTENT + content + b"!", fingerprint=FINGERPRINT) is None


def test_another_fingerprint_gives_nothing() -> None:
    assert unpack(CONTENT, fingerprint=FINGERPRINT + b"!") is None


def test_another_format_gives_nothing() -> None:
    """Sound in itself, and written by a program whose records differ."""
    other = CONTENT[:-32].replace(b"D365SNP2", b"D365SNP1", 1)

    assert unpack(other + sha256(other).digest(), fingerprint=FINGERPRINT) is None


@pytest.mark.parametrize(
    "member",
    [EnumMember(name="Huge", value=2**64), EnumMember(name="\ud800", value=1)],
    ids=operator.attrgetter("value"),
)
def test_what_cannot_be_written_raises_while_packing(member: EnumMember) -> None:
    unwritable = model(EnumType(name="E.E", members=(member,)))

    with pytest.raises((OverflowError, ValueError)):
        packed(unwritable)
