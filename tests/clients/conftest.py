"""One gateway on its sandbox, on a socket, and the npm packages of the lock to call it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.needs import need
from tests.support.node import Tools, missing
from tests.support.process import run, running

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def tools() -> Tools:
    need(not (lacking := missing(HERE)), lacking)
    return Tools(HERE)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the gateway's API."""
    with running(tmp_path_factory.mktemp("gateway"), "serve", "--port", "0") as gateway:
        yield gateway.wait_for(r"GraphQL: +(http://\S+)")


@pytest.fixture(scope="session")
def sdl(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema in SDL."""
    folder = tmp_path_factory.mktemp("schema")
    printed = run(folder, "schema", "print")
    assert printed.returncode == 0, printed.stderr
    path = folder / "schema.graphql"
    path.write_text(printed.stdout, "utf-8")
    return path
