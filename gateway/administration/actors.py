"""Who changes environments, and the audit log in which that is recorded."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from msgspec import Struct

from gateway.audit.entries import Entry, Who
from gateway.audit.log import AuditLog
from gateway.audit.opening import open_audit_log
from gateway.config.settings import Settings
from gateway.events import Observer


class Actor(Struct, frozen=True, kw_only=True):
    """Who acts, by which way."""

    who: Who
    log: AuditLog | None
    """None: nothing is recorded."""
    is_required: bool = False
    """Whether a change that cannot be recorded is refused: it is announced before it is made."""
    client: str | None = None
    """Address of the client."""
    path: str | None = None

    def announce(self, act: str, environment: str, fields: Iterable[str] = ()) -> None:
        """Record what is about to be done, if it must not be done otherwise. Raises AuditUnavailable."""
        if self.log is not None and self.is_required:
            self.log.recorded_now(self._entry(act, environment, fields))

    def record(self, act: str, environment: str, fields: Iterable[str] = ()) -> None:
        """Record a change of an environment."""
        if self.log is not None:
            self.log.record(self._entry(act, environment, fields, "done"))

    def _entry(
        self,
        act: str,
        environment: str,
        fields: Iterable[str],
        outcome: Literal["done"] | None = None,
    ) -> Entry:
        return Entry(
            kind="admin",
            act=f"environment.{act}",
            who=self.who,
            client=self.client,
            path=self.path,
            environment=environment,
            fields=tuple(sorted(fields)),
            outcome=outcome,
        )


@contextmanager
def acting_user(settings: Settings, observe: Observer) -> Iterator[Actor]:
    """Yield the user who runs a command. Raises SettingsError if acts must be recorded, and cannot."""
    # Standard output has what the command prints.
    log = open_audit_log(settings, observe, stdout=sys.stderr)
    try:
        required = settings.audit.required
        yield Actor(who=user_of_machine(), log=log, is_required=required)
    finally:
        if log is not None:
            log.close_now()


def user_of_machine() -> Who:
    """Return the user who has started this process."""
    try:
        return Who(kind="os", subject=getpass.getuser())
    except (KeyError, OSError, ImportError):  # in a container, a user may have no name
        return Who(kind="os", subject=str(os.getuid()) if hasattr(os, "getuid") else "")
