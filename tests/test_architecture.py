"""Who may import whom, how long a module may be, and whose the names ``schema`` and ``gateway`` are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path
    for package in ("schema", "gateway")
    for path in (ROOT / package).rglob("*.py")
    if "node_modules" not in path.parts
)
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)
TRANSPORTS = {"aiohttp", "httpx", "starlette", "uvicorn", "msal"}
FLOORS = (  # lowest first: a module imports its own room and lower floors
    {"process"},
    {"errors"},
    {"events", "shutdown", "sandbox", "dimensions"},
    {"storage"},
    {"config", "documents"},
    {"telemetry"},
    {"sizing"},
    {"store", "audit"},
    {"identity", "manifests", "idempotency"},
    {"admission"},
    {"odata", "logs"},
    {"operations", "cache"},
    {"replicas"},
    {"planning"},
    {"execution", "metadata"},
    {"introspection"},
    {"request"},
    {"writes"},
    {"view_resolvers"},
    {"failures", "fallback_resolvers", "cost"},
    {"completion"},
    {"engine"},
    {"changes", "unified"},
    {"runtime"},
    {"subscriptions"},
    {"explain", "export", "scim", "status"},
    {"imports", "packages"},
    {"jobs", "files"},
    {"environments"},
    {"hooks", "webhooks"},
    {"administration"},
    {"linking"},
    {"http"},
    {"graphiql"},
    {"lifespan"},
    {"app"},
    {"cli"},
    {"__main__"},
)
SCHEMA_FLOORS = (
    {"errors", "operators"},
    {"model", "policy"},
    {"csdl"},
    {"catalog"},
    {"unified"},
    {"writes"},
    {"types"},
    {"introspection", "search", "why"},
    {"compare"},
)
PURE = ("gateway.documents", "gateway.operations", "gateway.planning")
"""Rooms in which nothing waits and nothing is sent."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through statements alone: no expression imports anything, and most nodes are expressions."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from statements_in(statement)


