"""The example that pushes the directory into a SCIM service: the server of scim2-server, with its memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import load_default_provider

import directory_sync as sync
from tests.support.threaded import threaded

FOREIGN = {"schemas": [sync.USER], "userName": "guest@contoso.com", "active": True}
SWITCH = """
mutation ($id: ID!, $status: UnifiedUserStatus!, $name: String!) {
  updateUnifiedUser(id: $id, patch: { status: $status, username: $name }) { userErrors { code message } }
}
"""
REMOVE = """
mutation ($user: String!) { deleteSystemUser(key: { userID: $user }) { userErrors { code message } } }
"""
IDS = "{ directory { users(first: 100) { nodes { id userId username status type } } } }"


class Service(sync.ScimService):
    """The client of the example, which counts what it writes."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.written: list[str] = []
        self.http.event_hooks = {"request": [self._note]}

    def _note(self, request: Any) -> None:
        if request.method != "GET":
            self.written.append(request.method)

    def by_name(self) -> dict[str, Any]:
        rows = self.http.get("/Users", params={"count": 100}).json()["Resources"]
        return {row["userName"]: row for row in rows}


@pytest.fixture
def service() -> Iterator[Service]:
    app: Any = ASGIApplication(AsyncInMemoryStorage(), load_default_provider())
    with threaded(app) as url:
        service = Service(f"{url}/v2", "secret")
        yield service
        service.http.close()


def users_of(gateway: Any) -> list[Any]:
    nodes: list[Any] = gateway.execute(IDS)["directory"]["users"]["nodes"]
    return [user for user in nodes if user["type"] != "SERVICE_ACCOUNT"]


def test_users_are_created_changed_and_switched_off(
    gateway: Any, spent: Any, service: Service
) -> None:
    assert service.http.post("/Users", json=FOREIGN).is_success
    active = {user["username"] for user in users_of(gateway) if user["status"] == "ACTIVE"}

    spent.reset()
    first = sync.run(gateway, service)
    spent.check_row("python/directory_sync.py")
    service.written.clear()
    second = sync.run(gateway, service)

    assert set(first.created) == active
    assert first.refused == {}
    assert (second, service.written) == (sync.Report(), [])
    fourth = service.by_name()["user04@contoso.com"]
    assert fourth["externalId"] == "d365:user04"
    assert fourth[sync.ENTERPRISE]["employeeNumber"] == "000004"

    renamed, left, gone = [u for u in users_of(gateway) if u["username"] in active][-3:]
    for user, status, name in ((renamed, "ACTIVE", "new@contoso.com"), (left, "INACTIVE", "")):
        changed = gateway.execute(
            SWITCH, id=user["id"], status=status, name=name or user["username"]
        )
        assert changed["updateUnifiedUser"]["userErrors"] == []
    removed = gateway.execute(REMOVE, user=gone["userId"])
    assert removed["deleteSystemUser"]["userErrors"] == []
    third = sync.run(gateway, service, most=0.5)

    assert third.changed == ["new@contoso.com"]
    assert sorted(third.deactivated) == sorted([left["username"], gone["username"]])
    assert service.written == ["PATCH"] * 3
    assert sync.run(gateway, service, most=0.5) == sync.Report()
    assert {name for name, row in service.by_name().items() if not row["active"]} == {
        left["username"],
        gone["username"],
    }
    assert service.by_name()["guest@contoso.com"]["active"]


def test_a_directory_that_is_suddenly_empty_switches_nobody_off(
    gateway: Any, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.run(gateway, service)
    service.written.clear()
    monkeypatch.setattr(gateway, "pages", lambda *_: iter(()))

    with pytest.raises(sync.Refused, match="would be switched off"):
        sync.run(gateway, service)
    assert service.written == []


def test_what_the_service_refuses_is_reported(gateway: Any, service: Service) -> None:
    name = next(u["username"] for u in users_of(gateway) if u["status"] == "ACTIVE")
    assert service.http.post("/Users", json={**FOREIGN, "userName": name}).is_success

    report = sync.run(gateway, service)

    assert list(report.refused) == [name]
    assert report.refused[name].startswith("409")
    assert len(report.created) > 3
