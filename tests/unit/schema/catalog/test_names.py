"""CSDL names to GraphQL names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.catalog.names import (
    Names,
    ascii_name,
    enum_value_name,
    field_name,
    field_names,
    near_names,
    type_name,
)

GRAPHQL_NAME = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*", re.ASCII)


@pytest.mark.parametrize(
    ("csdl", "graphql"),
    [
        ("CustomerAccount", "customerAccount"),
        ("dataAreaId", "dataAreaId"),
        ("AADClientId", "aadClientId"),
        ("ID", "id"),
        ("URLs", "urLs"),
        ("BOMId", "bomId"),
        ("HTTP2Port", "http2Port"),
        ("A", "a"),
        ("3WayMatch", "_3WayMatch"),
        ("_Hidden", "_Hidden"),
        ("__typename", "_typename"),
        ("Straße", "strasse"),
        ("Überweisung", "uberweisung"),
        ("客户", "keHu"),
        ("Номер", "nomer"),
        ("СчётУчёта", "schetUcheta"),
        ("Объём", "obem"),
        ("Ελλάδα", "ellada"),
        ("Соль", "sol"),
        ("\u200b", "u200B"),
        ("With space", "with_space"),
        ("", "_"),
    ],
)
def test_a_property_becomes_a_camel_case_field(csdl: str, graphql: str) -> None:
    assert field_name(csdl) == graphql


@pytest.mark.parametrize(
    ("csdl", "graphql"),
    [
        ("CustomerV3", "CustomerV3"),
        ("customerV3", "CustomerV3"),
        ("_Odd", "_Odd"),
        ("1099Box", "_1099Box"),
        ("ẞ-Typ", "SS_Typ"),
        ("Größe", "Grosse"),
        ("a\u0301b", "Ab"),
    ],
)
def test_a_type_keeps_its_name_in_pascal_case(csdl: str, graphql: str) -> None:
    assert type_name(csdl) == graphql


@pytest.mark.parametrize(
    ("csdl", "graphql"),
    [
        ("FixedAssets_RU", "FIXED_ASSETS_RU"),
        ("Code_x0020_Mandatory", "CODE_MANDATORY"),
        ("Pre_x002D_paid", "PRE_PAID"),
        ("Caf_x00E9_", "CAFE"),
        ("_x0020_", "_X0020_"),
        ("No", "NO"),
        ("W2GForm", "W2_G_FORM"),
        ("VATReport", "VAT_REPORT"),
        ("1099", "_1099"),
        ("true", "TRUE"),
    ],
)
def test_an_enum_member_becomes_upper_snake_case(csdl: str, graphql: str) -> None:
    assert enum_value_name(csdl) == graphql


@given(st.lists(st.one_of(st.from_regex(r"[A-Za-z_]{1,2}[A-Za-z0-9_]*\n?"), st.text())))
def test_many_names_are_named_like_each(texts: list[str]) -> None:
    assert field_names(texts) == list(map(field_name, texts))


@given(st.text())
def test_every_text_gives_a_name_that_graphql_allows(text: str) -> None:
    for made in (ascii_name(text), field_name(text), type_name(text), enum_value_name(text)):
        assert GRAPHQL_NAME.fullmatch(made), (text, made)


def test_a_taken_name_gets_a_suffix_and_a_finding() -> None:
    names = Names(("id",), place=" in Order")

    assert [names.take("total", "A.Total"), names.take("total", "A.total")] == ["total", "total_2"]
    assert names.take("total", "A.TOTAL") == "total_3"
    assert names.take("id", "A.Id") == "id_2"
    assert names.findings == [
        "A.total: the GraphQL name total is taken by A.Total; it is named total_2 in Order.",
        "A.TOTAL: the GraphQL name total is taken by A.Total; it is named total_3 in Order.",
        "A.Id: the GraphQL name id is taken by a name of the gateway; it is named id_2 in Order.",
    ]


def test_a_rename_wins_over_the_wanted_name() -> None:
    names = Names((), {"A.Id": "number"})

    assert names.take("id", "A.Id") == "number"
    assert names.is_taken("number")
    assert not names.is_taken("id")
    assert list(names.owners()) == ["A.Id"]


def test_near_names_are_few_and_the_nearest_come_first() -> None:
    names = [f"salesOrder{i}" for i in range(500)] + ["customersV3", "customerV3", "cases"]

    assert near_names("custmersV3", names) == ["customerV3", "customersV3"]
    assert len(near_names("salesOrder", names)) == 100
    assert near_names("zebra", names) == []
