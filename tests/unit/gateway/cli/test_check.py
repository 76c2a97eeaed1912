"""``check``: output for a working environment, and for each problem."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.issuer import jwk
from tests.support.login_host import SECRET, LoginHost, login_host, refusal
from tests.support.process import invoke
from tests.support.stores import spoil_store
from tests.support.threaded import threaded

pytestmark = pytest.mark.slow

CLIENT = str(uuid.uuid5(uuid.NAMESPACE_URL, "client 1"))


class Refusing:
    """The sandbox, with sets that the account may not read."""

    def __init__(self) -> None:
        self.sets: set[str] = set()
        self._sandbox = create_sandbox(SandboxSettings())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].rpartition("/")[2] in self.sets:
            await JSONResponse({"error": {"code": "", "message": "no"}}, 403)(scope, receive, send)
        else:
            await self._sandbox(scope, receive, send)


@pytest.fixture(scope="module")
def refusing() -> Refusing:
    return Refusing()


@pytest.fixture(scope="module")
def environment(refusing: Refusing) -> Iterator[dict[str, str]]:
    app = Starlette(routes=[Mount("/", refusing)])
    with threaded(app) as address:
        yield {"D365_URL": f"{address}/data", "D365_AUTH": "none", "D365_DIALECT": "finops"}


@pytest.fixture
def host() -> Iterator[LoginHost]:
    with login_host() as host:
        yield host


@pytest.fixture
def signed_in(environment: dict[str, str], host: LoginHost) -> dict[str, str]:
    return {
        **environment,
        "D365_AUTH": "client_credentials",
        "D365_TENANT_ID": host.tenant,
        "D365_CLIENT_ID": CLIENT,
        "D365_CLIENT_SECRET": SECRET,
        "D365_AUTHORITY": host.authority,
    }


def checked(folder: Path, code: int = 0, /, **variables: str) -> dict[str, Any]:
    """Return the steps by name: status, text and hint."""
    ended = invoke(folder, "check", "--json", **variables)
    assert ended.returncode == code, ended.stderr
    content = json.loads(ended.stdout)
    assert content["ok"] == (code == 0)
    return {step["name"]: step for step in content["steps"]}


def test_the_sandbox_passes_every_step(tmp_path: Path) -> None:
    steps = checked(tmp_path)

    assert {step["status"] for step in steps.values()} == {"ok"}
    assert list(steps) == ["environment", "cache", "$metadata", "dialect", "companies", "rights"]
    assert "demf, usmf" in steps["companies"]["text"]


def test_plain_output_has_a_line_for_each_step(tmp_path: Path) -> None:
    ended = invoke(tmp_path, "check")

    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("ok       environment embedded sandbox")
    assert len(lines) == 6


def test_an_account_is_shown_with_its_user_and_roles(
    tmp_path: Path, signed_in: dict[str, str]
) -> None:
    steps = checked(tmp_path, **signed_in)

    assert {step["status"] for step in steps.values()} == {"ok"}
    assert steps["sign-in"]["text"] == "token from tenant contoso, valid for 60 minutes"
    assert steps["user"]["text"]
    assert steps["roles"]["text"]
    assert SECRET not in json.dumps(steps)


def test_a_wrong_secret_ends_the_check_with_a_hint(
    tmp_path: Path, signed_in: dict[str, str], host: LoginHost
) -> None:
    host.refuse = refusal(7000222, "The provided client secret keys are expired.")

    steps = checked(tmp_path, 1, **signed_in)

    assert list(steps)[-1] == "sign-in"
    assert steps["sign-in"]["status"] == "problem"
    assert "expired" in steps["sign-in"]["hint"]


def test_an_unregistered_application_is_a_problem(
    tmp_path: Path, signed_in: dict[str, str]
) -> None:
    steps = checked(tmp_path, 1, **{**signed_in, "D365_CLIENT_ID": str(uuid.UUID(int=1))})

    assert steps["user"]["status"] == "problem"
    assert "Microsoft Entra ID applications" in steps["user"]["hint"]
    assert "roles" not in steps


def test_unreadable_entity_sets_are_named(
    tmp_path: Path, environment: dict[str, str], refusing: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusing, "sets", {"VendorsV2", "LegalEntities"})

    steps = checked(tmp_path, **environment)

    assert steps["rights"]["status"] == "warning"
    assert steps["rights"]["text"].endswith("may not read VendorsV2")
    assert steps["companies"]["status"] == "warning"


def test_an_unknown_company_is_a_problem(tmp_path: Path, environment: dict[str, str]) -> None:
    steps = checked(tmp_path, 1, **environment, D365_COMPANIES='["usmf", "nope"]')

    assert steps["companies"]["status"] == "problem"
    assert "nope" in steps["companies"]["text"]


def test_a_cache_folder_that_is_a_file_is_a_problem(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("", "utf-8")

    steps = checked(tmp_path, 1, **environment, D365_CACHE_DIR=str(occupied))

    assert steps["cache"]["status"] == "problem"


def test_an_unreachable_service_ends_the_check(tmp_path: Path) -> None:
    unreachable = {"D365_URL": "http://127.0.0.1:9/data", "D365_AUTH": "none", "D365_RETRIES": "0"}

    steps = checked(tmp_path, 1, **unreachable)

    assert list(steps)[-1] == "$metadata"
    assert "UPSTREAM_UNAVAILABLE" in steps["$metadata"]["text"]


def callers(folder: Path, code: int = 0, /, **variables: str) -> list[tuple[str, str]]:
    """Return status and text of the steps about callers."""
    ended = invoke(folder, "check", "--json", **variables)
    assert ended.returncode == code, ended.stderr
    steps = json.loads(ended.stdout)["steps"]
    return [(step["status"], step["text"]) for step in steps if step["name"] == "callers"]


def test_callers_of_a_real_environment_are_reported(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    open_on_loopback = callers(tmp_path, **environment)
    open_to_all = callers(tmp_path, 1, **environment, D365_HOST="0.0.0.0")
    said = callers(tmp_path, **environment, D365_HOST="0.0.0.0", D365_INBOUND__ANONYMOUS="true")

    assert open_on_loopback == [("ok", "anybody who reaches 127.0.0.1, with the gateway's account")]
    assert open_to_all[0][0] == "problem"
    assert said == [("ok", "anybody who reaches 0.0.0.0, with the gateway's account")]


def test_a_store_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    path = spoil_store(tmp_path / "data")
    keys = {"D365_INBOUND__API_KEYS": "true", "D365_DATA_DIR": str(tmp_path / "data")}

    ((state, text),) = callers(tmp_path, 1, **keys)

    assert state == "problem"
    assert text.startswith(f"The store {path} is damaged")


def test_each_way_to_sign_in_is_reported(tmp_path: Path) -> None:
    issuers = [
        {"issuer": "urn:a", "audiences": ["a"], "jwks": {"keys": [jwk("k1")]}},
        {"issuer": "urn:b", "audiences": ["a"], "secret": "x" * 32},
        {"issuer": "urn:c", "audiences": ["a"], "jwks_url": "http://127.0.0.1:9/keys"},
    ]

    found = callers(
        tmp_path,
        1,
        D365_INBOUND__ISSUERS=json.dumps(issuers),
        D365_INBOUND__API_KEYS="true",
        D365_INBOUND__CLIENT_CERTIFICATES=json.dumps([{"subject": "*"}]),
        D365_INBOUND__ANONYMOUS="true",
        D365_TRUSTED_PROXIES="10.0.0.0/8",
        D365_DATA_DIR=str(tmp_path),
    )

    assert found == [
        ("ok", "tokens of urn:a, keys: 1"),
        ("problem", "no keys of urn:c: http://127.0.0.1:9/keys: ConnectError"),
        ("ok", "tokens of urn:b, by a shared secret"),
        ("ok", "API keys, valid: 0"),
        ("ok", "client certificates, from 10.0.0.0/8"),
        ("ok", "anonymous callers, with the role anonymous if there is one"),
    ]


SANDBOXES = json.dumps({"acme": {"sandbox": {}}, "beta": {"sandbox": {"seed": 2}}})
AWAY = {"url": "http://127.0.0.1:9/data", "auth": "none", "retries": 0}


def test_one_environment_is_checked_by_name(tmp_path: Path) -> None:
    variables = {"D365_ENVIRONMENTS": json.dumps({"acme": {"sandbox": {}}, "away": AWAY})}

    good = invoke(tmp_path, "check", "--environment", "acme", "--json", **variables)
    away = invoke(tmp_path, "check", "--environment", "away", "--json", **variables)
    unknown = invoke(tmp_path, "check", "--environment", "nobody", **variables)

    assert (good.returncode, away.returncode) == (0, 1)
    names = [step["name"] for step in json.loads(good.stdout)["steps"]]
    assert names == ["environment", "$metadata", "dialect", "companies", "rights"]
    assert "UPSTREAM_UNAVAILABLE" in json.loads(away.stdout)["steps"][-1]["text"]
    assert unknown.returncode == 2
    assert "There is no environment nobody." in unknown.stderr


def test_all_environments_are_checked(tmp_path: Path) -> None:
    away = {**json.loads(SANDBOXES), "away": AWAY}

    good = invoke(tmp_path, "check", "--all", D365_ENVIRONMENTS=SANDBOXES)
    bad = invoke(tmp_path, "check", "--all", "--json", D365_ENVIRONMENTS=json.dumps(away))

    assert good.returncode == 0
    heads = [line for line in good.stdout.splitlines() if line.endswith(":")]
    assert heads == ["deployment:", "default:", "acme:", "beta:"]
    content = json.loads(bad.stdout)
    assert (bad.returncode, content["ok"]) == (1, False)
    assert {name: one["ok"] for name, one in content["environments"].items()} == {
        "default": True,
        "acme": True,
        "beta": True,
        "away": False,
    }
    assert next(step["name"] for step in content["steps"]) == "cache"


@pytest.mark.parametrize(
    ("sets", "status", "text"),
    [
        ({"CustomersV3": {"read": True}}, "ok", "roles that fit the metadata: clerk"),
        ({"CustomersV99": {"read": True}}, "problem", "CustomersV99"),
    ],
)
def test_roles_are_checked_against_the_metadata(
    tmp_path: Path, sets: dict[str, Any], status: str, text: str
) -> None:
    roles = json.dumps({"clerk": {"sets": sets}})

    steps = checked(tmp_path, 0 if status == "ok" else 1, D365_ROLES=roles)

    assert steps["policy"]["status"] == status
    assert text in steps["policy"]["text"]


@pytest.mark.parametrize(
    ("variables", "status", "text"),
    [
        ({"SINK": "file"}, "ok", "files in "),
        ({"SINK": "file", "PATH": "occupied/audit"}, "problem", "cannot be written"),
        ({"SINK": "stdout"}, "ok", "standard output"),
        ({"SINK": "syslog", "ADDRESS": "/none/log"}, "problem", "/none/log cannot be used"),
        ({"SINK": "syslog", "ADDRESS": "127.0.0.1:514"}, "ok", "127.0.0.1:514"),
        ({"SINK": "none", "REQUIRED": "true"}, "problem", "nothing is recorded"),
    ],
)
def test_the_audit_log_is_checked(
    tmp_path: Path, variables: dict[str, str], status: str, text: str
) -> None:
    (tmp_path / "occupied").write_text("", "utf-8")
    named = {f"D365_AUDIT__{name}": value for name, value in variables.items()}
    if "PATH" in variables:
        named["D365_AUDIT__PATH"] = str(tmp_path / variables["PATH"])

    steps = checked(
        tmp_path, 0 if status == "ok" else 1, D365_DATA_DIR=str(tmp_path / "data"), **named
    )

    assert (steps["audit"]["status"], "hint" in steps["audit"]) == (status, True)
    assert text in steps["audit"]["text"]
    assert (steps["audit"]["hint"] is None) == (status == "ok")
    assert not list((tmp_path / "data" / "audit").glob("*"))
