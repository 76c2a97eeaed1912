"""Introspection written from the catalogue answers what graphql-core answers of a schema made eagerly."""

from __future__ import annotations

import random
import re
from collections import Counter
from enum import Enum
from itertools import count
from typing import Annotated, Any

import pytest
import strawberry
from graphql import build_client_schema, parse, print_schema, validate
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from gateway.introspection.introspection_selection import BELOW
from schema.catalog import Catalog
from schema.catalog.records import TypeEntry, TypeKind
from schema.catalog.values import Cleaning
from schema.introspection import introspect, is_whole, print_types
from schema.introspection.compressed_store import BLOCK, Spool
from schema.introspection.row_templates import ROW_KINDS
from schema.introspection.type_records import DescribedType
from schema.introspection.types import Types
from schema.model.exposure import expose
from schema.model.records import (
    Capabilities,
    EntitySet,
    EntityType,
    Model,
    Navigation,
    Property,
    TypeRef,
)
from schema.types.build import ODataSchema, build_schema
from schema.writes import WriteRules, Writes
from tests.support import zoo_model as zoo
from tests.support.introspections import (
    EVERYTHING,
    assert_same,
    build_eagerly,
    first_difference,
    introspect_with_gateway,
    introspect_with_graphql_core,
    introspection_selection,
)
from tests.support.metadata_documents import (
    REAL_CATALOGUE,
    REAL_SMALL,
    SMALL,
    catalogues,
    found,
    is_finance,
    model_of,
)
from tests.support.small_models import FINOPS, GENERIC, DictResolvers
from tests.support.soak import bounded


def api(catalog: Catalog, *, writes: bool = False, **extra: Any) -> ODataSchema:
    return build_schema(
        catalog, DictResolvers(), writes=Writes(catalog) if writes else None, **extra
    )


def sdl_of(schema: ODataSchema) -> str:
    return "".join(print_types(schema.copy_for(schema.catalog.fresh_copy())))


def check(schema: ODataSchema) -> None:
    """All of it, type by type, and clients can work with it."""
    answer = introspect_with_gateway(schema, EVERYTHING)
    core = build_eagerly(schema.core)

    assert_same(answer, introspect_with_graphql_core(core, EVERYTHING))
    assert print_schema(build_client_schema(answer)) == print_schema(core)
    assert sdl_of(schema) == print_schema(core) + "\n"


# Documents


@pytest.mark.heavy
@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("name", [*SMALL, *bounded((), found(*REAL_SMALL))])
def test_a_whole_document_introspects_like_graphql_core(name: str, writes: bool) -> None:
    abilities = FINOPS if is_finance(name) else GENERIC

    everything = {"writes": writes, "subscriptions": writes, "aggregates": writes}

    check(api(Catalog(model_of(name), abilities), **everything))


@pytest.fixture(scope="module", params=catalogues(*bounded((), (REAL_CATALOGUE,))))
def full(request: pytest.FixtureRequest) -> Model:
    return model_of(request.param)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [1, 2])
def test_random_parts_introspect_like_graphql_core(full: Model, seed: int) -> None:
    names = random.Random(seed).sample(list(full.entity_sets), bounded(80, 200))
    catalog = Catalog(expose(full, include=names, exclude=[]), FINOPS)

    check(api(catalog, writes=seed == 2, aggregates=True))


# Everything that a schema may hold


@strawberry.enum
class Mood(Enum):
    GOOD = strawberry.enum_value("good", description="All is well.")
    BAD = strawberry.enum_value("bad", deprecation_reason="Nobody is.")


@strawberry.input(description="Either of two.", one_of=True)
class Either:
    left: strawberry.Maybe[int]
    right: strawberry.Maybe[str]


@strawberry.input
class Options:
    depth: int = 3
    moods: list[Mood] = strawberry.field(default_factory=lambda: [Mood.GOOD])
    old: str | None = strawberry.field(default=None, deprecation_reason="Too old.")


@strawberry.interface(description="Something with a name.")
class Named:
    name: str


@strawberry.type
class Dog(Named):
    bark: str = strawberry.field(deprecation_reason="Use `sound`.")


