"""``export --source``: the file that comes with data packages, and how an interrupted command goes on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import schema_commands
from gateway.cli.export import export_list
from gateway.config.settings import Settings
from gateway.errors import SettingsError, UpstreamMalformed, UpstreamRejected
from gateway.runtime import assembly
from gateway.sandbox import create_sandbox
from gateway.sandbox.packages import Packages
from tests.support.pages import blocks

DECLARED = tomllib.loads(blocks("toml", of="data/packages")[0].text)["packages"]
PACKAGE = {"source": "package", "companies": "usmf,demf", "fields": "customerAccount,dataAreaId"}


@pytest.fixture(scope="module")
def packages() -> Iterator[Packages]:
    """The data management framework of a sandbox that all commands use."""
    sandbox = create_sandbox()
    real = assembly.open_gateway

    def open_gateway(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **{**options, "transport": httpx.ASGITransport(sandbox)})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schema_commands, "open_gateway", open_gateway)
        yield sandbox.state.packages


@pytest.fixture(autouse=True)
def _anew(packages: Packages) -> None:
    packages.reset()


def settings(**more: Any) -> Settings:
    return Settings.model_validate(
        {"language": None, "packages": {**DECLARED, "poll": 0.001, **more}}
    )


def test_the_file_comes_with_packages(
    tmp_path: Path, packages: Packages, capsys: pytest.CaptureFixture[str]
) -> None:
    by_package, by_odata = tmp_path / "a.csv", tmp_path / "b.csv"

    export_list(settings(), "CustomersV3", by_package, PACKAGE)
    export_list(settings(), "CustomersV3", by_odata, {**PACKAGE, "source": "odata"})

    assert [each.company for each in packages.executions.values()] == ["demf", "usmf"]
    lines = [sorted(file.read_text().splitlines()) for file in (by_package, by_odata)]
    assert lines[0] == lines[1]
    assert capsys.readouterr().err.startswith(
        f"{by_package}: {len(lines[0]) - 1} rows, from data packages\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv"}


def test_the_number_of_rows_decides(tmp_path: Path, packages: Packages) -> None:
    parameters = {**PACKAGE, "source": "auto"}
    export_list(settings(), "CustomersV3", tmp_path / "a.csv", parameters)
    few = dict(packages.executions)
    export_list(settings(min_rows=50), "CustomersV3", tmp_path / "b.csv", parameters)

    assert (few, len(packages.executions)) == ({}, 2)


def test_a_resumed_export_polls_the_same_executions(tmp_path: Path, packages: Packages) -> None:
    target = tmp_path / "a.ndjson"
    target.write_text("old")
    packages.fault = "truncated"
    with pytest.raises(UpstreamMalformed):
        export_list(settings(), "CustomersV3", target, PACKAGE, resume=True)
    assert target.read_text() == "old"
    log = tmp_path / ".a.ndjson.resume"
    assert [path.name for path in log.iterdir()] == ["executions"]
    begun = list(packages.executions)
    left = tmp_path / ".a.ndjson.package"
    left.mkdir()
    (left / "package.zip").write_text("left by a kill")
    with pytest.raises(SettingsError, match="that of another export"):
        export_list(settings(), "CustomersV3", target, {**PACKAGE, "fields": "id"}, resume=True)
    packages.fault = None
    export_list(settings(), "CustomersV3", target, PACKAGE, resume=True)

    assert list(packages.executions)[: len(begun)] == begun == list(packages.executions)[:1]
    assert [each.company for each in packages.executions.values()] == ["demf", "usmf"]
    assert len(target.read_text().splitlines()) > 150
    assert list(tmp_path.iterdir()) == [target]


def test_an_execution_that_fails_is_run_again_as_another(
    tmp_path: Path, packages: Packages
) -> None:
    packages.result = "Failed"
    target = tmp_path / "a.csv"
    for _ in range(2):
        with pytest.raises(UpstreamRejected, match="has ended as Failed"):
            export_list(settings(), "CustomersV3", target, PACKAGE, resume=True)

    assert len(packages.executions) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("VendorsV2", {"source": "package"}),
        ("CustomersV3", {"source": "package", "where": '{nameAlias: {contains: "a"}}'}),
        ("CustomersV3", {"source": "fax"}),
    ],
)
def test_what_cannot_be_a_package_is_refused(
    tmp_path: Path, packages: Packages, name: str, parameters: dict[str, str]
) -> None:
    with pytest.raises(Exception, match="source"):
        export_list(settings(), name, tmp_path / "a.csv", parameters)

    assert packages.executions == {}
    assert list(tmp_path.iterdir()) == []
