"""Introspection answers of role views: written by a subprocess, and stored in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.introspection import answers as introspection_module
from gateway.runtime.assembly import Gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.storage.sealing import Sealer
from schema.policy.view import RoleView
from tests.support.introspections import (
    EVERYTHING,
    assert_same,
    build_eagerly,
    introspect_with_graphql_core,
)
from tests.unit.gateway.introspection.test_answers import ask, opened, settings_of

pytestmark = pytest.mark.anyio


@pytest.mark.heavy
async def test_a_subprocess_writes_what_the_roles_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection_module, "SMALL", 0)
    roles = {"r": {"sets": {"Things": {"deny_columns": ["Name"]}}}, "all": {"sets": {"*": {}}}}
    async with opened(settings_of(tmp_path, roles=roles)) as gateway:
        views = {name: view_of_role(gateway, name) for name in roles}
        expected = introspect_with_graphql_core(build_eagerly(views["r"].schema.core), EVERYTHING)
        monkeypatch.setattr(introspection_module, "whole_answer", None)  # nothing is written here
        answer = await ask(views["r"], EVERYTHING)
        other = await ask(views["all"], EVERYTHING)

    assert_same(answer, {"data": expected})
    names = {t["name"] for t in answer["data"]["__schema"]["types"]}
    assert "Other" not in names
    assert "Other" in {t["name"] for t in other["data"]["__schema"]["types"]}
    folder = tmp_path / "cache/introspection/roles"
    assert [path.suffix for path in folder.iterdir()] == [".zstd", ".zstd"]


def view_of_role(gateway: Gateway, name: str) -> Gateway:
    assert gateway.policy is not None
    view = RoleView(gateway.policy, (name,))
    return build_view(gateway, view, row_rules(gateway), Sealer(b"secret"))
