"""Callers with graphql-ws: a token is renewed without a new connection, or the client comes back with another one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.issuer import AUDIENCE, ISS, jwk, token
from tests.support.node import Tools
from tests.support.process import running

ISSUERS = [{"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}]
ANSWER = {"customersV3": {"nodes": [{"__typename": "CustomerV3"}]}}


@pytest.fixture(scope="module")
def results(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("callers")
    settings = {"D365_LOG_FORMAT": "json", "D365_INBOUND__ISSUERS": json.dumps(ISSUERS)}
    with running(folder, "serve", "--port", "0", **settings) as gateway:
        endpoint = gateway.wait_for(r"GraphQL: +(http://\S+)")
        ends = int(time.time()) + 4
        yield tools.run("callers.mjs", endpoint, str(ends), token(exp=ends), token(exp=ends + 600))


def test_a_ping_renews_the_token_of_a_connection(results: Any) -> None:
    assert results["renewed"] == {"answer": ANSWER, "goesOn": True, "events": ["connected"]}


def test_a_client_comes_back_with_another_token(results: Any) -> None:
    events = ["connected", "closed 4403", "connected"]

    assert results["returned"] == {"answer": ANSWER, "goesOn": True, "events": events}
