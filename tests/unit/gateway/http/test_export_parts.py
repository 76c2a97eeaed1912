"""Parts of exports over HTTP: each row is in one of them, and a description tells what programs need to read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.setting_models import Profile
from gateway.events import RequestSent
from tests.support.streaming import Served, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SMALL = {"small": Profile(default_page_size=10, max_page_size=50)}
USMF = '{"dataAreaId":{"eq":"usmf"}}'


@pytest.fixture(scope="module")
async def served(sandbox: Starlette) -> AsyncIterator[Served]:
    async with serving(sandbox, [], profiles=SMALL) as opened:
        yield opened


async def get(served: Served, set_name: str, **parameters: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        return await http.get(f"/export/small/{set_name}", params=parameters)


async def rows_of(served: Served, set_name: str, **parameters: str) -> list[Any]:
    response = await get(served, set_name, **parameters)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def sent(served: Served) -> int:
    return sum(isinstance(event, RequestSent) for event in served.events)


@pytest.mark.parametrize("where", [{}, {"where": USMF}])
@pytest.mark.parametrize("divided", [{"part_rows": "50"}, {"part_rows": "100"}, {"parts": "3"}])
async def test_each_row_is_in_one_part(
    served: Served, where: dict[str, str], divided: dict[str, str]
) -> None:
    described = await get(served, "CustomersV3", describe="parts", **divided, **where)
    parts: list[str] = described.json()["parts"]
    whole = await rows_of(served, "CustomersV3", **where)

    assert len(parts) >= 2
    assert parts[0].startswith(".")
    assert parts[-1].endswith(".")
    read = [await rows_of(served, "CustomersV3", part=part, **where) for part in parts]
    assert [row for part in read for row in part] == whole
    assert max(map(len, read)) <= max(int(divided.get("part_rows", 0)), len(whole) // 3 + 50)


async def test_finding_parts_costs_one_request_each(served: Served) -> None:
    served.events.clear()
    described = await get(served, "CustomersV3", describe="parts", part_rows="100")

    assert sent(served) == len(described.json()["parts"])


async def test_the_columns_are_described_without_a_request(served: Served) -> None:
    served.events.clear()
    fields = "account:customerAccount,creditLimit,onHoldStatus,customerGroup{description}"
    response = await get(served, "customersV3", describe="columns", fields=fields)

    assert (response.status_code, sent(served)) == (200, 0)
    assert response.headers["cache-control"] == "no-store"
    described = response.json()
    assert "parts" not in described
    assert (described["set"], described["type"]) == ("CustomersV3", "CustomerV3")
    account, limit, status, group = described["columns"]
    assert account.pop("operators")[:2] == ["eq", "ne"]
    assert account == {
        "name": "account",
        "path": ["account"],
        "type": "String",
        "nullable": False,
        "where": "customerAccount",
    }
    assert limit["operators"] == ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    assert (limit["type"], limit["precision"], limit["scale"]) == ("Decimal", 38, 16)
    assert status["values"][0] == "NO"
    assert group == {
        "name": "customerGroup.description",
        "path": ["customerGroup", "description"],
        "type": "String",
        "nullable": True,
    }


async def test_a_list_without_rows_is_one_part(served: Served) -> None:
    nothing = '{"customerAccount":{"eq":"nobody"}}'
    described = await get(served, "CustomersV3", describe="parts", parts="8", where=nothing)

    assert described.json()["parts"] == ["."]
    assert await rows_of(served, "CustomersV3", part=".", where=nothing) == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"describe": "rows"}, "describe is none of columns, parts."),
        ({"describe": "parts"}, "describe=parts needs one of part_rows and parts"),
        ({"describe": "parts", "parts": "2", "part_rows": "2"}, "describe=parts needs one of"),
        ({"describe": "columns", "parts": "2"}, "describe=parts needs one of"),
        ({"parts": "2"}, "describe=parts needs one of part_rows and parts"),
        ({"describe": "parts", "parts": "0"}, "parts is no positive number."),
        ({"describe": "parts", "parts": "1001"}, "There may be at most 1000 parts."),
        ({"describe": "parts", "part_rows": "-1"}, "part_rows is no positive number."),
        ({"describe": "columns", "part": "."}, "part is for rows, and not for a description."),
        ({"part": "a.b.c"}, "part is none that describe=parts has named."),
    ],
)
async def test_what_is_wrong_with_parts_is_said(
    served: Served, parameters: dict[str, str], message: str
) -> None:
    response = await get(served, "CustomersV3", **parameters)

    error = response.json()["errors"][0]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_ARGUMENT")
    assert error["message"].startswith(message)


async def test_a_part_of_another_list_is_refused(served: Served) -> None:
    described = await get(served, "CustomersV3", describe="parts", part_rows="50")
    response = await get(served, "CustomersV3", part=described.json()["parts"][1], where=USMF)

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"
