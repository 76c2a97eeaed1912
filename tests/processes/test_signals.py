"""``d365-graphql serve`` as a process: reload by signal and by request, in all workers, and the end of the terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.status.status_store import StatusStore
from gateway.storage.document_cache import digest_of
from tests.support.changing_metadata import csdl
from tests.support.described_api import new_key
from tests.support.process import PATIENCE, Running, environment, running
from tests.support.soak import bounded

GRAPHQL = r"GraphQL:  (http://\S+)"
HEALTH = r"Health: +(http://\S+)"
TOKEN = "0123456789abcdef-admin"
ONE, TWO = (), ("--workers", "2")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "m.xml"
    path.write_text(csdl("Name"))
    return path


@contextmanager
def serving(document: Path, *more: str, **variables: str) -> Iterator[tuple[Running, str]]:
    started = running(
        document.parent,
        "serve",
        "--port",
        "0",
        *more,
        D365_URL="http://127.0.0.1:9/data",
        D365_AUTH="none",
        D365_METADATA=str(document),
        D365_ADMIN_TOKEN=TOKEN,
        D365_LOG_FORMAT="json",
        **variables,
    )
    with started as process:
        root = process.wait_for(GRAPHQL).removesuffix("/graphql")
        health = process.wait_for(HEALTH)
        count = 2 if more[:2] == TWO else 1
        # One that is still importing would begin with the document of later, and reload nothing.
        until(lambda: list(states_at(health).values()) == ["ready"] * count)
        yield process, root


def ready(root: str) -> Any:
    """What a worker says; each call is a connection of its own, so any may answer."""
    try:
        return httpx.get(f"{root}/readyz", timeout=10).raise_for_status().json()
    except httpx.HTTPError:
        return None


def states_at(address: str) -> dict[int, str]:
    """Return the state of each worker, by its process id."""
    workers = httpx.get(address, timeout=10).json()["workers"]
    return {worker["pid"]: worker["state"] for worker in workers}


def reload(root: str) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.post(f"{root}/admin/reload", headers=headers, timeout=PATIENCE).json()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def workers_of(process: Running) -> list[int]:
    """The processes below it that serve; the first one only looks after what others leave behind."""
    below = children_of(process.process.pid)
    forking = [child for child in below if b"multiprocessing.forkserver" in command_of(child)]
    return [int(worker) for child in forking for worker in children_of(child)]


def children_of(pid: int | str) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def command_of(pid: str) -> bytes:
    """Return a process's command; nothing where it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_closed(root: str) -> bool:
    """Return whether the settings that forbid introspection are in force."""
    query = {"query": "{ __schema { queryType { name } } }"}
    while True:
        try:
            return "queryType" not in httpx.post(f"{root}/graphql", json=query).text
        except httpx.HTTPError:
            continue  # of a process that was killed


def said(process: Running, event: str) -> int:
    """Count an event in the log."""
    return process.errors.count(f'"event": "{event}"')


