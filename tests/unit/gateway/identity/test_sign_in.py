"""How a page signs in: the addresses of issuers with a public client."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.config.inbound_models import Issuer
from gateway.identity.sign_in import AFTER_FAILURE, REFRESH, SignIn, SignIns
from tests.support.issuer import TENANT

pytestmark = pytest.mark.anyio
ISS = "https://login.example/erp"
DOCUMENT = {
    "issuer": ISS,
    "authorization_endpoint": "https://login.example/authorize",
    "token_endpoint": "https://login.example/token",
}


def issuer(**more: Any) -> Issuer:
    values = {"issuer": ISS, "audiences": ["api://erp"], "client_id": "page", **more}
    return Issuer.model_validate({n: v for n, v in values.items() if v is not None})


class Documents:
    """Answers with a discovery document, or with what takes its place."""

    def __init__(self, document: object = DOCUMENT, status: int = 200) -> None:
        self.document = document
        self.status = status
        self.requested: list[str] = []
        self.time = 0.0

    def ways(self, *issuers: Issuer) -> SignIns:
        def answer(request: httpx.Request) -> httpx.Response:
            self.requested.append(str(request.url))
            return httpx.Response(self.status, json=self.document)

        transport = httpx.MockTransport(answer)
        return SignIns(issuers, transport=transport, now=lambda: self.time)


async def test_the_addresses_of_entra_need_no_document() -> None:
    documents = Documents()
    ways = documents.ways(issuer(issuer=None, entra=TENANT))

    (way,) = await ways.available()

    base = f"https://login.microsoftonline.com/{TENANT}"
    assert way == SignIn(
        title="Microsoft Entra ID",
        issuer=f"{base}/v2.0",
        client_id="page",
        scopes=("api://erp/.default", "offline_access"),
        authorization_endpoint=f"{base}/oauth2/v2.0/authorize",
        token_endpoint=f"{base}/oauth2/v2.0/token",
    )
    assert documents.requested == []


async def test_others_are_read_from_their_document() -> None:
    documents = Documents()
    ways = documents.ways(issuer(scopes=["erp.read"]))

    (way,) = await ways.available()

    assert way.title == "login.example"
    assert way.token_endpoint == way.origin == DOCUMENT["token_endpoint"]
    assert way.scopes == ("erp.read", "offline_access")
    assert documents.requested == [f"{ISS}/.well-known/openid-configuration"]


async def test_an_issuer_without_a_client_is_no_way() -> None:
    documents = Documents()

    assert not documents.ways(issuer(client_id=None))
    assert documents.ways(issuer())


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "issuer": "https://other.example"},
        {**DOCUMENT, "token_endpoint": "http://login.example/token"},
        {**DOCUMENT, "token_endpoint": "https://login.example/token; script-src *"},
        {**DOCUMENT, "authorization_endpoint": "javascript:alert(1)"},
        {"issuer": ISS},
        [],
    ],
)
async def test_a_document_that_cannot_be_trusted_is_no_way(document: object) -> None:
    assert await Documents(document).ways(issuer()).available() == []


async def test_a_document_is_read_once_for_all_and_again_later() -> None:
    documents = Documents()
    ways = documents.ways(issuer())
    await asyncio.gather(*(ways.available() for _ in range(5)))
    assert len(documents.requested) == 1

    documents.time += REFRESH
    documents.status = 503
    assert len(await ways.available()) == 1  # the last that was read
    assert len(documents.requested) == 2


async def test_a_failure_is_tried_again_soon() -> None:
    documents = Documents(status=503)
    ways = documents.ways(issuer())
    assert await ways.available() == []
    assert await ways.available() == []
    assert len(documents.requested) == 1

    documents.time += AFTER_FAILURE
    documents.status = 200
    assert len(await ways.available()) == 1
