"""Link sessions as the page reads them: nothing of their secrets, and to strangers no more than what they are for."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway.config.linking_models import webhook_key
from gateway.config.settings import Settings
from gateway.linking.flow import LinkFlow, Visitor
from gateway.linking.login import CALLBACK
from gateway.linking.problems import LinkError
from gateway.linking.return_address import return_address
from gateway.linking.session import CheckStep, LinkSession, Phase, Problem


def state_json(session: LinkSession, visitor: Visitor, flow: LinkFlow) -> dict[str, Any]:
    """Return a session for its visitor."""
    facts: dict[str, Any] = {
        "title": session.title,
        "application": session.application,
        "phase": session.phase,
        "expiresIn": round(session.expires_at - flow.sessions.now()),
        "callback": f"{flow.public_url}{CALLBACK}",
    }
    # Before that, nothing has been entered.
    if session.browser is None or session.id not in visitor.secrets:
        return facts
    target, linked = session.target, session.linked
    facts |= {
        "problem": None if session.problem is None else problem_json(session.problem),
        "host": None if target is None else urlsplit(target.url).netloc,
        "url": None if target is None else target.url,
        "tenant": None if target is None else target.tenant,
        "clientId": session.client_id,
        "client": session.client_id or flow.settings.client_id or flow.settings.linking.client_id,
        "signedIn": None if linked is None else linked.name,
        "steps": [msgspec.to_builtins(step) for step in session.steps],
    }
    if session.phase is Phase.LINKED:
        facts["environment"] = session.environment
        facts["return"] = _return_of(session, flow.settings, int(flow.sessions.now()))
    return facts


def _return_of(session: LinkSession, settings: Settings, now: int) -> str | None:
    """Return the signed address to which the visitor goes back; None: there is none."""
    secret = settings.linking.webhook_secret
    # The settings may have changed since the session was made.
    if session.return_url not in settings.linking.return_urls or secret is None:
        return None
    assert session.environment is not None
    return return_address(
        session.return_url,
        webhook_key(secret),
        session=session.id,
        environment=session.environment,
        timestamp=now,
    )


def check_line(step: CheckStep) -> bytes:
    """Return a step of a check as a line of JSON."""
    return msgspec.json.encode({"step": step}) + b"\n"


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return a problem."""
    facts = {"code": problem.code, "message": problem.message, "hint": problem.hint}
    return {name: fact for name, fact in facts.items() if fact is not None}


def error_json(error: LinkError) -> dict[str, Any]:
    """Return an error as the body of an answer."""
    facts = problem_json(error.problem)
    if error.field is not None:
        facts["field"] = error.field
    return {"error": facts}
