"""A misspelled name gets a useful suggestion, however many names there are, in graphql-core's words."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, get_variable_values, parse, validate

from gateway.documents import suggestions
from gateway.documents.store import DocumentLimits, Documents
from gateway.documents.suggestions import COMPARED, SUGGESTED, Validator, alike, look_alikes
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from schema.catalog import Catalog
from schema.catalog.records import ServiceInfo
from schema.types.build import build_schema as zoo_api
from schema.writes import WriteRules, Writes
from tests.support import zoo_model as zoo
from tests.support.zoo_model import FO, schema_of

NAMES = ("customersV3", "customerGroups", "vendorsV2", "salesOrderLines", "salesOrderHeadersV2")
SCHEMA = build_schema(
    """
    interface Node { id: ID }
    interface Pet implements Node { id: ID name: String }
    type Dog implements Pet & Node { id: ID name: String bark: Int }
    type Cat implements Pet & Node { id: ID name: String claws: Int }
    enum Colour { DARK_RED DARK_BLUE }
    input Where { customerAccount: Int, customerGroup: Int, colour: Colour, not: Where }
    type Query { pets(first: Int, where: Where, colour: Colour, must: Where!): Pet  customersV3: Int  node: Node }
    """
)


def validator(schema: GraphQLSchema) -> Validator:
    return Validator(schema, 20, lambda: schema.type_map)


def with_roots(names: tuple[str, ...] = NAMES) -> Validator:
    fields = "\n".join(f"{name}: Int" for name in names)
    return validator(build_schema(f"type Query {{ {fields} }}"))


def messages(checked: Validator, query: str) -> list[str]:
    return [error.message for error in checked.errors(parse(query))]


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "large":
        monkeypatch.setattr(suggestions, "SMALL", 2)
    return str(request.param)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("custmersV3", "customersV3"),
        ("vendorV2", "vendorsV2"),
        ("endorsV2", "vendorsV2"),
        ("salesOrderLinse", "salesOrderLines"),
        ("SalesOrderHeadersV2", "salesOrderHeadersV2"),
    ],
)
def test_a_misspelled_root_field_gets_its_name(wrong: str, right: str) -> None:
    (message,) = messages(with_roots(), f"{{ {wrong} }}")

    assert f"Did you mean '{right}'" in message


@pytest.mark.usefixtures("size")
def test_a_good_document_has_no_errors_and_nonsense_no_suggestion() -> None:
    assert messages(with_roots(), "{ vendorsV2 }") == []
    assert messages(with_roots(), "{ q }") == ["Cannot query field 'q' on type 'Query'."]


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    "text",
    [
        "{ customersV2 }",
        "{ pets(must: {}) { nam } }",
        "{ pets(must: {}) { bark } }",
        "{ pets(must: {}) { ... on Dog { barks } } }",
        "{ pets(must: {}) { ... on Dogs { bark } } }",
        "query($w: Wheer) { pets(must: $w) { name } }",
        "{ pets(must: {}, frist: 1) { name } }",
        "{ pets(must: {custmerAccount: 1}) { name } }",
        "{ pets(must: {not: {customerGruop: {a: 1}}}) { name } }",
        "{ pets(where: {zzz: 1}, must: {}) { name } }",
        "{ pets(colour: DARK_RDE, must: {colour: DARK_BLEU}) { name } }",
        "{ pets(colour: 5, must: {}) { zzz } }",
        "{ pets(must: {}) { name @skp(if: true) } }",
        "{ __typenam }",
        "{ pets(must: {}) { name { x } } }",
    ],
)
def test_the_words_are_those_of_graphql_core(text: str) -> None:
    document = parse(text)

    assert [e.message for e in validator(SCHEMA).errors(document)] == [
        e.message for e in validate(SCHEMA, document)
    ]


def test_a_field_of_node_makes_no_type_of_the_schema() -> None:
    schema = schema_of(FO)
    documents = Documents(schema.catalog, schema.core, DocumentLimits())
    before = schema.made_types
    (error,) = documents.get('{ node(id: "x") { text } }').errors

    assert error.message == "Cannot query field 'text' on type 'Node'."
    assert schema.made_types <= before + 2


def test_an_unknown_type_is_suggested_from_all_that_the_schema_has() -> None:
    schema = schema_of(FO)
    documents = Documents(schema.catalog, schema.core, DocumentLimits())
    text = "query($w: OrderWere) { orders(where: $w) { totalCount } }"

    assert "Did you mean 'OrderWhere'" in documents.get(text).errors[0].message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"txet": {"eq": "a"}}, "unknown field 'txet'. Did you mean 'text'"),
        ({"text": {"qe": "a"}}, "unknown field 'qe'. Did you mean 'eq'"),
        ({"colour": {"eq": "BLEU"}}, "Did you mean the enum value 'BLUE'"),
    ],
)
def test_variables_get_suggestions_too(given: Any, expected: str) -> None:
    schema = schema_of(FO)
    documents = Documents(schema.catalog, schema.core, DocumentLimits())
    document = documents.get("query($w: OrderWhere) { orders(where: $w) { totalCount } }")
    (operation,) = document.operations()
    (error,) = documents.variables(document, operation).read({"w": given})
    (theirs,) = get_variable_values(schema.core, operation.variable_definitions or (), {"w": given})

    assert expected in error.message  # type: ignore[union-attr]
    assert str(theirs.message).startswith(error.message.partition(" Did you mean")[0])  # type: ignore[union-attr]


def test_errors_beside_an_unknown_root_field_stay_as_they_are() -> None:
    found = messages(with_roots(), "{ vendorV2 ...F } fragment F on Nope { a }")

    assert "Unknown type 'Nope'." in found


def test_only_the_first_errors_get_suggestions() -> None:
    text = "{ " + " ".join(f"custmersV3{i}: custmersV3" for i in range(12)) + " }"
    found = messages(with_roots(), text)

    assert [("Did you mean" in m) for m in found] == [True] * SUGGESTED + [False] * (12 - SUGGESTED)


def test_only_a_few_of_thousands_of_names_are_compared_letter_by_letter() -> None:
    names = tuple(f"entity{number}Rows" for number in range(9_000))
    found = look_alikes("entty77Rows", names)

    assert len(found) == COMPARED
    assert alike("entty77Rows", names)[0] == "entity77Rows"


# Mutations


def with_writes() -> Validator:
    catalog = Catalog(zoo.model(), abilities_of(FO))
    service = ServiceInfo("postJournal", "a/b/post")
    writes = Writes(catalog, WriteRules(services=(service,)))
    core = zoo_api(catalog, LoadedResolvers(catalog), writes=writes).core
    return Validator(core, 20, catalog.known_names)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("createOrdrs", "createOrders"),
        ("creatOrders", "createOrders"),
        ("Update_Order", "updateOrder"),
        ("deleteItemss", "deleteItems"),
        ("postJurnal", "postJournal"),
    ],
)
def test_a_misspelled_mutation_gets_its_name(wrong: str, right: str) -> None:
    (message,) = messages(with_writes(), f"mutation {{ {wrong} {{ __typename }} }}")

    assert message.startswith(f"Cannot query field '{wrong}' on type 'Mutation'. Did you mean ")
    assert f"'{right}'" in message


@pytest.mark.usefixtures("size")
def test_a_misspelled_type_of_writing_gets_its_name() -> None:
    query = "mutation ($i: OrderCreateImput) { createOrder(input: $i) { __typename } }"
    (message,) = messages(with_writes(), query)

    assert message.startswith("Unknown type 'OrderCreateImput'. Did you mean 'OrderCreateInput'")


def test_what_looks_like_no_mutation_gets_no_name() -> None:
    (message,) = messages(with_writes(), "mutation { wholly { __typename } }")

    assert message == "Cannot query field 'wholly' on type 'Mutation'."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ orders { totalCount } }", "Did you mean 'zooOrders'"),
        ("{ zooOdres { totalCount } }", "'zooOrders'"),
        ("{ itms { totalCount } }", "Did you mean 'zooItems'"),
        ("mutation { zooCreatOrder(input: {}) { etag } }", "Did you mean 'zooCreateOrder'"),
        ("mutation { createOrder(input: {}) { etag } }", "Did you mean 'zooCreateOrder'"),
        ("mutation { zooDeletOrders(input: []) { etag } }", "Did you mean 'zooDeleteOrders'"),
        ("mutation { post { etag } }", "Did you mean 'zooPost'"),
    ],
)
def test_suggestions_have_the_prefix_of_root_fields(text: str, said: str) -> None:
    catalog = Catalog(zoo.model(), abilities_of(FO), prefix="zoo")
    writes = Writes(catalog, WriteRules(services=(ServiceInfo("post", "a/b/post"),)))
    schema = zoo_api(catalog, LoadedResolvers(catalog), writes=writes)
    documents = Documents(schema.catalog, schema.core, DocumentLimits())

    assert said in " ".join(error.message for error in documents.get(text).errors)
