"""A sandbox with roles and profiles, and requests of callers who have some of these roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from gateway.config.settings import Settings
from gateway.http.graphql_endpoint import GRAPHQL
from tests.support.app_client import Client
from tests.support.issuer import AUDIENCE, ISS, jwk, token

ISSUER: dict[str, Any] = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
ROLES: Mapping[str, Any] = {
    "viewer": {
        "sets": {"CustomersV3": {"deny_columns": ["*Credit*"]}, "CustomerGroups": {}},
        "limits": {"max_page_size": 2},
    },
    "clerk": {
        "inherits": ["viewer"],
        "sets": {"VendorsV2": {"create": True, "subscribe": True}},
        "explain": False,
    },
    "silent": {"sets": {"VendorsV2": {}}, "introspection": False, "graphiql": False},
    "empty": {},
}
PROFILES: Mapping[str, Any] = {
    "ap": {"include": ["Vend*"], "roles": ["clerk"]},
    "all": {"include": ["*"]},
}
CREDIT = "creditLimit"
ORIGIN = "https://app.example.com"


def settings(**more: Any) -> Settings:
    inbound = {"issuers": [ISSUER], "anonymous": True}
    values = {"language": None, "roles": ROLES, "profiles": PROFILES, "inbound": inbound}
    # Views of the whole catalogue are built in the test's own event loop, which is late on a busy machine.
    own = {"cors_origins": [ORIGIN], "max_loop_lag": 0, **more}
    return Settings.model_validate({**values, **own})


def bearer(*roles: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token('k1', roles=list(roles))}"} if roles else {}


async def send(
    client: Client, query: str, *roles: str, path: str = "/graphql", **headers: str
) -> httpx.Response:
    fields = {"accept": GRAPHQL, **bearer(*roles), **headers}
    return await client.http.post(path, json={"query": query}, headers=fields)


async def root_fields(client: Client, *roles: str, path: str = "/graphql") -> set[str]:
    query = "{ __schema { queryType { fields { name } } } }"
    answer = (await send(client, query, *roles, path=path)).json()
    return {f["name"] for f in answer["data"]["__schema"]["queryType"]["fields"]}
