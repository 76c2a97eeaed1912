"""The page's routes, without a browser."""

import asyncio
import gzip
import json

import httpx
import pytest
from graphql import OperationDefinitionNode, parse
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.graphiql import (
    EXAMPLES,
    PLAIN,
    SECURITY_HEADERS,
    Page,
    asset_routes,
    examples,
    page_routes,
)

PAGE = PLAIN.parent / "page"
POLICY = SECURITY_HEADERS["Content-Security-Policy"]
SCRIPT = b"export const answer = 42;" * 100


class Client:
    """Sends one request at a time to an app in this process."""

    def __init__(self, routes):
        self._transport = httpx.ASGITransport(Starlette(routes=routes))

    def request(self, method, path, accepts="identity"):
        async def send():
            async with httpx.AsyncClient(
                transport=self._transport, base_url="http://localhost"
            ) as client:
                return await client.request(method, path, headers={"Accept-Encoding": accepts})

        return asyncio.run(send())

    def get(self, path, accepts="identity"):
        return self.request("GET", path, accepts)


@pytest.fixture
def assets(tmp_path):
    """What a build leaves, small."""
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>built</title>")
    (folder / "graphiql-ABCD1234.js").write_bytes(SCRIPT)
    (folder / "graphiql-ABCD1234.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "graphiql-ABCD1234.css").write_text("body { margin: 0 }")
    (tmp_path / "secret.js").write_text("secret")
    return folder


def routes_of(page, assets):
    return [*page_routes(page, assets), *asset_routes(assets)]


@pytest.fixture
def client(assets):
    return Client(routes_of(Page(), assets))


@pytest.fixture
def plain(tmp_path):
    return Client(routes_of(Page(), tmp_path / "not-built"))


def test_the_page_is_html_and_asked_for_again_each_time(client):
    response = client.get("/graphiql")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert "built" in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/graphiql",
        "/graphiql/config.json",
        "/graphiql/assets/graphiql-ABCD1234.js",
        "/graphiql/assets/none.js",
    ],
)
def test_every_answer_carries_the_security_headers(client, path):
    headers = client.get(path).headers

    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_policy_allows_no_inline_script_no_eval_and_no_other_host():
    directives = dict(d.split(" ", 1) for d in POLICY.split("; "))

    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe-eval" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("graphiql-ABCD1234.js", "text/javascript; charset=utf-8"),
        ("graphiql-ABCD1234.css", "text/css; charset=utf-8"),
    ],
)
def test_built_files_have_their_type_and_are_cached_for_ever(client, name, content_type):
    response = client.get(f"/graphiql/assets/{name}")

    assert response.headers["content-type"] == content_type
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("accepts", ["gzip", "br, GZIP;q=0.5", "*", "identity;q=0.1, gzip; q=1"])
def test_the_gzipped_twin_goes_to_who_takes_it(client, accepts):
    response = client.get("/graphiql/assets/graphiql-ABCD1234.js", accepts)

    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert int(response.headers["content-length"]) < len(SCRIPT)
    assert response.content == SCRIPT


@pytest.mark.parametrize("accepts", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, *"])
def test_nobody_else_gets_it(client, accepts):
    response = client.get("/graphiql/assets/graphiql-ABCD1234.js", accepts)

    assert "content-encoding" not in response.headers
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.content == SCRIPT


def test_a_file_without_a_twin_goes_as_it_is(client):
    response = client.get("/graphiql/assets/graphiql-ABCD1234.css", "gzip")

    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "none.js",
        "index.html",
        "graphiql-ABCD1234.js.gz",
        "../secret.js",
        "%2e%2e/secret.js",
        "..%2fsecret.js",
        "%2e%2e%2fsecret.js",
        "..%5csecret.js",
        "../__init__.py",
        "/etc/passwd",
        "",
    ],
)
def test_only_listed_files_are_served(client, path):
    response = client.get(f"/graphiql/assets/{path}")

    assert response.status_code == 404
    assert "secret" not in response.text


