"""The example of a federated query: Apollo's router over a profile of the gateway and a provider of ratings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.node import missing
from tests.support.pages import ROOT
from tests.support.process import PATIENCE, Running
from tests.support.requirements import need

SOURCE = ROOT / "examples" / "federation"
CLIENTS = ROOT / "tests" / "clients"
BOTH = """
process.env.RATINGS_PORT = process.env.PORT = "0";
const { url } = await import("./ratings.mjs");
process.env.RATINGS_URL = url;
await import("./router.mjs");
"""


@pytest.fixture(scope="module")
def router(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the router, in one process with the ratings."""
    need(not (lacking := missing(CLIENTS)), lacking)
    folder: Path = tmp_path_factory.mktemp("federation") / "example"
    shutil.copytree(SOURCE, folder)
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules", target_is_directory=True)
    variables = {**os.environ, "ERP_URL": f"{address}/graphql/purchasing"}
    command = ["node", "--input-type=module", "--eval", BOTH]
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            lines = iter(process.stdout.readline, "")
            yield next(line.split()[1] for line in lines if line.startswith("Router: "))
        finally:
            process.kill()


def spent_by(gateway: Running, name: str, operations: int) -> list[int]:
    """Return the requests of each operation of a name, once so many are in the log of the gateway."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        served = re.findall(rf"name={name}\S* .*? requests=(\d+)", gateway.errors)
        if len(served) >= operations:
            return [int(requests) for requests in served]
        time.sleep(0.05)
    raise AssertionError(gateway.errors)


def test_vendors_and_ratings_are_one_graph(router: str, served: Running, spent: Any) -> None:
    body = {"query": (SOURCE / "risk.graphql").read_text("utf-8")}
    headers = {"X-D365-Company": "usmf"}
    answer = httpx.post(router, json=body, headers=headers, timeout=PATIENCE).json()

    assert "errors" not in answer
    names = {
        each["vendor"]["vendorAccountNumber"]: each["vendor"]["vendorOrganizationName"]
        for each in answer["data"]["ratings"]
    }
    assert names["GONE-1"] is None
    assert names["US-002"]
    vendors = answer["data"]["vendorsV2"]["nodes"]
    assert [vendor["rating"]["score"] for vendor in vendors] == [91, 34, 48]

    spent.operations, spent.requests = 1, sum(spent_by(served, "Risk__erp__", 2))
    spent.check_row("federation/router.mjs", "federation/ratings.mjs", page="federated-query")
