"""``/admin/link-sessions``: as it is described, for those who have a key; on both databases."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.settings import Settings
from tests.support.described_api import DescribedApi, described_api
from tests.support.linking import RETURN, WEBHOOK_SECRET
from tests.support.stored_environments import URL, audited, stored_settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PATH = "/admin/link-sessions"
LINKING = {
    "public_url": "https://erp.example.com/api",
    "return_urls": [RETURN],
    "webhook_secret": WEBHOOK_SECRET,
}
APPLICATION = {"client_id": "c", "client_secret": "planted-s3cret"}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    values: dict[str, Any] = {"audit": {"sink": "file"}, "linking": LINKING, **APPLICATION}
    return stored_settings(request, tmp_path, **values)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[DescribedApi]:
    async with described_api(settings) as api:
        yield api


async def test_a_link_is_shown_once(api: DescribedApi, settings: Settings) -> None:
    made = await api("POST", PATH, json={"name": "acme", "title": "Acme", "return_url": RETURN})
    content = made.json()
    token = content.pop("url").removeprefix("https://erp.example.com/api/link/")
    shown = await api("GET", f"{PATH}/{content['id']}")

    assert made.status_code == 201
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert shown.json() == content
    assert made.headers["location"] == f"{PATH}/{content['id']}"
    assert (content["state"], content["application"]) == ("new", "deployment")
    (line,) = audited(settings)
    assert (line["act"], line["environment"]) == ("environment.link_session", "acme")
    assert token not in str(line)


@pytest.mark.parametrize(
    ("options", "status", "field"),
    [
        ({"name": "Not A Name"}, 400, "name"),
        ({"name": "default"}, 400, "name"),
        ({"title": ""}, 400, "title"),
        ({"title": "two\nlines"}, 400, "title"),
        ({"title": "x" * 101}, 400, "title"),
        ({"title": 1}, 400, "title"),
        ({"return_url": "https://evil.example/"}, 400, "return_url"),
        ({"return_url": f"{RETURN}&x=1"}, 400, "return_url"),
        ({"return_url": [RETURN]}, 400, "return_url"),
        ({"application": "other"}, 400, "application"),
        ({"aplication": "own"}, 400, "aplication"),
        ({"name": "taken"}, 409, None),
    ],
    ids=str,
)
async def test_other_options_are_refused(
    api: DescribedApi, options: dict[str, Any], status: int, field: str | None
) -> None:
    await api("POST", "/admin/environments", json={"name": "taken", "url": URL, "tenant_id": "t"})

    refused = await api("POST", PATH, json=options)

    assert refused.status_code == status
    assert refused.json()["error"].get("field") == field


async def test_unknown_sessions_are_not_found(api: DescribedApi) -> None:
    for name in ("x", "0" * 24):
        assert (await api("GET", f"{PATH}/{name}")).status_code == 404


async def test_without_a_link_page_there_are_no_links(tmp_path: Path) -> None:
    values = {"stored_environments": True, "data_dir": tmp_path / "data"}
    async with described_api(Settings.model_validate(values)) as api:
        refused = await api("POST", PATH, json={})

    assert refused.status_code == 503
    assert "linking.public_url" in refused.json()["error"]["message"]


async def test_without_an_application_customers_enter_theirs(tmp_path: Path) -> None:
    values = {
        "stored_environments": True,
        "data_dir": tmp_path / "data",
        "linking": {"public_url": "https://erp.example.com"},
    }
    async with described_api(Settings.model_validate(values)) as api:
        refused = await api("POST", PATH, json={})
        own = await api("POST", PATH, json={"application": "own"})

    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "application")
    assert own.status_code == 201


async def test_a_revoked_link_leads_nowhere(api: DescribedApi, settings: Settings) -> None:
    made = (await api("POST", PATH, json={"name": "acme"})).json()
    one = f"{PATH}/{made['id']}"

    assert (await api("DELETE", one)).status_code == 204
    assert [(await api(method, one)).status_code for method in ("GET", "DELETE")] == [404, 404]
    lines = audited(settings)
    assert [line["act"] for line in lines] == [
        "environment.link_session",
        "environment.unlink_session",
    ]
    assert lines[1]["environment"] == "acme"
