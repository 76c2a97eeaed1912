"""``export``: the file that it writes, or leaves as it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from gateway.cli import schema_commands
from gateway.cli.export import export_list
from gateway.config.settings import Settings
from gateway.errors import Forbidden, SettingsError
from gateway.runtime import assembly
from gateway.sandbox import create_sandbox

SETTINGS = Settings.model_validate({"language": None, "max_page_size": 100})
ROLES = {
    "reader": {"sets": {"CustomersV3": {"export": False}}},
    "exporter": {"sets": {"CustomersV3": {"deny_columns": ["*Credit*"]}}},
}


def test_the_file_has_the_whole_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "customers.ndjson"
    target.write_text("old")

    export_list(SETTINGS, "CustomersV3", target, {"fields": "customerAccount"})

    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(rows) > 200
    assert capsys.readouterr().err == f"{target}: {len(rows)} rows\n"
    mask = os.umask(0)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask
    assert list(tmp_path.iterdir()) == [target]


def test_the_ending_is_the_format(tmp_path: Path) -> None:
    target = tmp_path / "customers.CSV"

    export_list(
        SETTINGS,
        "customersV3",
        target,
        {"fields": "customerAccount", "where": '{customerAccount:{eq:"US-001"}}'},
    )

    assert target.read_bytes() == b"customerAccount\r\nUS-001\r\n"


@pytest.mark.parametrize(
    ("name", "file", "parameters", "message"),
    [
        ("CustomersV3", "a.xls", {}, "ends with none of"),
        ("CustomersV", "a.csv", {}, "Did you mean CustomersV3"),
    ],
)
def test_wrong_arguments_are_refused(
    tmp_path: Path, name: str, file: str, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        export_list(SETTINGS, name, tmp_path / file, parameters)

    assert list(tmp_path.iterdir()) == []


def test_roles_bound_the_file(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(
        update={"roles": Settings.model_validate({"language": None, "roles": ROLES}).roles}
    )
    target = tmp_path / "a.csv"

    export_list(settings, "CustomersV3", target, {}, roles="exporter")

    assert "credit" not in target.read_text().partition("\r\n")[0].lower()
    with pytest.raises(Forbidden):
        export_list(settings, "CustomersV3", target, {}, roles="reader")
    with pytest.raises(SettingsError, match="not export it"):
        export_list(settings, "CustomersV3", target, {}, roles="reader,exporter")


def refusing(monkeypatch: pytest.MonkeyPatch, *, after: int) -> list[str]:
    """Let the service refuse all pages after the first ones; return the pages that are requested."""
    pages: list[str] = []
    real = assembly.open_gateway

    class Refusing(httpx.AsyncBaseTransport):
        def __init__(self) -> None:
            self._sandbox = httpx.ASGITransport(create_sandbox())

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "CustomersV3?" in str(request.url):
                pages.append(str(request.url))
                if len(pages) > after:
                    return httpx.Response(400, json={}, request=request)
            return await self._sandbox.handle_async_request(request)

    def open_gateway(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **{**options, "transport": Refusing()})

    monkeypatch.setattr(schema_commands, "open_gateway", open_gateway)
    return pages


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_resumed_export_reads_the_rest_and_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    whole, target = tmp_path / f"whole.{ending}", tmp_path / f"a.{ending}"
    small = SETTINGS.model_copy(update={"max_page_size": 50})
    with monkeypatch.context() as patched:
        first = refusing(patched, after=3)
        with pytest.raises(typer.Exit):
            export_list(small, "CustomersV3", target, {}, resume=True)
    assert not target.exists()
    log = tmp_path / f".a.{ending}.resume"
    assert [file.stat().st_mode & 0o777 for file in log.iterdir() if file.name == "pages"] == [
        0o600
    ]
    with (log / "pages").open("ab") as pages:
        pages.write(b"[{torn")  # by a kill
    with pytest.raises(SettingsError, match="another export"):
        export_list(small, "CustomersV3", target, {"fields": "id"}, resume=True)

    with monkeypatch.context() as patched:
        rest = refusing(patched, after=100)
        export_list(small, "CustomersV3", target, {}, resume=True)
    refusing(monkeypatch, after=100)
    export_list(small, "CustomersV3", whole, {})

    assert target.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {target.name, whole.name}
    assert not set(first[:3]).intersection(rest)


def test_a_failed_export_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    refusing(monkeypatch, after=1)
    with pytest.raises(typer.Exit) as exited:
        export_list(SETTINGS, "CustomersV3", target, {})

    assert exited.value.exit_code == 1
    assert "UPSTREAM_REJECTED" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.csv", "old")]
