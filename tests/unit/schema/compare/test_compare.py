"""Changes between schemas: what each one means, from whichever text a schema is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    build_schema as build_core,
)
from graphql import (
    introspection_from_schema,
    print_schema,
)
from graphql.utilities import find_schema_changes

from schema.catalog import Catalog
from schema.compare import (
    Comparison,
    IntrospectionSource,
    Level,
    SdlSource,
    ServedSource,
    Source,
    compare,
)
from schema.errors import SchemaTextError
from schema.model.exposure import expose
from schema.model.records import Model
from schema.types.build import ODataSchema, build_schema
from schema.writes import Writes
from tests.support.metadata_documents import ESSENTIAL, model_of
from tests.support.small_models import FINOPS, DictResolvers

pytestmark = pytest.mark.slow

BASE = '''
directive @cost(weight: Int = 1) on FIELD_DEFINITION

"A way to write."
scalar Code @specifiedBy(url: "https://one.example/code")

"""A "quoted" thing with {braces} and
type Fake { in: it } \\"""
"""
type Query implements Node {
  id: ID!
  # type Comment { no: Int }
  customers(first: Int = 10, where: Where, old: String @deprecated): [Customer!]!
  code: Code
  mood: Mood
  any: Any
}

interface Node { id: ID! }
interface Named { name: String }
interface Lone { a: Int }

type Customer implements Node & Named {
  id: ID!
  name: String
  credit(in: Code = "{"): Float! @deprecated(reason: "Gone soon.")
}

