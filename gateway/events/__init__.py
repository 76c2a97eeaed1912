"""Log events, as data: business code observes them, sinks turn them into log lines or counts.

    observe(RequestSent(method="GET", url="CustomersV3?$top=5", status=200, seconds=0.04, size=812, attempt=1))

``Event`` is a closed union: a sink matches it with ``assert_never``. An event never holds a token, a secret or
a value of a row: URLs go through :func:`loggable`, which blanks the literals of filters and keys. The one exception is
``ErrorRaised.detail``, which holds what the upstream answered, for the log only.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Literal, Protocol, TypeAlias, assert_never

import msgspec
import structlog

from gateway.errors import client_error_codes

from .addresses import LONGEST
from .addresses import Address as Address
from .addresses import loggable as loggable
from .admission import BreakerClosed, BreakerOpened, LimitLowered, LoopBehind, LoopCaughtUp
from .documents import DocumentBroken, DocumentsChecked, DocumentsLoaded, DocumentsRefused
from .environments import (
    EnvironmentClosed,
    EnvironmentFailed,
    EnvironmentOpened,
    SignInRefused,
    StatusNotWritten,
    WebhookAbandoned,
    WebhookFailed,
    WebhookSent,
)
from .exports import ExportServed, PackageDownloaded
from .files import FileServed
from .hooks import HookReported
from .idempotency import IdempotencyKeyStuck
from .imports import ImportServed
from .jobs import JobDelayed, JobEnded
from .life_cycle import ClockJumped as ClockJumped
from .life_cycle import SettingsNotReloaded as SettingsNotReloaded
from .life_cycle import SettingsReloaded as SettingsReloaded
from .life_cycle import SettingsRetired as SettingsRetired
from .life_cycle import Stopped as Stopped
from .life_cycle import Stopping as Stopping
from .life_cycle import WorkerReplaced as WorkerReplaced
from .metadata import CategoriesStale as CategoriesStale
from .metadata import LabelsUnavailable as LabelsUnavailable
from .metadata import MetadataDrifted
from .metadata import MetadataLoaded as MetadataLoaded
from .metadata import MetadataReloaded as MetadataReloaded
from .metadata import MetadataStale as MetadataStale
from .metadata import ModelRead as ModelRead
from .metadata import ReloadFailed as ReloadFailed
from .metadata import SchemaBuilt as SchemaBuilt
from .metadata import TypesNotRenewed as TypesNotRenewed
from .metadata import TypesRenewed as TypesRenewed
from .operations import CostRefused as CostRefused
from .operations import CostSettled as CostSettled
from .operations import FastPathFailed as FastPathFailed
from .operations import OperationServed as OperationServed
from .operations import OperationSlow as OperationSlow
from .operations import Outcome as Outcome
from .replicas import SharedStateFound, SharedStateLost
from .requests import RequestServed as RequestServed
from .streams import SocketClosed, SubscriptionEnded, SubscriptionPolled, WatchFailed
from .webhooks import WebhookPaused


class Started(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The gateway has started."""

    url: str
    upstream: str
    sandbox: bool
    metadata: str
    """SHA-256 of the metadata document that is served."""


class RequestSent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt at an upstream request. ``status`` is 0 if no answer came; ``size`` is the body's, in bytes."""

    method: str
    url: Address
    status: int
    seconds: float
    size: int
    attempt: int
    target: str = ""
    """Entity set, ``$batch`` or ``$metadata``; empty: anything else."""
    dialect: str = ""
    waited: float = 0.0
    """Seconds for which it waited for its turn before."""
    activity: str | None = None
    """Id under which the environment has logged it."""
    client_request_id: str | None = None
    """Id that the gateway gave it (``x-ms-client-request-id``)."""
    span: str | None = None
    """Id of its span, if the trace of its operation is recorded."""
    is_file: bool | None = None
    """Whether a file flowed in its body or its answer, as fast as the gateway's client has let it; None: none did."""


