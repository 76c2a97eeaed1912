"""Refused requests and administrative acts in the audit log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.store.api_keys import open_register
from tests.support.issuer import AUDIENCE, ISS, jwk

pytestmark = pytest.mark.anyio
TOKEN = "a-token-of-the-administrator"


@asynccontextmanager
async def recorded(
    tmp_path: Path, **values: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, list[dict[str, Any]]]]:
    """Yield a client, and the lines that the gateway wrote when it has ended."""
    settings = Settings.model_validate(
        {
            "language": "none",
            "admin_token": TOKEN,
            "explain": "admin",
            "audit": {"sink": "file", "path": tmp_path},
            **values,
        }
    )
    lines: list[dict[str, Any]] = []
    app = create_app(settings, observe=lambda _: None)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http, lines
    lines += written(tmp_path)


def written(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a chain without its first and its last."""
    contents = b"".join(path.read_bytes() for path in folder.glob("*.jsonl"))
    return [json.loads(line) for line in contents.splitlines()[1:-1]]


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("POST", "/graphql", {"Host": "evil.example"}, "MISDIRECTED_REQUEST"),
        ("GET", "/graphql?query={a}", {"Sec-Fetch-Site": "cross-site"}, "CROSS_SITE_REQUEST"),
        ("GET", "/export/VendorsV3", {"Sec-Fetch-Site": "cross-site"}, "CROSS_SITE_REQUEST"),
        ("POST", "/admin/reload", {"Authorization": "Bearer wrong"}, "UNAUTHENTICATED"),
        ("POST", "/graphql/explain", {}, "UNAUTHENTICATED"),
        ("POST", "/graphql", {}, None),  # a mistake, no refusal of a caller
    ],
)
async def test_refusals_are_recorded(
    tmp_path: Path, method: str, path: str, headers: dict[str, str], code: str | None
) -> None:
    async with recorded(tmp_path) as (http, lines):
        for _ in range(3):
            response = await http.request(method, path, headers=headers)

    # The first, and a count of the others.
    assert [
        (line["kind"], line["client"], line["code"], line.get("repeats")) for line in lines
    ] == (
        [] if code is None else [("refused", "192.0.2.7", code, repeats) for repeats in (None, 2)]
    )
    if code is not None:
        assert lines[0]["status"] == response.status_code
        assert lines[0]["path"] == path.partition("?")[0]


async def test_administrative_acts_are_recorded(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (http, lines):
        await http.post("/admin/reload", headers={"Authorization": f"Bearer {TOKEN}"})

    (line,) = lines
    facts = (line["kind"], line["act"], line["who"], line["outcome"], line["client"])
    assert facts == ("admin", "reload", {"kind": "admin"}, "done", "192.0.2.7")


async def test_uses_of_keys_and_refused_callers_are_recorded(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    register = open_register(settings)
    key, text = register.create("ci", ["a"], None)
    register.close()
    inbound = {"inbound": {"api_keys": True}, "data_dir": tmp_path / "data"}
    async with recorded(tmp_path, **inbound) as (http, lines):
        body = {"query": "{ __typename }"}
        for bearer in (text, text, f"{text}x"):
            await http.post("/graphql", json=body, headers={"Authorization": f"Bearer {bearer}"})

    assert [(e["kind"], e.get("act"), e.get("code"), e["who"]["kind"]) for e in lines] == [
        ("key", "used", None, "key"),
        ("refused", None, "UNAUTHENTICATED", "anonymous"),
        ("key", "used", None, "key"),
    ]
    assert [e.get("repeats") for e in lines] == [None, None, 1]
    assert lines[1]["who"]["id"] == lines[0]["who"]["id"]  # whom the refused key names
    assert (lines[0]["who"]["subject"], lines[0]["who"]["name"]) == (key.id, "ci")
    assert lines[0]["who"]["roles"] == ["a"]
    assert text not in json.dumps(lines)


async def test_visits_and_preflights_are_no_refusals(tmp_path: Path) -> None:
    issuer = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
    async with recorded(tmp_path, inbound={"issuers": [issuer]}) as (http, lines):
        visit = await http.get("/graphql", headers={"Accept": "text/html"})
        options = await http.options("/graphql")
        refused = await http.get("/graphql?query={a}")

    assert [visit.status_code, options.status_code, refused.status_code] == [302, 200, 401]
    assert [(line["kind"], line["status"]) for line in lines] == [("refused", 401)]


@pytest.mark.parametrize(
    ("role", "path", "status", "code"),
    [
        ("stranger", "/graphql", 403, "FORBIDDEN"),
        ("stranger", "/files/VendorsV3/x", 403, "FORBIDDEN"),
        ("clerk", "/files/vendorsV3/x", 403, "FORBIDDEN"),
        ("clerk", "/graphql/ap", 404, "UNKNOWN_PROFILE"),
        ("clerk", "/graphql/explain", 403, "FORBIDDEN"),
        ("clerk", "/graphql", 200, None),
    ],
)
async def test_refusals_of_roles_are_recorded(
    tmp_path: Path, role: str, path: str, status: int, code: str | None
) -> None:
    register = open_register(Settings(data_dir=tmp_path / "data"))
    _, text = register.create("ci", [role], None)
    register.close()
    values: dict[str, Any] = {
        "inbound": {"api_keys": True},
        "data_dir": tmp_path / "data",
        "explain": True,
        "roles": {
            "clerk": {"sets": {"VendorsV3": {}}, "explain": False},
            "ap": {"sets": {"VendorsV3": {}}},
        },
        "profiles": {"ap": {"include": ["Vendors*"], "roles": ["ap"]}},
    }
    async with recorded(tmp_path, **values) as (http, lines):
        headers = {"Authorization": f"Bearer {text}"}
        response = await http.post(path, json={"query": "{ __typename }"}, headers=headers)

    assert response.status_code == status
    refusals = [line for line in lines if line["kind"] == "refused"]
    assert [(line["status"], line["code"], line["who"]["name"]) for line in refusals] == (
        [] if code is None else [(status, code, "ci")]
    )


@pytest.mark.parametrize(
    ("query", "authorization"),
    [("", "Token x"), ("", "Bearer a, Bearer b"), ("?access_token=a", "")],
)
async def test_credentials_that_are_none_are_recorded(
    tmp_path: Path, query: str, authorization: str
) -> None:
    issuer = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
    async with recorded(tmp_path, inbound={"issuers": [issuer]}) as (http, lines):
        headers = {"Authorization": authorization} if authorization else {}
        await http.post(f"/graphql{query}", json={"query": "{ __typename }"}, headers=headers)

    assert [(line["status"], line["code"]) for line in lines] == [(400, "UNAUTHENTICATED")]
