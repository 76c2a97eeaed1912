"""Tokens on behalf of callers over a fake login host and a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import TokenError
from gateway.events import Event
from gateway.identity.caller import Caller
from gateway.odata.login_http import LoginHttp
from gateway.odata.on_behalf_of import OnBehalfOf
from gateway.odata.token_requests import EntraAccount, IssuedToken

from .callers import HOUR

ACCOUNT = EntraAccount(
    authority="https://login.example",
    tenant_id="contoso",
    client_id="app-1",
    scope="https://fo.example/.default",
)


@dataclass
class FakeRequests:
    """Answers as the login host; ``answers`` by assertion, else a token."""

    account: EntraAccount = ACCOUNT
    http: LoginHttp = field(default_factory=lambda: LoginHttp(ACCOUNT.authority))
    lifetime: float = HOUR
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    gate: threading.Event | None = None

    def on_behalf_of(
        self, assertion: str, claims: str | None
    ) -> tuple[Mapping[str, Any], IssuedToken | TokenError]:
        self.asked.append((assertion, claims))
        if self.gate is not None:
            self.gate.wait(5)
        answer = self.answers.get(assertion)
        if answer is not None:
            return answer, TokenError("refused")
        return {}, IssuedToken(f"{assertion}#{len(self.asked)}", self.lifetime)


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


class CallerTokenWorld:
    """The tokens of callers, over a fake login host and a clock that the test sets."""

    def __init__(self, max_tokens: int = 100, workers: int = 4, longest: float = 5.0) -> None:
        self.requests = FakeRequests()
        self.clock = Clock()
        self.events: list[Event] = []
        self.tokens = OnBehalfOf(
            self.requests,  # type: ignore[arg-type] # what it uses of the real one
            max_tokens=max_tokens,
            workers=workers,
            observe=self.events.append,
            now=self.clock,
            jitter=lambda: 0.0,
            longest=longest,
        )

    async def token(self, caller: Caller) -> str:
        return await self.tokens.token(caller)
