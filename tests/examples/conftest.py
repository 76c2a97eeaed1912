"""One gateway process for all examples, and clients that count what they send and what that costs upstream."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.support.pages import DOCS, ROOT
from tests.support.process import Running, running

EXAMPLES = ROOT / "examples"
sys.path.append(str(EXAMPLES / "python"))

from gateway_client import Gateway, Row  # noqa: E402 - examples are no package


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The process of the gateway."""
    folder = tmp_path_factory.mktemp("examples")
    arguments = ("serve", "--port", "0", "--config", str(EXAMPLES / "gateway.toml"))
    with running(folder, *arguments) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def address(served: Running) -> str:
    """The URL of the gateway, without the path of an API."""
    return served.wait_for(r"GraphQL: +(http://\S+)/graphql")


@dataclass
class Spent:
    """What the clients of a test have sent, as the table of the examples prints it."""

    operations: int = 0
    requests: int = 0
    clients: list[Gateway] = field(default_factory=list)

    def reset(self) -> None:
        """Begin to count: what was sent before prepared the example."""
        self.operations = self.requests = 0

    def check_row(self, *files: str, page: str = "") -> None:
        """Compare with the row of the table that links the page of an example; UPDATE_DOCS=1 writes it."""
        paths, table = [EXAMPLES / file for file in files], DOCS / "examples.md"
        lines = "\n".join(path.read_text("utf-8") for path in paths).splitlines()
        counted = (
            f"| {self.operations} | {self.requests} | {sum(map(bool, map(str.strip, lines)))} |"
        )
        page = page or paths[0].stem.replace("_", "-")
        text = table.read_text("utf-8")
        pattern = re.compile(rf"(\(examples/{page}\.md\).*?)\| \d+ \| \d+ \| \d+ \|$", re.MULTILINE)
        written = pattern.sub(lambda match: match[1] + counted, text)
        assert pattern.search(text)
        if os.environ.get("UPDATE_DOCS"):
            table.write_text(written, "utf-8")
        else:
            assert written == text, counted


class CountedGateway(Gateway):
    """A client that asks for the trace of each operation."""

    def __init__(self, url: str, spent: Spent) -> None:
        super().__init__(url, "usmf")
        self._http.headers["X-D365-Trace"] = "true"
        self._spent = spent
        spent.clients.append(self)

    def read(self, response: httpx.Response) -> Row:
        """Count an operation."""
        traced = response.json().get("extensions", {}).get("d365", {"spent": {"requests": 0}})
        self._spent.operations += 1
        self._spent.requests += traced["spent"]["requests"]
        return super().read(response)


@pytest.fixture
def spent() -> Iterator[Spent]:
    counted = Spent()
    yield counted
    for client in counted.clients:
        client.close()


@pytest.fixture
def gateway(address: str, spent: Spent) -> Gateway:
    """A client of the sandbox."""
    return CountedGateway(f"{address}/graphql", spent)


@pytest.fixture
def training(address: str, spent: Spent) -> Gateway:
    """A client of the environment beside it."""
    return CountedGateway(f"{address}/e/training/graphql", spent)
