"""What the pages name exists, and what exists has its place: settings, codes, paths, headers, files, modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import gateway.errors
from gateway.app import create_app
from gateway.config.rendering import secret_settings, settings_table
from gateway.config.role_models import RoleOptions, SetRights
from gateway.config.setting_models import Profile
from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.http import request_parameters
from gateway.odata import infolog
from gateway.writes import outcome
from tests.support.pages import DOCS, PAGES, ROOT, inline_code, page, roles

SETTINGS = {row.name for row in settings_table()}
VARIABLES = {row.variable for row in settings_table()}
VARIABLES |= {f"{row.variable}_FILE" for row in settings_table() if row.name in secret_settings()}
CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
REFUSALS = {"HttpError", "OperationRefused", "_refusal", "refusal"}
SOURCES = [
    path.read_text("utf-8")
    for path in (ROOT / "gateway").rglob("*.py")
    if not path.is_relative_to(ROOT / "gateway/sandbox")
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_setting_that_a_page_names_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    named = {name.partition(" =")[0] for name in roles("setting", path)}
    variables = set(re.findall(r"D365_[A-Z_]+[A-Z]", text))
    written = {
        match[1]
        for code in inline_code(path)
        if (match := re.match(r"([a-z_]+(?:\.[a-z_]+)?) = ", code))
    }
    nested = {name.rpartition(".")[2] for name in SETTINGS}
    nested |= {f"{name}_file" for name in nested}

    assert named - SETTINGS - {"names"} == set()
    assert variables - VARIABLES - {"D365_GRAPHQL_SERVICE_HOST", "D365_SANDBOX"} == set()
    of_tables = {*Profile.model_fields, *RoleOptions.model_fields, *SetRights.model_fields}
    assert written - SETTINGS - nested - of_tables == set()


def codes(module: Any) -> set[str]:
    """Return the codes that a module defines: constants whose value is their name."""
    return {name for name, value in vars(module).items() if name == value}


def explained(text: str) -> set[str]:
    """Return the codes in the first column of the tables."""
    rows = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([A-Z_]+)`", row)}


def codes_in_use() -> set[str]:
    """Return the codes of the error classes, and those that HTTP refusals spell out."""
    classes = [c for c in vars(gateway.errors).values() if isinstance(c, type)]
    result = {c.code for c in classes if issubclass(c, GatewayError)}
    for text in SOURCES:
        is_told = any(f"{name}(" in text for name in REFUSALS)
        for node in ast.walk(ast.parse(text)) if is_told else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REFUSALS:
                result |= {
                    str(a.value)
                    for a in node.args
                    if isinstance(a, ast.Constant) and CODE.fullmatch(str(a.value))
                }
        result |= set(re.findall(r'"code": "([A-Z_]+)"', text))
    return result - {"AUTH_ERROR", "UPSTREAM_ERROR"}  # classes that are only inherited from


LITERALS = {code for text in SOURCES for code in re.findall(r'"([A-Z]+(?:_[A-Z]+)*)"', text)}
CONSTANTS = {n for text in SOURCES for n in re.findall(r"^([A-Z_]+)\b", text, re.MULTILINE)}
ELSEWHERE = {
    *("ALL_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"),
    *("BENCH_METADATA", "TEST_METADATA", "UPDATE_DOCS"),
}
"""Environment variables of libraries and of the tests."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_code_that_a_page_names_exists(path: Path) -> None:
    named = {
        code
        for text in inline_code(path)
        for code in re.findall(r"(?<![\w.])[A-Z]+(?:_[A-Z]+)+(?!\w)", text)
        if not code.endswith("_") and f"{code}=" not in text
    }

    assert named - LITERALS - VARIABLES - CONSTANTS - ELSEWHERE == set()


def test_recipes_are_numbered_steps_with_files() -> None:
    recipes = re.split(r"^## ", page("contributing/recipes"), flags=re.MULTILINE)[1:]

    assert len(recipes) >= 8
    for recipe in recipes:
        steps = [int(n) for n in re.findall(r"^(\d+)\. ", recipe, re.MULTILINE)]
        assert steps == list(range(1, len(steps) + 1)), recipe.partition("\n")[0]
        assert len(steps) >= 3
        assert "{source}" in recipe


