"""Golden cases of writing: an operation, every exchange that it costs with its exact body, and its answer.

``tests/golden/writes/<topic>/<name>.graphql``, and beside it ``.variables.json`` (if it has any), ``.exchange`` (the
requests as they were sent, batch bodies with them) and ``.json`` (the whole answer); of unified models also
``.exchange-noexpand``, the same without ``$expand`` if it differs. Each case has a sandbox of its
own. Header lines: ``# companies: usmf``, ``# settings: {"read_only": true}``, ``# roles: clerk``
(those of the caller; ``ROLES`` declares them), ``# before: <another case>`` (run first,
on the same sandbox), ``# outline: true`` (of large bodies just how many writes they hold).

``UPDATE_CASES=1`` writes the expectations instead of comparing them; read what it wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.odata.query import Request
from gateway.odata.render import readable_url
from gateway.planning.row_bounds import ViewRules
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.sandbox import SandboxSettings, create_sandbox
from schema.policy import RoleView
from tests.support.cases import builtins_of
from tests.support.faulty_writes import assembled_over, faulty
from tests.support.roles import SEALER

FOLDER = Path(__file__).parent.parent / "golden" / "writes"
_HEADER = re.compile(r"^# (companies|settings|roles|before|outline): (.+)$", re.MULTILINE)
ROLES: dict[str, Any] = {
    "clerk": {
        "actions": ["submit"],
        "sets": {
            "CustomersV3": {
                **dict.fromkeys(("create", "update", "delete"), True),
                "where": {"customerGroupId": {"eq": "10"}},
                "presets": {"SalesCurrencyCode": "USD"},
                "deny_columns": ["CreditLimit*"],
            },
            "MyLeaveRequests": {"where": {"status": {"eq": "DRAFT"}}},
        },
    },
    "usmf": {
        "companies": ["usmf"],
        "sets": {"CustomerGroups": dict.fromkeys(("create", "update", "delete"), True)},
    },
    "namer": {"sets": {"CustomersV3": {"update": True, "columns": ["OrganizationName"]}}},
}
_TOLD = ("If-Match", "Content-Type")


@dataclass(frozen=True)
class WriteCase:
    """One case; its files share a name."""

    path: Path
    query: str
    variables: Mapping[str, Any] = field(repr=False)
    companies: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    before: str | None = None
    is_outline: bool = False

    @property
    def name(self) -> str:
        return self.path.relative_to(FOLDER).with_suffix("").as_posix()

    @property
    def request(self) -> GraphQLRequest:
        return GraphQLRequest(query=self.query, variables=self.variables, companies=self.companies)


def write_cases() -> list[WriteCase]:
    return [read_case(path) for path in sorted(FOLDER.glob("*/*.graphql"))]


def read_case(path: Path) -> WriteCase:
    query = path.read_text(encoding="utf-8")
    header = dict(_HEADER.findall(query))
    given = path.with_suffix(".variables.json")
    companies = header.get("companies")
    return WriteCase(
        path,
        query,
        json.loads(given.read_text(encoding="utf-8")) if given.exists() else {},
        companies=None if companies is None else tuple(c.strip() for c in companies.split(",")),
        settings=json.loads(header.get("settings", "{}")),
        roles=tuple(header["roles"].split(", ")) if "roles" in header else (),
        before=header.get("before"),
        is_outline="outline" in header,
    )


async def run(case: WriteCase, *, expand: str = "auto") -> tuple[Answer, Starlette]:
    """Run a case, and the one before it, on a fresh sandbox."""
    async with prepared(case, expand=expand) as (gateway, sandbox):
        if case.before is not None:
            await answer(gateway, read_case(FOLDER / f"{case.before}.graphql"))
        return await answer(gateway, case), sandbox


@asynccontextmanager
async def prepared(
    case: WriteCase, *, expand: str = "auto"
) -> AsyncIterator[tuple[Gateway, Starlette]]:
    """Return a gateway over a fresh sandbox. Its schema is made once for all cases of equal settings."""
    sandbox = create_sandbox(
        SandboxSettings(seed=1)
    )  # as the embedded one: recipes can be tried there
    declared: dict[str, Any] = {"roles": ROLES} if case.roles else {}
    settings = Settings(cache_dir=None, language="none", **declared, **case.settings)
    known = _GATEWAYS.get(settings.model_dump_json())
    if known is None:
        known = await assembled_over(sandbox, settings)
        sandbox.state.requests.clear()
        _GATEWAYS[settings.model_dump_json()] = known
    rules = None
    known = replace(known, settings=known.settings.model_copy(update={"expand": expand}))
    if case.roles:
        assert known.policy is not None
        rules = ViewRules(RoleView(known.policy, case.roles), row_rules(known), SEALER)
        known = build_view(known, rules.view, rules.rules, SEALER)
    async with faulty(known, sandbox, rules=rules) as over:
        yield replace(known, client=over.client, engine=over.engine), sandbox


_GATEWAYS: dict[str, Gateway] = {}


async def answer(gateway: Gateway, case: WriteCase) -> Answer:
    return await gateway.engine.execute(case.request)


def exchange_of(found: Answer, *, is_outline: bool = False) -> str:
    """Print the requests of an answer as they were sent; as an outline, without their bodies."""
    if is_outline:
        return "".join(f"{r.method} {readable_url(r)}{_counted(r)}\n" for r in found.requests)
    return "\n".join(_printed(request) for request in found.requests) + "\n"


def _counted(request: Request) -> str:
    writes = (request.body or b"").count(b"Content-ID: ")
    return f" ({writes} writes)" if writes else ""


def _printed(request: Request) -> str:
    lines = [f"{request.method} {readable_url(request)}"]
    headers = {n: v for n, v in request.headers.items() if n in _TOLD and request.method != "GET"}
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    if request.body is not None:
        lines += ["", request.body.decode().replace("\r\n", "\n").rstrip("\n")]
    return "\n".join([*lines, ""])


def answer_text(found: Answer) -> str:
    return json.dumps(builtins_of(found), indent=2, ensure_ascii=False) + "\n"
