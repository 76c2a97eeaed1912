"""A small frontend: GraphQL Code Generator makes its types, TypeScript checks it, Apollo Client and urql run it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.node import Tools
from tests.support.pages import page

GRAPHQL_RESPONSE = "application/graphql-response+json"


@pytest.fixture(scope="module")
def built(tools: Tools, frontend_sdl: Path, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The frontend, with what the code generator made of the schema and its operations, compiled."""
    project = tools.copy("typed", tmp_path_factory.mktemp("typed"))
    shutil.copy(frontend_sdl, project.folder / "schema.graphql")
    project.command("graphql-codegen")
    project.command("tsc", "--project", ".")
    return project


@pytest.fixture(scope="module")
def apollo(built: Tools, endpoint: str) -> Any:
    return built.run("dist/apollo.js", endpoint)


@pytest.fixture(scope="module")
def urql(built: Tools, endpoint: str) -> Any:
    return built.run("dist/urql.js", endpoint)


def test_a_document_with_types_is_made_of_every_operation(built: Tools) -> None:
    made = (built.folder / "src" / "gql" / "graphql.ts").read_text("utf-8")

    assert re.findall(
        r"^export const (\w+) = .* as unknown as DocumentNode<", made, re.MULTILINE
    ) == [
        "CustomerFieldsFragmentDoc",
        "CustomersDocument",
        "CustomerAgainDocument",
        "OrdersDocument",
        "UpdateCustomerDocument",
    ]


def test_the_code_generator_is_told_the_type_of_every_scalar(built: Tools, sdl: Path) -> None:
    config = (built.folder / "codegen.ts").read_text("utf-8")

    assert set(re.findall(r'^ {10}(\w+): "', config, re.MULTILINE)) == set(
        re.findall(r"^scalar (\w+)", sdl.read_text("utf-8"), re.MULTILINE)
    )


def test_the_documented_configuration_is_the_one_used(built: Tools) -> None:
    config = (built.folder / "codegen.ts").read_text("utf-8")

    assert f"```ts\n{config}```" in page("frontends")


def test_apollo_client_appends_pages_to_a_connection(apollo: Any) -> None:
    pages = apollo["pages"]

    assert pages["sizes"] == [35, 70, 105, pages["totalCount"]]
    assert pages["accounts"] == pages["whole"]
    assert len(pages["exchanges"]) == 5


def test_apollo_client_appends_pages_to_a_list_of_a_row(apollo: Any) -> None:
    pages = apollo["pagesOfRow"]

    assert pages["sizes"] == [2, 4, 6, 8]
    assert len(set(pages["numbers"])) == 8
    assert pages["requests"] == 1 + len(pages["sizes"])


def test_apollo_client_keeps_one_row_for_each_id(apollo: Any) -> None:
    cache = apollo["cache"]

    assert cache["entities"] == 1
    assert cache["identity"] is True


def test_apollo_client_shows_a_change_in_every_list(apollo: Any) -> None:
    cache = apollo["cache"]

    assert cache["seen"][-1] == cache["cached"] == "Renamed"
    assert cache["seen"][0] != "Renamed"
    assert cache["requests"] == len(
        ["the list", "the change", "the row again", "the refused change"]
    )


def test_apollo_client_reads_a_row_again_by_its_id(apollo: Any) -> None:
    again = apollo["cache"]["again"]

    assert (again["__typename"], again["nameAlias"]) == ("CustomerV3", "Renamed")
    assert re.fullmatch(r"\d+\.\d\d", again["creditLimit"])


def test_what_a_user_did_wrong_is_data_to_apollo_client(apollo: Any) -> None:
    [refused] = apollo["cache"]["refused"]

    assert (refused["code"], refused["field"]) == ("RELATED_RECORD_NOT_FOUND", "customerGroupId")
    assert "NOGROUP" in refused["message"]


def test_errors_with_their_codes_reach_apollo_client(apollo: Any) -> None:
    errors = apollo["errors"]

    assert errors["validation"] == ["GRAPHQL_VALIDATION_FAILED"]
    assert errors["pageLimit"] == ["PAGE_LIMIT_EXCEEDED"]
    assert errors["id"] == ["INVALID_ID"]
    assert [each["status"] for each in errors["exchanges"]] == [400, 200, 200]


@pytest.mark.parametrize("part", ["pages", "errors"])
def test_apollo_client_asks_for_graphql_responses_and_gets_them(apollo: Any, part: str) -> None:
    exchanges = apollo[part]["exchanges"]

    assert all(each["accept"].startswith(f"{GRAPHQL_RESPONSE},") for each in exchanges)
    assert {each["contentType"].split(";")[0] for each in exchanges} == {GRAPHQL_RESPONSE}


def test_urql_pages_and_keeps_what_it_has_read(urql: Any) -> None:
    first, second = urql["accounts"]

    assert len({*first, *second}) == 10
    assert (urql["kept"], urql["read"]) == (5, 2)


def test_urql_reads_again_what_a_mutation_changed(urql: Any) -> None:
    assert urql["changed"] == "By urql"


def test_errors_with_their_codes_reach_urql_in_graphql_responses(urql: Any) -> None:
    assert urql["codes"] == ["PAGE_LIMIT_EXCEEDED"]
    assert {each["contentType"].split(";")[0] for each in urql["exchanges"]} == {GRAPHQL_RESPONSE}
