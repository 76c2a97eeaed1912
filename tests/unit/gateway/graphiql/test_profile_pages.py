"""The page of each profile: its API, its examples, and who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.graphiql import examples
from gateway.http.endpoints import API, PAGE
from tests.support.profiles import PROFILES, Served, code, serve

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    settings = Settings.model_validate({"language": None, "profiles": PROFILES})
    async for served in serve(settings):
        yield served


async def test_page_lists_the_apis_with_introspection(served: Served) -> None:
    config = (await served.http.get(f"{PAGE}/ap/config.json")).json()

    assert (config["endpoint"], config["profile"]) == ("/graphql/ap", "ap")
    assert config["headers"] == {"X-D365-Company": "usmf"}
    assert [(api["title"], api["page"]) for api in config["apis"]] == [
        ("All", "/graphiql"),
        ("Accounts payable", "/graphiql/ap"),
        ("customers", "/graphiql/customers"),
    ]
    own = (await served.http.get(f"{PAGE}/reference/config.json")).json()
    assert "reference" in [api["title"] for api in own["apis"]]


async def test_page_has_the_examples_that_its_api_can_run(served: Served) -> None:
    names = {}
    for path in ("", "/ap", "/customers", "/reference"):
        config = (await served.http.get(f"{PAGE}{path}/config.json")).json()
        names[path] = [example["name"] for example in config["examples"]]
        for example in config["examples"] if path else ():
            answer = await served.ask(API + path, example["query"], **(example["variables"] or {}))
            assert "errors" not in answer or code(answer) == "NOT_ACCEPTABLE"  # a subscription

    assert names[""] == [example.name for example in examples()]
    assert set(names["/ap"]) < set(names[""])
    assert names["/ap"]
    # without orders: what the example of that name asks where there are none
    assert names["/customers"][0] == "1-customers"
    # none of the gateway's fits: the first rows of the first list
    assert names["/reference"] == ["addressCountryRegions"]


@pytest.mark.parametrize(
    ("prefixes", "root", "on"),
    [
        ({"prefix": "erp"}, "erpCustomersV3", "... on CustomerV3"),
        ({"type_prefix": "Eu"}, "customersV3", "... on EuCustomerV3"),
        ({"prefix": "eu", "type_prefix": "Eu"}, "euCustomersV3", "... on EuCustomerV3"),
    ],
)
async def test_examples_have_the_prefixes_of_the_api(
    prefixes: dict[str, str], root: str, on: str
) -> None:
    settings = {"language": None, "federation": prefixes}
    async for served in serve(Settings.model_validate(settings)):
        shown = (await served.http.get(f"{PAGE}/config.json")).json()["examples"]
        first = await served.ask(API, shown[0]["query"], **shown[0]["variables"])

        assert [example["name"] for example in shown] == [e.name for e in examples()]
        assert [*first["data"]] == [root]
        assert "errors" not in first
        assert on in next(e["query"] for e in shown if e["name"] == "13-changes")


async def test_pages_share_their_files(served: Served) -> None:
    html = (await served.http.get(f"{PAGE}/ap")).text
    assert '"../graphiql/assets/' in html
    assert '"graphiql/assets/' not in html


PASSWORD = "0123456789abcdef"


@pytest.mark.parametrize(
    "path", [PAGE, f"{PAGE}/config.json", f"{PAGE}/ap", f"{PAGE}/ap/config.json"]
)
@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        (("admin", "wrong-wrong-wrong"), 401),
        (("", ""), 401),
        (("anybody", PASSWORD), 200),
    ],
)
async def test_page_may_require_the_admin_token(
    path: str, given: tuple[str, str] | None, status: int
) -> None:
    settings = {"graphiql": "admin", "admin_token": PASSWORD, "profiles": PROFILES}
    app = create_app(Settings.model_validate({"language": None, **settings}))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as http:
        response = await http.get(path, auth=given)
        assets = await http.get(f"{PAGE}/assets/none.js")

    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == 'Basic realm="GraphiQL", charset="UTF-8"'
    assert assets.status_code == 404
