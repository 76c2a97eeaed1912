"""A misspelled name gets a useful suggestion, however many names the schema has."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from gateway.documents import near_names
from gateway.documents.refusal import OperationRefused
from gateway.documents.store import DocumentLimits, Documents
from gateway.documents.suggestions import SUGGESTED, Suggestions
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
    directive @tagged(name: String) on FIELD
    interface Node { id: ID }
    interface Pet implements Node { id: ID name: String }
    type Dog implements Pet & Node { id: ID name: String bark: Int }
    type Cat implements Pet & Node { id: ID name: String claws: Int }
    enum Colour { DARK_RED DARK_BLUE }
    input Where { customerAccount: Int, customerGroup: Int, colour: Colour, not: Where, or: [Where!] }
    type Query { pets(first: Int, where: Where, colour: Colour, must: Where!): Pet  customersV3: Int  node: Node }
    """
)


def schema_with_roots(names: tuple[str, ...] = NAMES) -> GraphQLSchema:
    return build_schema("type Query { " + " ".join(f"{name}: Int" for name in names) + " }")


def messages(schema: GraphQLSchema, text: str, names: tuple[str, ...] = ()) -> list[str]:
    """Return the messages of a document's errors, with suggestions; ``names`` are its types if not all are made."""
    document = parse(text)
    errors = validate(schema, document, hide_suggestions=True)
    suggestions = Suggestions(schema, lambda: names or schema.type_map)
    return [error.message for error in suggestions.for_document(document, errors)]


def documents_of_the_zoo() -> Documents:
    schema = schema_of(FO)
    return Documents(schema.catalog, schema.core, DocumentLimits())


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "large":
        monkeypatch.setattr(near_names, "SMALL", 2)
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
    (message,) = messages(schema_with_roots(), f"{{ {wrong} }}")

    assert f"Did you mean '{right}'" in message


@pytest.mark.usefixtures("size")
def test_a_valid_document_has_no_errors_and_nonsense_no_suggestion() -> None:
    assert messages(schema_with_roots(), "{ vendorsV2 }") == []
    assert messages(schema_with_roots(), "{ q }") == ["Cannot query field 'q' on type 'Query'."]


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("{ customersV2 }", "'customersV3'"),
        ("{ pets(must: {}) { nam } }", "'name'"),
        ("{ pets(must: {}) { bark } }", "to use an inline fragment on 'Dog'"),
        ("{ pets(must: {}) { ... on Dog { barks } } }", "'bark'"),
        ("{ pets(must: {}) { ... on Dogs { bark } } }", "'Dog'"),
        ("query($w: Wheer) { pets(where: $w, must: {}) { name } }", "'Where'"),
        ("{ pets(must: {}, frist: 1) { name } }", "'first'"),
        ("{ pets(must: {custmerAccount: 1}) { name } }", "'customerAccount'"),
        ("{ pets(must: {not: {customerGruop: {a: 1}}}) { name } }", "'customerGroup'"),
        ("{ pets(must: {or: {colur: 1}}) { name } }", "'colour'"),
        ("{ pets(colour: DARK_RDE, must: {}) { name } }", "the enum value 'DARK_RED'"),
        ("{ pets(must: {}) { name @tagged(nam: 1) } }", "'name'"),
        ('{ __type(nmae: "Dog") { name } }', "'name'"),
    ],
)
def test_every_kind_of_name_gets_suggestions(text: str, suggestion: str) -> None:
    suggested = messages(SCHEMA, text)[0]

    assert suggested.partition(". Did you mean ")[2].startswith(suggestion)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    "text",
    [
        "{ pets(where: {zzz: 1}, must: {}) { name } }",
        "{ pets(colour: 5, must: {}) { name } }",
        "{ pets(must: {}) { name @skp(if: true) } }",
        "{ __typenam }",
        "{ pets(must: {}) { name { x } } }",
        "{ pets(must: {zzz: {colur: 1}}) { name } }",
    ],
)
def test_other_errors_keep_their_words(text: str) -> None:
    document = parse(text)

    assert messages(SCHEMA, text) == [
        e.message for e in validate(SCHEMA, document, hide_suggestions=True)
    ]


def test_suggestions_do_not_depend_on_the_words_of_graphql_core() -> None:
    document = parse("{ customersV2 pets(must: {custmerAccount: 1}) { nam } }")
    errors = validate(SCHEMA, document, hide_suggestions=True)
    for error in errors:
        error.message = "Das gibt es nicht."
    suggested = Suggestions(SCHEMA, lambda: ()).for_document(document, errors)

    assert [e.message for e in suggested] == [
        "Das gibt es nicht. Did you mean 'customersV3'?",
        "Das gibt es nicht. Did you mean 'customerAccount' or 'customerGroup'?",
        "Das gibt es nicht. Did you mean 'name'?",
    ]