class RequestRetried(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An upstream read failed and is sent again after ``wait`` seconds."""

    url: str
    reason: str
    wait: float
    attempt: int


class TokenAcquired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The identity provider issued a token."""

    expires_in: float


class CallerTokenAcquired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The identity provider issued a token on behalf of a caller."""

    caller: str
    """A digest that names nobody."""
    expires_in: float


class CacheUnusable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The cache folder cannot be written, or holds files that are not the gateway's: nothing is cached."""

    folder: str
    reason: str


class CompaniesLimited(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``company_limit`` is in force: how many of the served entity sets it restricts, and by which column."""

    companies: tuple[str, ...]
    by_company: int
    by_other: int
    shared: int
    refused: int


class ProfileOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A profile was opened: at its first request, or again because of new metadata."""

    profile: str
    seconds: float
    sets: int
    root_fields: int
    """Fields of Query."""


class RoleViewOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A role view was opened: at the first request of a caller with these roles."""

    roles: tuple[str, ...]
    """With those that they inherit."""
    profile: str | None
    seconds: float


class RequestRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An HTTP request was refused before it became an operation: wrong method, no JSON, no query."""

    status: int
    code: str
    message: str


class StoreFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The store cannot be read or written; what was read before serves. Logged once until it works again."""

    reason: str


class StorePolled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """PostgreSQL announces no changes of the store, so they are polled. Logged once until it announces them again."""

    reason: str


class AuditFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Entries of the audit log could not be written. Logged once until it works again."""

    reason: str
    lost: int
    """Entries."""


class CallerRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The credentials of a request were refused."""

    reason: str
    """``expired``, ``signature``, ``unknown_key`` …"""
    issuer: str | None = None
    """As the token names it, unverified."""
    kid: str | None = None
    """Id of the key that the token names, unverified."""
    caller: str | None = None
    """Digest of the issuer and subject that the token names, unverified."""


class KeysLoaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The keys of an issuer of tokens were loaded, and are others than before."""

    issuer: str
    kids: tuple[str, ...]
    seconds: float


class KeysUnavailable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The keys of an issuer of tokens could not be loaded; the previous ones are used, if there are any."""

    issuer: str
    reason: str
    previous: int
    """Number of the previous keys."""


class ClientLeft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A client disconnected before its answer was ready; its operation was cancelled."""

    seconds: float


class ConnectionCut(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A connection was refused or closed because of its client, or because there are too many."""

    reason: str


class ErrorRaised(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An error was sent to a client, without its ``detail``."""

    code: str
    error_id: str
    message: str
    detail: str | None


Event: TypeAlias = (
    Started
    | BreakerClosed
    | BreakerOpened
    | LoopBehind
    | LoopCaughtUp
    | SettingsNotReloaded
    | SettingsReloaded
    | SettingsRetired
    | Stopping
    | Stopped
    | WorkerReplaced
    | ClockJumped
    | RequestSent
    | RequestServed
    | RequestRetried
    | TokenAcquired
    | CallerTokenAcquired
    | MetadataLoaded
    | MetadataStale
    | LabelsUnavailable
    | CategoriesStale
    | CacheUnusable
    | CompaniesLimited
    | ProfileOpened
    | RoleViewOpened
    | EnvironmentOpened
    | EnvironmentFailed
    | EnvironmentClosed
    | StatusNotWritten
    | IdempotencyKeyStuck
    | SignInRefused
    | WebhookSent
    | WebhookFailed
    | WebhookAbandoned
    | DocumentsLoaded
    | DocumentsRefused
    | DocumentBroken
    | DocumentsChecked
    | ModelRead
    | SchemaBuilt
    | TypesRenewed
    | TypesNotRenewed
    | MetadataReloaded
    | MetadataDrifted
    | ReloadFailed
    | RequestRefused
    | StoreFailed
    | StorePolled
    | SharedStateLost
    | SharedStateFound
    | AuditFailed
    | CallerRefused
    | KeysLoaded
    | KeysUnavailable
    | ClientLeft
    | ConnectionCut
    | OperationServed
    | OperationSlow
    | ExportServed
    | FileServed
    | PackageDownloaded
    | ImportServed
    | HookReported
    | WebhookPaused
    | JobEnded
    | JobDelayed
    | CostSettled
    | CostRefused
    | SubscriptionPolled
    | WatchFailed
    | SubscriptionEnded
    | SocketClosed
    | LimitLowered
    | FastPathFailed
    | ErrorRaised
)

Observer: TypeAlias = Callable[[Event], None]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
_CLIENT_ERRORS = client_error_codes()
_NUMBERS: Mapping[LogLevel, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def level_of(event: Event) -> LogLevel:
    """Return the log level of an event."""
    match event:
        case (RequestSent() | RequestServed() | TokenAcquired() | CallerTokenAcquired()) | (
            SubscriptionPolled() | CostSettled() | HookReported()
        ):
            return "debug"
        case (
            (Started() | MetadataLoaded() | ModelRead() | LabelsUnavailable() | ProfileOpened())
            | (RoleViewOpened() | EnvironmentOpened() | EnvironmentClosed() | WebhookSent())
            | (DocumentsLoaded() | DocumentsChecked())
            | (RequestRefused() | ClientLeft() | OperationServed() | TypesRenewed())
            | (CallerRefused() | KeysLoaded() | SharedStateFound() | ExportServed() | JobEnded())
            | (SettingsReloaded() | SettingsRetired() | BreakerClosed())
            | (LoopCaughtUp() | FileServed())
            | (ImportServed() | MetadataDrifted() | PackageDownloaded() | Stopping() | Stopped())
            | (CostRefused() | SubscriptionEnded() | SocketClosed())
            | (LimitLowered() | ConnectionCut() | CompaniesLimited())
        ):
            return "info"
        case MetadataReloaded():
            return "info" if event.changed else "debug"
        case (TypesNotRenewed() | ReloadFailed() | AuditFailed() | WebhookAbandoned()) | (
            SettingsNotReloaded() | BreakerOpened()
        ):
            return "error"
        case SchemaBuilt():
            return "warning" if event.findings else "info"
        case RequestRetried():
            # 429 is part of finding out what the environment takes: under load there is one every few seconds.
            return "info" if event.reason == "429" else "warning"
        case (MetadataStale() | CategoriesStale() | CacheUnusable()) | (
            (WatchFailed() | StoreFailed() | StorePolled())
            | (KeysUnavailable() | EnvironmentFailed() | StatusNotWritten() | IdempotencyKeyStuck())
            | (SignInRefused() | WebhookFailed() | WebhookPaused() | SharedStateLost())
            | LoopBehind()
            | (DocumentsRefused() | DocumentBroken() | JobDelayed() | OperationSlow())
            | (WorkerReplaced() | ClockJumped())
        ):
            return "warning"
        case FastPathFailed():
            return "error" if event.reason == "defect" else "debug"
        case ErrorRaised():
            return _level_of_code(event.code)
        case _:
            assert_never(event)


def _level_of_code(code: str) -> LogLevel:
    if code in _CLIENT_ERRORS:
        return "debug"
    return "error" if code == "INTERNAL_ERROR" else "warning"


class _LogRules:
    """Which events are logged; ``gateway.logs`` sets it from the settings."""

    allows: Callable[[str, LogLevel], bool] = staticmethod(lambda _name, _level: True)
    sample: float = 1.0


def use_log_rules(allows: Callable[[str, LogLevel], bool], sample: float) -> None:
    """Log the events of a name and level that ``allows`` allows, and this share of the operations without errors."""
    _LogRules.allows, _LogRules.sample = staticmethod(allows), sample
    _is_logged.cache_clear()


_USUAL: Mapping[type[Any], LogLevel] = {
    kind: "info" if kind is OperationServed else "debug"
    for kind in (RequestSent, RequestServed, CostSettled, OperationServed)
}
"""The levels of what is observed in every request: ``level_of`` compares with one class after the other."""


def log_event(event: Event) -> None:
    """Write an event to the log: the name of its class (``request_sent``), and its fields."""
    level = _USUAL.get(type(event)) or level_of(event)
    # Most events are not logged, and making a logger to find that out takes as long as everything else here.
    kind = structlog.get_config()["wrapper_class"]
    if _is_logged(kind, level, type(event)) and not _is_left_out(event):
        logger = structlog.get_logger("gateway")
        getattr(logger, level)(log_name(type(event).__name__), **_facts(event))


@lru_cache(maxsize=512)
def _is_logged(_kind: object, level: LogLevel, event: type[Event]) -> bool:
    """Return whether loggers of this configured class write an event at a level."""
    is_enabled: bool = structlog.get_logger("gateway").bind().is_enabled_for(_NUMBERS[level])
    return is_enabled and _LogRules.allows(log_name(event.__name__), level)


def _is_left_out(event: Event) -> bool:
    """Return whether chance leaves out an operation of which nothing special is to be said."""
    if _LogRules.sample >= 1 or not isinstance(event, OperationServed) or event.errors:
        return False
    return random.random() >= _LogRules.sample  # noqa: S311 - no secret


def tee(*observers: Observer) -> Observer:
    """Return an observer that passes each event to all of these, in order."""
    # Those of another such observer are called from here: a call less for each event.
    flat = tuple(each for o in observers for each in (o.observers if isinstance(o, _Tee) else (o,)))
    return _Tee(flat)


class ChoosyObserver(Protocol):
    """Observes events of some kinds only."""

    def observe(self, event: Event) -> None:
        """Observe an event of any kind."""
        ...

    def observer_of(self, kind: type[Any]) -> Callable[[Any], None] | None:
        """Return what does the same with events of one kind; None if that is nothing."""
        ...


class _Tee:
    """Finds out once for each kind of event who observes it."""

    __slots__ = ("_by_kind", "observers")

    def __init__(self, observers: tuple[Observer, ...]) -> None:
        self._by_kind: dict[type[Any], tuple[Callable[[Any], None], ...]] = {}
        self.observers = observers

    def __call__(self, event: Event) -> None:
        kind = type(event)
        chosen = self._by_kind.get(kind)
        if chosen is None:
            each = (_observer_of(observer, kind) for observer in self.observers)
            chosen = self._by_kind[kind] = tuple(o for o in each if o is not None)
        for observer in chosen:
            observer(event)


def _observer_of(observer: Observer, kind: type[Any]) -> Callable[[Any], None] | None:
    choosy: ChoosyObserver | None = getattr(observer, "__self__", None)
    if hasattr(choosy, "observer_of") and choosy is not None and observer == choosy.observe:
        return choosy.observer_of(kind)
    return observer


@cache
def log_name(name: str) -> str:
    """``RequestSent`` → ``request_sent``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _facts(event: Event) -> Mapping[str, object]:
    facts = {name: getattr(event, name) for name in event.__struct_fields__}
    return {
        n: fact if n == "detail" else _loggable_fact(fact)
        for n, fact in facts.items()
        if fact is not None
    }


def _loggable_fact(fact: object) -> object:
    """Return a field as it is logged: cut off if it is long, as the name of an operation may be."""
    match fact:
        case str() if len(fact) > LONGEST:
            return f"{fact[:LONGEST]}…"
        case float():
            return round(fact, 4)
        case Address():
            return str(fact)
        case _:
            return fact
