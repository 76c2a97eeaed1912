"""A misspelled name gets a useful suggestion, however many names there are."""

import pytest
from graphql import build_schema, parse

from gateway import suggestions
from gateway.suggestions import COMPARED, Validator

NAMES = ("customersV3", "customerGroups", "vendorsV2", "salesOrderLines", "salesOrderHeadersV2")


def validator(names: tuple[str, ...] = NAMES) -> Validator:
    fields = "\n".join(f"{name}: Int" for name in names)
    return Validator(build_schema(f"type Query {{ {fields} }}"), names, 20)


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
        ("salesOrderLinse", "salesOrderLines"),
        ("SalesOrderHeadersV2", "salesOrderHeadersV2"),
    ],
)
def test_a_misspelled_root_field_gets_its_name(wrong: str, right: str) -> None:
    (message,) = messages(validator(), f"{{ {wrong} }}")

    assert f"Did you mean '{right}'" in message


@pytest.mark.usefixtures("size")
def test_a_good_document_has_no_errors_and_nonsense_no_suggestion() -> None:
    assert messages(validator(), "{ vendorsV2 }") == []
    assert messages(validator(), "{ q }") == ["Cannot query field 'q' on type 'Query'."]


@pytest.mark.usefixtures("size")
def test_a_misspelled_argument_is_suggested_as_graphql_core_does() -> None:
    schema = build_schema("type Query { a(first: Int): Int b: Int c: Int }")

    (error,) = Validator(schema, ("a", "b", "c"), 20).errors(parse("{ a(frist: 1) }"))

    assert "Did you mean 'first'" in error.message


def test_errors_beside_an_unknown_root_field_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suggestions, "SMALL", 2)

    found = messages(validator(), "{ vendorV2 ...F } fragment F on Nope { a }")

    assert "Unknown type 'Nope'." in found


def test_only_a_few_of_thousands_of_names_are_compared_letter_by_letter() -> None:
    names = tuple(f"entity{number}Rows" for number in range(9_000))

    found = Validator(build_schema("type Query { a: Int }"), names, 20).look_alikes("entty77Rows")

    assert len(found) == COMPARED
    assert "entity77Rows" in found
