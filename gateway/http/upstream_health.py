"""``/health/upstream``: whether the gateway reaches its environment, and where the way ends; for people who run it.

It walks the same chain as ``d365-graphql check``: token, user, roles, companies, rights. A report is kept for some
seconds and made once at a time, so that no number of requests becomes load for the environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.events import Observer
from gateway.runtime.environment_check import (
    Report,
    application_sign_in,
    bounded,
    service_steps,
)
from gateway.runtime.upstream_chain import problem_step

from .admin_app import json_for_people

if TYPE_CHECKING:
    from gateway.odata.application_sign_in import ApplicationSignIn

MAX_AGE = 15.0
"""Seconds for which a report is kept."""
LONGEST = 60.0
"""Seconds that a report may take."""


class UpstreamHealth:
    """The reports of one environment. Tests replace ``now``, a clock in seconds since the epoch."""

    def __init__(
        self,
        settings: Settings,
        observe: Observer,
        *,
        now: Callable[[], float] = time.time,
        longest: float = LONGEST,
    ) -> None:
        # Problems are reported at once, not after retries.
        self._settings = settings.model_copy(update={"retries": 0})
        self._observe = observe
        self._now = now
        self._longest = longest
        self._auth: ApplicationSignIn | None = None
        self._report: Report | None = None
        self._making: asyncio.Task[Report] | None = None

    async def report(self) -> Report:
        """Return the last report, or a new one if it is old."""
        report = self._report
        if report is not None and self._now() < report.at + MAX_AGE:
            return report
        if self._making is None:
            self._making = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._making)

    async def _make(self) -> Report:
        try:
            settings, auth = self._settings, self._sign_in()
            found = service_steps(settings, self._observe, auth=auth)
            steps = [step async for step in bounded(found, self._longest)]
        except GatewayError as error:  # of the credentials in the settings
            steps = [problem_step("sign-in", error)]
        finally:
            self._making = None
        self._report = Report(tuple(steps), self._now())
        return self._report

    def _sign_in(self) -> ApplicationSignIn | None:
        """Return the sign-in, whose token is used by all reports; None if there is none. Raises SettingsError."""
        settings = self._settings
        if self._auth is None and settings.auth != "none" and settings.url is not None:
            self._auth = application_sign_in(settings, self._observe)
        return self._auth


def upstream_health(
    settings: Settings, observe: Observer
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint: 200 if there is no problem, else 503."""
    health = UpstreamHealth(settings, observe)

    async def answer(_: Request) -> Response:
        report = await health.report()
        return json_for_people(report.to_json(), 200 if report.is_good else 503)

    return answer
