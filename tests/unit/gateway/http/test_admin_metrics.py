"""`/metrics` and the probes of the second listener."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.http.admin_app import AdminContext, WorkerState, create_admin_app
from gateway.http.admin_metrics import LONGEST_SILENCE, PROBES, MetricsSource

pytestmark = pytest.mark.anyio
READY = WorkerState(7, "ready", 0.0)
STOPPING = WorkerState(3, "stopping", 0.0)
STARTING = WorkerState(8, "starting", 0.0)
REFUSED = (
    'd365_gateway_refused_requests_total{worker="admin",code="MISDIRECTED_REQUEST",'
    'http_response_status_code="421"}'
)
TEXTS = {"0": "# HELP a A.\n# TYPE a gauge\na 1.0\n", "1": None}


async def get(
    path: str,
    workers: Sequence[WorkerState] = (READY,),
    *,
    silence: float = 0.0,
    base: str = "http://127.0.0.1:9",
    **values: Any,
) -> httpx.Response:
    source = MetricsSource(texts=lambda: TEXTS, is_apart=True, silence=lambda: silence)
    context = AdminContext(
        settings=Settings.model_validate(values),
        workers=lambda: workers,
        observe=lambda _: None,
        metrics=source if values.get("metrics") is None else None,
    )
    app = create_admin_app(context)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=base) as http:
            await http.get("/health", headers={"Host": "evil.example"})
            return await http.get(path)


async def test_metrics_are_those_of_all_processes() -> None:
    response = await get("/metrics", (READY, STARTING))

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert {
        'a{worker="0"} 1.0',
        # One that does not answer.
        'd365_gateway_worker_up{worker="1"} 0.0',
        'd365_gateway_workers{worker="admin",state="ready"} 1.0',
        'd365_gateway_workers{worker="admin",state="starting"} 1.0',
        # What the listener has refused itself.
        f"{REFUSED} 1.0",
    } <= set(lines)
    assert any(line.startswith('process_cpu_seconds_total{worker="admin"}') for line in lines)


@pytest.mark.parametrize(
    ("path", "workers", "silence", "status"),
    [
        ("/livez", (), 0.0, 200),
        ("/livez", (READY,), LONGEST_SILENCE, 503),
        ("/readyz", (READY, STARTING), 0.0, 200),
        ("/readyz", (STARTING,), 0.0, 503),
        ("/readyz", (STOPPING,), 0.0, 503),
        ("/livez", (STOPPING,), 0.0, 200),
        ("/startupz", (STARTING,), 0.0, 503),
        ("/startupz", (READY,), 0.0, 200),
    ],
)
async def test_probes_answer(
    path: str, workers: Sequence[WorkerState], silence: float, status: int
) -> None:
    response = await get(path, workers, silence=silence)

    assert response.status_code == status
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", sorted(PROBES))
async def test_probes_need_neither_key_nor_name(path: str) -> None:
    response = await get(path, base="http://10.0.0.7:9", admin={"host": "0.0.0.0"})

    assert response.status_code == 200


async def test_metrics_need_a_key_on_other_interfaces() -> None:
    response = await get("/metrics", base="http://10.0.0.7:9", admin={"host": "0.0.0.0"})

    assert response.status_code == 401


async def test_without_metrics_there_are_none() -> None:
    assert (await get("/metrics", metrics={"enabled": False})).status_code == 404