@strawberry.type
class Cat(Named):
    lives: list[int | None]


@strawberry.type
class Extra:
    @strawberry.field(description='Says "hello" in\n\tmany \u2028 ways: 100 % äöü.')
    def hello(
        self,
        options: Options | None = None,
        either: Either | None = None,
        word: Annotated[str, strawberry.argument(description="A word.")] = "hi",
        times: Annotated[int, strawberry.argument(deprecation_reason="Once is enough.")] = 1,
    ) -> list[list[str]]:
        raise NotImplementedError

    @strawberry.field(deprecation_reason="Gone.")
    def pets(self) -> list[Annotated[Dog | Cat, strawberry.union("Pet")]]:
        raise NotImplementedError

    @strawberry.field
    def anyone(self) -> Named | None:
        raise NotImplementedError


def zoo_api(*, writes: bool = True, abilities: Any = GENERIC) -> ODataSchema:
    return api(Catalog(zoo.model(), abilities), writes=writes, extra_query=Extra, extra_types=[Dog])


SCHEMA = zoo_api()
EAGER = build_eagerly(SCHEMA.core)
TOO_DEEP = "Maximum introspection depth exceeded"
NAMES = (*EAGER.type_map, "NoSuchType")


@pytest.mark.parametrize("abilities", [FINOPS, GENERIC], ids=["finops", "generic"])
@pytest.mark.parametrize("cleaning", [Cleaning(), Cleaning(no_yes=False, dates=False)])
def test_families_and_complex_types_introspect_like_graphql_core(
    abilities: Any, cleaning: Cleaning
) -> None:
    check(api(Catalog(zoo.model(), abilities, cleaning=cleaning)))


STRING = TypeRef("Edm.String")
ORDER = tuple(Property(name=name, type=STRING) for name in ("Text", "OrderId", "dataAreaId"))


@pytest.mark.parametrize(
    ("properties", "can"),
    [
        pytest.param(ORDER, Capabilities(), id="a key in another order than its properties"),
        pytest.param(
            (*ORDER, Property(name="text", type=STRING)), Capabilities(), id="a name taken"
        ),
        pytest.param(
            (*ORDER, Property(name="Id", type=STRING), Property(name="And", type=STRING)),
            Capabilities(),
            id="names of the gateway's own",
        ),
        pytest.param((*ORDER, Property(name="Not", type=STRING)), Capabilities(), id="an operator"),
        pytest.param(
            (*ORDER, Property(name="Picture", type=TypeRef("Edm.Stream"))),
            Capabilities(non_filterable=("Text",), non_sortable=("OrderId", "Picture")),
            id="what cannot be asked",
        ),
        pytest.param(ORDER, Capabilities(filterable=False, sortable=False), id="nothing to ask"),
        pytest.param(
            (
                *ORDER,
                Property(name="Must", type=STRING, required=True, nullable=False),
                Property(name="Number", type=STRING, required=True, description='100 % "so"'),
                Property(name="Fixed", type=STRING, allow_edit=False),
                Property(name="Given", type=STRING, allow_edit=False, allow_edit_on_create=False),
                Property(name="Texts", type=TypeRef("Edm.String", many=True), label="%b"),
                Property(name="Day", type=TypeRef("Edm.DateTimeOffset"), ax_type="Date"),
            ),
            Capabilities(),
            id="properties of every kind",
        ),
    ],
)
@pytest.mark.parametrize("renames", [{}, {"Order.Text": "words"}], ids=["", "renamed"])
def test_properties_introspect_like_graphql_core(
    properties: tuple[Property, ...], can: Capabilities, renames: dict[str, str]
) -> None:
    model = Model(
        entity_types={
            "Erp.Order": EntityType(
                name="Erp.Order",
                key=("dataAreaId", "OrderId"),
                properties=properties,
                navigations=(Navigation(name="Next", target="Erp.Order"),),
            )
        },
        entity_sets={"Orders": EntitySet(name="Orders", type="Erp.Order", can=can)},
    )
    catalog = Catalog(model, FINOPS, renames=renames)
    rules = WriteRules(given_by_service=frozenset({"Orders.Number"}))

    check(build_schema(catalog, DictResolvers(), writes=Writes(catalog, rules)))