type Vendor { id: ID! }
union Any = Customer | Vendor
enum Mood { GOOD BAD @deprecated(reason: "Nobody is.") }
input Where { name: String = "x", size: Int, both: Range }
input Range @oneOf { low: Int, high: Int }
'''
CHANGES = [
    # changed text, its replacement, level, kind, part of the description
    (
        "type Vendor { id: ID! }",
        "type Vendor { id: ID!, a: Int }",
        "safe",
        "FIELD_ADDED",
        "Vendor.a",
    ),
    ("  name: String\n", "", "breaking", "FIELD_REMOVED", "Customer.name"),
    ("  code: Code\n", "  code: Code!\n", "safe", "FIELD_CHANGED_KIND_SAFE", "from Code to Code!"),
    ("  code: Code\n", "  code: String\n", "breaking", "FIELD_CHANGED_KIND", "to String"),
    ("Float!", "Float", "breaking", "FIELD_CHANGED_KIND", "from Float! to Float"),
    ("scalar Code", "scalar More scalar Code", "safe", "TYPE_ADDED", "More was added"),
    ("interface Lone { a: Int }", "", "breaking", "TYPE_REMOVED", "Lone was removed"),
    ("union Any = Customer | Vendor", "scalar Any", "breaking", "TYPE_CHANGED_KIND", "a Scalar"),
    ("GOOD BAD", "GOOD FAIR BAD", "dangerous", "VALUE_ADDED_TO_ENUM", "Mood.FAIR"),
    ("GOOD BAD", "BAD", "breaking", "VALUE_REMOVED_FROM_ENUM", "Mood.GOOD"),
    ("= Customer | Vendor", "= Customer", "breaking", "TYPE_REMOVED_FROM_UNION", "Vendor"),
    ("= Customer | Vendor", "= Customer | Vendor | Query", "dangerous", "TYPE_ADDED_TO_UNION", "Q"),
    (" & Named", "", "breaking", "IMPLEMENTED_INTERFACE_REMOVED", "Named"),
    ("Vendor {", "Vendor implements Node {", "dangerous", "IMPLEMENTED_INTERFACE_ADDED", "Node"),
    (", where: Where", "", "breaking", "ARG_REMOVED", "Query.customers(where:)"),
    ("  code:", "  code(a: Int):", "dangerous", "OPTIONAL_ARG_ADDED", "Query.code(a:)"),
    ("  code:", "  code(a: Int!):", "breaking", "REQUIRED_ARG_ADDED", "Query.code(a:)"),
    ("where: Where", "where: Where!", "breaking", "ARG_CHANGED_KIND", "to Where!"),
    ("first: Int = 10", "first: Int = 20", "dangerous", "ARG_DEFAULT_VALUE_CHANGE", "10 to 20"),
    ("first: Int = 10", "first: Int", "dangerous", "ARG_DEFAULT_VALUE_CHANGE", "removed"),
    ("where: Where", "where: Where = {}", "safe", "ARG_DEFAULT_VALUE_ADDED", "(where:)"),
    (", size: Int", "", "breaking", "FIELD_REMOVED", "Where.size"),
    ("size: Int", "size: Int!", "breaking", "FIELD_CHANGED_KIND", "from Int to Int!"),
    ("size: Int", "size: Int, b: Int", "dangerous", "OPTIONAL_INPUT_FIELD_ADDED", "Where.b"),
    ("size: Int", "size: Int, b: Int!", "breaking", "REQUIRED_INPUT_FIELD_ADDED", "Where.b"),
    ('= "x"', '= "y"', "dangerous", "INPUT_FIELD_DEFAULT_VALUE_CHANGE", '"x" to "y"'),
    ("size: Int", "size: Int = 3", "safe", "INPUT_FIELD_DEFAULT_VALUE_ADDED", "Where.size"),
    (
        " on FIELD_DEFINITION",
        " on OBJECT | FIELD_DEFINITION",
        "safe",
        "DIRECTIVE_LOCATION_ADDED",
        "O",
    ),
    (" on FIELD_DEFINITION", " on OBJECT", "breaking", "DIRECTIVE_LOCATION_REMOVED", "FIELD_DEF"),
    (" on FIELD_D", " repeatable on FIELD_D", "safe", "DIRECTIVE_REPEATABLE_ADDED", "@cost"),
    ("weight: Int = 1", "weight: Int = 2", "dangerous", "ARG_DEFAULT_VALUE_CHANGE", "1 to 2"),
    ("@cost(", "@costs(", "breaking", "DIRECTIVE_REMOVED", "@cost was removed"),
    ("@cost(", "@costs(", "safe", "DIRECTIVE_ADDED", "@costs was added"),
]
UNNOTICED = [
    ("  mood: Mood", "  mood: Mood @deprecated", "safe", "DEPRECATION_ADDED", "Query.mood"),
    ('@deprecated(reason: "Gone soon.")', "", "safe", "DEPRECATION_REMOVED", "Customer.credit"),
    ("Gone soon.", "Gone now.", "safe", "DEPRECATION_REASON_CHANGED", '"Gone now."'),
    ("GOOD", "GOOD @deprecated", "safe", "DEPRECATION_ADDED", "Enum value Mood.GOOD"),
    ("String @deprecated", "String", "safe", "DEPRECATION_REMOVED", "Query.customers(old:)"),
    ("size: Int", "size: Int @deprecated", "safe", "DEPRECATION_ADDED", "Field Where.size"),
    ("Where {", "Where @oneOf {", "breaking", "ONE_OF_ADDED", "Where now takes exactly one"),
    ("Range @oneOf", "Range", "safe", "ONE_OF_REMOVED", "Range now takes any number"),
    ("one.example", "two.example", "dangerous", "SPECIFIED_BY_CHANGED", "two.example"),
    (
        "type Vendor",
        "schema { query: Vendor } type Vendor",
        "breaking",
        "ROOT_TYPE_CHANGED",
        "Query",
    ),
]


def core_of(text: str) -> Any:
    return build_core(text, assume_valid=True, assume_valid_sdl=True)


def as_sdl(text: str) -> Source:
    return SdlSource(text, "a.graphql")


def as_introspection(text: str) -> Source:
    found = introspection_from_schema(core_of(text), input_value_deprecation=True, one_of=True)
    return IntrospectionSource(json.dumps({"data": found}).encode(), "a.json")


READERS = pytest.mark.parametrize("read", [as_sdl, as_introspection])


def changed(before: str, after: str) -> str:
    assert before in BASE
    return BASE.replace(before, after, 1)


@READERS
@pytest.mark.parametrize(("before", "after", "level", "kind", "message"), [*CHANGES, *UNNOTICED])
def test_each_change_has_its_meaning(
    read: Callable[[str], Source], before: str, after: str, level: str, kind: str, message: str
) -> None:
    comparison = compare(read(BASE), read(changed(before, after)))

    (one,) = [change for change in comparison.changes if change.kind == kind]
    assert (one.level, message in one.description) == (level, True), one


@pytest.mark.heavy
@pytest.mark.parametrize(("before", "after"), [row[:2] for row in CHANGES])
def test_graphql_core_tells_the_same_of_whole_schemas(before: str, after: str) -> None:
    text = changed(before, after)

    comparison = compare(as_sdl(BASE), as_introspection(text), descriptions=True)

    wanted = find_schema_changes(core_of(BASE), core_of(text))
    assert sorted((c.kind, c.description) for c in comparison.changes) == sorted(
        (c.type.name, c.description) for c in wanted
    )


@READERS
def test_a_schema_has_no_changes_against_itself(read: Callable[[str], Source]) -> None:
    comparison = compare(read(BASE), as_sdl(BASE), descriptions=True)

    assert (comparison.changes, comparison.compared) == ((), 11)
    assert comparison.counts == {Level.BREAKING: 0, Level.DANGEROUS: 0, Level.SAFE: 0}


def test_the_worst_changes_come_first() -> None:
    text = changed("GOOD BAD", "FAIR BAD").replace("type Vendor {", "type Vendor { a: Int")

    comparison = compare(as_sdl(BASE), as_sdl(text))

    assert [change.level for change in comparison.changes] == ["breaking", "dangerous", "safe"]
    assert [change.place for change in comparison.changes] == ["Mood", "Mood", "Vendor"]


def test_descriptions_count_where_they_are_asked_for() -> None:
    text = changed("A way to write.", "Another way.")

    assert compare(as_sdl(BASE), as_sdl(text)).changes == ()
    (one,) = compare(as_sdl(BASE), as_sdl(text), descriptions=True).changes
    assert (one.level, one.kind, one.place) == ("safe", "DESCRIPTION_CHANGED", "Code")


def test_extensions_count_as_parts_of_what_they_extend() -> None:
    text = changed("enum Mood { GOOD BAD", "extend enum Mood { GOOD } enum Mood { BAD")
    text += "extend type Query { more: Int }\nextend schema @link\n"

    (one,) = compare(as_sdl(BASE), as_sdl(text)).changes

    assert one.description == "Field Query.more was added."


def test_patterns_choose_types_and_root_fields_in_either_case() -> None:
    text = (
        changed("  code: Code\n", "")
        .replace("customers(first: Int = 10", "customers(first: Int = 20")
        .replace("  name: String\n", "")
        .replace("GOOD BAD", "BAD")
    )

    comparison = compare(as_sdl(BASE), as_sdl(text), include=["customer*"])

    assert [change.description for change in comparison.changes] == [
        "Field Customer.name was removed.",
        "Query.customers(first:) has changed defaultValue from 10 to 20.",
    ]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(SchemaTextError, match=r"matches Custmoer\*"):
        compare(as_sdl(BASE), as_sdl(BASE), include=["Customer", "Custmoer*"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no type definition"),
        ("query { customers { id } }", "contains an operation"),
        ("fragment F on Customer { id }", "contains an operation"),
        ("{ customers { id } }", "contains an operation"),
        ("type A { a: Int }\ntype B {\n  b: !\n}", "line 3: .*Expected Name"),
        ("rubbish\ntype A { a: Int }", "line 1: .*rubbish"),
        ("type A { a: Int } type A { b: Int }", "defines A more than once"),
    ],
)
def test_text_that_is_no_schema_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SchemaTextError, match=said):
        compare(SdlSource(text, "a.graphql"), as_sdl(BASE))


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"data": null}',
        b'{"__schema": {"queryType": {"name": "Q"}, "types": [{"kind": "OBJECT"}]}}',
        b'{"__schema": {"queryType": {"name": "Q"}, "types": [{"name": "A"}]}}',
        b'{"__schema": ',
        b'{"__schema": "\xff"}',
    ],
    ids=["empty", "no data", "no name", "no kind", "cut off", "no text"],
)
def test_json_that_is_no_introspection_is_refused(text: bytes) -> None:
    with pytest.raises(SchemaTextError, match=r"a\.json"):
        compare(IntrospectionSource(text, "a.json"), as_sdl(BASE))


def test_facts_that_an_introspection_omits_are_not_compared() -> None:
    text = """
        type Query { a(b: Int = 1, either: Either): Code }
        scalar Code @specifiedBy(url: "https://one.example/code")
        input Either @oneOf { a: Int, b: Int }
    """
    introspection = introspection_from_schema(
        core_of(text), descriptions=False, specified_by_url=False
    )
    source = IntrospectionSource(json.dumps(introspection).encode(), "a.json")

    assert compare(source, as_sdl(text)).changes == ()
    assert compare(as_sdl(text), source).changes == ()


# Catalogues


def api(model: Model) -> ODataSchema:
    catalog = Catalog(model, FINOPS)
    return build_schema(catalog, DictResolvers(), writes=Writes(catalog))


@pytest.fixture(scope="module")
def essential() -> Model:
    return model_of(ESSENTIAL)


def ways(model: Model) -> dict[str, Source]:
    core = api(model).core
    introspection = introspection_from_schema(core, input_value_deprecation=True, one_of=True)
    return {
        "served": ServedSource(api(model)),
        "sdl": SdlSource(print_schema(core), "sdl"),
        "introspection": IntrospectionSource(json.dumps(introspection).encode(), "json"),
    }


@pytest.mark.heavy
@pytest.mark.parametrize("old", ["served", "sdl", "introspection"])
@pytest.mark.parametrize("new", ["served", "sdl", "introspection"])
def test_a_catalogue_is_the_same_however_it_is_given(essential: Model, old: str, new: str) -> None:
    comparison = compare(ways(essential)[old], ways(essential)[new], descriptions=True)

    assert comparison.changes == ()
    assert comparison.compared > 100


@pytest.mark.heavy
def test_of_two_catalogues_graphql_core_tells_the_same(essential: Model) -> None:
    fewer = expose(essential, include=list(essential.entity_sets)[1:], exclude=[])
    both = (essential, fewer)

    def told(old: Model, new: Model) -> Comparison:
        return compare(ServedSource(api(old)), ServedSource(api(new)), descriptions=True)

    for old, new in (both, both[::-1]):
        wanted = find_schema_changes(
            core_of(print_schema(api(old).core)), core_of(print_schema(api(new).core))
        )
        found = told(old, new)
        assert len(found.changes) > 10
        assert sorted(c.description for c in found.changes) == sorted(
            c.description for c in wanted if "Standard scalar" not in c.description
        )


def test_comparing_makes_only_types_that_every_catalogue_has(essential: Model) -> None:
    first, *_ = essential.entity_sets
    small, large = api(expose(essential, include=[first], exclude=[])), api(essential)

    compare(ServedSource(small), ServedSource(large))

    assert small.made_types == large.made_types < 30
