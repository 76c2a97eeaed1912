"""Records refused requests, administrative acts and uses of API keys in the audit log.

Writes are recorded where they are sent (``writes.audit_trail``). Equal refusals of one client are counted within a
minute, and uses of a key within an hour, each count in a line of its own: neither a flood nor reads push other lines
out of the files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.types import Scope

from gateway.audit.entries import Entry, Who
from gateway.audit.log import AuditLog
from gateway.audit.throttle import Throttle
from gateway.errors import GatewayError, Unauthenticated
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.identity.who import who_of

from .presence import presence_of
from .refusals import HttpError
from .request_parameters import client_of

REFUSED = frozenset({401, 403, 421})
"""Statuses of refusals for what a caller is, or may do; others are mistakes."""
ADMIN = Who(kind="admin")
"""Who has the admin token."""
LOCAL = Who(kind="os")
"""Who may send signals to the process."""
_MAX_PATH = 200
_LINK = "/link/"


class RequestAudit:
    """Takes what the doors of an application report."""

    def __init__(self, log: AuditLog) -> None:
        self.log = log
        self._refusals = Throttle(60.0, 600)
        self._uses = Throttle(3_600.0, 10_000)
        self._timers: dict[Throttle, asyncio.TimerHandle] = {}

    def refused(
        self, scope: Scope, status: int, code: str, caller: Caller, named: str | None = None
    ) -> None:
        """Record that a request was refused. ``named``: whom its refused credentials name, as a digest."""
        client, path, environment = client_of(scope), _path_of(scope), _environment_of(scope)

        def entry() -> Entry:
            who = who_of(caller) if named is None else Who(kind="anonymous", id=named)
            return Entry(
                kind="refused",
                who=who,
                client=client,
                environment=environment,
                path=path,
                status=status,
                code=code,
            )

        key = (client, path, environment, status, code, named or caller.log_id)
        self._take(self._refusals, key, entry)

    def used(self, scope: Scope, caller: Caller) -> None:
        """Record that an API key is in use."""

        def entry() -> Entry:
            client, path = client_of(scope), _path_of(scope)
            return Entry(kind="key", act="used", who=who_of(caller), client=client, path=path)

        self._take(self._uses, caller.subject, entry)

    def close(self) -> None:
        """Record what was counted."""
        for timer in self._timers.values():
            timer.cancel()
        for throttle in (self._refusals, self._uses):
            self._record(throttle.rest())

    def _take(self, throttle: Throttle, key: Hashable, make: Callable[[], Entry]) -> None:
        self._record(throttle.admit(key, make))
        if throttle.has_counts and throttle not in self._timers:
            self._settle_later(throttle)

    def _settle_later(self, throttle: Throttle) -> None:
        """Record counts when their time is over: they must not wait for another entry, which may never come."""
        loop = asyncio.get_running_loop()
        self._timers[throttle] = loop.call_later(throttle.seconds, self._settle, throttle)

    def _settle(self, throttle: Throttle) -> None:
        del self._timers[throttle]
        self._record(throttle.due())
        if throttle.has_counts:
            self._settle_later(throttle)

    def _record(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.log.record(entry)

    def acted_by(self, scope: Scope, act: str, caller: Caller) -> None:
        """Record an act of a caller."""
        self.log.record(
            Entry(
                kind="admin",
                act=act,
                who=who_of(caller),
                client=client_of(scope),
                path=_path_of(scope),
                environment=_environment_of(scope),
                outcome="done",
            )
        )

    def acted(self, scope: Scope | None, act: str, *, is_done: bool) -> None:
        """Record an administrative act, by a request or (None) by a signal of this machine."""
        self.log.record(
            Entry(
                kind="admin",
                act=act,
                who=LOCAL if scope is None else ADMIN,
                client=None if scope is None else client_of(scope),
                path=None if scope is None else _path_of(scope),
                outcome="done" if is_done else "failed",
            )
        )


@contextmanager
def auditing(app: Starlette, log: AuditLog | None) -> Iterator[None]:
    """Let an application record in a log; None: it does not."""
    audit = app.state.audit = None if log is None else RequestAudit(log)
    try:
        yield
    finally:
        if audit is not None:
            audit.close()


def audit_of(scope: Scope) -> RequestAudit | None:
    """Return where the application of a request records; None if it does not, or has not started."""
    app = scope.get("app")
    return None if app is None else getattr(app.state, "audit", None)


def record_refusal(
    scope: Scope, status: int, code: str, caller: Caller = ANONYMOUS, *, always: bool = False
) -> None:
    """Record that a request was refused, if its application records and that is for who its caller is.

    ``always``: it is, whatever the status says.
    """
    audit = audit_of(scope)
    if audit is not None and (always or status in REFUSED):
        audit.refused(scope, status, code, caller)


def record_refused(
    scope: Scope, refused: HttpError, caller: Caller = ANONYMOUS, *, always: bool = False
) -> None:
    """Record the refusal of a request as ``record_refusal`` does, once, however many on its way do so."""
    if not refused.is_recorded:
        refused.is_recorded = True
        record_refusal(scope, refused.status, refused.code, caller, always=always)


def record_refused_credentials(scope: Scope, refused: HttpError, error: GatewayError) -> None:
    """Record that the credentials of a request were refused; not that what verifies them is away."""
    refused.is_recorded = True
    audit = audit_of(scope)
    if audit is not None and isinstance(error, Unauthenticated):
        audit.refused(scope, refused.status, refused.code, ANONYMOUS, error.named)


def record_act(scope: Scope, act: str, caller: Caller) -> None:
    """Record what a caller has set up that goes on without a request, if its application records."""
    audit = audit_of(scope)
    if audit is not None:
        audit.acted_by(scope, act, caller)


def record_use(scope: Scope, caller: Caller) -> None:
    """Record that an API key is in use, if its application records."""
    audit = audit_of(scope)
    if audit is not None:
        audit.used(scope, caller)


def _environment_of(scope: Scope) -> str | None:
    """Return the environment that a request is in; None: that of the settings, or none that the caller may use."""
    presence = presence_of(scope)
    return None if presence is None else presence.name or None


def _path_of(scope: Scope) -> str:
    path = str(scope["path"])
    # What follows is the secret of a link session.
    shown, secret, _ = path.partition(_LINK)
    return f"{shown}{secret}…" if secret else path[:_MAX_PATH]
