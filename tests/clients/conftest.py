"""One gateway on its sandbox, on a socket, and the npm packages of the lock to call it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.needs import need
from tests.support.node import Tools, missing
from tests.support.process import running

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
