"""A gateway process over its sandbox, and the locked npm packages that call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node import Tools, missing
from tests.support.process import Running, invoke, running
from tests.support.requirements import need

HERE = Path(__file__).parent
FRONTEND_SETS = "CustomersV3,CustomerGroups,SalesOrderHeadersV2,SalesOrderLines"


@pytest.fixture(scope="session")
def tools() -> Tools:
    need(not (lacking := missing(HERE)), lacking)
    return Tools(HERE)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The gateway process, with a JSON log."""
    folder = tmp_path_factory.mktemp("gateway")
    variables = {"D365_LOG_FORMAT": "json", "D365_SUBSCRIPTIONS__INTERVAL": "0.1"}
    with running(folder, "serve", "--port", "0", **variables) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def endpoint(gateway: Running) -> str:
    """The URL of the API."""
    return gateway.wait_for(r"GraphQL: +(http://\S+)")


@pytest.fixture(scope="session")
def sdl(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a file with the schema as SDL."""
    return print_schema(tmp_path_factory.mktemp("schema"))


@pytest.fixture(scope="session")
def frontend_sdl(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a file with that part of the schema which frontends use: code generators take longer with more."""
    return print_schema(tmp_path_factory.mktemp("frontend"), D365_INCLUDE=FRONTEND_SETS)


def print_schema(folder: Path, **variables: str) -> Path:
    printed = invoke(folder, "schema", "print", **variables)
    assert printed.returncode == 0, printed.stderr
    path = folder / "schema.graphql"
    path.write_text(printed.stdout, "utf-8")
    return path