@pytest.mark.parametrize("name", ["contributing/recipes", "how-it-works/architecture"])
def test_functions_and_classes_that_recipes_name_exist(name: str) -> None:
    named = {
        code
        for code in inline_code(DOCS / f"{name}.md")
        if re.fullmatch(r"[A-Za-z]\w*(_\w+|[a-z][A-Z]\w*)", code)
    }
    schema = [path.read_text("utf-8") for path in (ROOT / "schema").rglob("*.py")]
    words = {word for text in [*SOURCES, *schema] for word in re.findall(r"\w+", text)}

    assert named - words - {"connectionParams"} == set()  # of the WebSocket protocol


def test_every_error_code_is_in_the_reference() -> None:
    user_errors = codes(infolog) | codes(outcome)

    assert {"CONFLICT", "PARTLY_WRITTEN"} <= user_errors
    assert (codes_in_use() | user_errors) - explained(page("reference/errors")) == set()
    assert user_errors - explained(page("writing")) == set()


def test_the_reference_has_no_error_code_of_its_own() -> None:
    assert explained(page("reference/errors")) - LITERALS == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_exists(path: Path) -> None:
    from roles import missing_source

    assert [place for name in roles("source", path) if (place := missing_source(name))] == []


def test_the_paths_are_those_of_the_application(tmp_path: Path) -> None:
    settings = {
        "admin_token": "0123456789abcdef",
        "profiles": {"ap": {"include": ["Vend*"]}},
        "sandbox": {"roles": True},
        "data_dir": tmp_path,
        "stored_environments": True,
        "linking": {"public_url": "https://erp.example.com", "allowed_hosts": ["127.0.0.1"]},
    }
    app = create_app(Settings.model_validate(settings))
    routes = {getattr(route, "path", "").replace("/ap", "/{profile}") for route in app.routes}
    text = page("reference/http").partition("## Request")[0]
    # Below each environment are addresses of the same names.
    found = re.findall(r"`(/[^`]*)`", text)
    documented = {path.removeprefix("/e/{environment}") for path in found}
    below = ("/config.json", "/explain", "/search", "/slice")

    assert documented - routes - set(below) == set()
    assert {route for route in routes - documented if not route.endswith(below)} == set()


def test_the_headers_are_those_of_the_endpoint() -> None:
    headers = {
        value
        for name, value in vars(request_parameters).items()
        if name.endswith("_HEADER") and isinstance(value, str)
    }

    assert headers == set(re.findall(r"`(X-D365-\w+|Idempotency-Key)`", page("reference/http")))


def test_the_close_codes_are_those_of_the_websocket() -> None:
    source = (ROOT / "gateway/http/websocket.py").read_text("utf-8")
    code = source.partition('"""')[2].partition('"""')[2]
    closes = set(re.findall(r"\b(1001|1009|1012|44\d\d)\b", code))

    assert set(re.findall(r"^\| (\d{4}) \|", page("reference/http"), re.MULTILINE)) == closes


def test_the_page_of_graphiql_links_to_headings_that_exist() -> None:
    source = (ROOT / "gateway/graphiql/page/src/docs.jsx").read_text("utf-8")
    links = re.findall(r'"([\w-]+)\.html(?:#([\w-]+))?"', source)

    assert len(links) > 2
    for name, anchor in links:
        headings = re.findall(r"^#+ (.+)$", page(name), re.MULTILINE)
        anchors = {re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in headings}
        assert not anchor or anchor in anchors, (name, anchor)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_between_files_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if ":" not in link]

    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = ROOT / path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in headings}


def test_the_docs_folder_has_only_pages_of_the_table_of_contents() -> None:
    listed = set(re.findall(r"^[a-z][\w/-]+$", page("index"), re.MULTILINE))
    there = {
        path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES if DOCS in path.parents
    }

    assert there - listed == {"index"}
