"""What a version leaves behind for the next one: a data folder, a cache folder, and what clients were told.

``record`` lets this version write it, at a release; tests let later versions read it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.app import create_app
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.inbound_models import InboundOptions
from gateway.config.rendering import to_toml
from gateway.config.role_models import RoleOptions
from gateway.config.settings import Settings
from gateway.config.version import gateway_version
from gateway.config.webhook_models import WebhookOptions
from gateway.environments.environment_store import open_environment_register
from gateway.sandbox import create_sandbox
from gateway.store.api_keys import open_register
from tests.support.changing_metadata import build_here
from tests.support.stores import KEY

SAID, LEFT, OPTIONS = "said.json", "left.tar.gz", "settings.toml"
"""What clients were told; the folders of the gateway; the settings as ``d365-graphql settings`` prints them."""
ROLES = {
    "clerk": RoleOptions.model_validate(
        {"sets": {"CustomersV3": {"read": True, "masks": {"OrganizationName": "hash"}}}}
    )
}
RULED = "{ list: customersV3(first: 3, after: $after) { nodes { organizationName } pageInfo { endCursor } } }"
"""What a caller with roles reads: the values of its cursors are sealed, and names are digests."""
SECRET = "secret-of-acme"
PAGES = {
    "by key": "{ list: customersV3(first: 3, after: $after) { nodes { id customerAccount } pageInfo { endCursor } } }",
    "by order": """{ list: customersV3(first: 3, after: $after, orderBy: [{ creditLimit: DESC }]) {
      nodes { id creditLimit } pageInfo { endCursor } } }""",
}
NODE = "query ($id: ID!) { node(id: $id) { id ... on CustomerV3 { customerAccount } } }"
CHANGES = """query ($since: String) { changes(set: "customerGroups", companies: ["usmf"], since: $since) {
  upserts { id } cursor resyncRequired } }"""
WRITE = """mutation { updateCustomerGroup(
  key: {dataAreaId: "usmf", customerGroupId: "10"}, patch: {description: "recorded"}
) { customerGroup { description } userErrors { code } } }"""
EXPORT = {"set": "CustomerGroups", "format": "csv", "companies": "usmf"}
WEBHOOK = {
    "set": "CustomerGroups",
    "url": "https://hooks.example.com/changes",
    "companies": ["usmf"],
}
IDEMPOTENCY_KEY = "5f0c6a2e-0a57-4f0e-9a53-6a5b7a3c9d10"


def settings_of(folder: Path, *, has_roles: bool = False) -> Settings:
    return Settings(
        roles=ROLES if has_roles else {},
        url="http://erp.example/data",
        auth="none",
        dialect="finops",
        language=None,
        include=("CustomersV3", "CustomerGroups"),
        data_dir=folder / "data",
        cache_dir=folder / "cache",
        stored_environments=True,
        encryption_key=KEY,
        inbound=InboundOptions(api_keys=True),
        webhooks=WebhookOptions(hosts=("hooks.example.com",)),
    )


@asynccontextmanager
async def gateway_over(
    folder: Path, key: str, *, has_roles: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a gateway whose folders are in there, before a new sandbox."""
    app = create_app(
        settings_of(folder, has_roles=has_roles),
        transport=httpx.ASGITransport(create_sandbox()),
        observe=lambda _: None,
        build_model=build_here,
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://localhost",
            headers={"authorization": f"Bearer {key}"},
        ) as http,
    ):
        yield http


async def run(http: httpx.AsyncClient, query: str, **variables: object) -> Any:
    """Return the data of an operation."""
    body = {"query": query, "variables": variables}
    answer = (await http.post("/graphql", json=body)).raise_for_status().json()
    assert "errors" not in answer, answer
    return answer["data"]


async def page(http: httpx.AsyncClient, kind: str, after: str | None = None) -> Any:
    query = RULED if kind == "with roles" else PAGES[kind]
    found = await run(http, f"query ($after: String) {query}", after=after)
    return found["list"]


async def written(http: httpx.AsyncClient) -> httpx.Response:
    """Send the recorded mutation under its key."""
    headers = {"Idempotency-Key": IDEMPOTENCY_KEY}
    return (await http.post("/graphql", json={"query": WRITE}, headers=headers)).raise_for_status()


async def exported(http: httpx.AsyncClient) -> str:
    """Run a job, and return its id."""
    job = (await http.post("/exports", json=EXPORT)).raise_for_status().json()
    async with asyncio.timeout(30):
        while (state := (await http.get(f"/jobs/{job['id']}")).json()["state"]) != "SUCCEEDED":
            assert state in {"QUEUED", "RUNNING"}, state
            await asyncio.sleep(0.05)
    return str(job["id"])


def record(folder: Path, target: Path) -> None:
    """Write what this version leaves behind: work in a folder, store it in another one."""
    said = asyncio.run(_work(folder))
    target.mkdir(parents=True)
    with tarfile.open(target / LEFT, "w:gz") as tar:
        tar.add(folder, arcname=".", filter=_of_nobody)
    (target / SAID).write_text(json.dumps(said, indent=2) + "\n", "utf-8")
    (target / OPTIONS).write_text(to_toml(Settings(data_dir=None, cache_dir=None)), "utf-8")


async def _work(folder: Path) -> dict[str, Any]:
    """Let clients and administrators do what leaves something behind, and return what they were told."""
    settings = settings_of(folder)
    keys = open_register(settings)
    _, key = keys.create("recorded", (), None)
    _, ruled = keys.create("with roles", ("clerk",), None)
    keys.close()
    environments = open_environment_register(settings)
    options = EnvironmentOptions(
        url="https://acme.operations.dynamics.com/data",
        tenant_id="contoso.com",
        client_id="app-1",
        client_secret=SecretStr(SECRET),
    )
    environments.create("acme", options)
    environments.close()
    said: dict[str, Any] = {
        "version": gateway_version(),
        "at": time.time(),
        "key": key,
        "ruled": ruled,
    }
    async with gateway_over(folder, ruled, has_roles=True) as http:
        said["pages"] = {"with roles": await _recorded_page(http, "with roles")}
    async with gateway_over(folder, key) as http:
        said["pages"] |= {kind: await _recorded_page(http, kind) for kind in PAGES}
        said["node"] = said["pages"]["by key"]["next"][0]
        said["since"] = (await run(http, CHANGES))["changes"]["cursor"]
        said["written"] = (await written(http)).json()
        hook = (await http.post("/webhooks", json=WEBHOOK)).raise_for_status().json()
        (await http.post(f"/webhooks/{hook['id']}/pause")).raise_for_status()
        said["webhook"] = hook["id"]
        job = await exported(http)
        manifest = (await http.get(f"/jobs/{job}/manifest")).json()
        said["job"] = {"id": job, "sha256": manifest["parts"][0]["sha256"]}
    return said


async def _recorded_page(http: httpx.AsyncClient, kind: str) -> Any:
    first = await page(http, kind)
    after = first["pageInfo"]["endCursor"]
    return {"after": after, "next": (await page(http, kind, after))["nodes"]}


def _of_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def unpack(release: Path, folder: Path) -> Any:
    """Put the folders of a release in place, and return what clients were told."""
    with tarfile.open(release / LEFT) as tar:
        tar.extractall(folder, filter="data")
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    shutil.copy(release / OPTIONS, folder)
    return json.loads((release / SAID).read_text("utf-8"))
