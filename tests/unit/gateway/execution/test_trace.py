"""How the times of a trace are computed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.events import RequestSent
from gateway.execution.field_attribution import current_fields, descend, set_fields
from gateway.execution.trace import Trace, Traced, with_attempts
from gateway.odata.query import Request
from gateway.odata.render import readable_url
from gateway.odata.response_check import Response
from gateway.request import GraphQLRequest
from gateway.shutdown import Shutdown
from tests.bench.workload import Service, engine_over

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """An upstream whose requests take the seconds that their address says, with a failed attempt before."""

    root = "http://upstream"

    def __init__(self, clock: Clock) -> None:
        self.unfinished: set[Any] = set()
        self.shutdown = Shutdown()
        self._clock = clock
        self._tell = with_attempts(lambda _: None)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        for attempt, status in enumerate((503, 200), 1):
            self._clock.now += 1
            sent = RequestSent(
                method="GET", url=request.url, status=status, seconds=1, size=7, attempt=attempt  # type: ignore[arg-type]
            )  # fmt: skip
            self._tell(sent)
            self._clock.now += 0.5
        return Response(200, {}, b"", request.url)

    async def write(self, request: Request, *_: Any) -> Response:
        return await self.send(request)


async def test_times_count_from_the_start_waiting_is_separate() -> None:
    clock = Clock()
    trace = Trace(clock)
    upstream = Traced(Slow(clock), trace)
    clock.now += 0.25

    set_fields(("a",))
    await upstream.send(Request("GET", "Set?$filter=x%20eq%201", {}))
    descend("b")
    trace.add_rows(Request("GET", "Set?$filter=x%20eq%201", {}), 3)
    await upstream.write(Request("PATCH", "Set(1)", {}, b"{}"))
    trace_json = trace.to_json()

    first, second = trace_json["requests"]
    assert first == {
        "method": "GET",
        "path": "Set?$filter=x%20eq%201",
        "text": readable_url(Request("GET", "Set?$filter=x%20eq%201", {})),
        "parts": [],
        "notes": [],
        "fields": ["a", "a.b"],
        "status": 200,
        "rows": 3,
        "bytes": 7,
        "attempts": 2,
        "started": 250.0,
        "milliseconds": 3_000.0,
        "waited": 1_000.0,
        "error": None,
    }
    assert (second["method"], second["started"], second["fields"]) == ("PATCH", 3_250.0, ["a.b"])
    assert trace_json["spent"] == {
        "milliseconds": 6_250.0,
        "upstream": 6_000.0,
        "requests": 4,
        "rows": 3,
        "bytes": 14,
    }


@pytest.mark.parametrize("roots", [1, 2])
async def test_a_query_leaves_the_fields_of_its_caller(roots: int) -> None:
    lists = " ".join(f"a{n}: orders(first: 1) {{ nodes {{ site }} }}" for n in range(roots))
    read: list[tuple[str, ...]] = []
    service = Service(on_send=lambda: read.append(current_fields()))
    set_fields(("mutation",))

    await engine_over(service).execute(GraphQLRequest(query=f"{{ {lists} }}"))

    assert read[0][0] == "a0"
    assert current_fields() == ("mutation",)


def test_overlapping_requests_count_their_time_once() -> None:
    clock = Clock()
    trace = Trace(clock)
    for start, end in ((1, 4), (2, 3), (3, 6), (8, 9)):
        traced = trace.add_write(Request("GET", f"{start}", {}))
        traced.started, traced.ended = start, end

    assert trace.to_json()["spent"]["upstream"] == 6_000.0
