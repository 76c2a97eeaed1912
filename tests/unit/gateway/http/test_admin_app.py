"""The second listener: health of all processes, for people on the machine or with a key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.http.admin_app import AdminContext, Served, WorkerState, create_admin_app
from gateway.status.drift import MemoryDrift
from gateway.status.process_status import ProcessStatus
from gateway.status.sources import OwnStatus
from gateway.status.status_store import StatusStore
from gateway.store.api_keys import open_register
from tests.support.stores import spoil_store

pytestmark = pytest.mark.anyio
ONE = WorkerState(7, "ready", 0.0)
OTHER = WorkerState(8, "starting", 60.0)


async def get(
    workers: Sequence[WorkerState] = (ONE,),
    path: str = "/health",
    headers: dict[str, str] | None = None,
    served: Served | None = None,
    **values: Any,
) -> httpx.Response:
    context = AdminContext(
        settings=Settings.model_validate(values),
        workers=lambda: workers,
        observe=lambda _: None,
        served=served,
        since=0.0,
    )
    app = create_admin_app(context)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http:
            return await http.get(path, headers=headers)


@pytest.mark.parametrize(
    ("workers", "status", "code"),
    [
        ([], "starting", 503),
        ([OTHER], "starting", 503),
        ([ONE], "ready", 200),
        ([ONE, OTHER], "degraded", 200),
    ],
)
async def test_health_is_that_of_all_processes(
    workers: list[WorkerState], status: str, code: int
) -> None:
    response = await get(workers)

    body = response.json()
    assert (response.status_code, body["status"]) == (code, status)
    assert [worker["pid"] for worker in body["workers"]] == [worker.pid for worker in workers]


async def test_health_says_what_runs() -> None:
    response = await get(url="https://x.example/data", data_dir="/data")

    body = response.json()
    body.pop("version")
    assert body == {
        "status": "ready",
        "since": "1970-01-01T00:00:00+00:00",
        "environment": "https://x.example/data",
        "audit": "file",
        "workers": [{"pid": 7, "state": "ready", "since": "1970-01-01T00:00:00+00:00"}],
    }
    assert response.headers["cache-control"] == "no-store"
    assert response.text.count("\n") > 5


@pytest.mark.parametrize(
    ("host", "values", "code"),
    [
        ("localhost:9", {}, 200),
        ("evil.example", {}, 421),
        # Names of the API are none of this listener.
        ("evil.example", {"allowed_hosts": ["*"]}, 421),
    ],
)
async def test_other_hosts_are_refused(host: str, values: dict[str, Any], code: int) -> None:
    assert (await get(headers={"Host": host}, **values)).status_code == code


@pytest.mark.parametrize(
    ("roles", "revoked", "code"),
    [(["admin"], False, 200), (["clerk"], False, 403), (["admin"], True, 401), (None, False, 401)],
)
async def test_other_machines_need_the_key_of_an_administrator(
    tmp_path: Path, roles: list[str] | None, revoked: bool, code: int
) -> None:
    values: dict[str, Any] = {"data_dir": tmp_path, "admin": {"host": "0.0.0.0"}}
    headers: dict[str, str] = {}
    if roles is not None:
        register = open_register(Settings(data_dir=tmp_path))
        key, text = register.create("me", roles, None)
        if revoked:
            register.revoke(key.id)
        register.close()
        headers["Authorization"] = f"Bearer {text}"

    for path in ("/health", "/other"):
        response = await get(path=path, headers=headers, **values)
        assert response.status_code == (404 if (path, code) == ("/other", 200) else code)
    assert ("www-authenticate" in response.headers) is (code == 401)


async def test_without_a_store_other_machines_are_refused() -> None:
    response = await get(
        headers={"Authorization": "Bearer d365_a_b"},
        store="none",
        admin={"host": "0.0.0.0"},
    )

    assert response.status_code == 401


async def test_strangers_do_not_learn_where_the_store_is(tmp_path: Path) -> None:
    spoil_store(tmp_path)
    response = await get(
        headers={"Authorization": "Bearer d365_a_b"}, data_dir=tmp_path, admin={"host": "0.0.0.0"}
    )

    assert response.status_code == 503
    assert "STORE_UNAVAILABLE" in response.text
    assert str(tmp_path) not in response.text


async def test_the_way_to_the_environment_is_reported() -> None:
    response = await get(path="/health/upstream")

    assert response.status_code == 200
    assert response.json()["steps"] == [
        {"name": "environment", "status": "ok", "text": "embedded sandbox"}
    ]


async def test_refused_requests_and_uses_of_keys_are_recorded(tmp_path: Path) -> None:
    register = open_register(Settings(data_dir=tmp_path))
    key, text = register.create("me", ["admin"], None)
    clerk, other = register.create("clerk", ["clerk"], None)
    register.close()
    values: dict[str, Any] = {
        "data_dir": tmp_path,
        "admin": {"host": "0.0.0.0"},
        "audit": {"sink": "file", "path": tmp_path / "audit", "required": True},
    }

    await get(headers={"Authorization": f"Bearer {text}"}, **values)
    assert recorded(tmp_path) == [("key", key.id, "used", None)]
    await get(headers={"Authorization": f"Bearer {other}"}, **values)
    await get(headers={"Host": "evil.example"}, **values)
    await get(**values)

    assert sorted(recorded(tmp_path), key=str)[1:] == [
        ("refused", "", None, 401),
        ("refused", "", None, 421),
        ("refused", clerk.id, None, 403),
    ]


async def test_an_audit_log_that_cannot_be_written_stops_no_health_page(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    audit = {"sink": "file", "path": tmp_path / "file", "required": True}

    assert (await get(headers={"Host": "evil.example"}, audit=audit)).status_code == 421


def recorded(folder: Path) -> list[tuple[str, str, str | None, int | None]]:
    """Return kind, subject, act and status of each audit line."""
    contents = b"".join(path.read_bytes() for path in (folder / "audit").glob("*.jsonl"))
    lines = [json.loads(line) for line in contents.splitlines()]
    return [
        (line["kind"], line["who"].get("subject", ""), line.get("act"), line.get("status"))
        for line in lines
        if line["kind"] not in {"start", "end"}
    ]


async def test_health_counts_the_environments_of_this_process() -> None:
    counts = {"declared": 3, "open": 1, "opening": 0, "unavailable": 1}
    status = OwnStatus(ProcessStatus(), MemoryDrift())
    served = Served(status=status, environments=lambda: counts)

    alone = await get(served=served)
    several = await get(served=served, environments={"acme": {"sandbox": {}}})

    assert "environments" not in alone.json()
    assert several.json()["environments"] == counts


async def test_health_counts_the_environments_of_all_processes(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "environments": {name: {"sandbox": {}} for name in ("a", "b", "c")}}
    )
    store = StatusStore(settings)
    for states in ({"a": "open", "b": "failed", "default": "open"}, {"a": "open"}):
        process = ProcessStatus()
        for name, state in states.items():
            process.counters(name).enter("failed" if state == "failed" else "open")
        store.write([row for name in states if (row := process.status_row(name))], [])
    store.close()

    response = await get(**dict(settings))

    assert response.json()["environments"] == {"declared": 3, "open": 1, "unavailable": 1}


async def test_health_does_not_wait_for_a_store(tmp_path: Path) -> None:
    spoil_store(tmp_path)

    response = await get(data_dir=tmp_path, environments={"acme": {"sandbox": {}}})

    assert (response.status_code, response.json()["environments"]) == (200, {"declared": 1})