def test_hand_written_types_introspect_next_to_generated_ones() -> None:
    answer = introspect_with_gateway(SCHEMA, EVERYTHING)

    assert_same(answer, introspect_with_graphql_core(EAGER, EVERYTHING))
    assert set(build_client_schema(answer).type_map) == set(EAGER.type_map)
    # only Strawberry knows that a hand-written type is one of these
    assert sdl_of(SCHEMA).replace("Either @oneOf", "Either") == print_schema(EAGER) + "\n"


def selections(typename: str, depth: int) -> st.SearchStrategy[str]:
    """Random valid selections of an introspection type."""
    fields = []
    for name, below in BELOW[typename].items():
        takes = typename != "__Schema" and name in ("fields", "enumValues", "inputFields", "args")
        takes = takes or name == "directives"
        flags = ["", "(includeDeprecated: true)", "(includeDeprecated: $yes)"] if takes else [""]
        made = st.sampled_from([name + flag for flag in flags])
        if typename == "Query" and name == "__type":
            made = st.sampled_from(NAMES).map(lambda n: f'__type(name: "{n}")')
        if below and depth == 0:
            continue
        inner = selections(below, depth - 1) if below else st.just("")
        alias = st.just("a: ")
        condition = st.sampled_from(["", "", "", " @skip(if: $no)", " @include(if: $no)"])
        fields.append(st.tuples(alias, made, condition, inner).map("".join))
    several = st.lists(st.one_of(fields), min_size=1, max_size=5).map(" ".join)
    as_fragment = several.map(lambda text: f"... on {typename} {{ {text} }}")
    return st.one_of(several, several, as_fragment).map(
        lambda text: f" {{ always: __typename {text} }}"
    )


@pytest.mark.heavy
@settings(max_examples=bounded(20, 40), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.deferred(lambda: selections("Query", 4)))
def test_any_selection_answers_like_graphql_core(text: str) -> None:
    number = count()
    text = re.sub(r"\ba: ", lambda _: f"a{next(number)}: ", text)
    query = (
        "query ($yes: Boolean! = true, $no: Boolean! = false) {"
        f" a: __schema {{ __typename }} ...A @skip(if: $no) @include(if: $yes) }}"
        f" fragment A on Query {text}"
    )
    # graphql-core's own limit: lists of fields of types of fields, three deep
    assume(TOO_DEEP not in [e.message for e in validate(EAGER, parse(query))])

    assert_same(introspect_with_gateway(SCHEMA, query), introspect_with_graphql_core(EAGER, query))


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { queryType { name fields { name } } } }",
        "{ a: __schema { types { name } } b: __schema { types { kind } } }",
        "{ a: __schema { types { name fields { name } } } b: __schema { types { kind } } }",
        "{ __schema { queryType { fields { name } all: fields(includeDeprecated: true) { name } } } }",
        "{ __schema { types { name fields { type { name fields { type { name } } } } } } }",
        "{ __schema { types { possibleTypes { name fields { name } } } } }",
        "{ __schema { types { fields { name type { specifiedByURL } } } } }",
        "{ __schema { types { fields { args { type { name isOneOf ofType { isOneOf } } } } } } }",
        "{ __schema { types { fields { description name } inputFields { description } } } }",
        "{ __schema { types { fields { isDeprecated } inputFields { name a: name } } } }",
        "{ __schema { types { a: fields { name } b: fields { name } inputFields { name } c: inputFields { name } } } }",
        "{ __schema { types { fields { __typename } inputFields { __typename } } } }",
        "{ __schema { types { fields { isDeprecated args { isDeprecated } } } } }",
        "{ __schema { types { fields { a: args { name } b: args { type { name kind } } } } } }",
        "{ __schema { types { fields { type { name } description n: name } } } }",
        '{ __type(name: "Query") { fields { args { name type { kind ofType { name } } } } } }',
        '{ __type(name: "Node") { possibleTypes { name description } } }',
        "{ __schema { ...A types { name } } } fragment A on __Schema { types { kind } }",
    ],
)
def test_special_selections_answer_like_graphql_core(query: str) -> None:
    assert_same(introspect_with_gateway(SCHEMA, query), introspect_with_graphql_core(EAGER, query))


