"""Jobs in environments: each is where it was started, and begins with the rights that its caller has by then."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.store import polling
from gateway.store.api_keys import open_register
from tests.support.environments import code_of, deployed, mark_of, settings_of

pytestmark = pytest.mark.anyio


async def test_a_job_is_in_its_environment_with_the_key_of_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.0)
    register = open_register(Settings(data_dir=tmp_path))
    keys = {name: register.create(name, (), None) for name in ("ann", "bob")}
    keys["admin"] = register.create("admin", ["admin"], None)
    own: dict[str, Any] = {
        "data_dir": tmp_path,
        "inbound": {"api_keys": True},
        "profiles": {"few": {"sets": ["Parts"]}},
    }
    async with deployed(settings_of("acme", "beta", **own)) as deployment:

        async def call(method: str, path: str, by: str = "ann", **more: Any) -> httpx.Response:
            bearer = {"authorization": f"Bearer {keys[by][1]}"}
            return await deployment.http.request(method, path, headers=bearer, **more)

        async def ended(path: str) -> dict[str, Any]:
            async with asyncio.timeout(20):
                while True:
                    job: dict[str, Any] = (await call("GET", path, "admin")).json()
                    if job["state"] not in {"QUEUED", "RUNNING"}:
                        return job
                    await asyncio.sleep(0.02)

        started = await call("POST", "/e/acme/exports", json={"set": "Things"})
        path = started.headers["location"]
        job = await ended(path)
        assert (job["state"], job["environment"]) == ("SUCCEEDED", "acme"), job
        part = await call("GET", f"{path}/parts/1")
        assert part.text.count(mark_of("acme")) == job["progress"]["rows"] == 5
        assert path == f"/e/acme/jobs/{job['id']}"
        for by, elsewhere in (
            ("ann", f"/jobs/{job['id']}"),
            ("ann", f"/e/beta/jobs/{job['id']}"),
            ("admin", f"/jobs/{job['id']}"),
            ("bob", path),
        ):
            assert code_of(await call("GET", elsewhere, by)) == "UNKNOWN_JOB"
        assert (await call("GET", "/e/beta/jobs", "admin")).json() == {"jobs": []}

        few = await call("POST", "/e/acme/exports/few", json={"set": "Parts"})
        assert (await ended(few.headers["location"]))["profile"] == "few"
        hidden = await call("POST", "/e/acme/exports/few", json={"set": "Things"})
        assert code_of(hidden) == "UNKNOWN_SET"

        deployment.services["acme"].fault = httpx.Response(400, content=b"{}")
        failing = (await call("POST", "/e/acme/exports", json={"set": "Things"})).headers[
            "location"
        ]
        assert (await ended(failing))["error"]["extensions"]["code"] == "UPSTREAM_REJECTED"
        deployment.services["acme"].fault = None
        register.revoke(keys["ann"][0].id)
        assert (await call("POST", f"{failing}/resume", "admin")).status_code == 202
        refused = await ended(failing)
        assert (refused["state"], refused["progress"]["rows"]) == ("NEEDS_AUTH", 0)
    register.close()


async def test_a_service_that_ignores_skip_is_read_in_order(tmp_path: Path) -> None:
    async with deployed(settings_of(data_dir=tmp_path)) as deployment:
        home = deployment.services["home"]
        skipped: list[str] = []

        def ignore_skip(request: httpx.Request) -> httpx.Response | None:
            if "$skip" not in request.url.params:
                return None
            skipped.append(str(request.url))
            address = re.sub(r"(%24|\$)skip=[0-9]+&?", "", str(request.url))
            return home.tables.answer(httpx.Request("GET", address.rstrip("&")))

        home.respond = ignore_skip
        started = await deployment.http.post("/exports", json={"set": "Things"})
        path = started.headers["location"]
        async with asyncio.timeout(20):
            while (job := (await deployment.http.get(path)).json())["state"] != "SUCCEEDED":
                assert job["state"] in {"QUEUED", "RUNNING"}, job
                await asyncio.sleep(0.02)

    assert len(skipped) == 2
    assert (job["progress"]["rows"], job["progress"]["parts"]) == (5, 1)
