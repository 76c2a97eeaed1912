"""What each answer of an upstream becomes: good, refused, cut, or no answer at all."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from msgspec import structs

from gateway.errors import (
    GatewayError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.odata.error_envelope import envelope_of
from gateway.odata.query import Request
from gateway.odata.response_check import malformed_answer, subject_of
from tests.support.scripted_upstream import rows, upstream

pytestmark = pytest.mark.anyio

GET = Request("GET", "CustomersV3?$top=5&cross-company=true", {})

INFOLOG = {
    "error": {
        "code": "",
        "message": "An error has occurred.",
        "innererror": {
            "message": "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Error: No.",
            "type": "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException",
            "stacktrace": "   at Secret.Place()",
        },
    }
}

# -- answers


async def caught(answer: httpx.Response, request: Request = GET) -> GatewayError:
    fo = upstream(answer)
    async with fo.client(retries=0) as client:
        with pytest.raises(GatewayError) as raised:
            await client.send(request)
    return raised.value


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401),
        httpx.Response(401, html="<html>no</html>"),
        httpx.Response(403, json={"error": {"code": "x", "message": "inner words"}}),
        httpx.Response(403, html="<html>no</html>"),
    ],
)
async def test_401_and_403_need_no_json(answer: httpx.Response) -> None:
    error = await caught(answer)

    assert type(error) is UpstreamForbidden
    assert error.upstream_status == answer.status_code
    assert error.hint
    assert "inner words" not in error.message


async def test_a_400_shows_the_outer_message_and_logs_the_infolog() -> None:
    error = await caught(httpx.Response(400, json=INFOLOG, headers={"ms-dyn-aid": "act-7"}))

    assert type(error) is UpstreamRejected
    assert error.message == (
        "The upstream refused the request on CustomersV3 (status 400): An error has occurred."
    )
    assert error.upstream_request_id == "act-7"
    assert "Infolog: Error: No." in str(error.detail)
    assert "Secret.Place" not in str(error.detail)


async def test_a_message_about_a_hidden_rule_is_for_the_log() -> None:
    request = structs.replace(GET, shown="CustomersV3?$filter={rule}")
    words = "Syntax error at 3 in Segment eq 'secret'."
    answer = httpx.Response(400, json={"error": {"code": "x", "message": words}})

    error = await caught(answer, request)

    assert error.message == "The upstream refused the request on CustomersV3 (status 400)."
    assert words in (error.detail or "")


async def test_a_500_with_an_infolog_is_refused_and_not_retried() -> None:
    fo = upstream(httpx.Response(500, json=INFOLOG))

    async with fo.client() as client:
        with pytest.raises(UpstreamRejected, match=r"CustomersV3 \(status 500\)\.$"):
            await client.send(GET)

    assert len(fo.requests) == 1


@pytest.mark.parametrize(
    ("answer", "becomes", "says"),
    [
        (httpx.Response(404), UpstreamRejected, "on CustomersV3 (status 404)."),
        (httpx.Response(414, html="<html>"), UpstreamRejected, "(status 414)."),
        (httpx.Response(501, json={"error": {"message": "no $apply"}}), UpstreamRejected, "501"),
        (httpx.Response(501), UpstreamUnavailable, "501"),
        (httpx.Response(500), UpstreamUnavailable, "(status 500)"),
        (
            httpx.Response(500, json={"error": {"message": "NullReference at X"}}),
            UpstreamUnavailable,
            "The upstream failed on CustomersV3 (status 500).",
        ),
        (httpx.Response(502, html="<html>Bad Gateway"), UpstreamUnavailable, "502"),
        (httpx.Response(408), UpstreamTimeout, "CustomersV3"),
        (httpx.Response(429), UpstreamThrottled, "too busy"),
        (httpx.Response(200, html="<html><body>Sign in"), UpstreamMalformed, "a web page"),
        (httpx.Response(200, content=b"\n<!DOCTYPE html><p>"), UpstreamMalformed, "a web page"),
        (httpx.Response(200, text="hello"), UpstreamMalformed, "text/plain"),
        (httpx.Response(200, json=INFOLOG), UpstreamRejected, "(status 200)."),
        (
            httpx.Response(
                200,
                content=b'\xef\xbb\xbf {"error" : {"code":"1"',
                headers={"content-type": "application/json"},
            ),
            UpstreamRejected,
            "(status 200).",
        ),
    ],
)
async def test_each_bad_answer_has_its_error(
    answer: httpx.Response, becomes: type[GatewayError], says: str
) -> None:
    error = await caught(answer)

    assert type(error) is becomes
    assert says in error.message
    assert error.upstream_status == answer.status_code
    assert str(answer.status_code) in str(error.detail)


@pytest.mark.parametrize(
    ("location", "becomes"),
    [
        ("https://login.microsoftonline.com/common/oauth2/authorize?x=1", UpstreamForbidden),
        ("/Account/Login", UpstreamForbidden),
        ("https://adfs.contoso.com/adfs/ls", UpstreamForbidden),
        ("https://elsewhere.example/data/CustomersV3", UpstreamMalformed),
        ("", UpstreamMalformed),
    ],
)
async def test_a_redirect_is_not_followed(location: str, becomes: type[GatewayError]) -> None:
    error = await caught(httpx.Response(302, headers={"location": location}))

    assert type(error) is becomes
    assert error.hint


async def test_a_body_over_the_limit_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1_000

    fo = upstream(lambda _: httpx.Response(200, content=endless()))
    async with fo.client(max_upstream_bytes=5_000) as client:
        with pytest.raises(UpstreamMalformed, match="larger than 5,000 bytes"):
            await client.send(GET)

    assert read == 6


async def test_the_limit_counts_decompressed_bytes() -> None:
    bomb = httpx.Response(
        200, content=gzip.compress(b" " * 1_000_000), headers={"content-encoding": "gzip"}
    )
    fo = upstream(lambda _: bomb)

    async with fo.client(max_upstream_bytes=5_000) as client:
        with pytest.raises(UpstreamMalformed, match="larger"):
            await client.send(GET)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (Request("GET", "Sets/$count?$filter=A", {}), httpx.Response(200, text="17")),
        (Request("DELETE", "Sets(1)", {}), httpx.Response(204)),
        (Request("GET", "Sets", {}), httpx.Response(200, content=b'{"value":[]}')),
        (
            Request("GET", "Sets", {}),
            httpx.Response(
                200, content=b"{}", headers={"content-type": "application/json; odata=x"}
            ),
        ),
        (Request("GET", "Sets", {}), rows({"error": {"code": 1}})),
        (Request("GET", "Sets", {}), httpx.Response(200, json={"error": {"colour": "red"}})),
        (Request("GET", "Sets", {}), httpx.Response(200, json={"error": "a column"})),
        (
            Request("POST", "$batch", {"Accept": "multipart/mixed"}, b"x"),
            httpx.Response(200, text="--b", headers={"content-type": "multipart/mixed"}),
        ),
    ],
)
async def test_good_answers_pass(request_: Request, answer: httpx.Response) -> None:
    fo = upstream(answer)

    async with fo.client() as client:
        response = await client.send(request_)

    assert response.body == answer.content


async def test_truncated_json_is_left_to_its_decoder() -> None:
    fo = upstream(
        httpx.Response(
            200,
            content=b'{"value":[{"secret":"row',
            headers={"content-type": "application/json", "request-id": "r-1"},
        )
    )

    async with fo.client() as client:
        error = malformed_answer(await client.send(GET), "its JSON is cut off")

    assert error.message == "The upstream's answer cannot be used: its JSON is cut off."
    assert error.upstream_request_id == "r-1"
    assert error.extensions()["code"] == "UPSTREAM_MALFORMED"
    assert "row" not in str(error.extensions())


def test_envelopes_of_other_odata_versions_are_read() -> None:
    old = b'{"error":{"code":"5","message":{"lang":"en","value":"Old."},"innererror":"x"}}'
    found = envelope_of(old)

    assert found is not None
    assert (found.code, found.message, found.inner_message) == ("5", "Old.", "")


def test_subjects_name_sets_and_navigations_without_keys() -> None:
    cases = {
        "CustomersV3?$filter=A eq 'x'": "CustomersV3",
        "CustomersV3(A='1',B='2')": "CustomersV3",
        "CustomersV3%28A='1')/Lines": "CustomersV3/Lines",
        "$batch": "$batch",
        "Sets/$count?x": "Sets/$count",
    }

    assert {path: subject_of(path) for path in cases} == cases


async def test_a_very_long_refusal_is_shortened() -> None:
    error = await caught(httpx.Response(400, json={"error": {"message": "long " * 100 + "\nat X"}}))

    assert error.message.endswith("…")
    assert len(error.message) < 400
