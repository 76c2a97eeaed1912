"""Settings as text: the table of all settings, and effective values as TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from .environment_models import EnvironmentOptions
from .role_models import RoleOptions
from .settings import GROUPS, NESTED, PREFIX, Settings
from .value_types import toml_value


class SettingRow(NamedTuple):
    """One row of the settings table."""

    name: str
    variable: str
    default: str
    help: str


def settings_table() -> tuple[SettingRow, ...]:
    """Return every setting in the order of the fields, one of a table as ``sandbox.scale``."""
    rows: list[SettingRow] = []
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            for nested, inner in GROUPS[name].model_fields.items():
                variable = f"{PREFIX}{name}{NESTED}{nested}".upper()
                rows.append(_row(f"{name}.{nested}", variable, inner))
        else:
            rows.append(_row(name, f"{PREFIX}{name}".upper(), field))
    return tuple(rows)


def secret_settings() -> Mapping[str, bool]:
    """Return the settings that are secrets → whether each is a single one; all of them can be read from files."""
    models: dict[str, type[BaseModel]] = {"": Settings}
    models |= {f"{group}.": model for group, model in GROUPS.items()}
    return {
        f"{prefix}{name}": tuple not in _types_in(field.annotation)
        for prefix, model in models.items()
        for name, field in model.model_fields.items()
        if SecretStr in _types_in(field.annotation)
    }


def _types_in(annotation: object) -> Iterator[object]:
    """Yield the types of an annotation: ``tuple[SecretStr, ...]`` → ``tuple``, ``SecretStr``."""
    yield get_origin(annotation) or annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


def _row(name: str, variable: str, field: FieldInfo) -> SettingRow:
    default = "" if field.default is None else toml_value(field.default)
    return SettingRow(name, variable, default, field.description or "")


def to_toml(settings: Settings) -> str:
    """Return the effective values as TOML that can be loaded again. Secrets are masked and commented out."""
    values = settings.model_dump()
    # These have a default that depends on the platform or the upstream, so their absence has to be spelled out.
    for key in ("cache_dir", "data_dir", "language"):
        values[key] = values[key] or "none"
    relations, names = (values.pop(key) for key in ("relations", "names"))
    groups, profiles = {key: values.pop(key) for key in GROUPS}, values.pop("profiles")
    # The values of roles_file are among the roles.
    roles = values.pop("roles")
    values.pop("environments")
    values.pop("roles_file")
    services = groups["writes"].pop("services")
    inbound = {key: groups["inbound"].pop(key) for key in ("issuers", "client_certificates")}
    lines = [_line(key, value) for key, value in values.items()]
    for relation in relations:
        lines += ["", "[[relations]]", *_lines(relation)]
    if names:
        lines += ["", "[names]", *(f"{toml_value(k)} = {toml_value(v)}" for k, v in names.items())]
    lines += _tables_by_name(settings.environments, profiles, roles)
    for key, group in groups.items():
        lines += ["", f"[{key}]", *_lines(group)]
    for key, tables in inbound.items():
        for table in tables:
            lines += ["", f"[[inbound.{key}]]", *_lines(_shown(table))]
    for service in services:
        lines += ["", "[[writes.services]]", *_service_lines(service)]
    return "\n".join(lines) + "\n"


def _tables_by_name(
    environments: Mapping[str, EnvironmentOptions],
    profiles: Mapping[str, Mapping[str, object]],
    roles: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    for name, profile in profiles.items():
        yield from ("", f"[profiles.{name}]", *_lines(_shown(profile)))
    for name, role in roles.items():
        yield from _role_lines(name, role)
    for name, options in environments.items():
        yield from _environment_lines(name, options)


def _shown(table: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a table that are set."""
    return {key: value for key, value in table.items() if value not in (None, (), {})}


def _service_lines(service: Mapping[str, Any]) -> Iterator[str]:
    for key, value in service.items():
        if not isinstance(value, dict):
            yield _line(key, value)
            continue
        for name, declared in value.items():
            options = {k: v for k, v in declared.items() if v}
            yield f"{key}.{name} = {{ {', '.join(_lines(options))} }}"


def _role_lines(name: str, role: Mapping[str, Any]) -> Iterator[str]:
    place = f"roles.{toml_value(name)}"
    changed = RoleOptions(**role).model_dump(exclude_defaults=True)
    sets, limits = changed.pop("sets", {}), changed.pop("limits", {})
    yield from ("", f"[{place}]", *_lines(changed))
    if limits:
        yield f"limits = {toml_value(limits)}"
    for pattern, rights in sets.items():
        if "where" in rights:
            # As JSON, for TOML has no null.
            rights["where"] = json.dumps(rights["where"], ensure_ascii=False)
        yield from ("", f"[{place}.sets.{toml_value(pattern)}]", *_lines(rights))


def _environment_lines(name: str, options: EnvironmentOptions) -> Iterator[str]:
    place = f"environments.{name}"
    set_values = options.model_dump(exclude_unset=True)
    tables = {k: v for k, v in set_values.items() if isinstance(v, dict)}
    relations = set_values.pop("relations", ())
    values = {k: v for k, v in set_values.items() if k not in tables}
    yield from ("", f"[{place}]", *_lines(_shown(values)))
    for key, table in tables.items():
        yield from ("", f"[{place}.{key}]", *_lines(_shown(table)))
    for relation in relations:
        yield from ("", f"[[{place}.relations]]", *_lines(relation))


def _lines(table: Mapping[str, object]) -> list[str]:
    return [_line(key, value) for key, value in table.items()]


def _has_secret(values: tuple[object, ...]) -> bool:
    return any(isinstance(value, SecretStr) for value in values)


def _line(key: str, value: object) -> str:
    if isinstance(value, SecretStr) or (isinstance(value, tuple) and _has_secret(value)):
        return f'# {key} = "********"'
    if value is None:
        return f"# {key} is not set"
    return f"{key} = {toml_value(value)}"