def test_other_methods_are_refused(client):
    assert client.request("POST", "/graphiql").status_code == 405
    assert client.request("HEAD", "/graphiql").status_code == 200


def test_the_page_gets_its_endpoint_examples_and_headers(assets):
    routes = routes_of(Page(api="/api", headers={"X-D365-Company": "dat"}), assets)
    mounted = Client([Mount("/behind", routes=routes)])

    config = mounted.get("/behind/graphiql/config.json").json()

    assert config["endpoint"] == "/behind/api"
    assert config["headers"] == {"X-D365-Company": "dat"}
    assert [e["name"] for e in config["examples"]] == [e.name for e in examples()]


def test_the_company_header_is_preset(client):
    assert client.get("/graphiql/config.json").json()["headers"] == {"X-D365-Company": "usmf"}


def test_without_a_build_the_plain_page_says_how_to_get_the_full_one(plain):
    response = plain.get("/graphiql")

    assert response.status_code == 200
    assert "make page" in response.text
    assert "Node 20" in response.text
    assert response.headers["content-security-policy"] == POLICY


def test_files_of_the_plain_page_are_revalidated(plain):
    for name in ("plain.js", "plain.css"):
        response = plain.get(f"/graphiql/assets/{name}")

        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-cache"
    assert plain.get("/graphiql/assets/index.html").status_code == 404


def test_no_page_holds_an_inline_script_or_names_another_host():
    for html in (PLAIN / "index.html", PAGE / "src" / "index.html"):
        text = html.read_text()

        assert "<script>" not in text
        assert "http" not in text
        assert "onclick" not in text


def test_each_example_is_one_named_and_titled_operation():
    chosen = examples()

    assert len(chosen) == 13
    for example in chosen:
        (operation,) = parse(example.query).definitions
        assert isinstance(operation, OperationDefinitionNode)
        required = {v.variable.name.value for v in operation.variable_definitions or ()}
        assert operation.name is not None
        assert example.title
        assert set(example.variables or {}) <= required


def test_examples_are_ordered_by_number_sandbox_last():
    chosen = examples()

    numbers = [int(example.name.partition("-")[0]) for example in chosen]
    assert numbers == list(range(1, len(chosen) + 1))
    kinds = [(example.subscribes, example.changes) for example in chosen]
    assert kinds == sorted(kinds)


@pytest.mark.parametrize(
    ("given", "writes"),
    [
        ({}, True),
        ({"read_only": True}, False),
        ({"url": "https://contoso.operations.dynamics.com/data", "auth": "none"}, False),
    ],
    ids=["the-sandbox", "read-only", "an-environment"],
)
def test_only_the_page_of_a_sandbox_has_examples_that_write(given, writes):
    shown = Client(create_app(Settings(**given)).routes).get("/graphiql/config.json").json()

    names = [example["name"] for example in shown["examples"]]
    assert names == [e.name for e in examples(changing=writes)]


def test_no_variables_lie_about_without_their_example():
    assert {p.stem for p in EXAMPLES.glob("*.json")} <= {e.name for e in examples()}
    assert all(json.loads(p.read_text()) for p in EXAMPLES.glob("*.json"))


def test_the_page_lock_names_no_registry():
    lock = json.loads((PAGE / "package-lock.json").read_text())

    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("Embedded sandbox", "sandbox", False)),
        (
            {"url": "https://x.sandbox.operations.dynamics.com/data", "read_only": True},
            ("x.sandbox.operations.dynamics.com", "test", True),
        ),
        (
            {"url": "https://erp.example.com/data", "environment_kind": "production"},
            ("erp.example.com", "production", False),
        ),
        ({"url": "https://erp.example.com/data"}, ("erp.example.com", None, False)),
    ],
)
def test_the_badge_is_of_the_settings_environment(settings, expected):
    app = create_app(Settings(auth="none", **settings))
    badge = Client(app.routes).get("/graphiql/config.json").json()["environment"]

    assert (badge["name"], badge["kind"], badge["readOnly"]) == expected
    assert badge["version"]
