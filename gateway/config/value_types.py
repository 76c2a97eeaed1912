"""Types of single settings: text of the environment or a TOML value → a checked value → TOML.

Each type is an ``Annotated`` of pydantic. The text of a ``ValueError`` raised here is what the user reads, so it says
what is accepted.
"""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_settings import NoDecode

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+")
_HOST_NAME = re.compile(r"\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_ROOT_PATH = re.compile(r"(?:/[0-9A-Za-z._~-]+)*")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def split(value: object) -> object:
    """``"usmf, dat"`` → ``["usmf", "dat"]``. A list of a TOML file stays as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _decode(value: object) -> object:
    """Decode a table that is JSON text in the environment."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as exc:
        raise ValueError(f"expected JSON: line {exc.lineno}, column {exc.colno}") from exc


def _http_address(value: str) -> str:
    """``https://host/data/`` → ``https://host/data``. Raises ValueError if it cannot be the address of a service."""
    address = value.strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address such as https://x.operations.dynamics.com/data")
    # They would end up in logs and error messages.
    if parts.username or parts.password:
        raise ValueError("the address must not contain user and password")
    if parts.query or parts.fragment:
        raise ValueError("the address must end with the service's path, without '?' and '#'")
    return address


def _service_root(value: str) -> str:
    address = _http_address(value)
    parts = urlsplit(address)
    # People copy the address of the web client, which answers every path with a login page.
    if (parts.hostname or "").endswith(".dynamics.com") and not parts.path:
        raise ValueError(
            f"this is the address of the environment; the service root is {address}/data"
        )
    return address


def _authority(value: str) -> str:
    address = _http_address(value if "://" in value else f"https://{value}")
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValueError("secrets are only sent over https (http is allowed for 127.0.0.1)")
    return address


def _origin(value: str) -> str:
    """``https://Shop.example`` → ``https://shop.example``, as in the header ``Origin``."""
    origin = value.strip().lower()
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError("expected an origin such as https://shop.example:8443, without a path")
    return origin


def _host(value: str) -> str:
    """``API.Example.com.`` → ``api.example.com``."""
    name = value.strip().lower().rstrip(".")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(
            "expected a host such as api.example.com, *.example.com or *, without a port"
        )
    return name


def _proxy(value: str) -> str:
    text = value.strip()
    if text == "*":
        return text
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("expected an address or network such as 10.0.0.0/8, or *") from None


def _root_path(value: str) -> str:
    path = value.strip().rstrip("/")
    if not _ROOT_PATH.fullmatch(path):
        raise ValueError("expected a path such as /erp")
    return path


def _docs_url(value: str) -> str:
    address = value.strip()
    is_path = address.startswith("/") and not address.startswith("//")
    if not is_path and not (
        address.startswith(("https://", "http://")) and urlsplit(address).netloc
    ):
        raise ValueError("a web address or a path such as /docs/ was expected")
    return address if address.endswith("/") else f"{address}/"


def _or_none(value: object) -> object:
    """Return None for empty text and ``none``, which switch off something that has a default."""
    if isinstance(value, str) and value.strip().lower() in {"", "none"}:
        return None
    return value


def _all_or_names(value: object) -> object:
    """``"true"`` → True, ``"Currencies, Dir*"`` → a list."""
    if isinstance(value, str):
        words = {"true": True, "1": True, "false": False, "0": False}
        return words.get(value.strip().lower(), split(value))
    return value


def _store(value: object) -> object:
    """Return the name of a store, or the address of a database as the secret that it contains."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if text in {"sqlite", "none"}:
        return text
    if isinstance(text, str) and text.startswith(("postgresql://", "postgres://")):
        return value
    raise ValueError("accepted: sqlite, none or postgresql://USER:PASSWORD@HOST/DATABASE")


def _explain_names_or_all(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError:
        raise ValueError("accepted: true, false or a list of patterns") from None


def _page_access(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Raise one error for the whole union instead of one for each of its members."""
    try:
        return validate(value)
    except ValidationError:
        raise ValueError("accepted: true, false or admin") from None


Names: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
"""A list; in the environment, comma-separated text."""
NamesOrAll: TypeAlias = Annotated[
    bool | tuple[str, ...],
    NoDecode,
    BeforeValidator(_all_or_names),
    WrapValidator(_explain_names_or_all),
]
"""``true``, ``false``, or a list like ``Names``."""
MIN_KEY_LENGTH = 32
"""Minimum characters of a secret from which keys are derived; 43 are 256 random bits in base64."""
SecretKey: TypeAlias = Annotated[SecretStr, Field(min_length=MIN_KEY_LENGTH)]
SecretKeys: TypeAlias = Annotated[tuple[SecretKey, ...], NoDecode, BeforeValidator(split)]
Store: TypeAlias = Annotated[Literal["sqlite", "none"] | SecretStr, BeforeValidator(_store)]
"""A store by its name, or a PostgreSQL by its address, which may have a password."""
Json = BeforeValidator(_decode)
"""A table; in the environment, JSON."""
Origins: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(split)
]
HostNames: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(split)
]
ProxyAddresses: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_proxy)], ...], NoDecode, BeforeValidator(split)
]
RootPath: TypeAlias = Annotated[str, AfterValidator(_root_path)]
DocsUrl: TypeAlias = Annotated[str, AfterValidator(_docs_url)]
PageAccess: TypeAlias = Annotated[bool | Literal["admin"], WrapValidator(_page_access)]
ServiceRoot: TypeAlias = Annotated[str, AfterValidator(_service_root)]
Authority: TypeAlias = Annotated[str, AfterValidator(_authority)]
Folder: TypeAlias = Annotated[Path | None, BeforeValidator(_or_none)]
AdminPort: TypeAlias = Annotated[
    Annotated[int, Field(ge=0, le=65_535)] | None, BeforeValidator(_or_none)
]
Text: TypeAlias = Annotated[str | None, BeforeValidator(_or_none)]


def toml_value(value: object) -> str:
    """``True`` → ``true``, ``("a", "b")`` → ``["a", "b"]``, a path or text → quoted."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case tuple() | list():
            return f"[{', '.join(map(toml_value, value))}]"
        case dict():
            pairs = ", ".join(f"{toml_value(k)} = {toml_value(v)}" for k, v in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case _:
            # A JSON string is a TOML basic string, except for DEL, which TOML wants escaped.
            return re.sub("\x7f", r"\\u007f", json.dumps(str(value), ensure_ascii=False))