def test_variables_choose_type_and_deprecated_fields() -> None:
    query = """query ($name: String!, $old: Boolean!) {
        __type(name: $name) { name fields(includeDeprecated: $old) { name } }
    }"""
    given = {"name": "Dog", "old": True}

    assert introspect_with_gateway(SCHEMA, query, given)["__type"]["fields"] == [
        {"name": "name"},
        {"name": "bark"},
    ]
    assert introspect_with_gateway(SCHEMA, query, {**given, "old": False})["__type"]["fields"] == [
        {"name": "name"}
    ]


# What it costs


def test_full_introspection_creates_no_types(full: Model) -> None:
    names = list(full.entity_sets)[:300]
    schema = api(Catalog(expose(full, include=names, exclude=[]), FINOPS))
    walked = schema.copy_for(schema.catalog.fresh_copy())
    before = walked.made_types

    size = sum(map(len, introspect(walked, introspection_selection(schema.core, EVERYTHING))))

    assert size > 1_000_000
    assert walked.made_types - before < 30  # the scalars and the wiring
    assert schema.made_types == before


def test_ordinary_families_are_filled_into_templates(
    full: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = Counter[TypeKind]()
    describe = Types.generated

    def generated(self: Types, entry: TypeEntry) -> DescribedType:
        described[entry.kind] += 1
        return describe(self, entry)

    monkeypatch.setattr(Types, "generated", generated)
    names = list(full.entity_sets)[:100]
    schema = api(Catalog(expose(full, include=names, exclude=[]), FINOPS), writes=True)
    walked = schema.copy_for(schema.catalog.fresh_copy())
    for _ in introspect(walked, introspection_selection(schema.core, EVERYTHING)):
        pass

    # Each kind is described once, for the specimen.
    assert all(described[kind] <= 1 for kind in ROW_KINDS), described
    assert described[TypeKind.FILTER] < 20, described  # those of scalars


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ("{ __schema { types { name } } }", True),
        ("{ __schema { queryType { name } } }", False),
        ("{ __schema { queryType { fields { name } } } }", True),
        ("{ __schema { directives { name args { name } } } }", False),
        ('{ __type(name: "Order") { fields { name type { name } } } }', False),
        ('{ __type(name: "Order") { fields { type { fields { name } } } } }', True),
        ('{ __type(name: "Query") { fields { name } } }', True),
        ('{ __type(name: "Query") { name } }', False),
        ('{ __type(name: "Node") { possibleTypes { name } } }', True),
        (
            "{ " + " ".join(f'a{n}: __type(name: "Order") {{ name }}' for n in range(30)) + " }",
            True,
        ),
    ],
)
def test_long_answers_are_recognised(query: str, whole: bool) -> None:
    assert is_whole(introspection_selection(SCHEMA.core, query)) is whole


def test_a_difference_is_reported_with_its_place() -> None:
    by_name = {"types": [{"name": "A", "fields": [{"name": "x", "description": "1"}]}]}
    wanted = {"types": [{"name": "A", "fields": [{"name": "x", "description": "2"}]}]}

    assert first_difference(by_name, wanted) == ".types[A].fields[x].description: '1', wanted '2'"
    assert first_difference(by_name, {"types": []}) == (
        ".types: 1 items, wanted 0: missing [], surplus ['A']"
    )
    assert first_difference(by_name, by_name) is None


def test_a_spool_returns_texts_in_any_order() -> None:
    spool = Spool()
    texts = {f"k{n}": bytes([n % 256]) * (BLOCK // 7) for n in range(40)}
    for key, text in texts.items():
        spool.put(key, text)

    assert all(spool.take(key) == texts[key] for key in reversed(texts))
    assert all(spool.take(key) == texts[key] for key in texts)
    assert list(spool.texts()) == list(texts.values())
    assert list(spool.texts(["k3", "other", "k1"])) == [texts["k3"], texts["k1"]]
    assert spool.take("other") is None
