"""The whole program on a socket, as its users start it."""

from __future__ import annotations

import gzip
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from gateway.audit.verify import verify
from gateway.sandbox import Fault, RecordedRequest, SandboxSettings, create_sandbox
from tests.support.login_host import SECRET, login_host
from tests.support.process import PATIENCE, invoke, running
from tests.support.sandbox_answers import ERROR_IN_OK

GRAPHQL = r"GraphQL: +(http://\S+)"
QUERY = {"query": "{ customersV3(first: 2) { nodes { customerAccount } totalCount } }"}
TERMS = """mutation { updateVendorV3(
  key: { dataAreaId: "usmf", vendorAccountNumber: "US-001" } patch: { defaultPaymentTermsName: "Net30" }
) { userErrors { code } } }"""
CSDL = Path(__file__).parents[1] / "csdl"
V2 = b"""<?xml version="1.0"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
  <edmx:DataServices m:DataServiceVersion="2.0"
      xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
    <Schema Namespace="N" xmlns="http://schemas.microsoft.com/ado/2008/09/edm"/>
  </edmx:DataServices>
</edmx:Edmx>
"""


def post(url: str, body: object = QUERY, **headers: str) -> httpx.Response:
    return httpx.post(url, json=body, headers=headers, timeout=PATIENCE)


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, timeout=PATIENCE)


@contextmanager
def upstream(**knobs: object) -> Iterator[tuple[str, list[RecordedRequest]]]:
    """Serve a sandbox on a socket: its service root, and what it was asked."""
    app = create_sandbox(SandboxSettings(**knobs))  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/data", app.state.requests
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            app.state.store.close()


