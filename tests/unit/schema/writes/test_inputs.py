"""Inputs of mutations: which fields they have, and which rows below."""

from __future__ import annotations

from typing import Any

import pytest

from schema.catalog import Catalog
from schema.catalog.naming import decode_naming, encode_naming
from schema.catalog.records import TypeKind, Verb
from schema.writes import Patterns, WriteRules, Writes
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NO_YES,
    entity,
    enum,
    nav,
    prop,
)
from tests.support.writing import (
    CODE,
    IN_THINGS,
    NAME,
    PLAIN,
    check,
    fields,
    on,
    schema_of,
    value_type,
    writes,
)

# Input fields


FIELDS = entity(
    "Thing",
    prop("dataAreaId", nullable=False, required=True),
    prop("Code", nullable=False, required=True, allow_edit=False),
    prop("Both"),
    prop("Fixed", allow_edit=False),
    prop("Later", allow_edit_on_create=False),
    prop("Computed", allow_edit=False, allow_edit_on_create=False, required=True),
    prop("Must", required=True),
    prop("Numbered", required=True),
    prop("OnHold", "NoYes"),
    prop("Status", "Status"),
    prop("Rights", "Rights"),
    prop("Tags", "Collection(Edm.String)"),
    prop("Home", "Place"),
    prop("Homes", "Collection(Place)"),
    prop("Sealed", "Sealed"),
    prop("Empty", "Empty"),
    prop("Photo", "Edm.Stream"),
    key=("dataAreaId", "Code"),
    open=True,
)
VALUES = (
    NO_YES,
    enum("Status", "Open", "Closed"),
    enum("Rights", "Read", "Write", flags=True),
    value_type("Place", prop("City", required=True), prop("Spot", "Spot"), prop("Kind", "Kind")),
    value_type("Spot", prop("North", "Edm.Double"), prop("Within", "Place")),
    value_type(
        "Sealed", prop("Sum", allow_edit=False, allow_edit_on_create=False), prop("Loop", "Sealed")
    ),
    value_type("Empty", prop("Inner", "Sealed")),
    enum("Kind", "City", "Land"),
)


def rich(**parts: Any) -> Writes:
    rules = WriteRules(given_by_service=frozenset({"Things.Numbered"}))
    return writes(FIELDS, *VALUES, sets=IN_THINGS, rules=rules, **parts)


def test_inputs_hold_what_may_be_given() -> None:
    rich_catalog = rich()

    assert fields(rich_catalog, "ThingCreateInput") == [
        "dataAreaId: String",
        "code: String!",
        "both: String",
        "fixed: String",
        "must: String!",
        "numbered: String",
        "onHold: Boolean",
        "status: Status",
        "rights: [Rights!]",
        "tags: [String!]",
        "home: PlaceValueInput",
        "homes: [PlaceValueInput!]",
        "additionalProperties: JSON",
    ]
    assert fields(rich_catalog, "ThingPatch") == [
        "both: String",
        "later: String",
        "must: String",
        "numbered: String",
        "onHold: Boolean",
        "status: Status",
        "rights: [Rights!]",
        "tags: [String!]",
        "home: PlaceValueInput",
        "homes: [PlaceValueInput!]",
        "additionalProperties: JSON",
    ]
    assert fields(rich_catalog, "ThingKey") == ["dataAreaId: String", "code: String!"]
    assert fields(rich_catalog, "PlaceValueInput") == [
        "city: String",
        "spot: SpotValueInput",
        "kind: Kind",
    ]
    check(rich_catalog)


def test_the_fields_of_an_input_are_found_by_name_or_walked_alike() -> None:
    rich_catalog = rich()

    for name in ("ThingCreateInput", "ThingPatch", "PlaceValueInput", "ThingKey"):
        given = rich_catalog.inputs_of(name)
        assert list(given) == [f.name for f in given.values()]
        assert len(given) == len(list(given))
        assert list(rich_catalog.required_of(name)) == [
            f.name for f in given.values() if not f.nullable
        ]
    for gone in ("computed", "later", "photo", "etag", "sealed", "nothing"):
        assert gone not in rich_catalog.inputs_of("ThingCreateInput")


@pytest.mark.parametrize("numbered", ["Other.Numbered", "Things.Must", "Thing.Numbered"])
def test_only_the_named_property_of_the_named_set_is_numbered(numbered: str) -> None:
    rules = WriteRules(given_by_service=frozenset({numbered}))
    mutations = writes(FIELDS, *VALUES, sets=IN_THINGS, rules=rules)

    assert "numbered: String!" in fields(mutations, "ThingCreateInput")