def test_a_field_of_node_makes_no_type_of_the_schema() -> None:
    schema = schema_of(FO)
    documents = Documents(schema.catalog, schema.core, DocumentLimits())
    before = schema.made_types
    (error,) = documents.get('{ node(id: "x") { text } }').errors

    assert error.message == "Cannot query field 'text' on type 'Node'."
    assert schema.made_types <= before + 2


def test_an_unknown_type_is_suggested_from_all_types() -> None:
    text = "query($w: OrderWere) { orders(where: $w) { totalCount } }"

    assert "Did you mean 'OrderWhere'" in documents_of_the_zoo().get(text).errors[0].message


def variable_errors(definitions: str, values: Any) -> list[str]:
    documents = documents_of_the_zoo()
    document = documents.get(f"query({definitions}) {{ orders(where: $w) {{ totalCount }} }}")
    (operation,) = document.operations()
    with pytest.raises(OperationRefused) as refused:
        documents.variables(document, operation).read(values)
    return [error["message"] for error in refused.value.errors]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"txet": {"eq": "a"}}, " Did you mean 'text'?"),
        ({"text": {"qe": "a"}}, " Did you mean 'eq' or 'ne'?"),
        ({"or": [{"and": [{"txet": {"eq": "a"}}]}]}, " Did you mean 'text'?"),
        ({"colour": {"eq": "BLEU"}}, " Did you mean the enum value 'BLUE'?"),
    ],
)
def test_variables_get_suggestions_too(value: Any, expected: str) -> None:
    (message,) = variable_errors("$w: OrderWhere", {"w": value})

    assert message.endswith(expected)


def test_each_error_of_a_variable_gets_its_own_suggestion() -> None:
    value = {"txet": {"eq": "a"}, "colour": {"eq": 5}, "text": {"qe": "a"}}
    suggested = [m for m in variable_errors("$w: OrderWhere", {"w": value}) if "Did you" in m]

    assert sorted(m.partition("Did you mean ")[2] for m in suggested) == [
        "'eq' or 'ne'?",
        "'text'?",
    ]
    assert all(("'txet'" in m) == m.endswith("'text'?") for m in suggested)


def test_errors_beside_an_unknown_root_field_stay_as_they_are() -> None:
    texts = messages(schema_with_roots(), "{ vendorV2 ...F } fragment F on Nope { a }")

    assert "Unknown type 'Nope'." in texts


def test_only_the_first_errors_get_suggestions() -> None:
    text = "{ " + " ".join(f"custmersV3{i}: custmersV3" for i in range(12)) + " }"
    texts = messages(schema_with_roots(), text)

    assert [("Did you mean" in m) for m in texts] == [True] * SUGGESTED + [False] * (12 - SUGGESTED)


# Mutations


def zoo_with_writes(prefix: str = "") -> GraphQLSchema:
    catalog = Catalog(zoo.model(), abilities_of(FO), prefix=prefix)
    writes = Writes(catalog, WriteRules(services=(ServiceInfo("postJournal", "a/b/post"),)))
    return zoo_api(catalog, LoadedResolvers(catalog), writes=writes).core


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
    (message,) = messages(zoo_with_writes(), f"mutation {{ {wrong} {{ __typename }} }}")

    assert message.startswith(f"Cannot query field '{wrong}' on type 'Mutation'. Did you mean ")
    assert f"'{right}'" in message


@pytest.mark.usefixtures("size")
def test_a_misspelled_input_type_of_a_mutation_gets_its_name() -> None:
    catalog = Catalog(zoo.model(), abilities_of(FO))
    query = "mutation ($i: OrderCreateImput) { createOrder(input: $i) { __typename } }"
    (message,) = messages(zoo_with_writes(), query, tuple(catalog.known_names()))

    assert message.startswith("Unknown type 'OrderCreateImput'. Did you mean 'OrderCreateInput'")


def test_what_looks_like_no_mutation_gets_no_name() -> None:
    (message,) = messages(zoo_with_writes(), "mutation { wholly { __typename } }")

    assert message == "Cannot query field 'wholly' on type 'Mutation'."


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("{ orders { totalCount } }", "Did you mean 'zooOrders'"),
        ("{ zooOdres { totalCount } }", "'zooOrders'"),
        ("{ itms { totalCount } }", "Did you mean 'zooItems'"),
        ("mutation { zooCreatOrder(input: {}) { etag } }", "Did you mean 'zooCreateOrder'"),
        ("mutation { createOrder(input: {}) { etag } }", "Did you mean 'zooCreateOrder'"),
        ("mutation { zooDeletOrders(input: []) { etag } }", "Did you mean 'zooDeleteOrders'"),
        ("mutation { postJournal { etag } }", "Did you mean 'zooPostJournal'"),
    ],
)
def test_suggestions_have_the_prefix_of_root_fields(text: str, suggestion: str) -> None:
    catalog = Catalog(zoo.model(), abilities_of(FO), prefix="zoo")
    documents = Documents(catalog, zoo_with_writes("zoo"), DocumentLimits())

    assert suggestion in " ".join(error.message for error in documents.get(text).errors)
