"""The options of the data source: read from texts, and checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

ROWS_PER_PARTITION = 100_000
ROWS_PER_BATCH = 10_000
_NAMES = (
    *("url", "set", "select", "where", "companies", "token", "apiKey", "environment", "profile"),
    *("partitions", "rowsPerPartition", "pushdown", "timeout", "retries"),
    *("changes", "startingCursor", "rowsPerBatch", "failOnResync"),
)
_KNOWN = {name.lower(): name for name in _NAMES}


class OptionError(ValueError):
    """An option is missing or wrong."""


@dataclass(frozen=True)
class Options:
    """What a user has chosen."""

    url: str
    """Of the gateway, without a slash at the end."""
    set: str
    select: str | None
    where: Any
    companies: str | None
    credential: str | None = field(repr=False)
    """Of the header ``Authorization``."""
    environment: str | None
    profile: str | None
    partitions: int | None
    rows_per_partition: int
    pushdown: bool
    """Whether filters of Spark are passed on. Up to Spark 4.3.0, data frames of one ``load()`` share what one of them
    has passed on (``PythonDataSourceV2`` keeps the read function of the last plan), so that the others lose rows."""
    timeout: float
    """Seconds without a byte after which a request has failed."""
    retries: int
    is_changes: bool
    starting_cursor: str | None
    rows_per_batch: int
    fails_on_resync: bool

    @property
    def export_path(self) -> str:
        """Path of the exports of the list."""
        return f"{self._environment_path}/export{self._profile_path}/{quote(self.set, safe='')}"

    @property
    def graphql_path(self) -> str:
        """Path of the API."""
        return f"{self._environment_path}/graphql{self._profile_path}"

    @property
    def _environment_path(self) -> str:
        return "" if self.environment is None else f"/e/{quote(self.environment, safe='')}"

    @property
    def _profile_path(self) -> str:
        return "" if self.profile is None else f"/{quote(self.profile, safe='')}"


def read_options(texts: Mapping[str, str]) -> Options:
    """Return the options of a reader. Raises OptionError."""
    values: dict[str, str] = {}
    for name, value in texts.items():
        known = _KNOWN.get(name.lower())
        # Spark's own, such as ``path`` of ``load(path)``, mean nothing here.
        if known is None:
            raise OptionError(f"There is no option {name}. There are: {', '.join(_NAMES)}.")
        values[known] = value
    if "token" in values and "apiKey" in values:
        raise OptionError("token and apiKey are both set: one of them proves who calls.")
    partitions = _number(values, "partitions")
    if partitions is not None and "rowsPerPartition" in values:
        raise OptionError("partitions and rowsPerPartition are both set: one decides.")
    return Options(
        url=_url(values),
        set=_required(values, "set"),
        select=values.get("select"),
        where=_where(values.get("where")),
        companies=values.get("companies"),
        credential=_credential(values.get("token", values.get("apiKey"))),
        environment=values.get("environment"),
        profile=values.get("profile"),
        partitions=partitions,
        rows_per_partition=_number(values, "rowsPerPartition") or ROWS_PER_PARTITION,
        pushdown=_flag(values, "pushdown", default=False),
        timeout=_number(values, "timeout") or 300,
        retries=_number(values, "retries", least=0, default=6),
        is_changes=_flag(values, "changes", default=False),
        starting_cursor=values.get("startingCursor") or None,
        rows_per_batch=_number(values, "rowsPerBatch") or ROWS_PER_BATCH,
        fails_on_resync=_flag(values, "failOnResync", default=True),
    )


def _required(values: Mapping[str, str], name: str) -> str:
    value = values.get(name, "").strip()
    if not value:
        raise OptionError(f"The option {name} is missing.")
    return value


def _url(values: Mapping[str, str]) -> str:
    url = _required(values, "url").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionError(
            "url is no address of a gateway, such as https://gateway.contoso.example."
        )
    # Options are shown in plans and logs, where Spark hides only those that it takes for secrets.
    if parts.username is not None or parts.query or parts.fragment:
        raise OptionError("url has more than a host and a path: credentials are token or apiKey.")
    return url


def _credential(secret: str | None) -> str | None:
    if secret is None:
        return None
    # A line end would begin another header field.
    if not secret.strip().isascii() or not secret.strip().isprintable() or not secret.strip():
        raise OptionError("token or apiKey is no text that a header can hold.")
    return f"Bearer {secret.strip()}"


def _where(text: str | None) -> Any:
    if text is None:
        return None
    try:
        where = json.loads(text)
    except ValueError:
        where = None
    if not isinstance(where, dict):
        raise OptionError('where is no JSON object, such as {"creditLimit": {"gt": "1000"}}.')
    return where


def _number(
    values: Mapping[str, str], name: str, *, least: int = 1, default: int | None = None
) -> Any:
    text = values.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text) < 10**15):
        raise OptionError(f"{name} is no whole number of at least {least}.")
    return int(text)


def _flag(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = values.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise OptionError(f"{name} is neither true nor false.")
    return text.lower() == "true"
