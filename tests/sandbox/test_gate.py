"""What a request passes before the service: throttling, authentication, limits, faults, and the record of requests."""

from __future__ import annotations

import time

import anyio
import httpx
import pytest

from gateway.sandbox import Fault, SandboxSettings, Throttle, create_sandbox
from tests.support.sandbox_answers import ERROR_IN_OK

pytestmark = pytest.mark.anyio
URL = "/data/Currencies"


@pytest.mark.parametrize(
    ("throttle", "after"), [("every=3", None), ("every=3, retry-after=7", "7")]
)
async def test_every_nth_request_is_429_with_or_without_retry_after(sandbox, throttle, after):
    ask = sandbox(throttle=throttle)
    answers = [await ask(URL) for _ in range(6)]

    assert [a.status_code for a in answers] == [200, 200, 429, 200, 200, 429]
    assert answers[2].headers.get("retry-after") == after
    assert "high resource utilization" in answers[2].text


@pytest.mark.parametrize(
    "text", ["", "every", "every=0", "every=x", "every=2,retry-after=soon", "each=2"]
)
def test_a_throttle_that_says_nothing_is_refused(text):
    with pytest.raises(ValueError, match="throttle"):
        Throttle.parse(text)


async def test_a_segment_of_a_path_may_have_a_limit(sandbox):
    ask = sandbox(segment_limit=40)
    fits, long = "/data/Currencies('USD')", f"/data/Currencies('{'x' * 40}')"

    assert (await ask(fits)).status_code == 200
    refused = await ask(long)

    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith("text/html")
    assert (
        await ask("/data/Currencies", params={"$filter": f"Name eq '{'x' * 60}'"})
    ).status_code == 200


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (None, 401),
        ("Basic abc", 401),
        ("Bearer wrong", 401),
        ("Bearer good", 200),
        ("Bearer bad", 403),
    ],
)
async def test_bearer_tokens_are_looked_at(sandbox, token, status):
    ask = sandbox(auth="bearer", bearer_token="good", forbidden_tokens=("bad",))
    answer = await ask(URL, headers={} if token is None else {"authorization": token})

    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("style", "start"), [("empty", ""), ("json", '{"error"'), ("html", "<!DOCTYPE html>")]
)
async def test_the_body_of_a_401_is_a_setting(sandbox, style, start):
    answer = await sandbox(auth="bearer", auth_body=style)(URL)

    assert answer.text.startswith(start)
    assert bool(answer.text) == bool(start)


@pytest.mark.parametrize("status", [404, 414])
async def test_a_limit_refuses_long_addresses(sandbox, status):
    ask = sandbox(url_limit=100, url_limit_status=status)

    assert (await ask(URL)).status_code == 200
    assert (
        await ask(URL, params={"$filter": "CurrencyCode eq '" + "x" * 100 + "'"})
    ).status_code == status


async def test_latency_is_waited_for(sandbox):
    started = time.perf_counter()
    await sandbox(latency_ms=40)(URL)

    assert time.perf_counter() - started >= 0.04


async def test_faults_come_in_the_place_of_answers(sandbox):
    plan = {
        1: Fault.html(),
        2: Fault.half(),
        3: Fault.empty_page(),
        4: ERROR_IN_OK,
        5: Fault(status=503, headers={"retry-after": "1"}),
        6: Fault.hang(0.01),
    }
    ask = sandbox(fault=lambda number, path: plan.get(number) if path.startswith(URL) else None)
    html, half, empty, error, busy, late, good = [await ask(f"{URL}?$top=2") for _ in range(7)]

    assert (html.status_code, html.headers["content-type"]) == (502, "text/html")
    assert good.text.startswith(half.text)
    assert len(half.text) < len(good.text)
    assert empty.json() == {
        "@odata.context": good.json()["@odata.context"], "value": [], "@odata.nextLink": f"http://sandbox{URL}?$top=2"
    }  # fmt: skip
    assert (error.status_code, "error" in error.json()) == (200, True)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert late.content == good.content


async def test_a_hanging_answer_can_be_given_up(sandbox):
    ask = sandbox(fault=lambda number, _: Fault.hang() if number == 1 else None)
    with anyio.move_on_after(0.02) as scope:
        await ask(URL)

    assert scope.cancelled_caught
    assert (await ask(URL)).status_code == 200


async def test_requests_are_recorded_as_sent_and_decoded(sandbox):
    ask = sandbox()
    await ask(
        "/data/CustomersV3?$filter=CustomerAccount%20eq%20%27A%26B%27&cross-company=true",
        headers={"x-trace": "1"},
    )
    request = ask.app.state.requests[-1]

    assert (request.number, request.method, request.path) == (1, "GET", "/data/CustomersV3")
    assert (
        request.decoded == "/data/CustomersV3?$filter=CustomerAccount eq 'A&B'&cross-company=true"
    )
    assert request.options == {"$filter": "CustomerAccount eq 'A&B'", "cross-company": "true"}
    assert request.headers["x-trace"] == "1"


async def test_a_file_keeps_the_rows(tmp_path, sandbox):
    path = str(tmp_path / "sandbox.db")
    first = create_sandbox(SandboxSettings(database=path, scale=0.1))
    first.state.store.insert("Currencies", [{"CurrencyCode": "XTS"}])
    first.state.store.close()
    ask = sandbox(database=path, scale=0.1)

    assert (await ask("/data/Currencies('XTS')")).status_code == 200
    ask.app.state.store.close()
    with pytest.raises(ValueError, match="holds the rows of"):
        sandbox(database=path, scale=0.2)


async def test_the_application_closes_its_database_at_the_end():
    app = create_sandbox()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client,
    ):
        assert (await client.get(URL)).status_code == 200
