"""Records what happens on the link page in the audit log: who has linked an environment, and who could not prove it."""

from __future__ import annotations

from starlette.types import Scope

from gateway.administration.actors import Actor
from gateway.audit.entries import Entry, Who
from gateway.linking.session import LinkSession

from .request_audit import audit_of
from .request_parameters import client_of

PATH = "/link"
"""Of audit lines: the whole path is a secret."""


def record_linked(scope: Scope, session: LinkSession) -> None:
    """Record that an environment was linked, and by whom."""
    audit = audit_of(scope)
    linked = session.linked
    if audit is None or linked is None or session.environment is None:
        return
    who = Who(kind="token", issuer=linked.tenant, subject=linked.subject, name=linked.name)
    actor = Actor(who=who, log=audit.log, client=client_of(scope), path=PATH)
    actor.record("linked", session.environment, ("url", "tenant_id"))


def record_refused_proof(scope: Scope, session: LinkSession) -> None:
    """Record that a visitor has come back from the login page, and has not proved to administer the environment."""
    audit = audit_of(scope)
    if audit is None or session.problem is None:
        return
    audit.log.record(
        Entry(
            kind="refused",
            who=Who(kind="anonymous"),
            client=client_of(scope),
            path=PATH,
            act="link",
            code=session.problem.code,
        )
    )
