"""Several environments of one deployment: how requests name them, what belongs to one, and who may use which."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.events import RequestRefused
from gateway.events.environments import EnvironmentOpened
from gateway.http.graphql_endpoint import STREAM
from gateway.http.presence import presence_of
from tests.support.changing_metadata import csdl
from tests.support.environments import (
    SETS,
    Deployment,
    code_of,
    deployed,
    mark_of,
    path_of,
    service,
    settings_of,
)
from tests.support.issuer import AUDIENCE, ISS, jwk, token

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"
ISSUER: dict[str, Any] = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
ROLES: Mapping[str, Any] = {
    "reader": {"sets": {"Things": {}}},
    "tester": {"sets": {"*": {}}, "environments": ["beta"]},
}
HOST = "{environment}.erp.example.com"


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Deployment]:
    profiles = {"few": {"sets": ["Parts"]}, "home-only": {"sets": ["Things"]}}
    environments = {"acme": {"profiles": ["few"]}, "beta": {"title": "Beta", "read_only": True}}
    settings = settings_of(profiles=profiles, environments=environments, environment_host=HOST)
    async with deployed(settings) as deployment:
        yield deployment


async def place_of(deployment: Deployment, path: str = "/graphql", **headers: str) -> str:
    """Return whose rows a request gets, or the code of its error."""
    response = await deployment.post(NAMES, path, headers=headers)
    if response.status_code != 200:
        return code_of(response)
    text = response.text
    (found,) = (name for name in deployment.services if mark_of(name) in text)
    return found


@pytest.mark.parametrize(
    ("path", "headers", "place"),
    [
        ("/graphql", {}, "home"),
        ("/e/acme/graphql", {}, "acme"),
        ("/graphql", {"x-d365-environment": "beta"}, "beta"),
        ("/graphql", {"x-d365-environment": "default"}, "home"),
        ("/e/default/graphql", {}, "home"),
        ("/graphql", {"host": "acme.erp.example.com"}, "acme"),
        ("/graphql", {"host": "ACME.erp.example.com.:8443"}, "acme"),
        ("/e/acme/graphql", {"x-d365-environment": "acme", "host": "acme.erp.example.com"}, "acme"),
        ("/e/acme/graphql", {"x-d365-environment": "beta"}, "UNKNOWN_ENVIRONMENT"),
        ("/e/acme/graphql", {"host": "beta.erp.example.com"}, "UNKNOWN_ENVIRONMENT"),
        ("/e/acme/graphql", {"x-d365-environment": "default"}, "UNKNOWN_ENVIRONMENT"),
        ("/graphql", {"x-d365-environment": "acme, beta"}, "UNKNOWN_ENVIRONMENT"),
        ("/graphql", {"x-d365-environment": ""}, "UNKNOWN_ENVIRONMENT"),
        ("/graphql", {"host": "a.acme.erp.example.com"}, "UNKNOWN_ENVIRONMENT"),
        ("/e/gamma/graphql", {}, "UNKNOWN_ENVIRONMENT"),
        ("/e/ACME/graphql", {}, "UNKNOWN_ENVIRONMENT"),
        ("/e//graphql", {}, "UNKNOWN_ENVIRONMENT"),
    ],
)
async def test_path_header_and_host_name_one_environment(
    shared: Deployment, path: str, headers: dict[str, str], place: str
) -> None:
    assert await place_of(shared, path, **headers) == place


async def test_ids_and_cursors_belong_to_one_environment(shared: Deployment) -> None:
    page = "query P($after: String) { things(first: 1, after: $after) { edges { cursor } } }"
    read = "query N($id: ID!) { node(id: $id) { id } }"
    for name in ("", "acme", "beta"):
        ids = await shared.ids(path_of(name))
        cursor = (await shared.data(page, path_of(name)))["things"]["edges"][0]["cursor"]
        for other in ("", "acme", "beta"):
            path = path_of(other)
            by_id = await shared.post(read, path, variables={"id": ids[0]})
            after = await shared.post(page, path, variables={"after": cursor})
            if other == name:
                assert by_id.json()["data"]["node"] == {"id": ids[0]}
                assert "errors" not in after.json()
            else:
                assert code_of(by_id) == "INVALID_ID"
                assert code_of(after) == "INVALID_CURSOR"


async def test_files_belong_to_one_environment() -> None:
    services = {}
    for name in ("home", "acme"):
        one = services[name] = service(name)
        one.document = csdl("Name", "File", sets=SETS).replace(
            'Name="File" Type="Edm.String"', 'Name="File" Type="Edm.Binary"'
        )
        for row in one.tables.rows["Things"]:
            row["File"] = base64.b64encode(f"{row['Id']} {name}".encode()).decode()
    async with deployed(settings_of("acme"), services) as deployment:
        http = deployment.http
        ids = {name: (await deployment.ids(path_of(name)))[1] for name in ("", "acme")}
        for name, id_ in ids.items():
            path = f"/files/{id_}/file"
            assert (await http.get(path_of(name, path))).text == f"1 {name or 'home'}"
            other = "" if name else "acme"
            before = services[other or "home"].requests
            for method in ("GET", "PUT"):
                answer = await http.request(method, path_of(other, path), content=b"new")
                assert (answer.status_code, code_of(answer)) == (400, "INVALID_ID")
            assert services[other or "home"].requests == before
        by_header = {"x-d365-environment": "acme"}
        assert (await http.get(f"/files/{ids['acme']}/file", headers=by_header)).text == "1 acme"
        created = await http.post("/e/acme/files/things/file?name=n", content=b"new")
        assert (created.status_code, services["home"].written) == (201, [])
        assert services["acme"].written[0]["File"] == base64.b64encode(b"new").decode()
        location = created.headers["location"]
        assert location.startswith("/e/acme/files/")
        assert (await http.get(location)).text == "new"


async def test_what_is_below_an_api_is_below_each_environment(shared: Deployment) -> None:
    opened = await shared.http.get("/e/beta/graphiql/config.json")
    explained = await shared.post(NAMES, "/e/beta/graphql/explain")
    found = await shared.http.get("/e/beta/graphql/search", params={"q": "things"})
    export = await shared.http.get("/e/beta/export/Things?fields=name")
    visit = await shared.http.get("/e/beta/graphql", headers={"accept": "text/html"})

    assert opened.json()["endpoint"] == "/e/beta/graphql"
    assert opened.json()["environment"]["name"] == "Beta"
    assert opened.json()["environment"]["readOnly"] is True
    assert [api["page"] for api in opened.json()["apis"]] == [
        "/e/beta/graphiql",
        "/e/beta/graphiql/few",
        "/e/beta/graphiql/home-only",
    ]
    assert "GET Things?" in explained.json()["data"]["text"]
    assert found.json()["hits"]
    assert mark_of("beta") in export.text
    assert visit.headers["location"] == "/e/beta/graphiql"
    assert (await shared.http.get("/e/beta/graphiql")).status_code == 200
    assert (await shared.http.get("/e/beta/")).headers["location"] == "/e/beta/graphiql"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/admin/reload", "/e/acme/graphql"])
async def test_what_is_not_of_an_environment_is_not_below_it(shared: Deployment, path: str) -> None:
    assert (await shared.http.get(f"/e/beta{path}")).status_code == 404


async def test_an_environment_serves_the_profiles_that_it_names(shared: Deployment) -> None:
    parts = "{ parts { nodes { name } } }"

    data = await shared.data(parts, "/e/acme/graphql/few")
    unknown = await shared.post(NAMES, "/e/acme/graphql/home-only")
    menu = (await shared.http.get("/e/acme/graphiql/config.json")).json()["apis"]

    assert mark_of("acme") in data["parts"]["nodes"][0]["name"]
    assert (unknown.status_code, code_of(unknown)) == (404, "UNKNOWN_PROFILE")
    assert [api["page"] for api in menu] == ["/e/acme/graphiql", "/e/acme/graphiql/few"]


async def test_unknown_environments_have_no_page(shared: Deployment) -> None:
    for below in ("/graphiql", "/graphiql/config.json"):
        assert (await shared.http.get(f"/e/gamma{below}")).status_code == 404


async def test_readiness_counts_environments_and_names_none(shared: Deployment) -> None:
    await place_of(shared, "/e/acme/graphql")

    answer = await shared.http.get("/readyz")

    assert answer.status_code == 200
    states = answer.json()["environments"]
    assert (states["declared"], states["opening"], states["unavailable"]) == (2, 0, 0)
    assert states["open"] >= 1
    assert "acme" not in answer.text


async def test_a_read_only_environment_has_no_mutations(shared: Deployment) -> None:
    query = 'mutation { createThing(input: { name: "x" }) { thing { id } } }'

    assert "errors" in (await shared.post(query, "/e/beta/graphql")).json()
    data = await shared.data(query, "/e/acme/graphql")

    assert (await shared.ids("/graphql"))[0] != data["createThing"]["thing"]["id"]
    assert [s.name for s in shared.services.values() if s.written] == ["acme"]


async def test_an_event_stream_is_in_one_environment(shared: Deployment) -> None:
    headers = {"accept": STREAM}

    answer = await shared.post(NAMES, "/e/acme/graphql", headers=headers)

    assert mark_of("acme") in answer.text
    assert mark_of("home") not in answer.text


def bearer(**claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token('k1', **claims)}"}


@pytest.fixture(scope="module")
async def claimed() -> AsyncIterator[Deployment]:
    inbound = {"issuers": [ISSUER], "anonymous": True, "environment_claim": "erp.env"}
    async with deployed(settings_of("acme", "acme-uat", "beta", inbound=inbound)) as deployment:
        yield deployment


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("acme", {"": "acme", "acme": "acme", "beta": None}),
        (["acme"], {"": "acme", "acme": "acme", "beta": None}),
        (["acme", "beta"], {"": None, "acme": "acme", "beta": "beta", "acme-uat": None}),
        ("acme*", {"": None, "acme": "acme", "acme-uat": "acme-uat", "beta": None}),
        (["default", "beta"], {"": "home", "beta": "beta", "acme": None}),
        ("default", {"": "home", "acme": None}),
        ("gamma", {"": None, "acme": None, "gamma": None}),
        ([], {"": None, "acme": None}),
        (7, {"": None, "acme": None}),
        (None, {"": None, "acme": None}),
    ],
)
async def test_a_claim_bounds_environments(
    claimed: Deployment, value: object, places: dict[str, str | None]
) -> None:
    headers = bearer(**{"erp.env": value})
    for name, place in places.items():
        found = await place_of(claimed, path_of(name), **headers)
        assert found == (place or "UNKNOWN_ENVIRONMENT"), (value, name)


async def test_callers_without_a_token_have_no_claim(claimed: Deployment) -> None:
    assert await place_of(claimed) == "UNKNOWN_ENVIRONMENT"
    assert await place_of(claimed, "/e/acme/graphql") == "UNKNOWN_ENVIRONMENT"


@pytest.fixture(scope="module")
async def with_roles() -> AsyncIterator[Deployment]:
    inbound = {"issuers": [ISSUER]}
    environments: dict[str, Any] = {"acme": {"roles": ["reader"]}, "beta": {}}
    settings = settings_of(environments=environments, inbound=inbound, roles=ROLES, data_dir=None)
    async with deployed(settings) as deployment:
        yield deployment


@pytest.mark.parametrize(
    ("roles", "places"),
    [
        (["reader"], {"": "home", "acme": "acme", "beta": "beta"}),
        (["tester"], {"": "UNKNOWN_ENVIRONMENT", "acme": "UNKNOWN_ENVIRONMENT", "beta": "beta"}),
        (["other"], {"": "FORBIDDEN", "acme": "UNKNOWN_ENVIRONMENT"}),
        ([], {"": "FORBIDDEN", "beta": "UNKNOWN_ENVIRONMENT", "gamma": "UNKNOWN_ENVIRONMENT"}),
    ],
)
async def test_roles_bound_environments(
    with_roles: Deployment, roles: list[str], places: dict[str, str]
) -> None:
    for name, place in places.items():
        assert await place_of(with_roles, path_of(name), **bearer(roles=roles)) == place


async def test_a_role_gives_nothing_where_it_does_not_exist(with_roles: Deployment) -> None:
    parts = "{ parts { nodes { name } } }"
    both = bearer(roles=["reader", "tester"])

    there = await with_roles.post(parts, "/e/beta/graphql", headers=both)
    hidden = await with_roles.post(parts, "/e/acme/graphql", headers=both)

    assert "errors" not in there.json()
    assert code_of(hidden) == "GRAPHQL_VALIDATION_FAILED"


async def test_foreign_and_unknown_environments_are_refused_alike(with_roles: Deployment) -> None:
    """At every door, to callers who have signed in and to those who have not."""
    doors = ["", "/explain", "/search?q=a", "/slice?query=things", "/nope"]
    for headers in ({}, bearer(roles=["tester"]), {"authorization": "Bearer nonsense"}):
        for door in doors:
            answers = []
            for name in ("acme", "gamma"):
                path = path_of(name, f"/graphql{door}")
                send = with_roles.http.get if "?" in door else with_roles.http.post
                body = {} if "?" in door else {"json": {"query": NAMES}}
                same = {"X-Request-Id": "one", **headers}
                answer = await send(path, headers=same, **body)  # type: ignore[arg-type]
                fields = {k: v for k, v in answer.headers.items() if k != "date"}
                answers.append((answer.status_code, fields, answer.text))
            assert answers[0] == answers[1], (door, headers)
            assert answers[0][0] in {401, 404}


async def test_pages_tell_strangers_no_names(with_roles: Deployment) -> None:
    for headers in ({}, bearer(roles=["tester"])):
        answers = [
            await with_roles.http.get(f"/e/{name}/graphiql/config.json", headers=headers)
            for name in ("acme", "gamma")
        ]
        first, second = (
            a.text.replace(n, "*") for a, n in zip(answers, ("acme", "gamma"), strict=True)
        )
        assert first == second


async def test_a_foreign_environment_is_not_opened() -> None:
    settings = settings_of("acme", inbound={"issuers": [ISSUER]}, roles=ROLES, data_dir=None)
    async with deployed(settings) as deployment:
        await place_of(deployment, "/e/acme/graphql", **bearer(roles=["tester"]))
        await place_of(deployment, "/e/acme/graphql")

        assert deployment.said(EnvironmentOpened) == []
        assert deployment.services["acme"].requests == 0


async def test_without_a_default_only_environments_are_served() -> None:
    async with deployed(settings_of("acme", default_environment=False)) as deployment:
        assert await place_of(deployment) == "UNKNOWN_ENVIRONMENT"
        assert await place_of(deployment, "/e/default/graphql") == "UNKNOWN_ENVIRONMENT"
        assert await place_of(deployment, "/e/acme/graphql") == "acme"


async def test_a_deployment_of_one_environment_has_no_others() -> None:
    async with deployed(settings_of()) as deployment:
        assert (await deployment.post(NAMES, "/e/home/graphql")).status_code == 404
        assert await place_of(deployment, **{"x-d365-environment": "acme"}) == "home"
        assert "environments" not in (await deployment.http.get("/readyz")).json()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (httpx.ConnectError("no route to acme.example"), "does not answer"),
        (httpx.Response(401, text="acme.example says no"), "cannot sign in"),
        (httpx.Response(200, content=b"<garbage/>" * 1_000), "metadata"),
        (httpx.Response(500, text="secret-of-acme"), "does not answer"),
    ],
)
async def test_an_environment_that_cannot_open_harms_no_other(
    fault: Exception | httpx.Response, reason: str
) -> None:
    async with deployed(settings_of("acme", "beta")) as deployment:
        acme = deployment.services["acme"]
        acme.fault = fault

        first = await deployment.post(NAMES, "/e/acme/graphql")
        sent = acme.requests
        again = await deployment.post(NAMES, "/e/acme/graphql")

        for answer in (first, again):
            assert (answer.status_code, code_of(answer)) == (503, "ENVIRONMENT_UNAVAILABLE")
            (error,) = answer.json()["errors"]
            assert reason in error["message"]
            assert answer.headers.get_list("retry-after") == [
                str(int(error["extensions"]["retryAfter"]))
            ]
            assert "example" not in answer.text
            assert "secret" not in answer.text
        assert acme.requests == sent  # nothing was tried a second time
        assert await place_of(deployment, "/e/beta/graphql") == "beta"
        states = (await deployment.http.get("/readyz")).json()["environments"]
        assert states == {"declared": 2, "open": 1, "opening": 0, "unavailable": 1}


async def test_an_environment_that_hangs_holds_up_no_other() -> None:
    async with deployed(settings_of("acme", "beta")) as deployment:
        deployment.services["acme"].gate = gate = asyncio.Event()
        waiting = asyncio.create_task(deployment.post(NAMES, "/e/acme/graphql"))
        async with asyncio.timeout(60):
            assert await place_of(deployment, "/e/beta/graphql") == "beta"
            assert await place_of(deployment) == "home"

        assert not waiting.done()
        gate.set()
        assert mark_of("acme") in (await waiting).text


async def test_refusals_in_an_environment_are_logged_with_its_name(shared: Deployment) -> None:
    shared.events.clear()

    await shared.post("{ nope }", "/e/gamma/graphql")

    (refused,) = shared.said(RequestRefused)
    assert refused.code == "UNKNOWN_ENVIRONMENT"
    assert presence_of({}) is None
