"""A peer: GraphQL Mesh with its OData handler, before the same upstream. It runs where Node and its packages are.

``npm install --no-package-lock --legacy-peer-deps --prefix tests/bench/graphql_mesh`` installs it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from tests.bench.processes import environment, running
from tests.bench.serving import HUNDRED, ONE, Serving, measured
from tests.bench.workload import PLAIN

FOLDER = Path(__file__).with_name("graphql_mesh")
SIZES = {ONE: 1, HUNDRED: 100}
"""The cases that it can answer: related rows it reads by the first part of their key only."""
_QUERY = "{ Orders(queryOptions: {top: %d}) { %s } }"
_START = 60.0


def query(rows: int) -> str:
    """Return its query for so many orders."""
    return _QUERY % (rows, " ".join(column.name for column in PLAIN[:10]))


def targets() -> tuple[str, ...]:
    """Return what it requests of the upstream."""
    columns = ",".join(column.name for column in PLAIN[:10])
    return tuple(f"/data/Orders?$top={rows}&$select={columns}" for rows in SIZES.values())


def missing() -> str | None:
    """Return what is missing to run it; None: nothing is."""
    if shutil.which("node") is None:
        return "there is no Node."
    if not (FOLDER / "node_modules" / "@graphql-mesh").is_dir():
        return "its packages are not installed; tests/bench/mesh.py says how."
    return None


@contextmanager
def mesh(ours: Serving) -> Iterator[Serving]:
    """Build and run it before the upstream of the gateway."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("package.json", ".meshrc.yaml"):
            shutil.copy(FOLDER / name, folder / name)
        (folder / "node_modules").symlink_to(FOLDER / "node_modules")
        program = str(folder / "node_modules" / ".bin" / "mesh")
        env = {**environment(), "BENCH_UPSTREAM": f"{ours.origin}/data", "NODE_ENV": "production"}
        subprocess.run([program, "build"], check=True, env=env, cwd=made, capture_output=True)
        port = _free_port()
        command = ["sh", "-c", 'cd "$0" && exec "$@"', made, program, "start", "--port", str(port)]
        with running(command, env) as started:
            address = f"http://127.0.0.1:{port}/graphql"
            _wait_for(address)
            cases = {
                name: measured(address, ours.cases[name], query(rows))
                for name, rows in SIZES.items()
                if name in ours.cases
            }
            yield replace(ours, program=started, address=address, cases=cases, bearer="")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(address: str) -> None:
    until = time.monotonic() + _START
    while True:
        try:
            httpx.post(address, json={"query": "{ __typename }"}, timeout=5).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return
