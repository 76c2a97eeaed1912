"""What people are told of the shared state: by ``check``, and by ``/health``."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from gateway.cli.check import check_deployment
from gateway.config.replica_models import ReplicaOptions
from gateway.config.settings import Settings
from gateway.http.admin_app import AdminContext, create_admin_app, this_process
from gateway.runtime.upstream_chain import Status, Step
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.anyio


def settings_for(address: str, timeout: float = 0.5) -> Settings:
    shared = ReplicaOptions(address=SecretStr(address), timeout=timeout)
    return Settings(cache_dir=None, store="none", replicas=shared)


async def step_of(settings: Settings) -> Step:
    (step,) = [s async for s in check_deployment(settings) if s.name == "replicas"]
    return step


async def test_one_that_can_be_used(redis: RedisServer) -> None:
    step = await step_of(settings_for(redis.address))

    assert step.status is Status.OK
    assert step.text.startswith(("Redis ", "Valkey "))
    assert step.hint is None


@pytest.mark.parametrize(
    ("name", "value", "usual", "hint"),
    [("requirepass", "s3cret", "", "password"), ("maxmemory", "1", "0", "maxmemory")],
)
async def test_one_that_cannot(
    redis: RedisServer, name: str, value: str, usual: str, hint: str
) -> None:
    with redis.client() as admin:
        connection = admin.connection_pool.get_connection()
        connection.send_command("CONFIG", "SET", name, value)
        connection.read_response()
        step = await step_of(settings_for(redis.address))
        connection.send_command("CONFIG", "SET", name, usual)
        connection.read_response()
        admin.connection_pool.release(connection)

    assert step.status is Status.PROBLEM
    assert hint in (step.hint or "")


async def test_one_that_is_not_there(tmp_path: Path) -> None:
    address = f"unix://:s3cret@{tmp_path / 'nobody.sock'}"
    step = await step_of(settings_for(address))

    assert step.status is Status.PROBLEM
    assert "running" in (step.hint or "")
    assert "s3cret" not in f"{step.text} {step.hint}"


async def test_one_that_is_too_slow(redis: RedisServer) -> None:
    step = await step_of(settings_for(redis.address, timeout=1e-9))

    assert step.status is Status.PROBLEM
    assert "replicas.timeout" in (step.hint or "")


async def test_without_one_there_is_no_step() -> None:
    steps = [step.name async for step in check_deployment(Settings(cache_dir=None, store="none"))]

    assert "replicas" not in steps


async def health(settings: Settings) -> tuple[int, dict[str, object]]:
    context = AdminContext(settings=settings, workers=this_process, observe=lambda _: None)
    transport = httpx.ASGITransport(create_admin_app(context), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/health")
    return answer.status_code, answer.json()


async def test_health_shows_whether_it_is_up(redis: RedisServer, tmp_path: Path) -> None:
    status, up = await health(settings_for(redis.address))
    away, down = await health(settings_for(f"unix://{tmp_path / 'nobody.sock'}"))
    _, without = await health(Settings(cache_dir=None, store="none"))

    shared, lost = up["sharedState"], down["sharedState"]
    assert isinstance(shared, dict)
    assert isinstance(lost, dict)
    assert (status, shared["up"]) == (200, True)
    # The replica serves without it.
    assert (away, lost["up"]) == (200, False)
    assert "sharedState" not in without
