"""Loads settings: environment over secret files over TOML file over default.

    D365_PORT=9000   >   a file of secrets_dir   >   gateway.toml: port = 8080   >   8000

``load_settings`` takes the environment as a mapping; nothing reads ``os.environ`` later. All problems are reported at
once, each with the setting, the place of its value and what is accepted.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from gateway.errors import SettingsError

from .credential_defaults import add_workload_identity, missing_credentials
from .environment_secrets import ENVIRONMENT, read_environment_secrets
from .environments import environment_problems
from .rendering import secret_settings, settings_table
from .secret_files import SUFFIX, read_secret, read_secret_files, secret_folder_files
from .service_links import service_links
from .settings import GROUPS, NESTED, PREFIX, Settings
from .vault_reference import misplaced_references


class _Environment(EnvSettingsSource):
    """Parser of pydantic-settings for names and nested names, over a mapping instead of ``os.environ``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # pydantic-settings compares names in lower case.
        return {name.lower(): value for name, value in self._environ.items() if value}


def load_settings(
    environ: Mapping[str, str], config: Path | None = None, **overrides: object
) -> Settings:
    """Return the settings: overrides (command-line options; None if absent) over environment over file over defaults.

    Raises SettingsError with all problems.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    options = {key: value for key, value in overrides.items() if value is not None}
    file = {} if config is None else _read_toml(config)
    file = read_secret_files(file, secret_settings(), str(config), problems)
    variables = _read_environ(environ, problems)
    folder = variables.get("secrets_dir", file.get("secrets_dir"))
    for layer, place in (
        (file, lambda path: f"{config}: {path}"),
        (_read_folder(folder, problems), lambda path: f"{folder}: {path}"),
        (variables, _environ_place),
        (options, lambda path: f"option --{path.replace('_', '-')}"),
    ):
        _overlay(values, layer)
        places.update({path: place(path) for path in _paths(layer)})
    _add_roles(values, places, problems)
    read_environment_secrets(values, problems)
    # No defaults of the fields: they depend on the environment, and tests need none.
    values.setdefault("cache_dir", _platform_cache(environ))
    values.setdefault("data_dir", _platform_data(environ))
    add_workload_identity(values, environ)
    problems += missing_credentials(values)
    try:
        settings = Settings(**values)
    except ValidationError as exc:
        problems += [_describe(error, places) for error in exc.errors(include_url=False)]
    else:
        problems += [_misplaced_reference(path, places) for path in misplaced_references(settings)]
        problems += [
            _place_of(place, "environments", places) + f": {problem}"
            for place, problem in environment_problems(settings)
        ]
    if problems:
        raise SettingsError(_summary(problems), hint="`d365-graphql settings` lists every setting.")
    return settings


def _misplaced_reference(path: str, places: Mapping[str, str]) -> str:
    place = _place_of(path, path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0], places)
    return f"{place}: a Key Vault reference cannot be used here: mount the secret as file"


def _add_roles(values: dict[str, Any], places: dict[str, str], problems: list[str]) -> None:
    """Add the roles of ``roles_file`` to those of the settings."""
    path = values.get("roles_file")
    if not isinstance(path, str | Path) or str(path).strip().lower() in {"", "none"}:
        return
    file = Path(path)
    try:
        roles = read_roles(file)
    except SettingsError as error:
        problems.append(error.message)
        return
    declared = values.get("roles", {})
    if isinstance(declared, str):  # of the environment
        with suppress(json.JSONDecodeError):
            declared = json.loads(declared)
    if not isinstance(declared, Mapping):
        return  # its error is reported with the others
    problems += [
        f"{file}: roles.{name} is in the settings, too" for name in roles if name in declared
    ]
    places.update({f"roles.{name}": f"{file}: roles.{name}" for name in roles})
    places.setdefault("roles", f"{file}: roles")
    values["roles"] = {**roles, **declared}


def read_roles(file: Path, *, others: bool = False) -> dict[str, Any]:
    """Return the tables of a file of roles. Raises SettingsError if it has others, unless ``others``."""
    tables = _read_toml(file)
    more = [name for name in tables if name != "roles"]
    if more and not others:
        raise SettingsError(
            f"{file}: {', '.join(more)}: a file of roles has tables [roles.NAME] only"
        )
    roles: dict[str, Any] = tables.get("roles", {})
    if not isinstance(roles, dict):
        raise SettingsError(f"{file}: roles: accepted: a table")
    return roles


def _summary(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  ".join([f"{len(problems)} settings are invalid:", *problems])


def _read_toml(config: Path) -> dict[str, Any]:
    try:
        # -sig: editors on Windows begin the file with a byte order mark.
        return tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise SettingsError(f"{config}: cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{config}: is not UTF-8 text: {exc.reason}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"{config}: is not TOML: {exc}") from exc


def _read_environ(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    known = {row.variable for row in settings_table()}
    secrets = secret_settings()
    files = {f"{_variable(path)}{SUFFIX.upper()}": path for path in secrets}
    known |= files.keys()
    # An empty variable counts as not set: deployment templates often leave them so.
    ours = {k.upper(): v for k, v in environ.items() if k.upper().startswith(PREFIX) and v}
    for name in service_links(ours):
        del ours[name]
    problems.extend(
        f"{variable} (environment): no such setting{_suggest(variable, known)}"
        for variable in sorted(ours.keys() - known)
    )
    layer = _Environment({k: v for k, v in ours.items() if k in known and k not in files})()
    for variable, path in files.items():
        if variable in ours:
            _put(layer, f"{path}{SUFFIX}", ours[variable])
    return read_secret_files(layer, secrets, "environment", problems)


def _read_folder(folder: object, problems: list[str]) -> dict[str, Any]:
    """Return the settings in the files of ``secrets_dir``."""
    if not folder or str(folder).strip().lower() == "none":
        return {}
    secrets = secret_settings()
    names = [row.name for row in settings_table() if row.name != "secrets_dir"]
    layer: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name, file in secret_folder_files(Path(str(folder)), names, problems).items():
        secret = read_secret(file, f"secrets_dir: {name}", problems)
        if secret is not None and secrets.get(name):
            _put(layer, name, secret)
        elif secret is not None:
            texts[_variable(name)] = secret.get_secret_value()
    _overlay(layer, _Environment(texts)())
    return layer


def _put(layer: dict[str, Any], path: str, value: object) -> None:
    group, _, name = path.rpartition(".")
    (layer.setdefault(group, {}) if group else layer)[name] = value


def _variable(path: str) -> str:
    return f"{PREFIX}{path.replace('.', NESTED)}".upper()


def _environ_place(path: str) -> str:
    return f"{_variable(path)} (environment)"


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Update ``below`` in place. Values of a group are merged one by one, everything else is replaced."""
    for key, value in above.items():
        if key in GROUPS and isinstance(value, Mapping) and isinstance(below.get(key), Mapping):
            below[key] = {**below[key], **value}
        else:
            below[key] = value