def test_without_settings_the_sandbox_is_served_and_announced(tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", "0") as gateway:
        page = gateway.wait_for(r"GraphiQL: (http://\S+)")
        url = page.replace("/graphiql", "/graphql")

        answer = post(url)
        assert answer.status_code == 200
        assert len(answer.json()["data"]["customersV3"]["nodes"]) == 2
        assert "server" not in answer.headers
        assert get(page).status_code == 200
        visit = get(url, Accept="text/html")
        assert (visit.status_code, visit.headers["location"]) == (302, "/graphiql")
        assert get(url.replace("/graphql", "/readyz")).json()["sandbox"] is True
        assert get(url.replace("/graphql", "/healthz")).json() == {"status": "ok"}

        assert gateway.end() == 0
    message = "\n".join(gateway.lines)
    assert "embedded sandbox" in message
    assert re.search(r"\d+ entity sets, [\d,]+ fields of Query", message)
    assert "Traceback" not in gateway.errors


def test_no_client_input_stops_the_server(tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", "0") as gateway:
        url = gateway.wait_for(GRAPHQL)
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        json_headers = {"Content-Type": "application/json"}

        with httpx.Client(headers=json_headers, timeout=PATIENCE) as http:
            assert http.post(url, content=b"[" * 100_000).status_code == 400
            assert http.post(url, content=b"x" * 1_100_000).status_code == 413
            assert http.put(url).status_code == 405
        assert get(f"{url}?query={'a' * 30_000}").status_code == 200
        with socket.create_connection((host, int(port))) as wire:
            wire.sendall(
                b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            )
            wire.sendall(b'Content-Length: 100\r\n\r\n{"query":')
        with socket.create_connection((host, int(port))) as wire:
            wire.sendall(b"nonsense\r\n\r\n")
            wire.settimeout(PATIENCE)
            assert wire.recv(100).startswith(b"HTTP/1.1 400")
        with socket.create_connection((host, int(port))) as wire:
            wire.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000)
            wire.settimeout(PATIENCE)
            assert wire.recv(100).startswith(b"HTTP/1.1 431")

        assert post(url).status_code == 200
        assert gateway.end(signal.SIGINT) == 0
    # The lines of the start end with this one.
    log = gateway.errors.partition("[info     ] started ")[2].splitlines()[1:]
    assert len(log) == 9, log
    assert "Traceback" not in gateway.errors


def test_workers_share_the_port_and_end_together(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    with running(
        *(tmp_path, "serve", "--port", "0", "--workers", "2"),
        D365_LOG_FORMAT="json",
        D365_AUDIT__SINK="file",
        D365_AUDIT__PATH=str(folder),
        D365_AUDIT__REQUIRED="true",
    ) as gateway:
        url = gateway.wait_for(GRAPHQL)
        assert post(url, {"query": TERMS}).json() == {
            "data": {"updateVendorV3": {"userErrors": []}}
        }

        answers = [post(url).json() for _ in range(4)]
        assert answers == [answers[0]] * 4
        assert answers[0]["data"]["customersV3"]["totalCount"] > 0

        metrics = get(
            gateway.wait_for(r"Health: +(http://\S+)").replace("/health", "/metrics")
        ).text
        assert gateway.end() == 0
    # One text for both workers, each under its number; together they have counted all.
    counts = re.findall(
        r'^graphql_server_operation_duration_seconds_count\{worker="([01])",.* (\d+)',
        metrics,
        re.MULTILINE,
    )
    assert sum(int(count) for _, count in counts) == 5
    assert {
        'd365_gateway_worker_up{worker="0"} 1.0',
        'd365_gateway_worker_up{worker="1"} 1.0',
    } <= set(metrics.splitlines())
    # The settings reach the workers, and each logs for itself.
    events = [json.loads(line)["event"] for line in gateway.errors.splitlines()]
    assert (events.count("schema_built"), events.count("operation_served")) == (3, 5)
    assert not [line for line in gateway.lines if "schema_built" in line]
    # The second schema is that of a worker: the address is announced when one of them serves.
    assert "schema_built" in events[events.index("schema_built") + 1 : events.index("started")]
    # So does the audit log: a chain of the start, and one of each worker.
    report = verify(sorted(folder.iterdir()))
    assert (report.problems, len(report.chains)) == ([], 3)
    assert b"".join(p.read_bytes() for p in folder.iterdir()).count(b'"kind":"intent"') == 1
    assert not any(state.open_writes for state in report.chains.values())


def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments in (("serve", "--port", port), ("sandbox", "--port", port)):
            result = invoke(tmp_path, *arguments)

            assert result.returncode == 2
            assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr
            assert "--port" in result.stderr
            assert "Traceback" not in result.stderr
            assert result.stdout == ""


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"D365_PROT": "9"}, ("D365_PROT (environment)", "did you mean D365_PORT?")),
        ({"D365_PORT": "many"}, ("D365_PORT (environment)", "'many'", "a whole number")),
        ({"D365_URL": "ftp://x/data"}, ("D365_URL (environment)", "ftp://x/data")),
        ({"D365_URL": "https://x.example/data", "D365_TENANT_ID": "t"}, ("D365_CLIENT_SECRET",)),
        ({"D365_METADATA": "/nowhere/metadata.xml"}, ("/nowhere/metadata.xml", "cannot be read")),
        ({"D365_INCLUDE": "Nope*"}, ("Nope*",)),
        ({"D365_HOST": "999.1.1.1"}, ("999.1.1.1", "--host")),
    ],
)
def test_an_invalid_setting_stops_the_start(
    tmp_path: Path, variables: dict[str, str], message: tuple[str, ...]
) -> None:
    result = invoke(tmp_path, "serve", **{"D365_PORT": "0", **variables})

    assert result.returncode == 2
    assert [text for text in message if text not in result.stderr] == []
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_an_invalid_value_in_a_file_is_reported_with_its_place(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("max_depth = 0\ncompanys = ['usmf']\n")

    result = invoke(tmp_path, "serve", "--config", str(config))

    assert result.returncode == 2
    assert f"{config}: max_depth" in result.stderr
    assert "did you mean companies?" in result.stderr


DOCUMENTS = {
    "page.xml": (b"<html><body>Sign in</body></html>", "a web page"),
    "json.xml": (b'{"value": []}', "JSON"),
    "other.xml": (b"<catalog>\n<book/></catalog>", "line 1"),
    "v2.xml": (V2, "line 2"),
    "half.xml": ((CSDL / "types.xml").read_bytes()[:900], "line "),
    "half.xml.gz": (gzip.compress((CSDL / "types.xml").read_bytes())[:300], "cut off"),
    "empty.xml": (b"", "nothing"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_invalid_metadata_is_reported_with_line_and_reason(tmp_path: Path, name: str) -> None:
    document, message = DOCUMENTS[name]
    path = tmp_path / name
    path.write_bytes(document)

    result = invoke(tmp_path, "serve", D365_PORT="0", D365_METADATA=str(path))

    assert result.returncode == 2
    assert name in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("more", [(), ("--workers", "2")])
def test_an_unreachable_upstream_is_reported(tmp_path: Path, more: tuple[str, ...]) -> None:
    with socket.socket() as bound:  # bound and not listening: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/data"

        variables = {"D365_URL": url, "D365_AUTH": "none", "D365_RETRIES": "0"}
        result = invoke(tmp_path, "serve", "--port", "0", *more, **variables)

    assert result.returncode == 1
    assert "UPSTREAM_UNAVAILABLE: The upstream cannot be reached." in result.stderr
    assert "Is D365_URL right" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_remote_environment_is_reached_by_its_address(tmp_path: Path) -> None:
    with running(tmp_path, "sandbox", "--port", "0", "--scale", "0.5") as fo:
        root = fo.wait_for(r"Sandbox: (http://\S+)")
        with running(tmp_path, "serve", "--port", "0", D365_URL=root, D365_AUTH="none") as gateway:
            url = gateway.wait_for(GRAPHQL)
            answer = post(url)

            assert answer.json()["data"]["customersV3"]["totalCount"] > 0
            assert get(url.replace("/graphql", "/readyz")).json()["sandbox"] is False
            assert gateway.end() == 0
        assert f"Upstream: {root} (Finance & Operations)" in gateway.lines
        assert fo.end() == 0
    assert "Traceback" not in fo.errors + gateway.errors


def signed_in(root: str, authority: str, **more: str) -> dict[str, str]:
    return {
        "D365_URL": root,
        "D365_TENANT_ID": "contoso",
        "D365_CLIENT_ID": "app",
        "D365_CLIENT_SECRET": SECRET,
        "D365_AUTHORITY": authority,
        **more,
    }


def test_sign_in_with_client_credentials_happens_once(tmp_path: Path) -> None:
    with (
        login_host() as login,
        upstream(auth="bearer", bearer_token="token-1") as (root, asked),
        running(tmp_path, "serve", "--port", "0", **signed_in(root, login.authority)) as gateway,
    ):
        url = gateway.wait_for(GRAPHQL)
        assert post(url).json()["data"]["customersV3"]["totalCount"] > 0
        assert gateway.end() == 0

    assert len(login.grants) == 1
    assert {request.headers["authorization"] for request in asked} == {"Bearer token-1"}
    assert SECRET not in gateway.errors + "".join(gateway.lines)
    assert "token-1" not in gateway.errors


def test_a_rejected_token_is_renewed_once(tmp_path: Path) -> None:
    with (
        login_host() as login,
        upstream(auth="bearer", bearer_token="token-2") as (root, asked),
    ):
        target = str(tmp_path / "metadata.xml")
        result = invoke(tmp_path, "metadata", "pull", target, **signed_in(root, login.authority))

    assert (result.returncode, result.stderr) == (0, "")
    sent = [request.headers["authorization"] for request in asked]
    assert sent[:2] == ["Bearer token-1", "Bearer token-2"]
    assert len(login.grants) == 2


def test_a_rejected_account_is_reported(tmp_path: Path) -> None:
    with login_host() as login, upstream(auth="bearer", bearer_token="another") as (root, asked):
        result = invoke(tmp_path, "serve", D365_PORT="0", **signed_in(root, login.authority))

        assert len(asked) == 2
    assert result.returncode == 1
    assert "UPSTREAM_FORBIDDEN" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_secret_is_reported_and_not_shown(tmp_path: Path) -> None:
    with login_host() as login, upstream(auth="bearer") as (root, _):
        wrong = signed_in(root, login.authority, D365_CLIENT_SECRET="wr0ng-s3cret")
        result = invoke(tmp_path, "serve", D365_PORT="0", **wrong)

    assert result.returncode == 1
    assert "AADSTS7000215" in result.stderr
    assert "client_secret" in result.stderr
    assert "wr0ng-s3cret" not in result.stderr


FAULTS = {
    "html": (Fault.html(503), "UPSTREAM_UNAVAILABLE"),
    "half": (Fault.half(), "UPSTREAM_MALFORMED"),
    "error in 200": (ERROR_IN_OK, "UPSTREAM_"),
    "empty page": (Fault.empty_page(), "UPSTREAM_MALFORMED"),
    "hang": (Fault.hang(2), "UPSTREAM_TIMEOUT"),
    "html in 200": (Fault.html(200), "UPSTREAM_MALFORMED"),
}


def test_upstream_failures_are_coded_errors_and_serving_goes_on(tmp_path: Path) -> None:
    fault: list[Fault] = []

    def plan(_: int, url: str) -> Fault | None:
        return fault[0] if fault and "$metadata" not in url else None

    variables = {"D365_AUTH": "none", "D365_RETRIES": "0", "D365_READ_TIMEOUT": "1"}
    with (
        upstream(fault=plan) as (root, _),
        running(tmp_path, "serve", "--port", "0", D365_URL=root, **variables) as gateway,
    ):
        url = gateway.wait_for(GRAPHQL)
        for name, (injected, code) in FAULTS.items():
            fault[:] = [injected]
            body = post(url, {"query": "{ customersV3(first: 2) { nodes { customerAccount } } }"})
            (error,) = body.json()["errors"]

            assert error["extensions"]["code"].startswith(code), name
            assert error["extensions"]["errorId"] in gateway.errors, name
            assert "127.0.0.1" not in body.text
            assert "Traceback" not in body.text
        fault.clear()
        assert post(url).json()["data"]["customersV3"]["totalCount"] > 0
        assert gateway.end() == 0
    assert "Traceback" not in gateway.errors
