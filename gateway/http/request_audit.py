"""Records refused requests, administrative acts and uses of API keys in the audit log.

Writes are recorded where they are sent (``writes.audit_trail``). Equal refusals of one client are counted within a
minute, and uses of a key within an hour: neither a flood nor reads push other lines out of the files.
"""

from __future__ import annotations

from starlette.types import Scope

from gateway.audit.entries import Entry, Who
from gateway.audit.log import AuditLog
from gateway.audit.throttle import Throttle
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.identity.who import who_of

from .request_parameters import client_of

REFUSED = frozenset({401, 403, 421})
"""Statuses of refusals for what a caller is, or may do; others are mistakes."""
ADMIN = Who(kind="admin")
"""Who has the admin token."""
LOCAL = Who(kind="os")
"""Who may send signals to the process."""
_MAX_PATH = 200


class RequestAudit:
    """Takes what the doors of an application report."""

    def __init__(self, log: AuditLog) -> None:
        self.log = log
        self._refusals = Throttle(60.0, 600)
        self._uses = Throttle(3_600.0, 10_000)

    def refused(self, scope: Scope, status: int, code: str, caller: Caller) -> None:
        """Record that a request was refused."""
        client, path = client_of(scope), _path_of(scope)
        repeats = self._refusals.admit((client, path, code, caller.log_id))
        if repeats is None:
            return
        self.log.record(
            Entry(
                kind="refused",
                who=who_of(caller),
                client=client,
                path=path,
                status=status,
                code=code,
                repeats=repeats or None,
            )
        )

    def used(self, scope: Scope, caller: Caller) -> None:
        """Record that an API key is in use."""
        repeats = self._uses.admit(caller.subject)
        if repeats is None:
            return
        self.log.record(
            Entry(
                kind="key",
                act="used",
                who=who_of(caller),
                client=client_of(scope),
                path=_path_of(scope),
                repeats=repeats or None,
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


def record_use(scope: Scope, caller: Caller) -> None:
    """Record that an API key is in use, if its application records."""
    audit = audit_of(scope)
    if audit is not None:
        audit.used(scope, caller)


def _path_of(scope: Scope) -> str:
    return str(scope["path"])[:_MAX_PATH]
