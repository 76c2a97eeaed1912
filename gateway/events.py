"""What is worth saying, as data: business code observes events, sinks turn them into log lines or counts.

    observe(RequestSent(method="GET", url="CustomersV3?$top=5", status=200, seconds=0.04, size=812, attempt=1))

``Event`` is a closed union: a sink matches it with ``assert_never``. An event never holds a token, a secret or
a value of a row: addresses go through :func:`loggable`, which blanks the literals of filters and keys. The one
exception is by contract: ``ErrorRaised.detail`` holds what the upstream said, for the log only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Literal, TypeAlias, assert_never

import msgspec
import structlog

from .errors import client_error_codes


class Address(msgspec.Struct, frozen=True, gc=False):
    """An address that is blanked when it is looked at: most are never logged."""

    _raw: str

    def __str__(self) -> str:
        return loggable(self._raw)

    def __repr__(self) -> str:
        return repr(str(self))


class Started(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The gateway serves."""

    url: str
    upstream: str
    sandbox: bool
    metadata: str
    """SHA-256 of the document that serves."""


class RequestSent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt at an upstream request; ``status`` is 0 where no answer came, ``size`` counts the body's bytes."""

    method: str
    url: Address
    status: int
    seconds: float
    size: int
    attempt: int


class RequestRetried(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An upstream read failed and is sent again after ``wait`` seconds."""

    url: str
    reason: str
    wait: float
    attempt: int


class TokenAcquired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The identity provider gave a token."""

    expires_in: float


class MetadataLoaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A metadata document is at hand."""

    source: str
    seconds: float
    digest: str
    size: int


class MetadataStale(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The upstream does not give its metadata; the cached copy serves."""

    source: str
    age: float
    reason: str


class LabelsUnavailable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The upstream does not give label texts; names serve as descriptions."""

    url: str
    reason: str


class CategoriesStale(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The upstream does not give the categories of its entities; those of earlier metadata decide."""

    url: str
    reason: str


class CacheUnusable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Nothing can be kept in the cache folder, or what is there is not ours: every start does the work anew."""

    folder: str
    reason: str


class CompaniesLimited(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``company_limit`` is in force: how many of the served entity sets it bounds, and by what."""

    companies: tuple[str, ...]
    by_company: int
    by_other: int
    shared: int
    refused: int


class ProfileOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A profile serves from now on: at its first request, or again over new metadata."""

    profile: str
    seconds: float
    sets: int
    root_fields: int
    """Fields of Query."""


class ModelRead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A metadata document was read whole: there was no snapshot of its model."""

    metadata: str
    """SHA-256 of the document."""
    seconds: float


class SchemaBuilt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The GraphQL schema is made; ``findings`` are what had to be left out or mended."""

    seconds: float
    metadata: str
    """SHA-256 of the document that it is made from."""
    sets: int
    root_fields: int
    """Fields of Query."""
    findings: tuple[str, ...]


class TypesRenewed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fresh schema over the same metadata took the place of one that had made too many types."""

    types: int
    """How many the old one had made."""
    seconds: float


class TypesNotRenewed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The same failed; the old one serves on and grows."""

    types: int
    reason: str


class MetadataReloaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody asked for new metadata; ``metadata`` is the document that serves now."""

    reason: str
    metadata: str
    changed: bool
    seconds: float


class ReloadFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """New metadata could not be served; those of the document ``metadata`` serve on."""

    reason: str
    metadata: str
    message: str
    hint: str | None


class RequestRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An HTTP request never became an operation: wrong method, no JSON, no query."""

    status: int
    code: str
    message: str


class ClientLeft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A client hung up before its answer was made; what was under way for it is given up."""

    seconds: float


class ConnectionCut(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A connection was refused or cut for what its client does, or because there are too many."""

    reason: str


class OperationServed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One GraphQL operation was answered."""

    name: str | None
    seconds: float
    requests: int
    rows: int
    errors: int


class SubscriptionPolled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A set was looked at for changed rows, for all who subscribe to the same."""

    set: str
    seconds: float
    requests: int
    rows: int
    changes: int


class WatchFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A look for changed rows failed; unless it is ``over``, there will be others."""

    set: str
    reason: str
    over: bool


class SubscriptionEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A subscriber left, or was told that no more comes."""

    seconds: float
    changes: int
    reason: str | None
    """What ended it, where it did not end as planned."""


class SocketClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A WebSocket was closed by us."""

    code: int
    reason: str


class FastPathFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The compiled completion gave up on an operation's rows; its answer is right, but took longer."""

    stage: Literal["raw", "decoded"]
    """Whether it met them as JSON text: after ``raw`` it gets another chance."""
    reason: Literal["mismatch", "value", "defect"]
    """The rows did not fit their types, one held a value that only graphql-core answers, or our code has a bug."""
    error: str | None
    """Type of the exception."""
    place: str | None
    """Where it was raised: file and line."""
    count: int
    """How often this happened in this engine, for this reason."""


class ErrorRaised(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An error went to a client; ``detail`` stays here."""

    code: str
    error_id: str
    message: str
    detail: str | None


Event: TypeAlias = (
    Started
    | RequestSent
    | RequestRetried
    | TokenAcquired
    | MetadataLoaded
    | MetadataStale
    | LabelsUnavailable
    | CategoriesStale
    | CacheUnusable
    | CompaniesLimited
    | ProfileOpened
    | ModelRead
    | SchemaBuilt
    | TypesRenewed
    | TypesNotRenewed
    | MetadataReloaded
    | ReloadFailed
    | RequestRefused
    | ClientLeft
    | ConnectionCut
    | OperationServed
    | SubscriptionPolled
    | WatchFailed
    | SubscriptionEnded
    | SocketClosed
    | FastPathFailed
    | ErrorRaised
)
Observer: TypeAlias = Callable[[Event], None]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
_OF_CLIENTS = client_error_codes()
_NUMBERS: Mapping[LogLevel, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def level_of(event: Event) -> LogLevel:
    """Return the level at which an event is logged."""
    match event:
        case RequestSent() | TokenAcquired() | SubscriptionPolled():
            return "debug"
        case (
            (Started() | MetadataLoaded() | ModelRead() | LabelsUnavailable() | ProfileOpened())
            | (RequestRefused() | ClientLeft() | OperationServed() | TypesRenewed())
            | (SubscriptionEnded() | SocketClosed() | ConnectionCut() | CompaniesLimited())
        ):
            return "info"
        case MetadataReloaded():
            return "info" if event.changed else "debug"
        case TypesNotRenewed() | ReloadFailed():
            return "error"
        case SchemaBuilt():
            return "warning" if event.findings else "info"
        case (
            RequestRetried() | MetadataStale() | CategoriesStale() | CacheUnusable() | WatchFailed()
        ):
            return "warning"
        case FastPathFailed():
            return "error" if event.reason == "defect" else "debug"
        case ErrorRaised() if event.code in _OF_CLIENTS:
            return "debug"
        case ErrorRaised():
            return "error" if event.code == "INTERNAL_ERROR" else "warning"
        case _:
            assert_never(event)


def log_event(event: Event) -> None:
    """Write an event to the log: its class as the message (``request_sent``), its fields as they are."""
    level = level_of(event)
    # Asked of the class: most events are not logged, and making a logger takes as long as all else here.
    kind = structlog.get_config()["wrapper_class"]
    if _is_logged(kind, level):
        logger = structlog.get_logger("gateway")
        getattr(logger, level)(_snake(type(event).__name__), **_facts(event))


@lru_cache(maxsize=32)
def _is_logged(_kind: object, level: LogLevel) -> bool:
    """Return whether loggers of this configured class write at a level."""
    enabled: bool = structlog.get_logger("gateway").bind().is_enabled_for(_NUMBERS[level])
    return enabled


def tee(*observers: Observer) -> Observer:
    """Return an observer that hands each event to all of them, in order."""

    def observe(event: Event) -> None:
        for observer in observers:
            observer(event)

    return observe


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _facts(event: Event) -> Mapping[str, object]:
    facts = {name: getattr(event, name) for name in event.__struct_fields__}
    return {
        n: fact if n == "detail" else _shown(fact) for n, fact in facts.items() if fact is not None
    }


def _shown(fact: object) -> object:
    """Return a fact as it is logged; what a client chose, such as the name of an operation, may be long."""
    match fact:
        case str() if len(fact) > _LONGEST:
            return f"{fact[:_LONGEST]}…"
        case float():
            return round(fact, 4)
        case Address():
            return str(fact)
        case _:
            return fact


_LONGEST = 500
"""Characters of one fact in a line of the log, but for details of errors."""
_SPACE = r"(?: |%20|\+)"
_BLANKED = (
    (re.compile(r"//[^/@?]*@"), "//"),
    (re.compile(r"([?&](?:\$skiptoken|code|sig|token|access_token)=)[^&]*", re.IGNORECASE), r"\1…"),
    (re.compile(r"(?:'|%27).*?(?:'|%27)", re.DOTALL), "'…'"),
    (re.compile(rf"({_SPACE}(?:eq|ne|gt|ge|lt|le){_SPACE})(?!\S*'…')[^ )&+%]+"), r"\1…"),
    (re.compile(r"(?<=[(,=])-?\d[\w.:-]*(?=[,)])"), "…"),
)
"""Passwords; opaque and secret options; quoted literals; bare ones after an operator; bare ones in a key."""


def loggable(url: str) -> str:
    """``https://me:pw@x/data/Set?$filter=Name eq 'Ann'`` → ``https://x/data/Set?$filter=Name eq '…'``."""
    shown = url
    for pattern, blank in _BLANKED:
        shown = pattern.sub(blank, shown)
    return shown if len(shown) <= 500 else f"{shown[:499]}…"
