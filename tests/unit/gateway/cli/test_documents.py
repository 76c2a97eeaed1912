"""`documents check`: what it prints of documents, and of what a change breaks or makes dearer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.document_report import Change, Finding, changes_between, report_of
from gateway.cli.documents import CheckOptions, exit_code, print_check
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from tests.support.changing_metadata import csdl
from tests.support.manifests import write

LIST = "query Things { things(first: 1) { nodes { id name } } }"
COLOURS = "query Colours { things { nodes { colour } } }"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a metadata document with a set of things, which have names only."""
    return of(tmp_path, csdl("Name"))


def of(folder: Path, metadata: str, **more: Any) -> Settings:
    write(folder / "metadata.xml", metadata)
    manifest = write(folder / "manifest.json", {"list": LIST, "colours": COLOURS})
    values = {
        "metadata": str(folder / "metadata.xml"),
        "language": None,
        "cache_dir": None,
        "data_dir": None,
        "documents": {"manifest": str(manifest)},
        **more,
    }
    return Settings.model_validate(values)


def checked(
    capsys: pytest.CaptureFixture[str], settings: Settings, **options: Any
) -> tuple[int, Any]:
    code = print_check(settings, CheckOptions(as_json=True, **options))
    return code, json.loads(capsys.readouterr().out)


def test_a_document_that_cannot_run_is_anexit_code(
    capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    code, report = checked(capsys, settings)

    assert (code, report["documents"], report["broken"]) == (3, 2, 1)
    (broken,) = [o for o in report["operations"] if "code" in o]
    assert (broken["id"], broken["code"]) == ("colours", "GRAPHQL_VALIDATION_FAILED")
    assert "colour" in broken["messages"][0]


def test_the_text_is_for_people(capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
    assert print_check(settings, CheckOptions()) == 3

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("broken   Colours (colours): GRAPHQL_VALIDATION_FAILED: Cannot")
    assert lines[-1] == "2 documents, 1 broken."


def test_a_report_is_what_a_later_check_is_compared_with(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, settings: Settings
) -> None:
    _, report = checked(capsys, settings)
    against = str(write(tmp_path / "report.json", report))

    assert checked(capsys, settings, against=against) == (0, {**report, "changes": []})
    code, mended = checked(capsys, of(tmp_path, csdl("Name", "Colour")), against=against)

    assert (code, mended["broken"]) == (0, 0)
    assert [(c["change"], c["after"]["id"]) for c in mended["changes"]] == [("mended", "colours")]


def test_new_metadata_break_documents(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, settings: Settings
) -> None:
    before = write(tmp_path / "before.xml", csdl("Name", "Colour"))

    code, report = checked(capsys, settings, against=str(before))

    assert code == 3
    assert [(c["change"], c["after"]["id"]) for c in report["changes"]] == [("broke", "colours")]


def test_a_role_that_sees_less_breaks_documents(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    metadata = csdl("Name", "Colour")
    columns = {"deny_columns": ["Colour"]}
    roles = {"viewer": {"sets": {"Things": columns}}}
    settings = of(tmp_path, metadata, roles=roles, data_dir=str(tmp_path))
    before = write(
        tmp_path / "before.toml",
        f'metadata = "{tmp_path / "metadata.xml"}"\ncache_dir = "none"\n[roles.viewer.sets.Things]\n',
    )

    code, report = checked(capsys, settings, roles="viewer", against=str(before))

    assert code == 3
    assert [(c["change"], c["after"]["id"]) for c in report["changes"]] == [("broke", "colours")]
    assert checked(capsys, settings)[0] == 0


def test_a_profile_has_its_own_documents(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    metadata = csdl("Name", "Colour", sets=("Things", "Others"))
    settings = of(tmp_path, metadata, profiles={"others": {"include": ["Others"]}})

    assert checked(capsys, settings)[0] == 0
    code, report = checked(capsys, settings, profile="others")
    assert (code, report["broken"]) == (3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"manifest": "none.json"}, "documents.manifest: none.json"),
        ({"manifest": "http://cdn.example/m.json"}, "not a manifest's address"),
        ({"max_dearer": 5.0}, "--max-dearer needs --against"),
        ({"against": "none.json"}, "none.json cannot be read"),
        ({"against": "other.json"}, "other.json is not the output of documents check"),
    ],
)
def test_arguments_that_cannot_be_used_are_reported(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other.json", {"documents": "many"})

    with pytest.raises(SettingsError, match=message):
        print_check(settings, CheckOptions(**options))


def test_without_a_manifest_there_is_nothing_to_check() -> None:
    with pytest.raises(SettingsError, match="no trusted documents"):
        print_check(Settings(), CheckOptions())


@pytest.mark.parametrize(("most", "code"), [(None, 0), (150.0, 0), (50.0, 4)])
def test_what_became_dearer_is_listed(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    settings: Settings,
    most: float | None,
    code: int,
) -> None:
    _, report = checked(capsys, settings)
    for operation in report["operations"]:
        operation["seconds"] = operation.get("seconds", 0) / 2
    against = str(write(tmp_path / "report.json", report))

    found, report = checked(capsys, settings, against=against, max_dearer=most)

    assert found == code
    (change,) = report["changes"]
    assert (change["change"], change["after"]["id"], change["percent"]) == ("dearer", "list", 100.0)


def finding(name: str, seconds: float | None = None, **more: Any) -> Finding:
    requests = None if seconds is None else 1.0
    return Finding(id=name, operation=name, seconds=seconds, requests=requests, **more)


def test_changes_are_ordered_by_their_weight() -> None:
    before = [
        finding("a", 1.0),
        finding("b", 1.0),
        finding("c", 1.0),
        finding("d", 1.0),
        finding("e", code="C"),
        finding("f", 1.0),
        finding("g", code="C"),
    ]
    after = [
        finding("a", 1.2),
        finding("b", 2.0),
        finding("c", 0.5),
        finding("d", 1.04),
        finding("e", 1.0),
        finding("f", code="C", messages=("gone",)),
        finding("g", code="C"),
        finding("new", code="C"),
        finding("newer", 9.0),
    ]

    changes = list(changes_between(before, after))

    assert [(c.change, c.after.id, c.percent) for c in changes] == [
        ("broke", "f", None),
        ("broke", "new", None),
        ("dearer", "b", 100.0),
        ("dearer", "a", 20.0),
        ("cheaper", "c", -50.0),
        ("mended", "e", None),
    ]
    assert list(report_of(after, changes).lines())[:3] == [
        "broke    f: C: gone",
        "broke    new: C",
        "dearer   b: 1 request, 1 s → 1 request, 2 s (+100 %)",
    ]


@pytest.mark.parametrize(("percent", "code"), [(50.0, 0), (10.0, 4)])
def test_dearer_documents_are_an_exit_code_on_request(percent: float, code: int) -> None:
    change = Change(change="dearer", after=finding("a", 1.2), before=finding("a", 1), percent=20.0)

    assert exit_code(report_of([finding("a", 1.2)], [change]), [change], percent) == code
