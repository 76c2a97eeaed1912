"""Parses the path below ``/data/`` (section 1): sets, entities by key, navigations, properties, ``$count``.

A key must name every part, in any order; a single part needs no name. Enum parts are accepted in both forms that
clients send (section 1.1).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote

import orjson

from schema.model.records import Navigation

from .refusal import Refusal, not_found, unknown_property
from .values import Field, Kind, binary_text, duration_seconds, moment_text
from .world import World

_STRING = re.compile(r"'((?:[^']|'')*)'")
_PART = re.compile(
    r"\s*(?:([^\W\d][\w.]*)\s*=\s*)?((?:[^\W\d][\w.]*)?'(?:[^']|'')*'|[^,'\s]+)\s*(?:,|$)"
)
_GUID = re.compile(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Step:
    """One navigation on the way from the first entity."""

    navigation: Navigation
    key: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path addresses."""

    entity_set: str
    """Set or singleton with which the path begins."""
    key: dict[str, Any] | None = None
    """Key part → stored value."""
    steps: tuple[Step, ...] = ()
    cast: str | None = None
    """Derived type that the path is cast to."""
    property: str | None = None
    count: bool = False
    raw: bool = False
    """Whether ``/$value`` requests the bare text."""
    operation: str | None = None


def split_path(raw: str) -> list[str]:
    """Return the decoded segments of an encoded path; slashes inside quotes do not separate."""
    parts = [""]
    quoted = False
    for char in raw.replace("%27", "'"):
        quoted ^= char == "'"
        if char == "/" and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return [unquote(part) for part in parts if part]


def parse_path(segments: list[str], world: World) -> Target:
    """Return the target of the segments after ``/data``. Raises Refusal 404 if it does not exist."""
    name, key_text = _split_key(segments[0])
    if name in world.model.entity_sets:
        type_name = world.model.entity_sets[name].type
    elif name in world.model.singletons and key_text is None:
        return _PathResolver(
            world, Target(entity_set=name, key={}), world.model.singletons[name].type
        ).resolve(segments[1:])
    else:
        raise not_found()
    key = None if key_text is None else parse_key(key_text, type_name, world)
    return _PathResolver(world, Target(entity_set=name, key=key), type_name).resolve(segments[1:])


class _PathResolver:
    """Resolves the segments after the first one."""

    def __init__(self, world: World, start: Target, type_name: str) -> None:
        self._world = world
        self._target = start
        self._type = type_name
        self._single = start.key is not None

    def resolve(self, segments: list[str]) -> Target:
        for segment in segments:
            self._target = self._next(segment)
        return self._target

    def _next(self, segment: str) -> Target:
        at = self._target
        if at.count or at.operation or (at.property is not None and segment != "$value"):
            raise not_found()
        if segment == "$count" and not self._single:
            return _with(at, count=True)
        if segment == "$value" and at.property is not None:
            return _with(at, raw=True)
        if "." in segment.partition("(")[0]:
            return self._qualified(segment)
        if not self._single:
            raise not_found()
        return self._member(segment)

    def _qualified(self, segment: str) -> Target:
        if segment in self._world.model.family(self._type):
            self._type = segment
            return _with(self._target, cast=segment)
        return _with(self._target, operation=segment)

    def _member(self, segment: str) -> Target:
        name, key_text = _split_key(segment)
        navigation = self._world.navigations_of(self._type).get(name)
        if navigation is None:
            if name not in self._world.fields_of(self._type):
                raise not_found(unknown_property(name, self._type).message)
            return _with(self._target, property=name)
        if self._world.finops and self._target.steps:
            raise not_found()
        key = None if key_text is None else parse_key(key_text, navigation.target, self._world)
        self._type = navigation.target
        self._single = key is not None or not navigation.many
        return _with(self._target, steps=(*self._target.steps, Step(navigation, key)), cast=None)


