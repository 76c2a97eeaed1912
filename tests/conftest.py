"""Configuration of all tests: the same names and examples in each process and each run of CI.

Hypothesis tries new examples at a desk and the same ones in CI, so that a red run is about the change.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, settings
from starlette.applications import Starlette

import gateway
import schema
from gateway.config.settings import Settings
from gateway.runtime.assembly import Gateway, open_client, open_gateway
from gateway.sandbox import create_sandbox
from tests.support.garbage import pass_over_what_is_here
from tests.support.observers import raise_defects
from tests.support.own_data import NOWHERE
from tests.support.shared import share
from tests.support.soak import bounded

if TYPE_CHECKING:  # its driver takes 0.2 s to import, which few tests need
    from tests.support.node import Tools
    from tests.support.postgresql import Postgres
    from tests.support.redis_server import RedisServer

share()
# No test uses the data of who runs it, or of another test: a default that cannot be made, in this process and in those
# that it starts. Tests that store anything name a folder of their own (``tests.support.process`` does).
os.environ["XDG_DATA_HOME"] = NOWHERE

# jsonschema imports it if it is installed. It compiles 38 grammars for the format "iri", which no document here has:
# five seconds in each process.
cast("dict[str, Any]", sys.modules)["rfc3987_syntax"] = None
# pytest rewrites what Hypothesis imports when it first needs it: in the middle of an example, where a parse that is
# interrupted by the garbage collector fails on Python 3.11 ("AST constructor recursion depth mismatch").
for _late in ("internal.conjecture.optimiser", "strategies._internal.random"):
    import_module(f"hypothesis.{_late}")
# The tables of Unicode that texts are drawn from are made once in a checkout. On a busy machine that takes seconds,
# which says nothing of the strategy that happens to be first.
SLOW = [HealthCheck.too_slow]
EXAMPLES = bounded(20, 1_000)
settings.register_profile("desk", max_examples=EXAMPLES, suppress_health_check=SLOW)
settings.register_profile(
    "ci", max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=SLOW
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no name: they may hold the time of their making, and workers must agree on all names."""
    return argname if isinstance(val, bytes) else None


TRACED = ("tests/unit/", "tests/golden/", "tests/sandbox/")
"""Where coverage is measured. The other folders repeat what these run, at length or in other processes."""
TRACED_ROWS = 48
"""Of the rows of a table every 48th is traced, the first one always: the others mostly run the same lines."""
TRACED_TESTS = 5
"""Of the other tests of a file every fifth is traced, the first one always: traced, Python takes twice as long. What
``pyproject.toml`` demands is of this sample."""
IS_TRACED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first the files that take long, so that no worker is alone with one in the end."""
    heavy = {item.path for item in items if item.get_closest_marker("heavy")}
    items.sort(key=lambda item: item.path not in heavy)
    rows: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for item in items:
        table = item.nodeid.partition("[")[0]
        file = table.partition("::")[0]
        item.stash[IS_TRACED] = (
            table.startswith(TRACED)
            and not item.get_closest_marker("heavy")
            # Tables cover what random examples run again and again.
            and not getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
            and rows[table] % TRACED_ROWS == 0
            and (table != item.nodeid or tests[file] % TRACED_TESTS == 0)
        )
        rows[table] += 1
        tests[file] += table == item.nodeid


@contextmanager
def untraced(tracer: Any) -> Iterator[None]:
    """Pause a tracer. ``Coverage.stop`` and ``start`` would add one to a list that both walk through, at every test."""
    if tracer is not None:
        sys.settrace(None)
    try:
        yield
    finally:
        if tracer is not None:
            sys.settrace(tracer)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Trace the import of what is measured; what tests do when they are collected takes twice as long traced."""
    if (tracer := sys.gettrace()) is not None:
        for package in (schema, gateway):
            for module in walk_packages(package.__path__, f"{package.__name__}."):
                if not module.name.endswith("__main__"):
                    import_module(module.name)
    with untraced(tracer):
        result = yield
    pass_over_what_is_here()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Trace a test only if its coverage says something new: traced, Python is up to three times as slow."""
    with untraced(None if item.stash[IS_TRACED] else sys.gettrace()):
        return (yield)


QUIET = Settings(cache_dir=None, language="none")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of all asynchronous tests: session-wide, so that module-wide fixtures may be asynchronous."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def default_log() -> Iterator[None]:
    """What a file configures of the log ends with it: its stream, which pytest closes, is not that of the next one."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module", autouse=True)
def passed_over() -> Iterator[None]:
    """What a file leaves is not scanned by the collector in the files that follow; its garbage is freed with it."""
    yield
    pass_over_what_is_here()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis that tests share; it is emptied for each."""
    from tests.support.redis_server import redis_server

    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    """A PostgreSQL that tests share; each has a database of its own (``new_database``)."""
    from tests.support.postgresql import postgres

    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def sandbox() -> Starlette:
    """The sandbox that tests share; a test that adds rows removes them."""
    return create_sandbox()


@pytest.fixture(scope="session")
def assembled(sandbox: Starlette) -> Gateway:
    """A gateway over the sandbox, without a connection."""

    async def assemble() -> Gateway:
        transport = httpx.ASGITransport(sandbox)
        async with open_gateway(QUIET, transport=transport, observe=raise_defects) as gateway:
            return gateway

    return asyncio.run(assemble())


@pytest.fixture
async def sandboxed(assembled: Gateway, sandbox: Starlette) -> AsyncIterator[Gateway]:
    """A gateway over the shared sandbox, with connections of its own."""
    transport = httpx.ASGITransport(sandbox)
    async with open_client(QUIET, transport=transport, observe=lambda _: None) as client:
        yield replace(assembled, client=client)


@pytest.fixture(scope="session")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The TypeScript client, and a program of what its page and the examples print."""
    from tests.support.node import missing
    from tests.support.requirements import need
    from tests.support.typescript_client import CLIENTS, build

    need(not (lacking := missing(CLIENTS)), lacking)
    return build(tmp_path_factory.mktemp("repository") / "clients" / "typescript")
