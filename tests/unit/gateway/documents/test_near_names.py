"""Near names cost few comparisons, however many names there are."""

from __future__ import annotations

import pytest
from graphql import GraphQLSchema, build_schema, parse, pyutils, validate

from gateway.documents import near_names
from gateway.documents.near_names import COMPARED, NameIndex, preselect
from gateway.documents.suggestions import Suggestions

NAMES = tuple(f"entity{number}Rows" for number in range(8_000))


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema("type Query { " + " ".join(f"{name}: Int" for name in NAMES) + " }")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were compared letter by letter."""
    names: list[str] = []
    original = pyutils.suggestion_list

    def counted(wrong: str, options: list[str]) -> list[str]:
        names.extend(options)
        return original(wrong, options)

    monkeypatch.setattr(near_names, "suggestion_list", counted)
    return names


def test_few_of_thousands_of_names_are_compared_by_letters(compared: list[str]) -> None:
    assert near_names.near_names("entty77Rows", NAMES)[0] == "entity77Rows"
    assert len(compared) == COMPARED


@pytest.mark.parametrize("text", ["{ entty77Rows }", "query($a: Inx) { entity1Rows }"])
def test_one_unknown_name_costs_few_comparisons(
    schema: GraphQLSchema, compared: list[str], text: str
) -> None:
    document = parse(text)
    errors = validate(schema, document, hide_suggestions=True)
    suggestions = Suggestions(schema, lambda: (*schema.type_map, *NAMES))
    message = suggestions.for_document(document, errors)[0].message

    assert len(compared) <= COMPARED
    assert message.partition("Did you mean ")[2].count("'") <= 10


@pytest.mark.parametrize("wrong", ["entity77Row", "emtity77Rows", "ENTITY77rows"])
def test_the_index_finds_names_by_start_or_end(wrong: str) -> None:
    assert "entity77Rows" in NameIndex(NAMES).near(wrong)


def test_few_names_are_all_compared() -> None:
    assert preselect("xyz", ["a", "bc"]) == ["a", "bc"]
    assert NameIndex(["a", "bc"]).near("xyz") == ["a", "bc"]
