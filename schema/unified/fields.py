"""Reads the fields of unified types in mapping files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from schema.errors import did_you_mean

from .convert import CONVERSIONS
from .records import PARTS, FieldSpec, ItemSpec

SCALARS = (
    *("ID", "String", "Int", "Long", "Float", "Decimal", "Boolean", "Date", "DateTime", "UUID"),
    "Base64",
)
"""Types of values that a mapping may name."""
_TABLES = Path(__file__).parent / "tables"
_OPTIONS = (
    *(
        "type",
        "column",
        "constant",
        "values",
        "otherwise",
        "empty",
        "convert",
        "part",
        "join",
        "many",
        "paged",
    ),
    *("minus", "sum"),
    *("collect", "distinct", "highest", "file", "absent", "filter", "description"),
)


class ProblemError(ValueError):
    """What is wrong with a field."""


def read_field(name: str, value: object, *, is_part: bool = False) -> FieldSpec:
    """Return a field; a text alone is a column. ``is_part``: of a collected item. Raises ProblemError."""
    if isinstance(value, str | list):
        value = {"column": value}
    if not isinstance(value, Mapping):
        raise ProblemError('it is a column or a table, such as { column = "Name" }.')
    for option in value:
        if option not in _OPTIONS:
            raise ProblemError(f"there is no option {option}.{did_you_mean(option, _OPTIONS)}")
    convert = _text(value, "convert")
    if convert and convert not in CONVERSIONS:
        raise ProblemError(
            f"convert: there is no conversion {convert}.{did_you_mean(convert, CONVERSIONS)}"
            f" It is one of {', '.join(CONVERSIONS)}."
        )
    field = FieldSpec(
        name=name,
        type=_text(value, "type") or "String",
        paths=_texts(value, "column"),
        minus=_text(value, "minus"),
        sum=value.get("sum") is True,
        constant=value.get("constant"),
        values=_values(value.get("values", {})),
        otherwise=_text(value, "otherwise") or None,
        empty=_text(value, "empty") or None,
        convert=convert,
        part=_text(value, "part"),
        join=_text(value, "join"),
        many=value.get("many") is True,
        paged=value.get("paged") is True,
        collect=tuple(map(_item, value.get("collect", ()))),
        distinct=_text(value, "distinct"),
        highest=_texts(value, "highest"),
        file=_text(value, "file"),
        absent=_text(value, "absent"),
        filter=value.get("filter") is not False,
        description=_text(value, "description"),
    )
    if is_part:
        _check_part(field)
    else:
        _check(field)
    return field


def _check_part(field: FieldSpec) -> None:
    others = (field.paths, field.collect, field.join, field.absent, field.constant, field.minus)
    if any(other not in ((), "", None) for other in others):
        raise ProblemError(
            "items are collected by fields of other types: it takes type, values, convert and description."
        )


def _check(field: FieldSpec) -> None:
    is_object = field.type not in SCALARS
    says = [bool(field.paths), field.constant is not None, bool(field.collect), bool(field.absent)]
    says.append(bool(field.file))
    if field.name == "id":
        if any(says) or field.type != "ID":
            raise ProblemError('the id is that of the row: write id = { type = "ID" }.')
        return
    if sum(says) > 1:
        raise ProblemError("it has more than one of column, constant, collect, file and absent.")
    if not any(says) and not is_object:
        raise ProblemError("it needs one of column, constant, collect, file and absent.")
    if field.highest and len(field.paths) != 1:
        raise ProblemError("highest needs one column, of the rows of a join with many = true.")
    _check_amount(field)
    if field.file and field.type != "String":
        raise ProblemError("file has the path of a file: its type is String.")
    if field.part:
        _check_parts(field)
    if field.collect and field.join:
        raise ProblemError("join and collect exclude each other: the paths of collect name joins.")


def _check_amount(field: FieldSpec) -> None:
    if (field.minus or field.sum) and (len(field.paths) != 1 or field.type != "Decimal"):
        raise ProblemError("minus and sum need one column, and the type Decimal.")
    if field.minus and field.sum:
        raise ProblemError("minus and sum exclude each other.")


def _check_parts(field: FieldSpec) -> None:
    if field.part not in PARTS:
        raise ProblemError(
            f"part: there is no part {field.part}.{did_you_mean(field.part, PARTS)}"
            f" It is one of {', '.join(PARTS)}."
        )
    others = (field.values, field.otherwise, field.empty, field.convert, field.highest, field.minus)
    if len(field.paths) != 1 or field.type != "String" or any(others) or field.many or field.sum:
        raise ProblemError("part needs one column, and goes with nothing but a description.")


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise ProblemError(f"{name}: it is a text.")
    return value


def _texts(table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = table.get(name, ())
    texts = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(text, str) and text for text in texts):
        raise ProblemError(f"{name}: it is a text, or a list of texts.")
    return texts


def _values(value: object) -> Mapping[str, str]:
    if isinstance(value, str):
        table = value_tables().get(value)
        if table is None:
            raise ProblemError(
                f"values: there is no table {value}.{did_you_mean(value, value_tables())}"
            )
        return table
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise ProblemError("values: it is a table of texts, or the name of a table.")
    return {str(key): text for key, text in value.items()}


def _item(value: object) -> ItemSpec:
    if not isinstance(value, Mapping):
        raise ProblemError('collect: an item is a table, such as { value = "Email" }.')
    paths, constants = dict[str, str](), dict[str, Any]()
    for name, part in value.items():
        if isinstance(part, Mapping) and set(part) == {"constant"}:
            constants[name] = part["constant"]
        elif isinstance(part, str):
            paths[name] = part
        else:
            raise ProblemError(f"collect: {name} is a column, or {{ constant = … }}.")
    if not paths:
        raise ProblemError("collect: an item needs a column.")
    return ItemSpec(paths, constants)


@cache
def value_tables() -> Mapping[str, Mapping[str, str]]:
    """Return the tables of values that mappings may name."""
    return {
        file.stem: tomllib.loads(file.read_text(encoding="utf-8"))
        for file in sorted(_TABLES.glob("*.toml"))
    }
