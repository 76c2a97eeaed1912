"""Golden cases of the read path: a query, the requests that it costs, and its answer.

``tests/golden/reads/<topic>/<name>.graphql``, and beside it ``.variables.json`` (if it has any), ``.requests``
(decoded, one a line, in the order they were sent), ``.requests-noexpand`` (the same without ``$expand``, only where
it differs) and ``.json`` (the whole answer). Header lines ``# companies: usmf, demf`` and
``# settings: {"max_url_length": 500}`` say under what it runs, ``# runs: 2`` that it is the second answer, which knows
from the first one how long lists are, ``# lacks: Workers, ProductsV2`` that the environment does not have these sets;
``.why`` has what ``schema why`` says of their fields. A variable may come from another answer:
``"<lists/first: data.customersV3.pageInfo.endCursor>"``.

``UPDATE_CASES=1`` writes the expectations instead of comparing them; read what it wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import structs

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.explain.empty_service import requests_within
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.api_schema import build_api_schema
from gateway.metadata.model_builder import make_catalog
from gateway.odata.query import Request
from gateway.odata.render import readable_url
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.runtime.execution_limits import execution_settings
from schema.model.exposure import expose
from schema.types.build import ODataSchema
from tests.support.observers import raise_bugs

FOLDER = Path(__file__).parent.parent / "golden" / "reads"
_HEADER = re.compile(r"^# (companies|settings|operation|runs|lacks): (.+)$", re.MULTILINE)
_ELSEWHERE = re.compile(r"<([\w/-]+): ([\w.]+)>")


@dataclass(frozen=True)
class Case:
    """One case; its files share a name."""

    path: Path
    query: str
    variables: Mapping[str, Any] = field(repr=False)
    companies: tuple[str, ...] | None = None
    operation: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    runs: int = 1
    lacks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.relative_to(FOLDER).with_suffix("").as_posix()

    @property
    def request(self) -> GraphQLRequest:
        return GraphQLRequest(
            query=self.query,
            variables=_resolved(self.variables),
            operation_name=self.operation,
            companies=self.companies,
        )

    def expectation(self, suffix: str) -> Path:
        return self.path.with_suffix(suffix)


def all_cases() -> list[Case]:
    return [read_case(path) for path in sorted(FOLDER.glob("*/*.graphql"))]


def read_case(path: Path) -> Case:
    query = path.read_text(encoding="utf-8")
    header = dict(_HEADER.findall(query))
    companies = header.get("companies")
    given = path.with_suffix(".variables.json")
    variables = json.loads(given.read_text(encoding="utf-8")) if given.exists() else {}
    return Case(
        path,
        query,
        variables,
        companies=None if companies is None else tuple(c.strip() for c in companies.split(",")),
        operation=header.get("operation"),
        settings=json.loads(header.get("settings", "{}")),
        runs=int(header.get("runs", 1)),
        lacks=tuple(header["lacks"].split(", ")) if "lacks" in header else (),
    )


def _resolved(value: Any) -> Any:
    """Put values of other cases' answers in."""
    if isinstance(value, dict):
        return {name: _resolved(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item) for item in value]
    found = _ELSEWHERE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    answer = FOLDER / f"{found[1]}.json"
    looked_up = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else None
    for step in found[2].split("."):
        if looked_up is not None:
            looked_up = looked_up[int(step) if step.isdigit() else step]
    return looked_up


def engine(
    gateway: Gateway, *, compiled: bool = True, schema: Any = None, **settings: Any
) -> Engine:
    """Return an engine over a gateway's schema and upstream with other settings."""
    chosen = structs.replace(execution_settings(Settings(**settings)), compiled=compiled)
    return Engine(schema or gateway.schema, gateway.client, gateway.dialect, chosen, raise_bugs)


def engine_of(case: Case, gateway: Gateway, *, compiled: bool = True, **settings: Any) -> Engine:
    """Return an engine over what the environment of a case has, with its settings and others."""
    schema = schema_without(gateway, case.lacks) if case.lacks else None
    return engine(gateway, compiled=compiled, schema=schema, **{**case.settings, **settings})


def schema_without(gateway: Gateway, sets: tuple[str, ...]) -> ODataSchema:
    """Return the schema of an environment that lacks some entity sets; it is made once."""
    schema = _WITHOUT.get(sets)
    if schema is None:
        settings = gateway.settings
        model = expose(gateway.catalog.model, include=(), exclude=sets)
        catalog = make_catalog(settings, model, gateway.dialect, {}, None)
        schema = build_api_schema(settings, catalog, LoadedResolvers(catalog))
        _WITHOUT[sets] = schema
    return schema


_WITHOUT: dict[tuple[str, ...], ODataSchema] = {}


async def run_case(
    case: Case, gateway: Gateway, *, compiled: bool = True, **settings: Any
) -> Answer:
    """Run a case as often as it says, and return its last answer."""
    by = engine_of(case, gateway, compiled=compiled, **settings)
    for _ in range(case.runs - 1):
        await by.execute(case.request)
    return await by.execute(case.request)


def requests_of(answer: Answer) -> list[str]:
    """Return the requests that were sent, decoded; the reads of a batch stand below it."""
    return [line for request in answer.requests for line in _lines(request)]


def _lines(request: Request) -> list[str]:
    return [_line(request), *(f"  {_line(part)}" for part in requests_within(request.body))]


def _line(request: Request) -> str:
    # Conditions of unified models may depend on the day.
    today = f"{datetime.now(UTC):%Y-%m-%d}T00:00:00Z"
    return readable_url(request).replace("\n", "\\n").replace(today, "<today>")


def builtins_of(answer: Answer) -> dict[str, Any]:
    """Return the answer without ids of errors and requests, which differ every time."""
    body = answer.to_builtins()
    for error in body.get("errors", ()):
        for name in ("errorId", "upstreamRequestId"):
            error.get("extensions", {}).pop(name, None)
    return body


def assert_requests(answer: Answer, most: int, *, least: int | None = None) -> None:
    """Check how many requests were sent, and say which they were if it is wrong."""
    sent = [readable_url(request) for request in answer.requests]
    lines = "\n".join(f"  {url}" for url in sent)
    least = most if least is None else least
    assert least <= len(sent) <= most, f"{len(sent)} requests, not {least} to {most}:\n{lines}"
