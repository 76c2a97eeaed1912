"""Every address and every kind of root field is in the list of doors."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Route, WebSocketRoute

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http.admin_app import AdminContext, create_admin_app
from gateway.http.admin_metrics import MetricsSource
from gateway.http.presence import is_below
from gateway.introspection.introspection_selection import BELOW
from schema.catalog.records import RootKind, Verb
from schema.types.federation import SERVICE
from schema.types.subscriptions import ENTITY_CHANGED
from tests.support.doors import ADMIN_DOORS, DOORS, READS, SUBSCRIPTIONS, WRITES

PROFILE = "ap"
SETTINGS = {
    "admin_token": "0123456789abcdef",
    "roles": {"clerk": {"sets": {"*": {}}}},
    "profiles": {PROFILE: {"include": ["*"], "roles": ["clerk"]}},
    "sandbox": {"roles": True},
    "stored_environments": True,
    "linking": {"public_url": "https://erp.example.com", "allowed_hosts": ["127.0.0.1"]},
}


def addresses(folder: Path) -> set[tuple[str, str]]:
    found = set[tuple[str, str]]()
    settings = Settings.model_validate({**SETTINGS, "data_dir": folder})
    for route in create_app(settings).routes:
        assert isinstance(route, Route | WebSocketRoute), route
        found.add((_kind(route), route.path))
    return found


def _kind(route: BaseRoute) -> str:
    return "websocket" if isinstance(route, WebSocketRoute) else "http"


def listed() -> set[tuple[str, str]]:
    found = {(door.kind, door.path) for door in DOORS}
    for door in DOORS:
        if door.of_profiles:
            root, first, *below = door.path.split("/")
            found.add((door.kind, "/".join((root, first, PROFILE, *below))))
    return found


def test_every_address_is_a_door(tmp_path: Path) -> None:
    assert addresses(tmp_path) == listed()


def test_every_address_of_the_second_listener_is_a_door(tmp_path: Path) -> None:
    settings = Settings.model_validate({**SETTINGS, "data_dir": tmp_path})
    metrics = MetricsSource(texts=dict, is_apart=False)
    context = AdminContext(settings=settings, workers=tuple, observe=print, metrics=metrics)

    routes = create_admin_app(context).routes

    assert {(_kind(r), r.path) for r in routes if isinstance(r, Route | WebSocketRoute)} == {
        ("http", path) for path in ADMIN_DOORS
    }
    assert len(routes) == len(ADMIN_DOORS)


def test_every_kind_of_root_field_is_a_door() -> None:
    about_the_schema = {*BELOW["Query"], SERVICE} - {"__typename"}

    assert set(READS) == {kind.value for kind in RootKind} | about_the_schema
    assert set(WRITES) == {verb.value for verb in Verb}
    assert SUBSCRIPTIONS == (ENTITY_CHANGED,)


def test_each_environment_has_the_doors_of_the_api() -> None:
    """Of the gateway's own addresses none is below that of an environment."""
    assert {door.path for door in DOORS if door.of_environments} == {
        door.path for door in DOORS if is_below(door.path)
    }
