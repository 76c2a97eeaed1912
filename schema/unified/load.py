"""Reads mapping files: TOML → :mod:`records`. Every problem is reported with its file, its key and a hint.

Further files of a namespace extend it: their fields, joins and options replace those of the same name, ``false`` takes
one away. So a customer changes a single field of a model without a copy of it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from schema.errors import SchemaError, did_you_mean

from .checks import type_problems
from .fields import ProblemError, read_field
from .records import (
    OPERATORS,
    ConditionSpec,
    EnumSpec,
    FieldSpec,
    JoinSpec,
    ModelSpec,
    TypeSpec,
    WriteSpec,
)

FOLDER = Path(__file__).parent / "models"
_NAME = re.compile(r"[a-z][A-Za-z0-9]*\Z")
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
_ENUM_VALUE = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_TOP = ("namespace", "version", "description", "types", "enums")
_OF_TYPE = (
    *("description", "set", "sets", "list", "single", "where", "joins", "fields"),
    *("writes",),
)
_OF_JOIN = ("set", "on", "via", "after", "many", "where")
_OF_WRITES = ("create", "update", "upsert", "delete", "set", "without", "reason")
_RESERVED = ("Object", "Source")
_OF_ENUM = ("description", "values")


class MappingError(SchemaError):
    """A mapping file that cannot be used."""


def load_models(files: Sequence[Path] = ()) -> tuple[ModelSpec, ...]:
    """Return the models of the product with those of ``files``. Raises MappingError with every problem."""
    return read_models([*sorted(FOLDER.glob("*.toml")), *files])


def read_models(files: Sequence[Path]) -> tuple[ModelSpec, ...]:
    """Return the models that mapping files declare. Raises MappingError with every problem."""
    reading = _Reading()
    for file in files:
        reading.add(file)
    return reading.models()


@cache
def product_models() -> tuple[ModelSpec, ...]:
    """Return the models that come with the gateway."""
    return load_models()


class _Reading:
    """Reads some files; what one declares, a later one may extend."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Any]] = {}
        """Namespace → what its files say, merged."""
        self._files: dict[str, list[str]] = {}
        self._said: dict[tuple[str, ...], str] = {}
        """Namespace and keys → the file that says it; of several the last one."""
        self._problems: list[str] = []

    def add(self, file: Path) -> None:
        """Read a file."""
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            self._problems.append(f"{file.name}: it cannot be read: {error}.")
            return
        except tomllib.TOMLDecodeError as error:
            self._problems.append(f"{file.name}: it is no TOML: {error}.")
            return
        namespace = table.get("namespace")
        if not isinstance(namespace, str) or not _NAME.match(namespace):
            self._problems.append(
                f'{file.name}: namespace is missing: the root field of the model, such as "directory".'
            )
            return
        merged = self._tables.setdefault(namespace, {})
        self._check_version(file.name, merged, table.pop("extends", None))
        if merged and "version" in table:
            table["version"] = f"{merged['version']}, {table['version']}"
        _merge(merged, table, depth=4)
        label = f"{file.parent.name}/{file.name}"
        self._files.setdefault(namespace, []).append(label)
        self._said.update({(namespace, *keys): label for keys in _keys_of(table)})

    def _check_version(self, file: str, model: Mapping[str, Any], extends: object) -> None:
        """Note if a file extends another version of its model than there is."""
        if extends is None:
            return
        # Files that extend it as well have added theirs.
        version = str(model.get("version", "")).partition(",")[0]
        if not version:
            self._problems.append(f"{file}: extends: there is no model that it extends.")
        elif str(extends) != version:
            self._problems.append(
                f"{file}: extends: it is for version {extends} of the model, which has version {version} now."
                " Read in the changelog what has changed, and name the new version."
            )

    def _place(self, namespace: str, *keys: str) -> str:
        """Return where keys are said, for messages: the file and the keys."""
        said = self._said.get((namespace, *keys[:4])) or " + ".join(self._files[namespace])
        return f"{said}: {'.'.join(keys)}"

    def models(self) -> tuple[ModelSpec, ...]:
        """Return the models. Raises MappingError."""
        models = tuple(self._model(*item) for item in self._tables.items())
        self._check_names(models)
        if self._problems:
            raise MappingError(
                "Mapping files of unified models cannot be used:",
                problems=self._problems,
                hint='The format is described on the page "Unified models" of the documentation.',
            )
        return models

    def _model(self, namespace: str, table: Mapping[str, Any]) -> ModelSpec:
        place = " + ".join(self._files[namespace])
        version = table.get("version")
        if not isinstance(version, str | int):
            self._problems.append(f"{place}: version is missing.")
        self._unknown(place, table, _TOP)
        enums = {
            name: self._enum(self._place(namespace, "enums", name), name, value)
            for name, value in _tables(table, "enums")
        }
        types = {
            name: self._type(namespace, name, value) for name, value in _tables(table, "types")
        }
        return ModelSpec(
            namespace=namespace,
            version=str(version),
            description=str(table.get("description", "")),
            types=types,
            enums=enums,
        )

    def _enum(self, place: str, name: str, table: Mapping[str, Any]) -> EnumSpec:
        self._unknown(place, table, _OF_ENUM)
        values = table.get("values")
        if not isinstance(values, Mapping) or not values:
            self._problems.append(
                f"{place}: values is missing, a table of values and descriptions."
            )
            values = {}
        self._problems.extend(
            f"{place}.values: {value} is not UPPER_SNAKE."
            for value in values
            if not _ENUM_VALUE.match(value)
        )
        texts = {value: str(text) for value, text in values.items()}
        return EnumSpec(name, texts, str(table.get("description", "")))

    def _type(self, namespace: str, name: str, table: Mapping[str, Any]) -> TypeSpec:
        place = self._place(namespace, "types", name)
        self._unknown(place, table, _OF_TYPE)
        if not _TYPE_NAME.match(name) or name in _RESERVED:
            self._problems.append(
                f"{place}: a type is called like Account, not {' or '.join(_RESERVED)}."
            )
        sets = table.get("sets", table.get("set", ()))
        sets = (sets,) if isinstance(sets, str) else tuple(sets)
        if table.get("list") and not sets:
            self._problems.append(f"{place}.list: nothing can be listed without a set.")
        fields: dict[str, FieldSpec] = {}
        for field, value in table.get("fields", {}).items():
            if value is False:
                continue
            at = self._place(namespace, "types", name, "fields", field)
            if not _NAME.match(field) or field in ("raw", "sources"):
                self._problems.append(
                    f"{at}: a field is called like postingStatus, not raw or sources."
                )
            try:
                fields[field] = read_field(field, value, is_part=not sets)
            except ProblemError as problem:
                self._problems.append(f"{at}: {problem}")
        if not fields:
            self._problems.append(f"{place}: fields is missing.")
        return TypeSpec(
            name=name,
            description=str(table.get("description", "")),
            sets=sets,
            list=table.get("list", ""),
            single=table.get("single", ""),
            where=tuple(self._conditions(f"{place}.where", table.get("where", {}))),
            joins={
                join: self._join(self._place(namespace, "types", name, "joins", join), join, value)
                for join, value in _tables(table, "joins")
            },
            fields=fields,
            writes=self._writes(f"{place}.writes", table.get("writes", {}), fields),
        )

    def _writes(self, place: str, table: object, fields: Mapping[str, FieldSpec]) -> WriteSpec:
        if not isinstance(table, Mapping):
            self._problems.append(f"{place}: it is a table, such as {{ create = true }}.")
            return WriteSpec()
        self._unknown(place, table, _OF_WRITES)
        without = tuple(table.get("without", ()))
        self._problems.extend(
            f"{place}.without: there is no field {name}.{did_you_mean(name, fields)}"
            for name in without
            if name not in fields
        )
        return WriteSpec(
            create=table.get("create") is True,
            update=table.get("update") is True,
            upsert=table.get("upsert") is True,
            delete=table.get("delete") is True,
            set=dict(table.get("set", {})),
            without=without,
            reason=str(table.get("reason", "")),
        )

    def _join(self, place: str, name: str, table: Mapping[str, Any]) -> JoinSpec:
        self._unknown(place, table, _OF_JOIN)
        if not isinstance(table.get("set"), str):
            self._problems.append(f"{place}: set is missing, the entity set of the related rows.")
        pairs: list[tuple[str, str]] = []
        for pair in str(table.get("on", "")).split(","):
            own, _, theirs = (part.strip() for part in pair.partition("="))
            if own:
                pairs.append((own, theirs or own))
        if not pairs and not table.get("via"):
            self._problems.append(
                f'{place}: on is missing, pairs of equal columns: on = "PartyNumber" or "UserID=UserId".'
            )
        return JoinSpec(
            name=name,
            set=str(table.get("set", "")),
            on=tuple(pairs),
            via=str(table.get("via", "")),
            after=str(table.get("after", "")),
            many=table.get("many") is True,
            where=tuple(self._conditions(f"{place}.where", table.get("where", {}))),
        )

    def _conditions(self, place: str, table: object) -> Iterator[ConditionSpec]:
        if not isinstance(table, Mapping):
            self._problems.append(f'{place}: it is a table, such as {{ Status = "Enabled" }}.')
            return
        for column, condition in table.items():
            operators = condition if isinstance(condition, Mapping) else {"eq": condition}
            for operator, value in operators.items():
                if operator not in OPERATORS:
                    self._problems.append(
                        f"{place}.{column}: there is no operator {operator}."
                        f"{did_you_mean(operator, OPERATORS)} It is one of {', '.join(OPERATORS)}."
                    )
                elif isinstance(value, list) is not (operator in ("in", "nin")):
                    self._problems.append(
                        f"{place}.{column}.{operator}: in and nin take a list, the others one value."
                    )
                else:
                    yield ConditionSpec(
                        column, operator, tuple(value) if isinstance(value, list) else value
                    )

    def _unknown(self, place: str, table: Mapping[str, Any], names: Sequence[str]) -> None:
        self._problems.extend(
            f"{place}: there is no option {name}.{did_you_mean(name, names)}"
            for name in table
            if name not in names
        )

    def _check_names(self, models: Sequence[ModelSpec]) -> None:
        types: dict[str, TypeSpec] = {}
        enums: dict[str, EnumSpec] = {}
        for model in models:
            for name in (*model.types, *model.enums):
                if name in types or name in enums:
                    self._problems.append(f"{model.namespace}: there are two types called {name}.")
            types.update(model.types)
            enums.update(model.enums)
        for model in models:
            for spec in model.types.values():
                for keys, problem in type_problems(spec, types, enums):
                    place = self._place(model.namespace, "types", spec.name, *keys)
                    self._problems.append(f"{place}: {problem}")


def _tables(table: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tables below a key, without those that are taken away."""
    below = table.get(name, {})
    for key, value in below.items() if isinstance(below, Mapping) else ():
        if isinstance(value, Mapping):
            yield key, value


def _merge(below: dict[str, Any], above: Mapping[str, Any], depth: int) -> None:
    for key, value in above.items():
        known = below.get(key)
        if depth and isinstance(known, dict) and isinstance(value, Mapping):
            _merge(known, value, depth - 1)
        else:
            below[key] = value


def _keys_of(table: Mapping[str, Any], depth: int = 4) -> Iterator[tuple[str, ...]]:
    """Yield the keys of a table, and of those in it: ``("types", "User", "fields", "name")``."""
    for key, value in table.items():
        yield (key,)
        if isinstance(value, Mapping) and depth > 1:
            yield from ((key, *below) for below in _keys_of(value, depth - 1))
