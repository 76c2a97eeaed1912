"""``import``: what it writes, prints and exits with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import typer

from gateway.cli.imports import ImportOptions, import_file
from gateway.config.settings import Settings
from gateway.errors import SettingsError

SETTINGS = Settings.model_validate({"language": None})
USMF = {"companies": "usmf"}
CSV = "customerGroupId,description,paymentTermId\nAA,new,\nAB,new,no such terms\n"


def written(file: Path, text: str) -> Path:
    packed = gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode()
    file.write_bytes(packed)
    return file


def test_all_results_go_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "groups.csv.gz", CSV)
    results = tmp_path / "results.ndjson"
    audit = {"sink": "file", "path": tmp_path / "audit"}
    settings = SETTINGS.model_copy(
        update={"audit": SETTINGS.audit.model_copy(update=audit), "data_dir": tmp_path}
    )

    with pytest.raises(typer.Exit) as exited:
        import_file(
            settings, "CustomerGroups", file, USMF, ImportOptions(results=results, key="one")
        )

    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [row["status"] for row in rows] == ["created", "refused"]
    assert exited.value.exit_code == 3
    assert capsys.readouterr() == ("", f"{file}: 2 rows (1 created, 1 refused)\n")
    (log,) = (tmp_path / "audit").glob("*.jsonl")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    written_keys = [e["key"]["CustomerGroupId"] for e in entries if e["kind"] == "write"]
    assert written_keys == ["AA", "AB"]
    assert {e["who"]["kind"] for e in entries if e["kind"] == "write"} == {"os"}


def test_refused_rows_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "groups.csv", CSV)

    with pytest.raises(typer.Exit) as exited:
        import_file(SETTINGS, "customerGroups", file, {**USMF, "mode": "upsert"}, ImportOptions())

    (row,) = capsys.readouterr().out.splitlines()
    assert json.loads(row)["row"] == 2
    assert exited.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "file", "parameters", "message"),
    [
        ("CustomerGroups", "a.xls", {}, "ends with none of"),
        ("CustomerGroup", "a.csv", {}, "There is no list"),
        ("CustomerGroups", "a.ndjson.gz", {}, "is not compressed"),
    ],
)
def test_what_cannot_run_is_an_error(
    tmp_path: Path, name: str, file: str, parameters: dict[str, str], message: str
) -> None:
    path = tmp_path / file
    path.write_text("{}")

    with pytest.raises(SettingsError, match=message):
        import_file(SETTINGS, name, path, parameters, ImportOptions())


@pytest.mark.parametrize(
    ("text", "parameters", "status"),
    [("no header here,\n1,2\n", {}, 2), (CSV, {"maxErrors": "0"}, 1)],
)
def test_an_import_that_ends_early_says_why(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    parameters: dict[str, str],
    status: int,
) -> None:
    file = written(tmp_path / "groups.csv", text)

    with pytest.raises(typer.Exit) as exited:
        import_file(SETTINGS, "CustomerGroups", file, {**USMF, **parameters}, ImportOptions())

    assert exited.value.exit_code == status
    assert ("TOO_MANY_ERRORS" if status == 1 else "BAD_ARGUMENT") in capsys.readouterr().err
