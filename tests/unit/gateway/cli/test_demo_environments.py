"""`serve --demo-environments`: customers that a newcomer can tell apart, linked in a store, and one more to link."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.cli.announcement import MAX_ANNOUNCED, addresses, announcement_of
from gateway.cli.check_callers import require_callers
from gateway.cli.demo import Demonstration, demonstrating
from gateway.cli.serve import require_upstream
from gateway.config.demo_environments import demos
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.runtime.assembly import Gateway
from gateway.store.api_keys import open_register
from tests.support.environments import code_of, settings_of
from tests.support.threaded import free_port, threaded

PLAIN = Settings(language=None, cache_dir=None)
NAMES = "{ customersV3(first: 1) { nodes { id dataAreaId customerAccount } } }"
OWN_FIELDS = (
    "{ customersV3(first: 1) { nodes { contosoLoyaltyTier } } contosoLoyaltyPrograms { totalCount } }",
    "{ vendorsV3(first: 1) { nodes { tailspinRating } } tailspinAudits { totalCount } }",
    "{ salesOrderHeadersV2(first: 1) { nodes { northwindPriority } } northwindRoutes { totalCount } }",
)
WHO = "{ legalEntities { nodes { legalEntityId } } systemUsers(first: 1) { nodes { email } } }"


@dataclass
class Running:
    """A demonstration, and the gateway before it."""

    url: str
    settings: Settings
    shown: Demonstration
    http: httpx.Client

    def post(self, query: str, number: int | None = None, **variables: Any) -> httpx.Response:
        path = "/graphql" if number is None else f"/e/demo-{number}/graphql"
        return self.http.post(path, json={"query": query, "variables": variables})

    def data(self, query: str, number: int) -> Any:
        answer = self.post(query, number).json()
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    port = free_port()
    with ExitStack() as stack:
        started = demonstrating(PLAIN, 3, f"http://127.0.0.1:{port}")
        settings, shown = stack.enter_context(started)
        assert shown is not None
        app = create_app(settings, observe=lambda _: None)
        url = stack.enter_context(threaded(app, port))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=60))
        yield Running(url, settings, shown, http)


def test_each_demo_has_a_company_and_rows_of_its_own(running: Running) -> None:
    rows = [running.data(NAMES, number)["customersV3"]["nodes"][0] for number in (1, 2, 3)]
    foreign = running.post("query N($id: ID!) { node(id: $id) { id } }", 2, id=rows[0]["id"])

    assert [row["dataAreaId"] for row in rows] == ["usmf", "demf", "nwus"]
    assert len({row["id"] for row in rows}) == 3
    assert code_of(foreign) == "INVALID_ID"


def test_each_demo_has_fields_companies_and_users_of_its_own(running: Running) -> None:
    answered = [
        ["errors" not in running.post(query, number).json() for query in OWN_FIELDS]
        for number in (1, 2, 3)
    ]
    seen = [running.data(WHO, number) for number in (1, 2, 3)]

    assert answered == [[True, False, False], [False, True, False], [False, False, True]]
    assert len({str(data["legalEntities"]) for data in seen}) == 3
    assert len({str(data["systemUsers"]) for data in seen}) == 3


def test_the_text_names_all_that_there_is(running: Running) -> None:
    text = "\n".join(running.shown.lines("http://x", "http://x:8001"))
    register = open_register(running.settings)
    key = re.search(r"d365_([0-9a-f]+)_", text)

    assert all(f"http://x/e/demo-{number}/graphiql" in text for number in (1, 2, 3))
    assert key is not None
    assert [(k.id, k.roles) for k in register.list()] == [(key[1], ("admin",))]
    register.close()
    assert f"D365_DATA_DIR={running.settings.data_dir}" in text
    assert f"{running.url}/link/" in text
    assert "admin" not in "".join(running.shown.lines("http://x", None)).partition("sign in")[0]


def test_a_fourth_one_is_linked_from_the_text(running: Running) -> None:
    link = running.shown.link

    def step(name: str, **values: str) -> httpx.Response:
        headers = {"Origin": running.url}
        return running.http.post(f"{link}/{name}", json=values, headers=headers)

    assert "html" in running.http.get(link).headers["content-type"]
    assert step("address", url=running.shown.unlinked).is_success
    page = step("sign-in").json()["location"]
    for _ in ("who signs in", "consent"):
        choices = httpx.get(page)
        ours = [a for a in re.findall(r'href="(\?[^"]*)"', choices.text) if "consent=no" not in a]
        page = httpx.URL(page).join(ours[0].replace("&amp;", "&"))
    back = httpx.get(page).headers["location"]
    running.http.get(back)
    lines = step("check").text
    assert '"failed"' not in lines, lines
    assert step("finish").is_success, step("finish").text
    ends = time.monotonic() + 20
    while running.post("{ __typename }", 4).status_code == 404:
        assert time.monotonic() < ends
        time.sleep(0.05)
    answer = running.data("{ legalEntities { nodes { legalEntityId } } }", 4)
    assert {row["legalEntityId"] for row in answer["legalEntities"]["nodes"]} == {"usmf", "usrt"}


def test_nothing_of_it_remains() -> None:
    with demonstrating(PLAIN, 1, "http://127.0.0.1:1") as (settings, _):
        folder = settings.data_dir
    assert isinstance(folder, Path)
    assert not folder.exists()


def test_without_demos_settings_stay_as_they_are() -> None:
    with demonstrating(PLAIN, 0, "http://x") as (settings, shown):
        assert settings is PLAIN
        assert shown is None


@pytest.mark.parametrize("settings", [settings_of(), settings_of("acme", url=None)])
def test_there_is_none_beside_a_real_environment(settings: Settings) -> None:
    with (
        pytest.raises(SettingsError, match="beside the sandbox only"),
        demonstrating(settings, 3, "http://x"),
    ):
        pass


def test_further_demos_are_told_apart_by_their_titles() -> None:
    titles = [demo.title for demo in demos(5)]

    assert titles == ["Contoso", "Tailspin", "Northwind", "Contoso 2", "Tailspin 2"]


def test_the_start_prints_the_addresses_of_environments() -> None:
    lines = list(addresses(settings_of("one", "two"), "http://x"))
    many = list(addresses(settings_of(*(f"e{n}" for n in range(MAX_ANNOUNCED + 5))), "http://x"))

    assert lines[:3] == [
        "GraphQL:  http://x/graphql",
        "GraphQL:  http://x/e/one/graphql",
        "GraphQL:  http://x/e/two/graphql",
    ]
    assert any(line.strip() == "and 5 more environments" for line in many)


@pytest.mark.anyio
async def test_no_sandbox_is_announced_that_is_not_served(sandboxed: Gateway) -> None:
    alone = sandboxed.settings.model_copy(
        update={"default_environment": False, "stored_environments": True, "graphiql": True}
    )
    lines = announcement_of(replace(sandboxed, settings=alone), "http://x").text.splitlines()

    assert lines[0] == "GraphQL:  http://x/e/NAME/graphql for each environment in the store"
    assert lines[1].startswith("GraphiQL: http://x/e/NAME/graphiql")
    assert "sandbox" in announcement_of(sandboxed, "http://x").text


def test_environments_are_protected_as_the_own_one_is() -> None:
    open_to_all = settings_of("acme", url=None, default_environment=False, host="0.0.0.0")

    require_upstream(open_to_all, sandbox=False)
    with pytest.raises(SettingsError, match=r"anybody could use https://acme\.example/data"):
        require_callers(open_to_all)
    with pytest.raises(SettingsError, match=r"sandbox\.roles"):
        require_callers(settings_of("acme", url=None, sandbox={"roles": True}))
