"""A gateway process before a static upstream, for load: the rows of ``workload``, exactly 10 or 50 values each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import orjson

from gateway.config.settings import Settings
from tests.bench.load import Load, by_client, drive
from tests.bench.measure import PLAIN as IDENTITY
from tests.bench.measure import cpu_of, cpu_of_machine, family
from tests.bench.processes import Program, environment, gateway, running
from tests.bench.recording import Case, leaves, record
from tests.bench.workload import PLAIN, answer, document, names, nested_query

ROOT = "http://bench.invalid/data"
STATIC = str(Path(__file__).with_name("static_upstream.py"))
FIVE = "5 lists of 1 row x 10"
ONE, HUNDRED, THOUSAND = "1 row x 10", "100 rows x 10", "1,000 rows x 50"
WHOLE = "10,000 rows x 50"
MAX_PAGE = 10_000


def queries() -> dict[str, str]:
    """Return the measured operations: the first two flat, the others with a to-one and five children."""
    flat = f"query Flat {{ orders(first: %d) {{ nodes {{ {names(PLAIN[:10])} }} }} }}"
    lists = (f"a{n}: orders(first: {n}) {{ nodes {{ {names(PLAIN[:10])} }} }}" for n in range(1, 6))
    return {
        ONE: flat % 1,
        FIVE: f"query Five {{ {' '.join(lists)} }}",
        HUNDRED: flat % 100,
        THOUSAND: nested_query(rows=1_000),
        WHOLE: nested_query(rows=MAX_PAGE),
    }


@dataclass(frozen=True, slots=True)
class Serving:
    """The processes, and the operations that the upstream has answers for."""

    program: Program
    upstream: Program
    origin: str
    """Scheme, host and port of the upstream."""
    address: str
    cases: dict[str, Case]
    bearer: str = ""
    """Token of the caller; empty: nobody is asked who calls."""

    def cpu(self) -> float:
        """Return the seconds of CPU that the gateway has used, all its processes."""
        return sum(map(cpu_of, family(self.program.pid)))

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        return family(self.program.pid)[1:] or [self.program.pid]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load test saw, and what it took of each process, in seconds of CPU."""

    load: Load
    gateway: float
    upstream: float
    machine: float
    """Of all that ran on the machine."""

    @property
    def others(self) -> float:
        """Return the cores that were busy with something else."""
        ours = self.gateway + self.upstream + self.load.cpu
        return max(0.0, self.machine - ours) / self.load.seconds

    @property
    def cpu(self) -> float:
        """Return the gateway's CPU for one request."""
        return self.gateway / max(1, self.load.requests)

    def share(self, seconds: float) -> str:
        """Return a part of one core."""
        return f"{seconds / self.load.seconds:.0%}"


@asynccontextmanager
async def serving(
    *wanted: str,
    workers: int = 1,
    bearer: str = "",
    also: Collection[str] = (),
    **settings: str,
) -> AsyncIterator[Serving]:
    """Record the upstream's answers to the wanted operations, then start both programs.

    ``bearer``: token of the caller; ``also``: further targets that the upstream answers.
    """
    asked = {name: query for name, query in queries().items() if name in wanted}
    with tempfile.TemporaryDirectory() as folder:
        cases = await record(
            Path(folder),
            asked,
            transport=httpx.MockTransport(recorded_answer),
            settings=Settings(url=ROOT, auth="none", max_page_size=MAX_PAGE, cache_dir=None),
            most=5,
            also=also,
        )
        with running([sys.executable, STATIC, folder], os.environ) as upstream:
            origin = f"http://127.0.0.1:{upstream.line_with('')}"
            given = {
                "D365_URL": f"{origin}/data",
                "D365_AUTH": "none",
                "D365_MAX_PAGE_SIZE": str(MAX_PAGE),
                **settings,
            }
            with gateway("--workers", str(workers), **given) as (program, address):
                found = Serving(
                    program, upstream, origin, address, {c.name: c for c in cases}, bearer
                )
                await _warm(found)
                yield found


