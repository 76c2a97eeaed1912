"""Callers, as audit lines name them."""

from __future__ import annotations

from gateway.audit.entries import Who

from .caller import ANONYMOUS, Caller


def who_of(caller: Caller) -> Who:
    """Return who a caller is, without claims and token."""
    if caller is ANONYMOUS:
        return Who(kind="anonymous")
    return Who(
        kind=caller.kind,
        issuer=caller.issuer,
        subject=caller.subject,
        application=caller.application,
        name=caller.name,
        id=caller.log_id,
        roles=caller.roles,
    )