def ignores(pid: int, name: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(mask >> (name - 1) & 1)


def settled_on(root: str, digest: str) -> bool:
    """Return whether many answers in a row come from that document."""
    return all((body := ready(root)) and body["metadata"] == digest for _ in range(12))


def a_killed_worker_is_replaced(process: Running, root: str, document: Path) -> None:
    """Kill one as the kernel does for its memory; what takes its place cannot start until the metadata are good."""
    (health,) = [match[1] for line in process.lines if (match := re.search(HEALTH, line))]
    killed, other = workers_of(process)
    os.kill(killed, signal.SIGKILL)
    until(lambda: said(process, "worker_replaced") == 2)

    assert f'"pid": {killed}, "reason": "signal 9"' in process.errors
    assert '"reason": "exit 3"' in process.errors
    assert states_at(health)[other] == "ready"
    assert ready(root) is not None
    document.write_text(csdl("Name"))
    until(lambda: list(states_at(health).values()) == ["ready"] * 2)
    metrics = httpx.get(health.replace("/health", "/metrics"), timeout=10).text
    replaced = 'd365_gateway_workers_replaced_total{worker="admin",reason="signal 9"} 1.0'
    assert replaced in metrics.splitlines()


def workers_end_when_nobody_watches_them_any_more(process: Running) -> None:
    workers = workers_of(process)

    process.process.kill()

    until(lambda: not any(map(is_running, workers)))
    assert said(process, "stopped") == len(workers) == 2


@pytest.mark.heavy
@pytest.mark.parametrize(("more", "serve"), bounded([(TWO, 2)], [(ONE, 1), (TWO, 2)]), ids=str)
def test_sighup_reloads_metadata_and_bad_metadata_changes_nothing(
    document: Path, more: tuple[str, ...], serve: int, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    audit = {"D365_AUDIT__SINK": "file", "D365_AUDIT__PATH": str(log)}
    file = tmp_path / "gateway.toml"
    file.write_text("max_depth = 9\n")
    with serving(document, *more, "--config", str(file), **audit) as (process, root):
        until(lambda: len(workers_of(process)) == (2 if more else 0))
        workers = workers_of(process)
        # One that cannot be used is told once, and no worker has it.
        file.write_text('max_depth = 9\ninclude = ["Nothing*"]\n')
        process.process.send_signal(signal.SIGHUP)
        until(lambda: said(process, "settings_not_reloaded") == 1)
        file.write_text("introspection = false\n[admin]\nport = 9\n")
        answer = reload(root)
        until(lambda: said(process, "settings_reloaded") == serve + (serve > 1))
        assert serve > 1 or answer["settings"]["restart"] == ["admin.port"]
        assert all(is_closed(root) for _ in range(12))
        document.write_text(csdl("Name", "Colour"))

        process.process.send_signal(signal.SIGHUP)
        after = digest_of(document.read_bytes())
        until(lambda: said(process, "metadata_reloaded") == serve)
        assert settled_on(root, after)
        assert ready(root)["reload"]["outcome"] in {"changed", "unchanged"}

        document.write_text("<html>Sign in</html>")
        process.process.send_signal(signal.SIGHUP)
        until(lambda: said(process, "reload_failed") == serve)
        assert settled_on(root, after)

        assert workers_of(process) == workers
        assert "Traceback" not in process.errors
        if more:  # another gateway would take seconds to start
            a_killed_worker_is_replaced(process, root, document)
        # What has taken its place has the settings of the others.
        assert all(is_closed(root) for _ in range(12))
        assert process.end() == 0
    (started,) = [line for line in process.errors.splitlines() if '"started"' in line]
    assert digest_of(csdl("Name").encode()) in started
    lines = b"".join(path.read_bytes() for path in log.glob("*.jsonl"))
    for outcome in (b"done", b"failed"):
        act = b'"who":{"kind":"os"},"outcome":"%s","act":"reload"' % outcome
        other = b'"who":{"kind":"os"},"act":"reload","outcome":"%s"' % outcome
        assert lines.count(act) + lines.count(other) >= serve
    assert '"event": "reload_failed"' in process.errors
    assert '"level": "error"' in process.errors


@pytest.mark.heavy
@pytest.mark.parametrize("cache", bounded([None], [None, "none"]), ids=str)
def test_one_process_reads_for_all_workers(
    document: Path, cache: str | None, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    variables = {"TMPDIR": str(temporary), **({} if cache is None else {"D365_CACHE_DIR": cache})}
    folder = temporary if cache else document.parent / "d365-graphql"
    with serving(document, *TWO, **variables) as (process, root):
        until(lambda: process.errors.count('"schema_built"') == 3)
        (snapshot,) = folder.rglob("*.snapshot")
        document.write_text(csdl("Name", "Colour"))
        body = reload(root)
        assert body["reload"]["outcome"] == "changed"
        until(lambda: process.errors.count('"schema_built"') == 5)
        # The reload of one worker has reached all.
        until(lambda: settled_on(root, body["metadata"]))

        (again,) = folder.rglob("*.snapshot")
        assert again == snapshot
        assert process.end() == 0
    read = [line for line in process.errors.splitlines() if '"model_read"' in line]
    assert len(read) == 2
    assert list(temporary.iterdir()) == []


def is_running(pid: int) -> bool:
    """Return whether a process is there and has not ended: what adopted it may not have noticed yet."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


@pytest.mark.parametrize("more", bounded([ONE], [ONE, TWO]), ids=str)
def test_sighup_during_the_start_is_ignored_and_the_server_ends_with_its_terminal(
    document: Path, more: tuple[str, ...]
) -> None:
    controller, terminal = pty.openpty()
    variables = {
        "D365_URL": "http://127.0.0.1:9/data",
        "D365_AUTH": "none",
        "D365_METADATA": str(document),
    }
    with (
        closing(os.fdopen(controller, "rb", buffering=0)) as screen,
        subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", "0", *more],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment(document.parent, variables),
        ) as process,
    ):
        os.close(terminal)
        try:
            until(lambda: ignores(process.pid, signal.SIGHUP))
            process.send_signal(signal.SIGHUP)
            displayed = b""
            while b"GraphiQL:" not in displayed:
                displayed += screen.read(1_000)
            root = displayed.decode().partition("GraphQL:  ")[2].split("/graphql")[0]
            until(lambda: ready(root) is not None)
            screen.close()

            process.send_signal(signal.SIGHUP)

            assert process.wait(PATIENCE) in {0, -signal.SIGTERM}
        finally:
            # A failure must not wait for the end of a server that nobody stops.
            process.terminate()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("more", "expected"),
    [(ONE, (200, "done")), (TWO, (202, "requested"))],
    ids=["one process", "two workers"],
)
def test_the_second_listener_reloads_and_shows_what_changed(
    document: Path, more: tuple[str, ...], expected: tuple[int, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    key = new_key(Settings(data_dir=data), "admin")
    with serving(document, *more, D365_DATA_DIR=str(data)) as (process, root):
        health = re.search(HEALTH, "\n".join(process.lines))
        assert health is not None
        admin = httpx.URL(health[1]).join("/admin/")
        with httpx.Client(base_url=admin, timeout=PATIENCE) as http:
            http.headers["Authorization"] = f"Bearer {key}"
            until(lambda: store_has_drift(data))  # what is served first is known
            document.write_text(csdl("Colour"))

            response = http.post("reload")
            assert (response.status_code, response.json()["status"]) == expected
            until(lambda: settled_on(root, digest_of(document.read_bytes())))

            until(lambda: states_of(http) == ["compared"])
            (change,) = http.get("environments/default/drift").json()["documents"]
            assert change["after"] == digest_of(document.read_bytes())
            assert (change["breaking"] > 0, change["safe"] > 0) == (True, True)
        if more:  # another gateway would take seconds to start
            workers_end_when_nobody_watches_them_any_more(process)
        else:
            assert process.end() == 0
    assert "Traceback" not in process.errors


def states_of(http: httpx.Client) -> list[str]:
    """Return the states of the changes of metadata: one, however many workers have found it."""
    documents = http.get("environments/default/drift").json()["documents"]
    return [document["state"] for document in documents]


def store_has_drift(data: Path) -> bool:
    store = StatusStore(Settings(data_dir=data))
    try:
        return bool(store.entries("default", 0.0))
    finally:
        store.close()