def test_value_inputs_are_there_only_where_a_value_is_given() -> None:
    rich_catalog = rich(abilities=GENERIC)

    names = {e.name for e in rich_catalog.entries() if e.kind is TypeKind.VALUE_INPUT}
    assert names == {"PlaceValueInput", "SpotValueInput"}
    assert rich_catalog.entry("SealedValueInput") is None
    assert rich_catalog.entry("EmptyValueInput") is None
    check(rich_catalog)


def test_a_value_that_is_only_changed_has_its_input_too() -> None:
    mutations = writes(
        entity("Thing", CODE, prop("Home", "Place", allow_edit_on_create=False), key=("Code",)),
        value_type("Place", prop("City")),
        sets=IN_THINGS,
    )

    assert fields(mutations, "ThingPatch") == ["home: PlaceValueInput"]
    check(mutations)


# Rows below

LINES = nav("Lines", "Line", many=True, target_set="Lines", on=on(("Code", "ThingId")))
LINE = entity("Line", CODE, prop("ThingId", required=True), nav("Head", "Thing"), key=("Code",))
AND_LINES = {"Things": "Thing", "Lines": "Line"}
TURNED = entity(
    "Line", CODE, prop("ThingId"), nav("Head", "Thing", on=on(("ThingId", "Code"))), key=("Code",)
)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("lines", "line", "rules", "nested"),
    [
        (LINES, LINE, {}, True),
        (nav("Lines", "Line", many=True, partner="Head"), TURNED, {}, True),
        (
            nav("Lines", "Line", many=True, declared=True, on=on(("Code", "ThingId"))),
            LINE,
            {},
            True,
        ),
        (nav("Lines", "Line", many=True, target_set="Lines"), LINE, {}, False),
        (nav("Line", "Line", on=on(("Code", "ThingId"))), LINE, {}, False),
        (
            nav("Lines", "Line", many=True, contains_target=True, on=on(("Code", "ThingId"))),
            LINE,
            {},
            False,
        ),
        (LINES, LINE, {Verb.CREATE: Patterns(deny=("Lines",))}, False),
        (LINES, LINE, {Verb.CREATE: Patterns(deny=("Things",))}, False),
        (LINES, entity("Line", CODE, prop("ThingId"), key=("Code",), read_only=True), {}, False),
    ],
    ids=[
        *("joined", "joined-by-the-partner", "declared", "join-unknown", "to-one", "contained"),
        *("target-denied", "parent-denied", "target-read-only"),
    ],
)
def test_rows_are_created_below_where_it_is_known_how_they_belong(
    lines: Any, line: Any, rules: Any, nested: bool
) -> None:
    thing = entity("Thing", CODE, NAME, lines, key=("Code",))
    mutations = writes(thing, line, sets=AND_LINES, rules=WriteRules(verbs=rules))

    names = {e.name for e in mutations.entries()} & {"LineNestedInput", "LineNestedCreate"}
    assert len(names) == (2 if nested else 0)
    assert (mutations.entry("LineNestedInput") is not None) is nested
    if mutations.entry("ThingCreateInput") is not None:
        assert ("lines: LineNestedCreate" in fields(mutations, "ThingCreateInput")) is nested
    if nested:
        assert fields(mutations, "LineNestedCreate") == ["create: [LineNestedInput!]!"]
        assert fields(mutations, "LineNestedInput") == ["code: String", "thingId: String"]
    check(mutations)


def test_a_type_of_writing_that_nothing_leads_to_is_not_there() -> None:
    core = schema_of(writes(PLAIN, LINE, sets=AND_LINES)).core

    for name in ("ThingNestedInput", "LineNestedCreate", "ThingValueInput", "MutationPayload"):
        assert core.get_type(name) is None
        assert name not in core.type_map
    assert core.get_type("ThingPatch") is not None


def test_what_is_below_what_is_taken_over_with_the_names() -> None:
    thing = entity("Thing", CODE, NAME, LINES, key=("Code",))
    mutations = writes(thing, LINE, sets=AND_LINES)
    kept = decode_naming(encode_naming(mutations.catalog.naming()))
    again = Writes(Catalog(mutations.catalog.model, FINOPS, naming=kept))

    assert list(again) == list(mutations)
    assert list(again.entries()) == list(mutations.entries())
    assert again.entry("LineNestedInput") is not None
