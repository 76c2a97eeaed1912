"""Profiles when the metadata changes, and snapshots of large ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.events import ProfileOpened, ReloadFailed
from gateway.http.endpoints import API
from gateway.metadata import model_builder as models
from schema.model.exposure import keep
from schema.model.records import Model
from tests.support.changing_metadata import Changing, build_here, csdl
from tests.support.profiles import serve

pytestmark = pytest.mark.anyio


CHANGING = {
    "url": "https://fo.example/data",
    "auth": "none",
    "language": None,
    "cache_dir": None,
    "metadata_poll": 0,
    "profiles": {"p": {"include": ["Thing*"]}, "q": {"include": ["Thing*"]}},
}
SHAPE = '{ __type(name: "Thing") { fields { name } } }'


@pytest.mark.heavy
async def test_new_metadata_reaches_open_and_unopened_profiles() -> None:
    service = Changing(csdl("Name"))
    async for served in serve(Settings.model_validate(CHANGING), service, build_here):
        before = await served.ask(f"{API}/p", SHAPE)
        service.document = csdl("Name", "Colour")

        assert (await served.app.state.reloader.reload("signal")).outcome == "changed"

        for path in (API, f"{API}/p", f"{API}/q"):
            body = await served.ask(path, SHAPE)
            assert "colour" in str(body)
            assert "colour" not in str(before)
        assert [event.profile for event in served.said(ProfileOpened)] == ["p", "p", "q"]


async def test_metadata_without_the_sets_of_a_profile_is_refused() -> None:
    service = Changing(csdl("Name"))
    async for served in serve(Settings.model_validate(CHANGING), service, build_here):
        before = await served.ask(f"{API}/p", SHAPE)
        service.document = csdl("Name", sets=("Others",))

        assert (await served.app.state.reloader.reload("signal")).outcome == "failed"

        assert "profiles.p.include" in served.said(ReloadFailed)[0].message
        assert await served.ask(f"{API}/p", SHAPE) == before == await served.ask(API, SHAPE)


# Large ones


async def test_a_large_profile_has_its_own_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "SMALL", 2)
    service = Changing(csdl("Name", sets=("As", "Bs", "Cs", "Ds")))
    settings = {**CHANGING, "cache_dir": tmp_path, "profiles": {"p": {"exclude": ["Ds"]}}}
    query = "{ __schema { types { name } queryType { fields { name } } } }"
    answers: list[Any] = []
    narrowings: list[tuple[str, ...]] = []

    def counted(whole: Model, chosen: tuple[str, ...]) -> Model:
        narrowings.append(chosen)
        return keep(whole, chosen)

    monkeypatch.setattr(models, "keep", counted)
    for _ in range(2):
        async for served in serve(Settings.model_validate(settings), service):
            answers += [await served.ask(f"{API}/p", query)]

    assert answers[0] == answers[1]
    assert "errors" not in answers[0]
    assert narrowings == [("As", "Bs", "Cs")]
    assert snapshots(tmp_path) == {"models": 1, "models/profiles": 1}


def snapshots(folder: Path) -> Mapping[str, int]:
    return Counter(str(p.parent.relative_to(folder)) for p in folder.rglob("*.snapshot"))