def _with(target: Target, **changes: Any) -> Target:
    values = {name: getattr(target, name) for name in Target.__slots__}
    return Target(**{**values, **changes})


def _split_key(segment: str) -> tuple[str, str | None]:
    name, opening, rest = segment.partition("(")
    if not opening:
        return name, None
    if not rest.endswith(")"):
        raise not_found()
    return name, rest[:-1]


def parse_key(text: str, type_name: str, world: World) -> dict[str, Any]:
    """Return key part → stored value of ``dataAreaId='usmf',CustomerAccount='US-001'``."""
    key = world.model.key_of(type_name)
    given = _parts(text, key)
    if sorted(given) != sorted(key):
        raise Refusal(
            400,
            "The number of keys specified in the URI does not match number of key properties"
            f" for the resource '{type_name}'.",
        )
    fields = world.fields_of(type_name)
    return {name: _key_value(fields[name], literal) for name, literal in given.items()}


def parse_arguments(
    text: str, fields: Mapping[str, Field], aliases: Mapping[str, str]
) -> dict[str, Any]:
    """Return parameter → stored value of ``lat=1.5,name='x',ids=@i``, the part in a function's parentheses."""
    values: dict[str, Any] = {}
    for name, literal in _parts(text, tuple(fields)).items():
        if name not in fields:
            raise not_found()
        value = aliases.get(literal, literal) if literal.startswith("@") else literal
        if value == "null":
            values[name] = None
        elif fields[name].kind is Kind.JSON:
            values[name] = _json_text(fields[name], value)
        else:
            values[name] = _key_value(fields[name], value)
    return values


def _json_text(field: Field, text: str) -> str:
    try:
        return orjson.dumps(orjson.loads(text)).decode()
    except ValueError as problem:
        raise Refusal(400, f"The value of parameter '{field.name}' is not JSON.") from problem


def _parts(text: str, key: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise Refusal(400, f"Bad Request - Error in query syntax near '{text[at:]}'.")
        name = match[1]
        if name is None:
            if len(key) != 1 or given:
                raise Refusal(
                    400, "Segments with multiple key values must specify them in 'name=value' form."
                )
            name = key[0]
        if name in given:
            raise Refusal(400, f"The key property '{name}' is given twice.")
        given[name] = match[2]
        at = match.end()
    return given


def _key_value(field: Field, literal: str) -> Any:
    try:
        return _read_literal(field, literal)
    except (ValueError, KeyError, InvalidOperation) as problem:
        raise Refusal(
            400, f"The key value '{literal}' for '{field.name}' is not valid."
        ) from problem


def _read_literal(field: Field, literal: str) -> Any:
    quoted = _STRING.fullmatch(literal)
    text = literal if quoted is None else quoted[1].replace("''", "'")
    match field.kind:
        case Kind.ENUM:
            member = literal.partition("'")[2][:-1] if quoted is None and "'" in literal else text
            return field.to_stored(member)
        case Kind.TEXT if quoted is not None:
            return text
        case Kind.MOMENT if quoted is None:
            return _moment(text)
        case Kind.GUID if quoted is None and _GUID.fullmatch(text):
            return text.lower()
        case Kind.DECIMAL | Kind.INTEGER | Kind.REAL if quoted is None:
            return field.to_stored(Decimal(text))
        case Kind.BOOLEAN if text in ("true", "false"):
            return int(text == "true")
        case Kind.DATE | Kind.TIME if quoted is None:
            return text
        case Kind.DURATION if (inner := _prefixed(literal, "duration")) is not None:
            duration_seconds(inner)
            return inner
        case Kind.BINARY if (inner := _prefixed(literal, "binary")) is not None:
            return binary_text(inner)
    raise ValueError(literal)


def _prefixed(literal: str, prefix: str) -> str | None:
    """Return the text of ``duration'PT1H'``, or None."""
    return literal[len(prefix) + 1 : -1] if literal.startswith(f"{prefix}'") else None


def _moment(text: str) -> str:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment_text(moment)
