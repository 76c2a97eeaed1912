"""``/admin/environments``: each route as it is described, for those who have a key; on both databases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate

from gateway.cli.environments import print_list
from gateway.config.settings import Settings
from tests.support.described_api import DescribedApi, described_api, new_key
from tests.support.doors import ADMIN_DOORS
from tests.support.stored_environments import URL, audited, stored_settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SECRET = "planted-s3cret"
ACME = {"name": "acme", "url": URL, "tenant_id": "acme", "client_id": "x", "client_secret": SECRET}
PATH = "/admin/environments"
ONE = f"{PATH}/acme"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return stored_settings(request, tmp_path, audit={"sink": "file"})


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[DescribedApi]:
    async with described_api(settings) as api:
        yield api


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[DescribedApi]:
    """Over one database: for what does not depend on it."""
    values = {"stored_environments": True, "data_dir": tmp_path / "data"}
    async with described_api(Settings.model_validate(values)) as api:
        yield api


async def test_an_environment_is_added_once(api: DescribedApi) -> None:
    first = await api("POST", PATH, json=ACME)
    again = await api("POST", PATH, json=ACME)
    other = await api("POST", PATH, json={**ACME, "title": "Other"})

    assert [r.status_code for r in (first, again, other)] == [201, 200, 409]
    assert first.json() == again.json()
    assert first.headers["location"] == ONE
    assert first.headers["etag"] == again.headers["etag"]
    assert other.json()["error"]["code"] == "ENVIRONMENT_EXISTS"
    assert first.json()["secrets"] == ["client_secret"]


async def test_no_answer_has_a_secret(api: DescribedApi, settings: Settings) -> None:
    answers = [
        await api("POST", PATH, json=ACME),
        await api("GET", ONE),
        await api("GET", PATH),
        await api("PATCH", ONE, json={"client_secret": SECRET * 2}),
        await api("POST", f"{ONE}/disable"),
        await api(
            "POST", PATH, json={**ACME, "name": "b", "url": SECRET, "companies": {SECRET: 1}}
        ),
        await api("POST", PATH, json={**ACME, "name": SECRET.upper()}),
        await api("DELETE", ONE),
    ]

    assert SECRET not in "".join(f"{r.text}{r.headers}" for r in answers)
    assert SECRET not in str(audited(settings))
    assert SECRET not in str(api.seen)


async def test_an_environment_is_changed(api: DescribedApi, settings: Settings) -> None:
    await api("POST", PATH, json=ACME)
    updated = await api("PATCH", ONE, json={"title": "Acme", "companies": ["usmf"]})
    assert (updated.json()["title"], updated.json()["version"]) == ("Acme", 2)
    disabled = await api("POST", f"{ONE}/disable")
    assert disabled.json()["state"] == "disabled"
    assert (await api("POST", f"{ONE}/enable")).json()["state"] == "active"
    assert (await api("POST", f"{ONE}/reload")).status_code == 200
    shown = await api("GET", ONE)
    assert (shown.json()["companies"], shown.json()["version"]) == (["usmf"], 4)
    head = await api.http.head(ONE)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == shown.headers["etag"]
    assert (await api("DELETE", ONE)).status_code == 204
    assert (await api("GET", ONE)).status_code == 404
    assert (await api("DELETE", ONE)).json()["error"]["code"] == "UNKNOWN_ENVIRONMENT"

    lines = audited(settings)
    assert [line["act"].removeprefix("environment.") for line in lines] == [
        *("added", "updated", "disabled", "enabled", "reloaded", "removed")
    ]
    assert {line["who"]["name"] for line in lines} == {"integrator"}
    assert lines[1]["path"] == ONE


async def test_etags_refuse_what_others_have_changed(api: DescribedApi) -> None:
    tag = (await api("POST", PATH, json=ACME)).headers["etag"]
    match = {"If-Match": tag}
    changed = await api("PATCH", ONE, json={"title": "A"}, headers=match)
    assert changed.status_code == 200

    for answer in (
        await api("PATCH", ONE, json={"title": "B"}, headers=match),
        await api("DELETE", ONE, headers=match),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (412, "VERSION_CONFLICT")
    both = {"If-Match": f'"x", {changed.headers["etag"]}'}
    assert (await api("PATCH", ONE, json={"title": "C"}, headers=both)).status_code == 200
    assert (await api("DELETE", ONE, headers={"If-Match": "*"})).status_code == 204
    # Another environment of the same name.
    anew = await api("POST", PATH, json=ACME)
    assert anew.headers["etag"] != tag


async def test_environments_are_listed_page_by_page(api: DescribedApi) -> None:
    for name in ("c", "a", "b"):
        await api("POST", PATH, json={**ACME, "name": name})

    pages = [(await api("GET", f"{PATH}?limit=2")).json()]
    pages.append((await api("GET", f"{PATH}?limit=2&after={pages[0]['next']}")).json())
    assert [[e["name"] for e in page["environments"]] for page in pages] == [["a", "b"], ["c"]]
    assert [page["next"] for page in pages] == ["b", None]
    for limit in ("0", "501", "x", "-1", "1e3", "²"):
        assert (await api("GET", f"{PATH}?limit={limit}")).status_code == 400


async def test_a_wrong_option_is_named(one: DescribedApi) -> None:
    for body, field in (
        ({}, "name"),
        ({**ACME, "name": "Acme"}, "name"),
        ({**ACME, "url": "https://127.0.0.1/data"}, "url"),
        ({**ACME, "url": "https://acme.example/data"}, "url"),
        ({**ACME, "metadata": "/etc/passwd"}, "metadata"),
        ({**ACME, "concurrency": 99}, "concurrency"),
        ({**ACME, "urll": "x"}, "urll"),
    ):
        answer = await one("POST", PATH, json=body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["field"]) == ("INVALID_OPTION", field)


async def test_a_wrong_body_is_refused(one: DescribedApi) -> None:
    for content, kind, status in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"", "", 415),
        (b"{}" + b" " * 70_000, "application/json", 413),
    ):
        answer = await one("POST", PATH, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status


async def test_no_text_disturbs_the_store(api: DescribedApi) -> None:
    """PostgreSQL takes no NUL, and a name is a part of a path."""
    for name in ("%00", "a%00", "%FF", "a%2Fb", "%2E%2E", "A" * 5_000, "a'--", "%E2%80%AE"):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/disable"), ("POST", "/check")):
            answer = await api.http.request(method, f"{PATH}/{name}{path}")
            assert answer.status_code == 404, (method, name, answer.text)
        assert (await api("GET", f"{PATH}?after={name}")).status_code in {200, 400}
    odd = {"title": "\0\u202e\U0001f600", "language": "\0", "companies": ["\0", "a" * 300]}
    added = await api("POST", PATH, json={**ACME, **odd, "client_secret": "\0\U0001f600"})
    assert added.status_code == 201
    assert (await api("GET", ONE)).json()["title"] == odd["title"]
    surrogate = b'{"name": "b", "url": "https://b.operations.dynamics.com", "title": "\\ud800"}'
    refused = await api(
        "POST", PATH, content=surrogate, headers={"Content-Type": "application/json"}
    )
    assert refused.status_code == 400


async def test_other_methods_are_refused(one: DescribedApi) -> None:
    answer = await one.http.put(ONE)

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, PATCH, DELETE"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_every_address_needs_the_key_of_an_administrator(tmp_path: Path, host: str) -> None:
    values = {"stored_environments": True, "data_dir": tmp_path, "admin": {"host": host}}
    settings = Settings.model_validate(values)
    clerk = new_key(settings, "clerk")
    paths = [path.replace("{name}", "acme") for path in ADMIN_DOORS if path.startswith("/admin/")]
    async with described_api(settings) as api:
        for path in paths:
            for headers, statuses in (
                ({}, {200, 404, 405}),
                ({"Authorization": f"Bearer {clerk}"}, {403}),
                ({"Authorization": "Bearer d365_a_b"}, {401}),
                ({"Authorization": "Basic eDp5"}, {401}),
            ):
                answer = await api.http.get(path, headers=headers)
                assert answer.status_code in statuses, path
                assert ("www-authenticate" in answer.headers) is (answer.status_code == 401)
                assert answer.status_code == 200 or set(answer.json()) == {"error"}


async def test_the_description_is_openapi(one: DescribedApi) -> None:
    validate(one.description)

    routed = {path for path in ADMIN_DOORS if path.startswith("/admin/")}
    assert set(one.description["paths"]) == routed - {"/admin/openapi.json"}
    schemas = one.description["components"]["schemas"]
    assert schemas["NewEnvironment"]["properties"]["client_secret"]["writeOnly"]
    assert "client_secret" not in schemas["Environment"]["properties"]
    assert schemas["NewEnvironment"]["properties"]["companies"]["description"]
    operations = [
        operation["operationId"]
        for path in one.description["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    assert len(operations) == len(set(operations))


async def test_a_store_that_fails_is_not_named(one: DescribedApi, tmp_path: Path) -> None:
    await one("POST", PATH, json=ACME)
    for file in (tmp_path / "data" / "store").iterdir():
        file.write_bytes(b"this is no database, but a file of another kind")
    answer = await one("GET", ONE)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "STORE_UNAVAILABLE")
    assert str(tmp_path) not in answer.text
    assert str(tmp_path) in str(one.seen)


async def test_a_change_that_must_be_recorded_is_refused_otherwise(tmp_path: Path) -> None:
    data, audit = tmp_path / "data", tmp_path / "audit"
    audit.write_text("this is no folder", "utf-8")
    values = {
        "stored_environments": True,
        "data_dir": data,
        "audit": {"sink": "file", "path": audit, "required": True},
    }
    async with described_api(Settings.model_validate(values)) as api:
        added = await api("POST", PATH, json=ACME)
        assert (added.status_code, added.json()["error"]["code"]) == (503, "AUDIT_UNAVAILABLE")
        assert (await api("GET", PATH)).json()["environments"] == []
        assert (await api.http.get("/health")).status_code == 503  # no worker is ready
        audit.unlink()
        assert (await api("POST", PATH, json=ACME)).status_code == 201
        assert (await api("DELETE", ONE)).status_code == 204

    lines = [json.loads(line) for file in audit.iterdir() for line in file.read_text().splitlines()]
    acts = [(line["act"], line.get("outcome")) for line in lines if "environment" in line]
    assert acts == [
        ("environment.added", None),
        ("environment.added", "done"),
        ("environment.removed", None),
        ("environment.removed", "done"),
    ]


async def test_without_stored_environments_the_api_says_so(tmp_path: Path) -> None:
    async with described_api(Settings(data_dir=tmp_path)) as api:
        answer = await api("POST", PATH, json=ACME)

    assert answer.status_code == 503
    assert "stored_environments" in json.dumps(answer.json())


async def test_a_check_says_where_the_way_ends(one: DescribedApi) -> None:
    await one("POST", PATH, json={"name": "acme", "url": URL, "auth": "none"})
    answer = await one("POST", f"{ONE}/check", timeout=30)

    assert isinstance(answer, httpx.Response)
    body = answer.json()
    assert (body["status"], body["steps"][0]["text"]) == ("problem", URL)
    assert (await one("POST", f"{PATH}/other/check")).status_code == 404


async def test_one_that_cannot_be_read_is_listed_with_its_problem(
    one: DescribedApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is described; the others are listed as ever."""
    for name in ("acme", "beta"):
        await one("POST", PATH, json={**ACME, "name": name})
    with sqlite3.connect(tmp_path / "data" / "store" / "gateway.db") as store:
        store.execute("UPDATE environments SET options = '{\"new\": 1}' WHERE name = 'acme'")
    store.close()
    acme, beta = (await one("GET", PATH)).json()["environments"]

    assert acme["problem"] == "The options of the environment acme cannot be read: new."
    assert "url" not in acme
    assert (beta["name"], beta["url"], "problem" in beta) == ("beta", URL, False)
    settings = Settings(data_dir=tmp_path / "data", stored_environments=True)
    print_list(settings, as_json=False)
    states = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert states == ["unreadable", "active"]
