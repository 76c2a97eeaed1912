"""SCIM over the sandbox, as provisioning clients send it: reads, filters, pages, versions, errors."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.events import RequestSent
from gateway.http.scim_endpoint import SCIM
from tests.support.app_client import Client, calling, serving
from tests.support.role_doors import ISSUER, bearer, send

pytestmark = pytest.mark.anyio
ROLES: dict[str, Any] = {
    "full": {"sets": {"*": {}}},
    "small": {"sets": {"*": {}}, "limits": {"max_page_size": 2}},
    "desk": {
        "sets": {
            "SystemUsers": {
                "where": {"userName": {"ne": "Administrator"}},
                "deny_columns": ["Alias"],
                "masks": {"Email": "null"},
            },
            "SecurityUserRoles": {"where": {"userId": {"eq": "user01"}}},
            "SecurityRoles": {},
        }
    },
    "sales": {"sets": {"CustomerGroups": {}}},
}
ADA, SYSADMIN = "user.dXNlcjAx", "role.LVNZU0FETUlOLQ"
EXTERNAL = "f26fa0ca-347b-5a7d-af0b-2fcec3142820"
MANY_IDS = " or ".join(f'externalId eq "{number}"' for number in range(21))
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    settings = Settings.model_validate(
        {"language": None, "roles": ROLES, "inbound": {"issuers": [ISSUER]}}
    )
    async with serving(settings) as (app, events), calling(app, events) as client:
        yield client


async def call(
    client: Client, path: str, role: str = "full", method: str = "GET", **query: str | int
) -> httpx.Response:
    answer = await client.http.request(method, f"{SCIM}{path}", params=query, headers=bearer(role))
    assert answer.headers["content-type"] == "application/scim+json"
    if answer.status_code >= 400 and method != "HEAD":
        body = answer.json()
        assert (body["schemas"], body["status"]) == ([ERROR], str(answer.status_code))
    return answer


async def test_a_user_has_all_attributes_of_the_directory(client: Client) -> None:
    user = (await call(client, f"/Users/{ADA}")).json()

    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert user["id"] == ADA
    assert (user["userName"], user["active"]) == ("user01@contoso.com", True)
    assert (user["externalId"], user["title"]) == (
        EXTERNAL,
        "Manager",
    )
    assert user["name"] == {
        "formatted": "Björn Hansen",
        "familyName": "Hansen",
        "givenName": "Björn",
    }
    assert user["emails"][0] == {"value": "user01@contoso.com", "type": "login", "primary": True}
    assert user["phoneNumbers"] == [{"value": "+1 425 555 0001;ext=001", "type": "work"}]
    assert (user["preferredLanguage"], user["timezone"]) == ("en-US", "America/Los_Angeles")
    assert {g["display"] for g in user["groups"]} >= {"Accounting manager", "General ledger"}
    assert user[enterprise] == {"employeeNumber": "000001", "department": "Human Resources"}
    assert user["meta"]["location"] == f"http://localhost{SCIM}/Users/{ADA}"
    second = (await call(client, "/Users/user.dXNlcjAy")).json()
    assert second[enterprise]["manager"]["value"] == ADA


@pytest.mark.parametrize(
    ("where", "total"),
    [
        ('userName eq "USER01@contoso.com"', 1),
        # How Entra ID tests a connection.
        ('userName eq "7f2a5a0c-96a4-4c7c-8ce5-5f6ab7d6f4b1"', 0),
        ('userName Eq "user01@contoso.com" and active eq true', 1),
        ('urn:ietf:params:scim:schemas:core:2.0:User:username eq "user01@contoso.com"', 1),
        (f'id eq "{ADA}"', 1),
        ('id eq "role.LVNZU0FETUlOLQ"', 0),
        ('active eq "False"', 2),
        ("active ne true", 2),
        ("not (active eq false)", 14),
        ('userName ne "user01@contoso.com"', 15),
        ('userName co "r1" or userName sw "ADMIN"', 7),
        ('userName ew ".com" and not (userName sw "user")', 1),
        ('userName ge "user14" and userName le "user15@contoso.com"', 2),
        ('userName gt "user15"', 1),
        ('userName lt "b"', 1),
        ("userName pr and id pr", 16),
        (f'externalId eq "{EXTERNAL}"', 1),
        (f'externalId eq "{EXTERNAL}" and userName sw "user02"', 0),
        (f'userName sw "user02" or not (externalId eq "{EXTERNAL}")', 15),
        (f'externalId eq "{EXTERNAL.upper()}"', 0),
        ('externalId eq "not an object id"', 0),
        (f'id ne "{ADA}" and (id eq "{ADA}" or id eq "x")', 0),
    ],
)
async def test_filters_are_answered_by_the_environment(
    where: str, total: int, client: Client
) -> None:
    answer = (await call(client, "/Users", filter=where, attributes="userName")).json()

    assert answer["totalResults"] == total == len(answer.get("Resources", ()))


@pytest.mark.parametrize(
    "where",
    [
        'members eq "{user}"',
        'members.value eq "{user}"',
        'members[value eq "{user}"]',
        'urn:ietf:params:scim:schemas:core:2.0:Group:members eq "{user}"',
        'id eq "role.LVNZU0FETUlOLQ" or members eq "{user}"',
        'displayName pr and (members eq "{user}" or members eq "{user}x" or members eq "user01")',
    ],
)
async def test_groups_are_found_by_their_members(where: str, client: Client) -> None:
    groups = (await call(client, "/Groups")).json()["Resources"]
    answer = await call(
        client, "/Groups", filter=where.format(user=ADA), excludedAttributes="members"
    )

    own = {
        group["id"]
        for group in groups
        if any(member["value"] == ADA for member in group.get("members", ()))
    }
    if SYSADMIN in where:
        own.add(SYSADMIN)
    assert {group["id"] for group in answer.json()["Resources"]} == own
    assert answer.json()["totalResults"] == len(own) > 1
    both = f'id eq "{SYSADMIN}" and members eq "{ADA}"'
    assert (await call(client, "/Groups", filter=both)).json()["totalResults"] == 0


@pytest.mark.parametrize(
    ("path", "query", "status", "kind"),
    [
        ("/Users", {"filter": 'displayName eq "x"'}, 400, "invalidFilter"),
        ("/Users", {"filter": 'emails[type eq "work"]'}, 400, "invalidFilter"),
        ("/Users", {"filter": 'id sw "user"'}, 400, "invalidFilter"),
        ("/Users", {"filter": "externalId pr"}, 400, "invalidFilter"),
        ("/Users", {"filter": 'externalId ne "x"'}, 400, "invalidFilter"),
        ("/Users", {"filter": MANY_IDS}, 400, "invalidFilter"),
        ("/Groups", {"filter": 'members[display eq "x"]'}, 400, "invalidFilter"),
        ("/Groups", {"filter": 'members.display eq "x"'}, 400, "invalidFilter"),
        ("/Users", {"filter": "userName eq"}, 400, "invalidFilter"),
        ("/Users", {"filter": 'nothing eq "x"'}, 400, "invalidFilter"),
        ("/Users", {"sortBy": "title"}, 400, "invalidPath"),
        ("/Groups", {"sortBy": "displayName", "startIndex": 10_001}, 400, "invalidValue"),
        ("/Users/user.dXNFUjAx", {}, 404, None),
        ("/Users/user01", {}, 404, None),
        (f"/Users/{SYSADMIN}", {}, 404, None),
        ("/Printers", {}, 404, None),
        ("/Me", {}, 501, None),
        ("", {}, 501, None),
    ],
)
async def test_what_cannot_be_answered_is_an_error(
    path: str, query: dict[str, str], status: int, kind: str | None, client: Client
) -> None:
    answer = await call(client, path, **query)

    assert (answer.status_code, answer.json().get("scimType")) == (status, kind)


async def test_pages_are_counted_across_roles_and_groups(client: Client) -> None:
    whole = (await call(client, "/Groups", excludedAttributes="members")).json()
    names = [group["displayName"] for group in whole["Resources"]]
    page = (await call(client, "/Groups", startIndex=7, count=4)).json()
    sorted_ = (await call(client, "/Groups", sortBy="displayName", startIndex=3, count=4)).json()
    none = (await call(client, "/Groups", count=0)).json()
    members = (await call(client, "/Groups")).json()

    assert whole["totalResults"] == len(names) == 12
    assert [g["displayName"] for g in page["Resources"]] == names[6:10]
    assert page["totalResults"] == none["totalResults"] == 12
    assert none["itemsPerPage"] == 0
    merged = sorted(names, key=str.casefold)
    assert [g["displayName"] for g in sorted_["Resources"]] == merged[2:6]
    # Page by page, of two each.
    small = (await call(client, "/Groups", "small", sortBy="displayName", startIndex=7)).json()
    assert [g["displayName"] for g in small["Resources"]] == merged[6:8]
    assert small["totalResults"] == 12
    assert [g.get("members") for g in small["Resources"]] == [
        next(w.get("members") for w in members["Resources"] if w["id"] == g["id"])
        for g in small["Resources"]
    ]
    one = (await call(client, "/Groups", filter='displayName eq "GENERAL ledger"')).json()
    assert {m["type"] for m in one["Resources"][0]["members"]} == {"User"}
    assert all("members" not in group for group in whole["Resources"])
    last = (await call(client, "/Users", startIndex=15, sortBy="userName")).json()
    assert [u["userName"][:6] for u in last["Resources"]] == ["user14", "user15"]


async def test_members_come_whole_over_many_pages(client: Client) -> None:
    path = "/Groups/role.Q1VTVElOVk9JQ0VBQ0NPVU5UU1JFQ0VJVkFCTEVDTEVSSw"
    one = (await call(client, path)).json()
    by_two = (await call(client, path, "small")).json()
    page = (await call(client, "/Groups", "small", startIndex=2, count=2)).json()

    assert len(one["members"]) == 4
    assert by_two["members"] == page["Resources"][0]["members"] == one["members"]
    assert (page["Resources"][0]["id"], page["itemsPerPage"]) == (one["id"], 2)
    config = (await call(client, "/ServiceProviderConfig", "small")).json()
    assert config["filter"] == {"supported": True, "maxResults": 2}
    for member in one["members"]:
        user = (await call(client, f"/Users/{member['value']}")).json()
        assert one["id"] in {group["value"] for group in user["groups"]}


async def test_versions_follow_what_is_shown(client: Client) -> None:
    first = await call(client, f"/Users/{ADA}")
    headers = {**bearer("full"), "if-none-match": first.headers["etag"]}
    again = await client.http.get(f"{SCIM}/Users/{ADA}", headers=headers)
    (listed,) = (await call(client, "/Users", filter=f'id eq "{ADA}"')).json()["Resources"]

    assert first.headers["etag"] == first.json()["meta"]["version"] == listed["meta"]["version"]
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    head = await call(client, f"/Users/{ADA}", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_writes_are_not_implemented(method: str, client: Client) -> None:
    path = "/Users" if method == "POST" else f"/Users/{ADA}"

    assert (await call(client, path, method=method)).status_code == 501


async def test_a_search_may_be_posted(client: Client) -> None:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "active eq false",
        "attributes": ["userName"],
    }
    answer = await client.http.post(f"{SCIM}/Users/.search", json=body, headers=bearer("full"))

    assert answer.json()["totalResults"] == 2


async def test_nobody_passes_without_credentials(client: Client) -> None:
    for path in ("", "/Users", "/ServiceProviderConfig", "/Schemas", "/nothing"):
        answer = await client.http.get(f"{SCIM}{path}")
        assert (answer.status_code, answer.json()["schemas"]) == (401, [ERROR])
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_roles_hide_columns_rows_and_lists(client: Client) -> None:
    full = (await call(client, "/Users")).json()
    answer = (await call(client, "/Users", "desk")).json()

    assert answer["totalResults"] == full["totalResults"] - 1
    first = answer["Resources"][0]
    assert first["id"] == ADA
    assert not {"userName", "emails", "externalId", "title"} & set(first)
    assert len(first["groups"]) == 2
    assert [u.get("groups") for u in answer["Resources"][1:]] == [None] * 14
    refused = await call(client, "/Users", "desk", filter='userName eq "user01@contoso.com"')
    assert refused.json()["scimType"] == "invalidFilter"
    assert (await call(client, "/Users", "desk", sortBy="userName")).status_code == 400
    assert (await call(client, "/Users/user.QWRtaW4", "desk")).status_code == 404
    admins = (await call(client, f"/Groups/{SYSADMIN}", "desk")).json()
    assert "members" not in admins
    for path in ("/Users", "/Groups", f"/Users/{ADA}", f"/Groups/{SYSADMIN}"):
        assert (await call(client, path, "sales")).status_code == 404


async def test_a_page_costs_what_the_directory_costs(client: Client) -> None:
    def sent() -> int:
        return len([event for event in client.events if isinstance(event, RequestSent)])

    client.events.clear()
    await call(client, "/Users")
    by_scim = sent()
    client.events.clear()
    query = (
        "{ directory { users { totalCount nodes { userId username externalId name firstName title type language"
        " timeZone status emails { value } phones { value } roles { name } groups { name } department { name }"
        " manager { name } createdAt updatedAt employeeId } } } }"
    )
    await send(client, query, "full")

    assert 0 < by_scim <= sent()


async def test_without_the_extra_it_says_what_to_install(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.scim_endpoint._loaded", [])
    monkeypatch.setitem(sys.modules, "gateway.scim.service", None)

    answer = await call(client, "/Users")

    assert answer.status_code == 501
    assert "pip install 'd365-graphql-gateway[scim]'" in answer.json()["detail"]
