"""An upstream that answers from a list, and a clock that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.odata.client import ODataClient
from gateway.odata.retry import Clock

Answer: TypeAlias = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
NOW = 1_000_000.0


@dataclass
class Upstream:
    """Answers requests from a list, the last answer repeatedly; records requests, events and waits."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    chance: float = 1.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        # A request that is sent again is the same object with other headers.
        headers = request.headers.multi_items()
        asked = httpx.Request(request.method, request.url, headers=headers, content=request.content)
        self.requests.append(asked)
        at = min(len(self.requests), len(self.answers)) - 1
        answer = self.answers[at]
        if isinstance(answer, httpx.Response):
            # A response can be read once; give a fresh one.
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        if isinstance(answer, Exception):
            raise answer
        return answer(request)

    def client(self, *, auth: httpx.Auth | None = None, **settings: object) -> ODataClient:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        clock = Clock(sleep=sleep, random=lambda: self.chance, now=lambda: NOW)
        values: dict[str, object] = {
            "url": "https://fo.example/data",
            "dialect": "finops",
            **settings,
        }
        return ODataClient(
            Settings.model_validate(values),
            auth=auth,
            transport=httpx.MockTransport(self.answer),
            observe=self.events.append,
            clock=clock,
        )


def upstream(*answers: Answer) -> Upstream:
    return Upstream(list(answers))


def rows(*values: object, **more: object) -> httpx.Response:
    return httpx.Response(200, json={"@odata.context": "x", "value": values, **more})
