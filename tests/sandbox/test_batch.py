"""``$batch`` with GET parts, and what is required of any batch (d365-odata.md 4.3)."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = pytest.mark.anyio


def _batch(*addresses: str, method: str = "GET") -> dict[str, object]:
    parts = [
        f"--batch_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {n}\r\n\r\n"
        f"{method} {address} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n"
        for n, address in enumerate(addresses, 1)
    ]
    body = "".join(parts) + "--batch_1--\r\n"
    return {
        "content": body.encode(),
        "headers": {"content-type": "multipart/mixed; boundary=batch_1"},
    }


def _parts(answer):
    (boundary,) = re.findall(r"boundary=(\S+)", answer.headers["content-type"])
    chunks = answer.text.split(f"--{boundary}")[1:-1]
    result = []
    for chunk in chunks:
        outer, inner, body = chunk.strip("\r\n").split("\r\n\r\n", 2)
        result.append((outer, int(inner.split(" ", 2)[1]), body))
    return result


async def test_absolute_rooted_and_relative_parts(sandbox):
    ask = sandbox()
    answer = await ask("/data/$batch", "POST", **_batch(
        "http://sandbox/data/CustomersV3?$top=1&$select=CustomerAccount",
        "/data/CustomersV3?$filter=Nope%20eq%201",
        "CustomersV3(dataAreaId='usrt',CustomerAccount='RT-001')?cross-company=true",
        "CustomersV3(dataAreaId='usrt',CustomerAccount='RT-001')",
    ))  # fmt: skip
    parts = _parts(answer)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert [status for _, status, _ in parts] == [200, 400, 200, 404]
    assert json.loads(parts[0][2])["value"][0]["CustomerAccount"] == "US-001"
    assert json.loads(parts[2][2])["CustomerAccount"] == "RT-001"
    assert "Content-ID: 3" in parts[2][0]
    assert [r.in_batch for r in ask.app.state.requests] == [False, True, True, True, True]


async def test_a_part_that_is_no_request_is_refused_alone(sandbox):
    parts = _parts(await sandbox()("/data/$batch", "POST", **_batch("Currencies", method="?!")))

    assert [status for _, status, _ in parts] == [400]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", "{}", 415),
        ("multipart/mixed", "", 415),
        ("multipart/mixed; boundary=x", "nothing", 400),
    ],
)
async def test_what_is_no_batch_is_refused(sandbox, kind, body, status):
    answer = await sandbox()("/data/$batch", "POST", content=body, headers={"content-type": kind})

    assert answer.status_code == status


async def test_a_batch_of_too_many_parts_is_refused(sandbox):
    assert (
        await sandbox(batch_limit=2)("/data/$batch", "POST", **_batch("A", "B", "C"))
    ).status_code == 400


async def test_parts_may_be_throttled_one_by_one(sandbox):
    ask = sandbox(throttle="every=3,retry-after=2")
    parts = _parts(
        await ask("/data/$batch", "POST", **_batch("Currencies", "Currencies", "Currencies"))
    )

    assert [status for _, status, _ in parts] == [200, 429, 200]
    assert (
        "Retry-After: 2"
        in (await ask("/data/$batch", "POST", **_batch("Currencies", "Currencies"))).text
    )