def imports_of(path: Path) -> Iterator[str]:
    """Return the absolute names of the modules that a module imports."""
    own = name_of(path).split(".")
    package = own if path.name == "__init__.py" else own[:-1]
    for node in statements_in(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def imports_by_module() -> dict[str, frozenset[str]]:
    """Read all modules, once; at the import of this one every run of any test would."""
    return {name_of(path): frozenset(imports_of(path)) for path in MODULES}


def test_the_modules_are_found() -> None:
    assert {
        "schema.model.records",
        "gateway.engine",
        "gateway.odata.render",
    } <= imports_by_module().keys()


def test_schema_never_imports_gateway() -> None:
    wrong = {
        module: sorted(i for i in imports if is_in(i, "gateway"))
        for module, imports in imports_by_module().items()
        if is_in(module, "schema")
    }

    assert {module: found for module, found in wrong.items() if found} == {}


def test_the_sandbox_shares_no_query_code_with_the_gateway() -> None:
    """Two readers of one filter that share code can be wrong together (design section 7)."""
    wrong = {
        module: sorted(
            i
            for i in imports
            if is_in(i, "gateway") and i != "gateway" and not is_in(i, "gateway.sandbox")
        )
        for module, imports in imports_by_module().items()
        if is_in(module, "gateway.sandbox")
    }

    assert {module: found for module, found in wrong.items() if found} == {}


def test_only_the_composition_root_and_the_commands_know_the_sandbox() -> None:
    users = {
        module
        for module, imports in imports_by_module().items()
        if any(is_in(i, "gateway.sandbox") for i in imports)
        and not is_in(module, "gateway.sandbox")
        and not is_in(module, "gateway.cli")
    }

    assert users <= {"gateway.runtime.assembly"}


def rooms(package: str, floors: tuple[set[str], ...]) -> set[tuple[str, str]]:
    """Return the imports of a package that lead to the same floor or a higher one, in another room."""
    floor_of = {room: number for number, rooms in enumerate(floors) for room in rooms}
    return {
        (module, other)
        for module, imports in imports_by_module().items()
        if is_in(module, package) and "." in module
        for other in imports
        if is_in(other, package) and "." in other
        if (here := module.split(".")[1]) != (there := other.split(".")[1]) and there in floor_of
        if floor_of[there] >= floor_of[here]
    }


@pytest.mark.parametrize(
    ("package", "floors"),
    [("gateway", FLOORS), ("schema", SCHEMA_FLOORS)],
    ids=["gateway", "schema"],
)
def test_each_module_imports_its_own_room_and_lower_floors(
    package: str, floors: tuple[set[str], ...]
) -> None:
    assert rooms(package, floors) == set()


def test_every_room_has_a_floor() -> None:
    placed = {("gateway", room) for floor in FLOORS for room in floor}
    placed |= {("schema", room) for floor in SCHEMA_FLOORS for room in floor}
    there = {tuple(module.split(".")[:2]) for module in imports_by_module() if "." in module}

    assert there - placed == set()


def test_documents_operations_and_plans_do_no_io() -> None:
    forbidden = {"asyncio", *TRANSPORTS}
    wrong = {
        module: sorted(imports & forbidden)
        for module, imports in imports_by_module().items()
        if any(is_in(module, room) for room in PURE)
    }

    assert {module: found for module, found in wrong.items() if found} == {}


def test_one_module_names_what_is_private_to_uvicorn() -> None:
    users = {
        module
        for module, imports in imports_by_module().items()
        if any(i.startswith("uvicorn.") for i in imports)
    }

    assert users - {"gateway.cli.serve", "gateway.cli.server", "gateway.cli.sandbox"} == {
        "gateway.cli.uvicorn_parts"
    }


PRODUCTS = ("finops", "finops_companies", "finops_presets", "infolog")
"""Modules of ``gateway.odata`` that describe one product."""


def test_products_are_known_to_the_registry_only() -> None:
    """Other modules take a dialect from ``gateway.odata.dialects`` and read its flags, so that none depends on one."""
    products = {f"gateway.odata.{name}" for name in PRODUCTS}
    users = {
        module
        for module, imports in imports_by_module().items()
        if module not in products and any(is_in(i, p) for i in imports for p in products)
    }

    assert users == {"gateway.odata.dialects"}


def test_other_rooms_take_dialects_from_the_registry() -> None:
    users = {
        module
        for module, imports in imports_by_module().items()
        if "gateway.odata.dialect.ODATA" in imports and not is_in(module, "gateway.odata")
    }

    assert users == set()


def test_the_odata_side_knows_nothing_of_graphql() -> None:
    wrong = {
        module: sorted(i for i in imports if is_in(i, "graphql") or is_in(i, "strawberry"))
        for module, imports in imports_by_module().items()
        if is_in(module, "gateway.odata")
    }

    assert {module: found for module, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("library", "doors"),
    [
        (
            "httpx",
            {
                "gateway.app",
                "gateway.cli.size",  # the metrics of a deployment
                # The transport that tests replace.
                "gateway.lifespan",
                "gateway.environments.open_environment",
                "gateway.runtime.assembly",
                "gateway.odata.application_sign_in",
                "gateway.odata.brought_token",
                "gateway.odata.key_vault",
                "gateway.odata.long_values",
                "gateway.odata.vault_keys",
                "gateway.odata.login_http",
                "gateway.odata.on_behalf_of",
                "gateway.odata.token_requests",
                # The keys of issuers; the last one names the type of the transport that tests replace.
                "gateway.identity.key_documents",
                "gateway.identity.sign_in",
                "gateway.identity.token_issuers",
                "gateway.identity.authenticator",
                "gateway.linking.login",
                "gateway.linking.tenants",
                # The manifest of trusted documents at an address.
                "gateway.manifests",
                "gateway.runtime.generations",
                "gateway.odata.attempt",
                "gateway.odata.lazy_request",
                "gateway.odata.client",
                "gateway.odata.package_download",
                "gateway.odata.decoding",
                "gateway.odata.transport_errors",
                "gateway.odata.sending",
                "gateway.odata.transport",
                "gateway.odata.aiohttp_errors",
                "gateway.odata.own_origin",
                "gateway.webhooks",
                "gateway.sandbox.faults",  # raises what httpx raises for a broken connection
            },
        ),
        # The other one names the type of what aiohttp calls.
        (
            "aiohttp",
            {
                "gateway.odata.aiohttp_errors",
                "gateway.odata.direct_reads",
                "gateway.odata.transport",
                "gateway.odata.public_addresses",
                "gateway.odata.name_lookup",
            },
        ),
        ("msal", {"gateway.odata.token_requests"}),
        ("aiodataloader", {"gateway.execution.key_batches"}),
        (
            "starlette",
            {
                "gateway.app",
                "gateway.lifespan",
                "gateway.http",
                "gateway.graphiql",
                "gateway.sandbox",
                # They name the type of the application that uvicorn serves.
                "gateway.cli.serve",
                "gateway.cli.worker",
                "gateway.cli.server",
                "gateway.cli.hangup",
                # One application takes the place of another.
                "gateway.cli.replaceable",
                "gateway.cli.hot_application",
            },
        ),
        (
            "graphql",
            {
                "schema.types",
                "schema.introspection",
                "schema.compare",
                "gateway.documents",
                "gateway.operations",
                "gateway.planning",
                "gateway.introspection",
                "gateway.writes",
                "gateway.request",
                "gateway.engine",
                "gateway.changes",
                "gateway.completion",
                "gateway.fallback_resolvers",
                "gateway.export",  # makes the query for a page of a selection
                "gateway.subscriptions.operation",
                "gateway.subscriptions.following",  # makes the query for changed rows
                "gateway.graphiql.fitting",  # renames what examples select
                "gateway.status.comparison",  # validates operations against a schema that changed
                "gateway.cli.simulate",  # the introspection of a schema that no gateway serves
            },
        ),
        ("strawberry", {"schema.types", "schema.introspection.types"}),
        ("structlog", {"gateway.logs", "gateway.events"}),
        ("prometheus_client", {"gateway.telemetry.exposition"}),
        ("scim2_models", {"gateway.scim"}),
        ("scim2_server", {"gateway.scim", "gateway.http.scim_endpoint"}),  # the type of a response
        ("opentelemetry", {"gateway.telemetry.trace_sink"}),
    ],
)
def test_each_library_has_its_doors(library: str, doors: set[str]) -> None:
    users = {
        m for m, imports in imports_by_module().items() if any(is_in(i, library) for i in imports)
    }

    assert {user for user in users if not any(is_in(user, door) for door in doors)} == set()
    assert {door for door in doors if not any(is_in(user, door) for user in users)} == set()


WAITS = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
CALLBACKS = {
    "gateway.cache.in_flight": "begins tasks and hands out futures, which others await",
    "gateway.cli.bounded_http": "a protocol of the event loop, which calls it back",
    "gateway.cli.connections": "likewise",
    "gateway.cli.sockets": "likewise",
    "gateway.cli.hangup": "installs a handler in the event loop",
    "gateway.cost.metering": "reads whether the task that reports a request is being cancelled",
    "gateway.http.loop_watch": "looks by a timer of the event loop",
    "gateway.hooks.worker_reports": "reads a socket when the event loop says that it can",
    "gateway.http.request_audit": "records counts by a timer of the event loop",
    "gateway.odata.retry": "names the function that others await",
    "gateway.process.time_limit": "ends a task by a timer of the event loop",
    "gateway.replicas.shared_budgets": "gathers what is spent in a moment by a timer",
    "gateway.telemetry.clock_watch": "looks at the clock by a timer of the event loop",
    "gateway.shutdown": "brings the timeouts of others forward",
}
"""Modules that await nothing and need asyncio all the same, with the reason."""


def test_asyncio_is_imported_only_where_something_is_awaited() -> None:
    idle = {
        name_of(path)
        for path in MODULES
        if "asyncio" in imports_by_module()[name_of(path)]
        and not any(isinstance(node, WAITS) for node in ast.walk(ast.parse(path.read_bytes())))
    }

    assert idle == set(CALLBACKS)


def test_only_the_engine_and_explain_see_plans_and_their_execution() -> None:
    """Whoever knows both could decide while running what belongs into the plan."""
    rooms = {
        module.split(".")[1]
        for module, imports in imports_by_module().items()
        if any(is_in(i, "gateway.planning") for i in imports)
        and any(is_in(i, "gateway.execution") for i in imports)
    }
    engine = {"engine", "completion", "request"}

    # What changes is read by plans of the list's own, several in one request.
    assert rooms - engine - {"execution"} == {"changes", "explain", "runtime"}


def test_no_module_is_longer_than_500_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (*MODULES, *TESTS)
    }

    assert {path: lines for path, lines in lengths.items() if lines > 500} == {}


def test_the_test_folders_are_no_packages() -> None:
    """With ``tests/unit/schema/__init__.py``, ``import schema`` could find the tests."""
    assert [str(p) for p in (ROOT / "tests").rglob("__init__.py")] == []


@pytest.mark.parametrize("name", ["schema", "gateway"])
def test_no_other_distribution_owns_our_names(name: str) -> None:
    """PyPI's ``schema`` would overwrite ours silently (house style H8)."""
    owners = set(packages_distributions().get(name, []))

    assert owners <= {"d365-graphql-gateway"}


def test_one_module_knows_where_metadata_documents_are() -> None:
    """The others ask it, so that a clone with nothing beside it is all that a test needs."""
    place = "/".join(("shared", "metadata"))
    knowing = [
        path.name
        for path in TESTS
        if place in (text := path.read_text("utf-8")) or f'{place[:6]}" / "{place[7:]}' in text
    ]

    assert knowing == ["metadata_documents.py"]