def _paths(layer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in layer.items():
        yield key
        if key in GROUPS and isinstance(value, Mapping):
            yield from (f"{key}.{nested}" for nested in value)


def _platform_cache(environ: Mapping[str, str]) -> str | None:
    """Return the platform's cache folder, such as ``~/.cache/d365-graphql``; None without a home folder."""
    base: str | None
    if sys.platform == "win32":
        base = environ.get("LOCALAPPDATA")
    elif environ.get("XDG_CACHE_HOME"):
        base = environ["XDG_CACHE_HOME"]
    else:
        home = environ.get("HOME")
        base = (
            f"{home}/{'Library/Caches' if sys.platform == 'darwin' else '.cache'}" if home else None
        )
    return str(Path(base) / "d365-graphql") if base else None


def _platform_data(environ: Mapping[str, str]) -> str | None:
    """Return the platform's data folder, such as ``~/.local/share/d365-graphql``; None without a home folder."""
    if sys.platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return str(Path(local) / "d365-graphql" / "data") if local else None
    if environ.get("XDG_DATA_HOME"):
        return str(Path(environ["XDG_DATA_HOME"]) / "d365-graphql")
    home = environ.get("HOME")
    below = "Library/Application Support" if sys.platform == "darwin" else ".local/share"
    return str(Path(home) / below / "d365-graphql") if home else None


def _describe(error: ErrorDetails, places: Mapping[str, str]) -> str:
    """Return one sentence: the place, the value (never a secret), what is accepted."""
    path, model = _locate(error["loc"])
    top = path.split(".")[0].split("[")[0]
    place = _place_of(path, top, places)
    if error["type"] == "extra_forbidden":
        return f"{place}: no such setting{_suggest(str(error['loc'][-1]), model.model_fields)}"
    reason = _REASONS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    reason = reason.replace("Input should be", "accepted:")
    if error["type"] == "too_short":
        unit = " characters" if _setting(path) in secret_settings() else ""
        reason = f"accepted: {error['ctx']['min_length']}{unit} or more"
    if _is_secret(path) or isinstance(error["input"], Mapping | SecretStr):
        return f"{place}: {reason}"
    return f"{place}: {_quote(error['input'])}: {reason}"


def _setting(path: str) -> str:
    """``secret_key_old[0]`` → ``secret_key_old``."""
    return path.partition("[")[0]


def _is_secret(path: str) -> bool:
    """Return whether a value must not be quoted: it is a secret, or the text of a table that may hold one."""
    is_table = path == "inbound.issuers" or path.endswith((".secret", ".jwks"))
    # A whole environment, too; what is below it has the names of settings.
    is_table = is_table or (path.startswith("environments") and path.count(".") < 2)
    path = ENVIRONMENT.sub("", path, count=1)
    return is_table or _setting(path) in secret_settings()


_REASONS = {
    "bool_parsing": "accepted: true or false",
    "bool_type": "accepted: true or false",
    "int_parsing": "accepted: a whole number",
    "int_from_float": "accepted: a whole number",
    "int_type": "accepted: a whole number",
    "float_parsing": "accepted: a number",
    "float_type": "accepted: a number",
    "string_type": "accepted: text",
    "tuple_type": "accepted: a list",
    "dict_type": "accepted: a table",
    "missing": "is missing",
    "string_pattern_mismatch": "accepted: every=N or every=N,retry-after=SECONDS",
}


def _quote(value: object) -> str:
    """Return at most 80 characters of a value, without the password that an address may contain."""
    quoted = str(value).lower() if isinstance(value, bool) else repr(value)
    text = re.sub(r"//[^/@\s]*@", "//********@", quoted)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _locate(loc: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    """``("relations", 0, "name")`` → ``"relations[0].name"`` and the model that has the last field."""
    # pydantic's path has indexes and keys of tables, of which only the fields lead to another model.
    path = str(loc[0])
    for part in loc[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    holder: type[BaseModel] = Settings
    inside: type[BaseModel] | None = Settings
    for part in loc:
        holder = inside or holder
        field = holder.model_fields.get(str(part))
        if field is not None:
            inside = _model_in(field.annotation)
    return path, holder


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in a field's type, such as ``tuple[Relation, ...]``; None if there is none."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for inner in get_args(annotation) if (m := _model_in(inner))), None)


def _place_of(path: str, top: str, places: Mapping[str, str]) -> str:
    """Return the place of a value: its own, or that of the innermost table that has one, with the rest of the path."""
    table = path
    while table not in places and table != top:
        table = re.sub(r"(\.[^.\[]+|\[\d+\])$", "", table)
    if table not in places:
        return path
    place, rest = places[table], path[len(table) :]
    if not rest:
        return place
    if table in place:
        return place.replace(table, path, 1)
    # The name of a variable has no room for the path of a value inside its JSON, and a file of roles begins with them.
    return f"{place}{rest}" if top == "roles" and table != top else f"{place}: {path}"


def _suggest(word: str, names: Iterable[str]) -> str:
    close = get_close_matches(word, list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""