@contextmanager
def floor(found: Serving, *, as_it_is: bool = False) -> Iterator[Serving]:
    """Run the floor of the same operations before the same upstream; its answers have lengths of their own.

    ``as_it_is``: it hands the upstream's bytes on.
    """
    shapes = {ONE: "flat", HUNDRED: "flat", THOUSAND: "nested"}
    operations = {
        case.query: (case.target, "bytes" if as_it_is else shapes[name])
        for name, case in found.cases.items()
    }
    command = [sys.executable, "-m", "tests.bench.floor_server", found.origin]
    with running(command, environment(), json.dumps(operations)) as program:
        address = f"http://127.0.0.1:{program.line_with('')}/graphql"
        cases = {
            name: measured(address, case, is_answer=not as_it_is)
            for name, case in found.cases.items()
        }
        yield replace(found, program=program, address=address, cases=cases)


def measured(address: str, case: Case, query: str | None = None, *, is_answer: bool = True) -> Case:
    """Return a case as a peer answers it: by a query of its own, if it has one, and with a length of its own.

    Raises RuntimeError if its answer holds other rows; ``is_answer`` False: it is no answer of GraphQL.
    """
    asked = case.query if query is None else query
    response = httpx.post(address, json={"query": asked}, headers=IDENTITY, timeout=60)
    body = response.json() if response.status_code == 200 else {}
    found = leaves(body.get("data")) if is_answer else case.leaves
    if response.status_code != 200 or body.get("errors") or found != case.leaves:
        raise RuntimeError(f"the peer answered {response.status_code} {response.text[:300]}")
    return replace(case, query=asked, length=len(response.content))


def recorded_answer(request: httpx.Request) -> httpx.Response:
    """Return what the service of the benchmarks answers."""
    if not request.url.path.startswith("/data/"):
        return httpx.Response(404)  # it has no custom services
    target = request.url.raw_path.decode().removeprefix("/data/")
    if target.startswith("$metadata"):
        headers = {"content-type": "application/xml"}
        return httpx.Response(200, headers=headers, content=document().encode())
    headers = {"content-type": "application/json; odata.metadata=minimal"}
    return httpx.Response(200, headers=headers, content=answer(target))


async def _warm(found: Serving) -> None:
    """Ask everything until each worker knows it; raises where an answer is not the recorded one."""
    async with httpx.AsyncClient(timeout=60) as client:
        for case in found.cases.values():
            body = orjson.dumps({"query": case.query})
            headers = {"content-type": "application/json"}
            if found.bearer:
                headers["authorization"] = f"Bearer {found.bearer}"
            response = await client.post(found.address, content=body, headers=headers)
            if response.status_code != 200 or len(response.content) != case.length:
                raise RuntimeError(f"{case.name}: {response.status_code} {response.text[:300]}")
            if case.name != WHOLE:
                await asyncio.to_thread(
                    by_client, found.address, body, 16, 0.3, case.length, found.bearer
                )


async def loaded(found: Serving, case: Case, connections: int, seconds: float) -> Loaded:
    """Send one operation over so many connections for so long, and see what it costs whom."""
    await idle(found)
    body = orjson.dumps({"query": case.query})
    before = found.cpu(), cpu_of(found.upstream.pid), cpu_of_machine()
    load = await drive(found.address, body, connections, seconds, case.length, found.bearer)
    after = found.cpu(), cpu_of(found.upstream.pid), cpu_of_machine()
    return Loaded(load, *(now - then for now, then in zip(after, before, strict=True)))


async def idle(found: Serving, patience: float = 60) -> None:
    """Wait until the gateway works on nothing: what a load test left behind is not the next one's."""
    for _ in range(round(patience / 0.1)):
        before = found.cpu()
        await asyncio.sleep(0.1)
        if found.cpu() - before <= 0.01:
            return
    raise TimeoutError("the gateway does not come to rest")
