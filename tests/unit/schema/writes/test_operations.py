"""Actions and custom services as mutations: tables over small models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from schema.catalog.records import ServiceField, ServiceInfo, Verb
from schema.model.records import (
    Operation,
    Parameter,
    TypeRef,
)
from schema.writes import Patterns, WriteRules, Writes
from tests.support.small_models import (
    NO_YES,
    entity,
    enum,
    nav,
    prop,
    qualified,
)
from tests.support.writing import (
    CODE,
    PLAIN,
    action,
    check,
    imports,
    schema_of,
    value_type,
    writes,
)

IN_THINGS = {"Things": "Thing"}

THING = TypeRef(qualified("Thing"))
THINGS = TypeRef(qualified("Thing"), many=True)
ANSWER = value_type("Answer", prop("Text"), prop("State", "State"))
STATES = enum("State", "Good", "Bad")


def acting(*operations: Operation, names: Iterable[str] = (), **parts: Any) -> Writes:
    rules = parts.pop("rules", None) or WriteRules(
        verbs={v: Patterns(deny=("*",)) for v in (Verb.CREATE, Verb.UPDATE, Verb.DELETE)}
    )
    return writes(
        PLAIN,
        ANSWER,
        STATES,
        NO_YES,
        enum("Rights", "Read", "Write", flags=True),
        enum("Level", "Low", "High"),
        value_type("Order", prop("Text"), prop("Level", "Level"), prop("On", "NoYes")),
        value_type("Hollow", prop("X", allow_edit_on_create=False)),
        value_type("Base", prop("A")),
        value_type("Derived", prop("B"), base=qualified("Base")),
        entity("Loose", CODE, nav("Thing", "Thing"), key=("Code",)),
        sets=IN_THINGS,
        operations=operations,
        imports=imports(*names),
        rules=rules,
        **parts,
    )


def takes(name: str, type_name: str, **facts: Any) -> Parameter:
    many = type_name.startswith("Collection(")
    inner = type_name.removeprefix("Collection(").removesuffix(")")
    return Parameter(name=name, type=TypeRef(qualified(inner), many), **facts)


@pytest.mark.parametrize(
    ("operation", "imported", "wanted"),
    [
        (
            action("Post", bound_to=THING),
            (),
            "thingPost(code: String!): ThingPostPayload / userErrors",
        ),
        (
            action("Post", takes("Code", "Edm.Int32"), bound_to=THING),
            (),
            "thingPost(code: String!, code_2: Int): ThingPostPayload / userErrors",
        ),
        (
            action(
                "Sweep",
                takes("Days", "Edm.Int32", nullable=False),
                bound_to=THINGS,
                returns=TypeRef("Edm.Int32"),
            ),
            (),
            "thingsSweep(days: Int!): ThingsSweepPayload / result: Int userErrors",
        ),
        (
            action(
                "Make", takes("What", "Order"), takes("All", "Collection(Order)"), returns=THING
            ),
            ("Make",),
            "make(what: OrderValueInput, all: [OrderValueInput!]): MakePayload / result: Thing userErrors",
        ),
        (
            action(
                "Rate",
                takes("Level", "Level"),
                takes("Rights", "Rights"),
                returns=TypeRef(qualified("Rights")),
            ),
            ("Rate",),
            "rate(level: Level, rights: [Rights!]): RatePayload / result: [Rights!] userErrors",
        ),
        (
            action("Ask", returns=TypeRef(qualified("Answer"))),
            ("Ask",),
            "ask: AskPayload / result: Answer userErrors",
        ),
        (
            action("AskAll", returns=TypeRef(qualified("Answer"), many=True)),
            ("AskAll",),
            "askAll: AskAllPayload / result: [Answer!] userErrors",
        ),
        (
            action("Find", returns=TypeRef(qualified("Loose"))),
            ("Find",),
            "find: FindPayload / result: Loose userErrors",
        ),
        (
            action("Any", returns=TypeRef(qualified("Base"))),
            ("Any",),
            "any: AnyPayload / result: Base userErrors",
        ),
        (
            action("Flag", returns=TypeRef(qualified("NoYes"), many=True)),
            ("Flag",),
            "flag: FlagPayload / result: [Boolean!] userErrors",
        ),
        (action("Lost"), (), None),
        (action("Give", takes("It", "Thing")), ("Give",), None),
        (action("Send", takes("It", "Hollow")), ("Send",), None),
        (action("Draw", returns=TypeRef("Edm.Stream")), ("Draw",), None),
        (action("Stray", bound_to=TypeRef(qualified("Loose"))), (), None),
    ],
    ids=[
        *("of-a-row", "parameter-like-the-key", "of-a-list", "complex", "enums", "complex-result"),
        *("complex-results", "row-without-a-set", "interface-result", "yes-or-no-results"),
        *("not-imported", "takes-a-row", "takes-nothing-that-can-be-given", "stream"),
        "of-a-row-without-a-set",
    ],
)
def test_actions_are_mutations(
    operation: Operation, imported: tuple[str, ...], wanted: str | None
) -> None:
    actions = acting(operation, names=imported)
    if wanted is None:
        assert list(actions) == []
        return

    (name,) = actions
    core = check(actions)
    assert core.mutation_type is not None
    field = core.mutation_type.fields[name]
    arguments = ", ".join(f"{n}: {a.type}" for n, a in field.args.items() if n != "idempotencyKey")
    payload: Any = field.type
    inner = (n if n == "userErrors" else f"{n}: {f.type}" for n, f in payload.fields.items())
    shown = f"{name}({arguments})" if arguments else name
    assert f"{shown}: {payload} / {' '.join(inner)}" == wanted


def test_all_actions_together_make_one_schema() -> None:
    actions = acting(
        action("Post", bound_to=THING),
        action("Post", bound_to=THINGS),
        action("Find", returns=TypeRef(qualified("Loose"))),
        action("Any", takes("What", "Order"), returns=TypeRef(qualified("Base"))),
        names=("Find", "Any"),
        rules=WriteRules(),
    )

    assert list(actions)[-4:] == ["thingPost", "thingsPost", "find", "any"]
    check(actions)


def test_types_of_actions_include_their_derived_types() -> None:
    actions = acting(action("Any", returns=TypeRef(qualified("Base"))), names=("Any",))
    core = schema_of(actions).core

    base: Any = core.type_map["Base"]
    assert [t.name for t in core.get_possible_types(base)] == ["BaseObject", "Derived"]
    assert schema_of(acting()).core.get_type("Base") is None


def test_an_enum_shown_as_another_type_is_absent_for_actions() -> None:
    actions = acting(action("Send", takes("It", "Order")), names=("Send",))

    names = {e.name for e in actions.entries()}
    assert {"Level", "OrderValueInput", "SendPayload"} <= names
    assert "NoYes" not in names


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ({}, ["thingPost", "sweep"]),
        ({Verb.ACTION: Patterns(("P*",))}, ["thingPost"]),
        ({Verb.ACTION: Patterns(deny=("P*",))}, ["sweep"]),
    ],
)
def test_the_settings_allow_actions_by_name(rules: Any, wanted: list[str]) -> None:
    denied = {v: Patterns(deny=("*",)) for v in (Verb.CREATE, Verb.UPDATE, Verb.DELETE)}
    actions = acting(
        action("Post", bound_to=THING),
        action("Sweep"),
        names=("Sweep",),
        rules=WriteRules(verbs={**denied, **rules}),
    )

    assert list(actions) == wanted


def test_operations_called_like_mutations_of_rows_get_other_names() -> None:
    actions = acting(
        action("CreateThing"),
        action("CreateThings"),
        names=("CreateThing", "CreateThings"),
        rules=WriteRules(services=(ServiceInfo("deleteThing", "a/b/c"),)),
    )

    names = list(actions)
    assert names[-3:] == ["createThingAction", "createThingsAction", "deleteThingAction"]
    assert len(set(names)) == len(names)
    check(actions)


def test_payloads_of_equally_named_operations_differ() -> None:
    services = (
        ServiceInfo("thing", "a/b/thing"),
        ServiceInfo("post", "a/b/post"),
        ServiceInfo("Post", "a/b/Post"),
    )
    mutations = writes(PLAIN, sets=IN_THINGS, rules=WriteRules(services=services))

    payloads = [mutations.result(mutations[s.name]).type_name for s in services]
    assert payloads == ["ThingPayload2", "PostPayload", "PostPayload2"]
    check(mutations)


def test_services_take_and_give_what_the_settings_declare() -> None:
    service = ServiceInfo(
        "post",
        "Group/Service/post",
        (
            ServiceField("journal", "_journal", "String", nullable=False),
            ServiceField("dates", "_dates", "Date", many=True),
        ),
        (
            ServiceField("voucher", "Voucher", "String"),
            ServiceField("userErrors", "Errors", "String", many=True),
        ),
        "Posts a journal.",
    )
    mutations = writes(PLAIN, sets=IN_THINGS, rules=WriteRules(services=(service,)))

    arguments = [
        (a.name, a.type_name, a.nullable, a.many)
        for a in mutations.inputs_of_field(mutations["post"])
    ]
    assert arguments == [("journal", "String", False, False), ("dates", "Date", True, True)]
    outputs = [(f.name, f.source) for f in mutations.payload_of("PostPayload").values()]
    assert outputs == [("voucher", "Voucher"), ("userErrors_2", "Errors"), ("userErrors", "")]
    assert mutations.description(mutations["post"]) == (
        "Posts a journal. Calls the custom service `Group/Service/post`."
    )
    check(mutations)
