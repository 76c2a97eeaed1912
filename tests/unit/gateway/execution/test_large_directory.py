"""A directory of 10,000 users with everything that belongs to them, in as few requests as the service's pages allow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec
import pytest

from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_client
from tests.conftest import QUIET
from tests.support.cases import engine

pytestmark = pytest.mark.anyio
USERS = 10_000
DEPARTMENTS = 40
QUERY = """
{
  directory {
    users(first: 10000) {
      nodes {
        userId name status
        roles { name } groups { name } department { name } manager { userId }
      }
    }
  }
}
"""
_READ = re.compile(r"^GET (\S+) HTTP/1\.1\r$", re.MULTILINE)
_KEY = re.compile(r"\w+ eq '([^']*)'")
_BOUNDARY = "batch_of_the_fake"


class People:
    """A service with rows that are made of their keys; it takes a ``$batch``, and notes how many reads are in it."""

    def __init__(self, *, refuses_batches: bool = False) -> None:
        self.refuses_batches = refuses_batches
        self.parts: list[int] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=_page(str(request.url)))
        if self.refuses_batches:
            return httpx.Response(501, json={"error": {"code": "", "message": "no batch"}})
        reads = _READ.findall(request.content.decode())
        self.parts.append(len(reads))
        parts = b"".join(
            b"--%s\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n"
            b"Content-Type: application/json\r\n\r\n%s\r\n" % (_BOUNDARY.encode(), _page(url))
            for url in reads
        )
        return httpx.Response(
            200,
            content=parts + b"--%s--\r\n" % _BOUNDARY.encode(),
            headers={"Content-Type": f"multipart/mixed; boundary={_BOUNDARY}"},
        )


def _page(url: str) -> bytes:
    path, _, query = unquote(url).partition("?")
    set_name = path.rpartition("/")[2]
    keys = _KEY.findall(query)
    if set_name == "SystemUsers" and not keys:
        (size,) = re.findall(r"\$top=(\d+)", query)
        keys = [f"u{number:05}" for number in range(int(size))]
    return msgspec.json.encode({"value": [row for key in keys for row in _rows(set_name, key)]})


def _rows(set_name: str, key: str) -> Iterator[dict[str, Any]]:
    number = int(key[1:]) if key[1:].isdigit() else 0
    chief = f"p{number // 10:05}"
    match set_name:
        case "SystemUsers":
            person = {"PersonName": f"Name {key}", "PartyNumber": f"p{key[1:]}"}
            yield {
                "UserID": key,
                "PersonName": "",
                "UserName": key,
                "Enabled": True,
                "PersonUserSystemUserEntity": person,
                "UserGroupUserList": [{"userId": key, "groupId": f"g{number % 7}"}],
            }
        case "SecurityUserRoles":
            for role in ("Clerk", "Manager"):
                yield {"UserId": key, "SecurityRoleIdentifier": role, "SecurityRoleName": role}
        case "UserGroups":
            yield {"GroupId": key, "name": f"Group {key}"}
        case "Workers":
            yield {"PersonnelNumber": key, "PartyNumber": key}
        case "PositionWorkerAssignmentsV2":
            yield {
                "PersonnelNumber": key,
                "Position": {"DepartmentNumber": f"d{number % DEPARTMENTS}"},
            }
        case "DepartmentsV2":
            yield {"OperatingUnitNumber": key, "Name": f"Department {key}"}
        case "EssWorkerManagerRelations":
            yield {"PersonnelNumber": key, "ManagerPersonnelNumber": chief}
        case "PersonUsers":
            yield {"PartyNumber": key, "SystemUserEntities": {"UserID": f"u{key[1:]}"}}


@pytest.mark.parametrize("refuses_batches", [False, True], ids=["batches", "no batches"])
async def test_ten_thousand_users_take_few_requests(
    refuses_batches: bool, assembled: Gateway
) -> None:
    people = People(refuses_batches=refuses_batches)
    transport = httpx.MockTransport(people.answer)
    query = QUERY.replace("10000", "1800") if refuses_batches else QUERY
    async with open_client(QUIET, transport=transport, observe=lambda _: None) as client:
        gateway = replace(assembled, client=client)
        served = engine(gateway, max_page_size=USERS)
        answer = await served.execute(GraphQLRequest(query=query))

    assert not answer.errors
    users = answer.to_builtins()["data"]["directory"]["users"]["nodes"]
    last = users[1234]
    assert last["roles"] == [{"name": "Clerk"}, {"name": "Manager"}]
    assert last["groups"] == [{"name": "Group g2"}]
    assert last["department"] == {"name": "Department d34"}
    assert last["manager"] == {"userId": "u00123"}
    if refuses_batches:
        assert len(users) == 1800
    else:
        assert len(users) == USERS
        assert len(answer.requests) <= 40
        assert max(people.parts) == 20
