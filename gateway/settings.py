"""What can be set, and how it is read: environment over TOML file over default.

    D365_PORT=9000   >   gateway.toml: port = 8080   >   8000

:class:`Settings` is the one table: each field's type, default and help text feed the parser, ``settings_table``
(README, the ``settings`` command) and ``effective``. ``load_settings`` reads a mapping that it is handed;
nobody reads ``os.environ`` later. All problems come at once, each with the key, the place of its value and what
is accepted.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .errors import SettingsError
from .setting_groups import Relation, SandboxOptions, WriteOptions
from .setting_values import Authority, Folder, Json, Names, Origins, ServiceRoot, Text, toml_value

PREFIX = "D365_"
NESTED = "__"


class Settings(BaseSettings):
    """Effective values; build them with :func:`load_settings`, or by keyword in tests (nothing else is read then)."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
        hide_input_in_errors=True,
    )

    url: ServiceRoot | None = Field(
        default=None,
        description="Service root, e.g. https://x.operations.dynamics.com/data. Not set: the embedded sandbox.",
    )
    dialect: Literal["finops", "odata"] | None = Field(
        default=None,
        description="How the service speaks OData. Not set: guessed from the metadata.",
    )
    metadata: str | None = Field(
        default=None,
        description="File (.xml, .xml.gz) or address of the metadata document. Not set: {url}/$metadata.",
    )
    auth: Literal["client_credentials", "none"] = Field(
        default="none",
        description="How to sign in upstream. Not set: client_credentials for a url, none for the sandbox.",
    )
    tenant_id: str | None = Field(
        default=None, description="Microsoft Entra tenant (id or domain)."
    )
    client_id: str | None = Field(default=None, description="Application (client) id.")
    client_secret: SecretStr | None = Field(default=None, description="Secret of the application.")
    authority: Authority = Field(
        default="https://login.microsoftonline.com",
        description="Login host; sovereign clouds have their own.",
    )
    scope: str | None = Field(
        default=None, description="Scope of the token. Not set: the url's origin + /.default."
    )
    companies: Names = Field(
        default=(),
        description="Legal entities served by default. Empty: all that the account may read.",
    )
    default_page_size: int = Field(
        default=50, ge=1, description="Rows of a list without first or last."
    )
    max_page_size: int = Field(default=1_000, ge=1, description="Highest first or last.")
    operation_timeout: float = Field(
        default=120.0, gt=0, description="Seconds for an operation; no limit to writes under way."
    )
    max_url_length: int = Field(
        default=2_000, ge=200, le=60_000, description="Longest encoded address sent upstream."
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        description="Rows that may be followed over upstream pages for one list.",
    )
    max_upstream_bytes: int = Field(
        default=256_000_000, ge=1_000, description="Largest upstream answer, in bytes."
    )
    concurrency: int = Field(default=16, ge=1, le=52, description="Upstream requests at a time.")
    connect_timeout: float = Field(default=10.0, gt=0, description="Seconds to connect.")
    read_timeout: float = Field(
        default=60.0, gt=0, description="Seconds between two pieces of an answer."
    )
    retries: int = Field(default=4, ge=0, le=20, description="Further attempts at a read.")
    retry_wait_max: float = Field(
        default=30.0, ge=0, description="Longest wait before an attempt, in seconds."
    )
    expand: Literal["auto", "never"] = Field(
        default="auto", description="Whether $expand may be used; never: key batches only."
    )
    clean_noyes: bool = Field(default=True, description="The enum NoYes is a Boolean.")
    clean_null_dates: bool = Field(default=True, description="1900-01-01 is null.")
    clean_dates: bool = Field(default=True, description="X++ dates are Date, not DateTime.")
    language: Text = Field(
        default=None,
        description="Language of label texts in descriptions, e.g. en-US; none: names only. Not set: none, for the"
        " sandbox en-US. F&O may want one request for each label, once.",
    )
    names: Annotated[dict[str, str], NoDecode, Json] = Field(
        default={}, description="Renames: qualified CSDL path = GraphQL name."
    )
    include: Names = Field(default=(), description="Patterns of entity sets to serve. Empty: all.")
    exclude: Names = Field(default=(), description="Patterns of entity sets to leave out.")
    relations: Annotated[tuple[Relation, ...], NoDecode, Json] = Field(
        default=(),
        description="Relations beside the metadata's: from_set, fields, to_set, to_fields, name, inverse, many.",
    )
    cache_dir: Folder = Field(
        default=None,
        description="Folder for metadata and labels; none: no cache. Not set: the platform's cache folder.",
    )
    metadata_max_age: float = Field(
        default=86_400.0,
        ge=0,
        description="Seconds for which cached metadata without an ETag are used.",
    )
    metadata_poll: float = Field(
        default=900.0,
        ge=0,
        description="Seconds between two looks for new metadata, give or take a tenth; 0: none. The sandbox is never"
        " looked at.",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Token for POST /admin/reload (Authorization: Bearer …). Not set: there is no such path.",
    )
    max_types: int = Field(
        default=3_000,
        ge=1,
        description="GraphQL types in memory before a fresh schema takes the place of the old one.",
    )
    host: str = Field(default="127.0.0.1", description="Interface to listen on.")
    port: int = Field(
        default=8_000, ge=0, le=65_535, description="Port to listen on; 0: any free one."
    )
    introspection: bool = Field(
        default=True,
        description="Whether __schema and __type are answered, and errors suggest names.",
    )
    compression: bool = Field(
        default=True, description="Whether answers are compressed (zstd, br, gzip)."
    )
    compress_over: int = Field(
        default=1_024, ge=0, description="Bytes above which an answer is compressed."
    )
    graphiql: bool = Field(default=True, description="Whether /graphiql is served.")
    cors_origins: Origins = Field(
        default=(), description="Origins whose pages may call the API from a browser; *: all."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Form of the log."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, description="Largest request body, in bytes."
    )
    max_query_tokens: int = Field(
        default=15_000, ge=100, description="Longest document, in tokens."
    )
    max_depth: int = Field(default=15, ge=1, description="Deepest nesting of selections.")
    max_root_fields: int = Field(default=250, ge=1, description="Most fields of Query at a time.")
    max_selections: int = Field(
        default=10_000, ge=1, description="Most fields; a fragment's count wherever it is spread."
    )
    max_aliases: int = Field(default=500, ge=0, description="Most aliases, counted likewise.")
    max_directives: int = Field(default=500, ge=0, description="Most directives of a document.")
    read_only: bool = Field(default=False, description="Serves no mutations at all.")
    writes: WriteOptions = Field(
        default=WriteOptions(), description="What may be written, and how."
    )
    sandbox: SandboxOptions = Field(
        default=SandboxOptions(), description="The embedded sandbox's behaviour."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings' signature, by keyword)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords only: ``load_settings`` has merged the layers, so that it can say where a bad value stands."""
        return (init_settings,)

    @property
    def is_sandbox(self) -> bool:
        """Whether the embedded sandbox answers, with its own metadata."""
        return self.url is None and self.metadata is None and self.sandbox.metadata is None

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in what follows from other values."""
        derived: dict[str, Any] = {}
        if values.get("auth") is None:
            signs_in = bool(values.get("url") and values.get("tenant_id"))
            derived["auth"] = "client_credentials" if signs_in else "none"
        if "language" not in values and not values.get("url"):
            derived["language"] = "en-US"
        if values.get("scope") is None and isinstance(values.get("url"), str):
            parts = urlsplit(values["url"].strip())
            derived["scope"] = f"{parts.scheme}://{parts.netloc.lower()}/.default"
        return {**values, **derived}

    @field_validator("max_page_size")
    @classmethod
    def _not_below_default(cls, value: int, info: ValidationInfo) -> int:
        default = info.data.get("default_page_size")
        if default is not None and value < default:
            raise ValueError(f"at least default_page_size ({default}) was expected")
        return value


_GROUPS: Mapping[str, type[BaseModel]] = {"writes": WriteOptions, "sandbox": SandboxOptions}
"""Settings that are tables of settings."""


class SettingRow(NamedTuple):
    """One row of the settings table."""

    name: str
    variable: str
    default: str
    help: str


def settings_table() -> tuple[SettingRow, ...]:
    """Give every setting in the order of the fields; those of a table as ``sandbox.scale``."""
    rows: list[SettingRow] = []
    for name, field in Settings.model_fields.items():
        if name in _GROUPS:
            for nested, inner in _GROUPS[name].model_fields.items():
                variable = f"{PREFIX}{name}{NESTED}{nested}".upper()
                rows.append(_row(f"{name}.{nested}", variable, inner))
        else:
            rows.append(_row(name, f"{PREFIX}{name}".upper(), field))
    return tuple(rows)


def _row(name: str, variable: str, field: FieldInfo) -> SettingRow:
    default = "" if field.default is None else toml_value(field.default)
    return SettingRow(name, variable, default, field.description or "")


def effective(settings: Settings) -> str:
    """Print the values in force as TOML that can be read back; secrets are masked and commented out."""
    values = settings.model_dump()
    for key in ("cache_dir", "language"):
        values[key] = values[key] or "none"
    relations, names = (values.pop(key) for key in ("relations", "names"))
    groups = {key: values.pop(key) for key in _GROUPS}
    services = groups["writes"].pop("services")
    lines = [_line(key, value) for key, value in values.items()]
    for relation in relations:
        lines += ["", "[[relations]]", *_lines(relation)]
    if names:
        lines += ["", "[names]", *(f"{toml_value(k)} = {toml_value(v)}" for k, v in names.items())]
    for key, group in groups.items():
        lines += ["", f"[{key}]", *_lines(group)]
    for service in services:
        lines += ["", "[[writes.services]]", *_service_lines(service)]
    return "\n".join(lines) + "\n"


def _service_lines(service: Mapping[str, Any]) -> Iterator[str]:
    for key, value in service.items():
        if not isinstance(value, dict):
            yield _line(key, value)
            continue
        for name, of in value.items():
            yield f"{key}.{name} = {{ {', '.join(_lines({k: v for k, v in of.items() if v}))} }}"


def _lines(table: Mapping[str, object]) -> list[str]:
    return [_line(key, value) for key, value in table.items()]


def _line(key: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return f'# {key} = "********"'
    if value is None:
        return f"# {key} is not set"
    return f"{key} = {toml_value(value)}"


class _Environment(EnvSettingsSource):
    """pydantic-settings' reader of names and nested names, on the mapping that it is handed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value}


def load_settings(
    environ: Mapping[str, str], config: Path | None = None, **overrides: object
) -> Settings:
    """Merge overrides (command-line options; None: not given) over environment over file over defaults."""
    problems: list[str] = []
    given: dict[str, Any] = {}
    places: dict[str, str] = {}
    options = {key: value for key, value in overrides.items() if value is not None}
    file = {} if config is None else _read_toml(config)
    for layer, place in (
        (file, lambda path: f"{config}: {path}"),
        (_read_environ(environ, problems), _environ_place),
        (options, lambda path: f"option --{path.replace('_', '-')}"),
    ):
        _overlay(given, layer)
        places.update({path: place(path) for path in _paths(layer)})
    given.setdefault("cache_dir", _platform_cache(environ))
    problems += _missing(given)
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        problems += [_describe(error, places) for error in exc.errors(include_url=False)]
    if problems:
        raise SettingsError(_summary(problems), hint="`d365-graphql settings` lists every setting.")
    return settings


def _summary(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  ".join([f"{len(problems)} settings cannot be used:", *problems])


def _read_toml(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise SettingsError(f"{config}: cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{config}: is not UTF-8 text: {exc.reason}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"{config}: is not TOML: {exc}") from exc


def _read_environ(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    known = {row.variable for row in settings_table()}
    ours = {k.upper(): v for k, v in environ.items() if k.upper().startswith(PREFIX) and v}
    problems.extend(
        f"{variable} (environment): no such setting{_meant(variable, known)}"
        for variable in sorted(ours.keys() - known)
    )
    return _Environment({k: v for k, v in ours.items() if k in known})()


def _environ_place(path: str) -> str:
    return f"{PREFIX}{path.replace('.', NESTED)}".upper() + " (environment)"


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Put a layer over another in place; the sandbox's values one by one, everything else whole."""
    for key, value in above.items():
        if key == "sandbox" and isinstance(value, Mapping) and isinstance(below.get(key), Mapping):
            below[key] = {**below[key], **value}
        else:
            below[key] = value


def _paths(layer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in layer.items():
        yield key
        if key == "sandbox" and isinstance(value, Mapping):
            yield from (f"{key}.{nested}" for nested in value)


def _platform_cache(environ: Mapping[str, str]) -> str | None:
    """``~/.cache/d365-graphql`` by the platform's custom; None where there is no home."""
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


def _missing(given: Mapping[str, Any]) -> list[str]:
    """Name what signing in needs and nobody gave."""
    if not given.get("url") or given.get("auth") == "none":
        return []
    needed = ("tenant_id", "client_id", "client_secret")
    absent = [key for key in needed if not given.get(key)]
    if not absent:
        return []
    variables = ", ".join(f"{PREFIX}{key}".upper() for key in absent)
    wanted = "auth = client_credentials" if given.get("auth") else "url is set: signing in"
    return [f"{wanted} needs {variables} (a service without sign-in: D365_AUTH=none)"]


def _describe(error: ErrorDetails, places: Mapping[str, str]) -> str:
    """One sentence: the place, the value (never a secret), what is accepted."""
    path, model = _locate(error["loc"])
    top = path.split(".")[0].split("[")[0]
    place = _place_of(path, top, places)
    if error["type"] == "extra_forbidden":
        return f"{place}: no such setting{_meant(str(error['loc'][-1]), model.model_fields)}"
    said = _SAID.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    said = said.replace("Input should be", "accepted:")
    if top in _SECRET or isinstance(error["input"], Mapping):
        return f"{place}: {said}"
    return f"{place}: {_shown(error['input'])}: {said}"


_SECRET = frozenset({"client_secret", "admin_token"})
_SAID = {
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


def _shown(value: object) -> str:
    """Show a value shortly, without the password that an address may hold."""
    text = re.sub(r"//[^/@\s]*@", "//********@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _locate(loc: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    """``("relations", 0, "name")`` → ``"relations[0].name"`` and the model that holds the last name."""
    path = str(loc[0])
    for part in loc[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if len(loc) == 1:
        return path, Settings
    return path, Relation if loc[0] == "relations" else SandboxOptions


def _place_of(path: str, top: str, places: Mapping[str, str]) -> str:
    """Where the value stands: its own place, or its table's place and the rest of the path."""
    if path in places:
        return places[path]
    return places[top].replace(top, path, 1) if top in places else path


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
