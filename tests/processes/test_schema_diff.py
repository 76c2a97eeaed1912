"""``schema diff``: from files of every kind and the current schema, with the exit codes that pipelines read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from graphql import build_schema, introspection_from_schema

from tests.support.process import Finished, invoke
from tests.support.soak import bounded

OLD = "type Query { a: Int b(of: Mood): Mood }\nenum Mood { GOOD }\n"
SAFE = OLD.replace("a: Int", "a: Int! c: Int")
DANGEROUS = OLD.replace("GOOD", "GOOD BAD")
BREAKING = DANGEROUS.replace("a: Int", "c: Int")
METADATA = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.DataEntities" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Customer"><Key><PropertyRef Name="Account"/></Key>
<Property Name="Account" Type="Edm.String" Nullable="false"/>
<Property Name="Name" Type="Edm.String"/></EntityType>
<EntityType Name="Vendor"><Key><PropertyRef Name="Account"/></Key>
<Property Name="Account" Type="Edm.String" Nullable="false"/></EntityType>
<EntityContainer Name="Resources"><EntitySet Name="Customers" EntityType="Microsoft.Dynamics.DataEntities.Customer"/>
<EntitySet Name="Vendors" EntityType="Microsoft.Dynamics.DataEntities.Vendor"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>
"""
FEWER = METADATA.replace('<Property Name="Name" Type="Edm.String"/>', "")


def diff(folder: Path, old: str, new: str | None, *options: str, **variables: str) -> Finished:
    """Compare two texts, or what they stand for."""
    names = []
    for name, text in (("old", old), ("new", new)):
        if text is None or text == "-":
            names.append(text or "")
            continue
        path = folder / name
        path.write_text(text, "utf-8")
        names.append(str(path))
    return invoke(folder, "schema", "diff", *filter(None, names), *options, **variables)


@pytest.mark.parametrize(
    ("new", "options", "code"),
    [
        (OLD, [], 0),
        (SAFE, [], 0),
        (SAFE, ["--strict"], 0),
        (DANGEROUS, [], 0),
        (DANGEROUS, ["--strict"], 4),
        (BREAKING, [], 3),
        (BREAKING, ["--strict"], 3),
        (BREAKING, ["--include", "Mood"], 0),
        (BREAKING, ["--include", "b", "--include", "A"], 3),
    ],
)
def test_the_worst_change_decides_the_exit_code(
    tmp_path: Path, new: str, options: list[str], code: int
) -> None:
    assert diff(tmp_path, OLD, new, *options).returncode == code


def test_changes_are_grouped_and_counted(tmp_path: Path) -> None:
    result = diff(tmp_path, OLD, BREAKING)

    assert result.stdout.splitlines() == [
        "1 breaking",
        "  1 field removed",
        "  - Field Query.a was removed.",
        "1 dangerous",
        "  1 value added to enum",
        "  - Enum value Mood.BAD was added.",
        "1 safe",
        "  1 field added",
        "  - Field Query.c was added.",
        "2 types compared.",
    ]


def test_json_output_is_one_object(tmp_path: Path) -> None:
    result = json.loads(diff(tmp_path, OLD, BREAKING, "--json").stdout)

    assert {name: result[name] for name in ("breaking", "dangerous", "safe", "compared")} == {
        "breaking": 1,
        "dangerous": 1,
        "safe": 1,
        "compared": 2,
    }
    assert result["changes"][0] == {
        "level": "breaking",
        "kind": "FIELD_REMOVED",
        "place": "Query",
        "description": "Field Query.a was removed.",
    }


def test_descriptions_count_if_requested(tmp_path: Path) -> None:
    new = f'"All."\n{OLD}'

    assert "0 safe" in diff(tmp_path, OLD, new).stdout
    assert "1 description changed" in diff(tmp_path, OLD, new, "--descriptions").stdout


def test_an_introspection_result_is_a_schema(tmp_path: Path) -> None:
    body = json.dumps(introspection_from_schema(build_schema(BREAKING)))

    assert diff(tmp_path, OLD, body).stdout == diff(tmp_path, OLD, BREAKING).stdout


def test_a_metadata_document_counts_as_its_schema(tmp_path: Path) -> None:
    assert diff(tmp_path, METADATA, METADATA).stdout.startswith("0 breaking\n0 dangerous\n0 safe\n")

    result = diff(tmp_path, METADATA, FEWER)

    assert result.returncode == 3
    assert "  - Field Customer.name was removed.\n" in result.stdout


def test_settings_decide_the_schema_of_a_metadata_document(tmp_path: Path) -> None:
    result = diff(tmp_path, METADATA, FEWER, D365_INCLUDE="Vendors")

    assert (result.returncode, result.stderr) == (0, "")
    assert "Customer" not in result.stdout


def test_a_gzipped_document_is_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "metadata.xml.gz"
    packed.write_bytes(gzip.compress(METADATA.encode()))
    plain = tmp_path / "metadata.xml"
    plain.write_text(METADATA, "utf-8")

    assert invoke(tmp_path, "schema", "diff", str(packed), str(plain)).returncode == 0


@pytest.mark.heavy
@pytest.mark.parametrize("values", bounded([["-"]], [[], ["-"]]), ids=str)
def test_the_current_schema_is_the_default(tmp_path: Path, values: list[str]) -> None:
    current = tmp_path / "current.graphql"
    few = {"D365_INCLUDE": "Customer*,Vendor*"}
    printed = invoke(tmp_path, "schema", "print", "--sandbox", **few)
    current.write_text(printed.stdout, "utf-8")

    result = invoke(tmp_path, "schema", "diff", str(current), *values, "--sandbox", **few)

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("0 breaking\n0 dangerous\n0 safe\n")


def test_the_current_schema_can_be_the_old_one(tmp_path: Path) -> None:
    result = diff(tmp_path, "-", OLD, "--sandbox", "--include", "CustomerV3")

    assert result.returncode == 3
    assert "CustomerV3 was removed." in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "options", "message"),
    [
        ("-", None, ["--sandbox"], "compared with itself"),
        ("rubbish", OLD, [], "contains no type definition"),
        ("type A {", OLD, [], "line 1: Syntax Error"),
        ("{}", OLD, [], "not an introspection result"),
        ("<html></html>", OLD, [], "a web page"),
        ("<Edmx>", OLD, [], "line 1"),
        (OLD, OLD, ["--include", "Nope*"], "matches Nope*"),
    ],
)
def test_unreadable_input_exits_with_2(
    tmp_path: Path, old: str, new: str | None, options: list[str], message: str
) -> None:
    result = diff(tmp_path, old, new, *options)

    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"\x1f\x8b\x08rubbish", "not valid gzip"), (b"type \xff", "not UTF-8"), (None, "No such")],
    ids=["gzip", "latin", "absent"],
)
def test_binary_files_exit_with_2(tmp_path: Path, raw: bytes | None, message: str) -> None:
    path = tmp_path / "old"
    if raw is not None:
        path.write_bytes(raw)

    result = invoke(tmp_path, "schema", "diff", str(path), str(path))

    assert result.returncode == 2
    assert message in result.stderr
