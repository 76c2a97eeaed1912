"""Mapping files: what they may say, how they extend each other, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from schema.unified.load import MappingError, load_models, read_models

GOOD = """
namespace = "assets"
version = 1
[enums.State]
values = { FREE = "", LENT = "" }
[types.Device]
set = "Devices"
list = "devices"
[types.Device.joins]
worker = { set = "Workers", on = "Holder=Number" }
[types.Device.fields]
id = { type = "ID" }
name = "Name"
"""
MISTAKES = [
    ("version = 1", "", "assets.toml: version is missing"),
    ('namespace = "assets"', "", "assets.toml: namespace is missing"),
    ("version = 1", "versoin = 1", "there is no option versoin. Did you mean version?"),
    ("version = 1", "version = ", "assets.toml: it is no TOML"),
    ("FREE", "free", "enums.State.values: free is not UPPER_SNAKE"),
    ("types.Device", "types.device", "a type is called like Account"),
    ('set = "Devices"', 'sett = "Devices"', "types.Device: there is no option sett"),
    ('set = "Devices"', "", "types.Device.list: nothing can be listed without a set"),
    ('on = "Holder=Number"', 'om = "x"', "joins.worker: there is no option om."),
    ('on = "Holder=Number"', "many = true", "joins.worker: on is missing"),
    ('set = "Workers", ', "", "joins.worker: set is missing"),
    ('"Holder=Number"', '"Holder=Number", after = "x"', "joins.worker.after: there is no join x"),
    ('"Holder=Number"', '"A", after = "worker"', "joins.worker.after: it leads back to itself"),
    ('"Holder=Number"', '"A", where = { B = { eqq = 1 } }', "where.B: there is no operator eqq"),
    ('"Holder=Number"', '"A", where = { B = { in = 1 } }', "in and nin take a list"),
    ('"Holder=Number"', '"A", where = 1', "worker.where: it is a table"),
    ('name = "Name"', "name = 1", "fields.name: it is a column or a table"),
    ('name = "Name"', 'Name = "Name"', "fields.Name: a field is called like postingStatus"),
    ('name = "Name"', 'raw = "Name"', "fields.raw: a field is called like postingStatus, not raw"),
    ('name = "Name"', 'name = { colum = "A" }', "there is no option colum. Did you mean column?"),
    ('name = "Name"', "name = { column = 1 }", "column: it is a text, or a list of texts"),
    ('name = "Name"', 'name = { type = "String" }', "it needs one of column, constant"),
    ('name = "Name"', 'name = { column = "A", constant = 1 }', "it has more than one of column"),
    ('name = "Name"', 'name = "wroker.A"', "there is no join wroker. Did you mean worker?"),
    ('name = "Name"', 'name = { column = "A", type = "Stat" }', "there is no type Stat"),
    ('name = "Name"', 'name = { column = "A", values = "zones" }', "there is no table zones"),
    ('name = "Name"', 'name = { column = "A", convert = "x" }', "there is no conversion x"),
    (
        'name = "Name"',
        'name = { column = "A", type = "State", values = { a = "LEND" } }',
        "there is no value of State LEND. Did you mean LENT?",
    ),
    ('name = "Name"', 'name = { type = "State", join = "x" }', "there is no join x"),
    (
        'name = "Name"',
        'name = { column = ["A", "B"], highest = ["C"] }',
        "highest needs one column",
    ),
    ('name = "Name"', "name = { collect = [{}] }", "collect: an item needs a column"),
    ('name = "Name"', 'name = { collect = [{ v = "A" }] }', "collect makes items of a type"),
    ('id = { type = "ID" }', 'id = "Name"', "the id is that of the row"),
]


@pytest.mark.parametrize(("text", "mistake", "message"), MISTAKES)
def test_a_mistake_is_reported_with_its_place(
    text: str, mistake: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "assets.toml"
    file.write_text(GOOD.replace(text, mistake), "utf-8")

    with pytest.raises(MappingError) as caught:
        read_models([file])

    assert message in str(caught.value)
    assert "assets.toml" in str(caught.value)
    assert caught.value.hint


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "assets.toml"
    file.write_text(GOOD.replace("version = 1", "").replace('"Name"', "1"), "utf-8")

    with pytest.raises(MappingError) as caught:
        read_models([file])

    assert len(caught.value.problems) == 2


def test_a_mistake_is_that_of_the_file_that_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "directory.toml"
    file.write_text('namespace = "directory"\n[types.User.fields]\nname = "persn.Name"\n', "utf-8")

    with pytest.raises(MappingError) as caught:
        load_models([file])

    (problem,) = caught.value.problems
    assert problem == (
        f"{tmp_path.name}/directory.toml: types.User.fields.name.column:"
        " there is no join persn. Did you mean person?"
    )


def test_a_further_file_extends_a_model(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        """
        namespace = "directory"
        version = "contoso"
        extends = 1
        [types.User]
        list = "people"
        [types.User.fields]
        costCenter = "CostCenter"
        middleName = false
        [types.User.fields.title]
        column = "Title"
        [types.User.fields.phones]
        description = "Other words."
        """,
        "utf-8",
    )

    model = next(m for m in load_models([file]) if m.namespace == "directory")

    fields = model.types["User"].fields
    assert model.version == "1, contoso"
    assert model.types["User"].list == "people"
    assert fields["costCenter"].paths == ("CostCenter",)
    assert "middleName" not in fields
    assert fields["title"].paths == ("Title",)
    assert (fields["phones"].description, len(fields["phones"].collect)) == ("Other words.", 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'namespace = "directory"\nextends = 7',
            "it is for version 7 of the model, which has version 1",
        ),
        ('namespace = "mine"\nextends = 1', "there is no model that it extends"),
    ],
)
def test_another_version_than_expected_stops_the_start(
    text: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, "utf-8")

    with pytest.raises(MappingError) as caught:
        load_models([file])

    assert any(line.startswith(f"own.toml: extends: {problem}") for line in caught.value.problems)


def test_two_types_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "assets.toml"
    file.write_text(GOOD.replace("Device", "User"), "utf-8")

    with pytest.raises(MappingError, match="two types called User"):
        load_models([file])
