"""Which mutations of rows there are, what they take and what they give: tables over small models."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry

from schema.catalog import Catalog
from schema.catalog.records import TypeKind, Verb
from schema.errors import NameCollisionError
from schema.model.records import (
    Capabilities,
    EntitySet,
)
from schema.types.build import build_schema
from schema.writes import Patterns, WriteRules, Writes
from tests.support.small_models import (
    FINOPS,
    DictResolvers,
    entity,
    model,
    prop,
    qualified,
)
from tests.support.writing import (
    CODE,
    IN_THINGS,
    NAME,
    PLAIN,
    ROW_VERBS,
    check,
    fields,
    of_rows,
    schema_of,
    writes,
)


@strawberry.type(name="ThingPatch")
class Handmade:
    name: str


# Which mutations there are


def can(**facts: Any) -> list[EntitySet]:
    return [EntitySet(name="Things", type=qualified("Thing"), can=Capabilities(**facts))]


BOTH = [*of_rows("Things"), *of_rows("Thing")]


@pytest.mark.parametrize(
    ("kind", "sets", "wanted"),
    [
        (PLAIN, IN_THINGS, ROW_VERBS),
        (entity("Thing", CODE, NAME), IN_THINGS, ()),
        (entity("Thing", CODE, NAME, key=("Code",), read_only=True), IN_THINGS, ()),
        (entity("Thing", CODE, NAME, key=("Code",), abstract=True), IN_THINGS, ()),
        (PLAIN, can(insertable=False), ("update", "delete")),
        (PLAIN, can(updatable=False), ("create", "delete")),
        (PLAIN, can(deletable=False), ("create", "update", "upsert")),
        (PLAIN, can(insertable=False, updatable=False, deletable=False), ()),
        (entity("Thing", CODE, key=("Code",)), IN_THINGS, ("create", "delete")),
        (entity("Thing", CODE, key=("Code",), open=True), IN_THINGS, ROW_VERBS),
        (
            entity("Thing", prop("Code", allow_edit_on_create=False), NAME, key=("Code",)),
            IN_THINGS,
            ("create", "update", "delete"),
        ),
        (
            entity(
                "Thing",
                prop("dataAreaId", allow_edit_on_create=False),
                CODE,
                NAME,
                key=("dataAreaId", "Code"),
            ),
            IN_THINGS,
            ROW_VERBS,
        ),
        (
            entity(
                "Thing", prop("Code", allow_edit=False, allow_edit_on_create=False), key=("Code",)
            ),
            IN_THINGS,
            ("delete",),
        ),
    ],
    ids=[
        *("plain", "keyless", "read-only", "abstract", "not-insertable", "not-updatable"),
        *("not-deletable", "by-no-annotation", "key-only", "open-key-only", "numbered-key"),
        *("company-not-given", "nothing-given"),
    ],
)
def test_a_set_has_the_mutations_that_can_do_something(
    kind: Any, sets: Any, wanted: tuple[str, ...]
) -> None:
    mutations = writes(kind, sets=sets)

    assert list(mutations) == [*of_rows("Things", wanted), *of_rows("Thing", wanted)]
    assert len(mutations) == 2 * len(wanted)
    assert bool(mutations) is bool(wanted)
    if wanted:
        check(mutations)


def test_sets_of_one_type_share_types_of_mutations() -> None:
    mutations = writes(PLAIN, sets={"Things": "Thing", "OldThings": "Thing"})

    assert list(mutations) == [
        *of_rows("Things"),
        *of_rows("OldThings"),
        *of_rows("Thing"),
        *of_rows("OldThingsByKey"),
    ]
    names = [
        mutations.result(mutations[f"create{n}"]).type_name for n in ("Thing", "OldThingsByKey")
    ]
    assert names == ["ThingPayload", "ThingPayload"]
    check(mutations)


@pytest.mark.parametrize(
    ("renames", "lists", "by_key", "patch"),
    [
        ({"Thing": "Item"}, "Things", "Item", "ItemPatch"),
        ({"Query.Things": "goods"}, "Goods", "Thing", "ThingPatch"),
        ({"Query.Thing": "good"}, "Things", "Good", "ThingPatch"),
        ({"Query.Thing": "Things"}, "Things", "Things2", "ThingPatch"),
    ],
)
def test_mutations_follow_renames(
    renames: dict[str, str], lists: str, by_key: str, patch: str
) -> None:
    mutations = writes(PLAIN, sets=IN_THINGS, renames=renames)

    assert list(mutations) == [*of_rows(lists), *of_rows(by_key)]
    assert [mutations[f"create{n}"].many for n in (lists, by_key)] == [True, False]
    assert mutations.name_of(TypeKind.PATCH, qualified("Thing")) == patch
    check(mutations)


def test_a_renamed_field_is_written_by_its_name() -> None:
    mutations = writes(PLAIN, sets=IN_THINGS, renames={"Thing.Name": "title"})

    assert fields(mutations, "ThingPatch") == ["title: String"]
    of = mutations.inputs_of("ThingPatch")["title"].of
    assert of is not None
    assert of.source == "Name"


def test_names_of_any_script_become_mutations() -> None:
    mutations = writes(
        entity("Straße", prop("Größe"), prop("客户"), key=("客户",)), sets={"Straßen": "Straße"}
    )

    assert list(mutations) == [*of_rows("Strassen"), *of_rows("Strasse")]
    assert fields(mutations, "StrasseCreateInput") == ["grosse: String", "keHu: String"]
    check(mutations)


def test_names_beyond_the_letters_of_mutations_are_none() -> None:
    mutations = writes(PLAIN, sets=IN_THINGS)

    for name in ("create", "creatething", "createThings2", "thing", "", "readThing", "Create"):
        assert name not in mutations
    assert [name for name in mutations if name not in mutations] == []
    assert [mutations[name].name for name in mutations] == list(mutations)


def test_a_mapping_tells_the_same_however_it_is_asked() -> None:
    mutations = writes(PLAIN, sets=IN_THINGS)
    names = list(mutations)

    assert names == list(mutations.keys()) == [f.name for f in mutations.values()]
    assert len(mutations) == len(set(names)) == 8
    assert mutations["createThing"] is mutations["createThing"]


# Names that meet


def test_a_type_that_is_called_like_a_companion_keeps_its_name() -> None:
    mutations = writes(
        PLAIN,
        entity("ThingPatch", CODE, NAME, key=("Code",)),
        entity("ThingPayload", CODE, NAME, key=("Code",)),
        sets={"Things": "Thing", "ThingPatches": "ThingPatch", "ThingPayloads": "ThingPayload"},
    )
    thing = qualified("Thing")

    assert mutations.name_of(TypeKind.PATCH, thing) == "ThingPatch2"
    assert mutations.name_of(TypeKind.PAYLOAD, thing) == "ThingPayload2"
    assert mutations.name_of(TypeKind.PATCH, qualified("ThingPatch")) == "ThingPatchPatch"
    assert mutations.entry("ThingPatch") is None
    check(mutations)


def test_a_type_named_like_one_of_the_gateway_gets_a_suffix() -> None:
    mutations = writes(
        entity("UserError", CODE, NAME, key=("Code",)),
        entity("FieldConflict", CODE, NAME, key=("Code",)),
        sets={"UserErrors": "UserError", "FieldConflicts": "FieldConflict"},
    )

    assert mutations.catalog.reference_name(qualified("UserError")) == "UserError_2"
    check(mutations)


@pytest.mark.parametrize("name", ["Etag", "Created", "UserErrors", "Results", "Result"])
def test_a_row_does_not_take_the_place_of_what_every_payload_has(name: str) -> None:
    mutations = writes(entity(name, CODE, NAME, key=("Code",)), sets={"Things": name})

    row = name[0].lower() + name[1:] + "Row"
    assert list(mutations.payload_of(f"{name}Payload")) == [*(row, "etag", "created", "userErrors")]
    check(mutations)


def test_hand_written_types_do_not_meet_types_of_writing() -> None:
    @strawberry.type
    class Extra:
        @strawberry.field
        def old(self) -> Handmade:
            raise NotImplementedError

    mutations = writes(PLAIN, sets=IN_THINGS)

    with pytest.raises(NameCollisionError, match="ThingPatch"):
        schema_of(mutations, extra_query=Extra)


# Settings


@pytest.mark.parametrize(
    ("verbs", "wanted"),
    [
        ({}, {"Things": ROW_VERBS, "Parts": ROW_VERBS}),
        ({Verb.CREATE: Patterns(("Th*",))}, {"Things": ROW_VERBS, "Parts": ("update", "delete")}),
        (
            {Verb.UPDATE: Patterns(deny=("*s",))},
            {"Things": ("create", "delete"), "Parts": ("create", "delete")},
        ),
        (
            {Verb.DELETE: Patterns(("*",), ("Parts",))},
            {"Things": ROW_VERBS, "Parts": ("create", "update", "upsert")},
        ),
        (
            {v: Patterns(("Parts",), ("Parts",)) for v in (Verb.CREATE, Verb.UPDATE, Verb.DELETE)},
            {},
        ),
        ({v: Patterns(("things",)) for v in (Verb.CREATE, Verb.UPDATE, Verb.DELETE)}, {}),
    ],
    ids=["all", "allowed", "denied", "both", "denied-though-allowed", "letters-count"],
)
def test_the_settings_allow_verb_by_verb(verbs: Any, wanted: dict[str, tuple[str, ...]]) -> None:
    mutations = writes(
        PLAIN,
        entity("Part", CODE, NAME, key=("Code",)),
        sets={"Things": "Thing", "Parts": "Part"},
        rules=WriteRules(verbs=verbs),
    )

    lists = [name for name in mutations if mutations[name].many]
    assert lists == [n for set_name, v in wanted.items() for n in of_rows(set_name, v)]


@pytest.mark.parametrize("required", [False, True])
def test_if_match_is_required_where_the_settings_say_so(required: bool) -> None:
    mutations = writes(PLAIN, sets=IN_THINGS, rules=WriteRules(if_match_required=required))
    if_match = "ifMatch: String!" if required else "ifMatch: String"

    assert fields(mutations, "ThingUpdateInput") == [
        "key: ThingKey!",
        "patch: ThingPatch!",
        if_match,
    ]
    assert fields(mutations, "ThingDeleteInput") == ["key: ThingKey!", if_match]
    assert [a.nullable for a in mutations.inputs_of_field(mutations["deleteThing"])] == [
        False,
        not required,
    ]


@pytest.mark.parametrize(
    "found",
    [
        None,
        writes(
            PLAIN, sets=IN_THINGS, rules=WriteRules(verbs={v: Patterns(deny=("*",)) for v in Verb})
        ),
        writes(entity("Thing", CODE, NAME), sets={"Things": "Thing"}),
    ],
    ids=["read-only", "nothing-allowed", "nothing-writable"],
)
def test_a_schema_without_allowed_writes_has_no_write_types(
    found: Writes | None,
) -> None:
    catalog = Catalog(model(PLAIN, sets=IN_THINGS), FINOPS) if found is None else found.catalog
    schema = build_schema(catalog, DictResolvers(), writes=found)

    assert schema.core.mutation_type is None
    assert schema.writes is None
    assert not {"Mutation", "UserError", "FieldConflict", "ThingPatch"} & set(schema.core.type_map)
    assert not {"atomic", "valueOf"} & {d.name for d in schema.core.directives}
    assert schema.core.get_type("UserError") is None
    assert schema.core.get_type("ThingPayload") is None
