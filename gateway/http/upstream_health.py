"""``/health/upstream``: whether the gateway reaches an environment, and where the way ends; for people who run it.

It walks the same chain as ``d365-graphql check``: token, user, roles, companies, rights. A report is kept for some
seconds and made once at a time, so that no number of requests becomes load for the environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.config.environment_models import OWN
from gateway.config.settings import Settings
from gateway.environments.named_settings import names_of, settings_of
from gateway.environments.opened import cancel_all
from gateway.errors import GatewayError, NoSuchEnvironment
from gateway.events import Observer
from gateway.process.daemon_call import daemon_call
from gateway.runtime.environment_check import (
    Report,
    application_sign_in,
    bounded,
    service_steps,
)
from gateway.runtime.upstream_chain import Status, problem_step

from .admin_app import json_for_people

if TYPE_CHECKING:
    from gateway.odata.application_sign_in import ApplicationSignIn

MAX_AGE = 15.0
"""Seconds for which a report is kept."""
LONGEST = 60.0
"""Seconds that a report may take, or those of all environments."""
AT_ONCE = 8
"""Environments that are tried at a time."""
MOST = 1_024
"""Environments whose reports are kept."""


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

    @property
    def is_old(self) -> bool:
        """Whether there is no report that may be used again, and none is being made."""
        return self._making is None and self._fresh() is None

    def _fresh(self) -> Report | None:
        report = self._report
        return None if report is None or self._now() >= report.at + MAX_AGE else report

    async def report(self) -> Report:
        """Return the last report, or a new one if it is old."""
        report = self._fresh()
        if report is not None:
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


class EnvironmentsHealth:
    """The reports of all environments of a deployment, by name."""

    def __init__(
        self,
        settings: Settings,
        observe: Observer,
        *,
        now: Callable[[], float] = time.time,
        longest: float = LONGEST,
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._now = now
        self._longest = longest
        self._own = UpstreamHealth(settings, observe, now=now, longest=longest)
        self._others: dict[str, UpstreamHealth] = {}

    async def report(self, name: str | None) -> Report:
        """Return the report of an environment; without a name, of that of the settings.

        Raises NoSuchEnvironment.
        """
        if name is None or (name == OWN and self._settings.default_environment):
            return await self._own.report()
        health = self._others.get(name)
        if health is None or health.is_old:
            # Read anew for each report: those of the store change while the gateway runs.
            try:
                settings = await daemon_call(partial(settings_of, self._settings, name))
            except NoSuchEnvironment:
                self._others.pop(name, None)
                raise
            except GatewayError as error:
                return Report((problem_step("settings", error),), self._now())
            current = self._others.get(name)
            if current is None or current.is_old:
                current = UpstreamHealth(
                    settings, self._observe, now=self._now, longest=self._longest
                )
                self._keep(name, current)
            health = current
        return await health.report()

    async def reports(self) -> Mapping[str, Report | None]:
        """Return the reports of all environments, a few at a time; None: there was no time left for it.

        Raises GatewayError if the store cannot be read.
        """
        names = await daemon_call(lambda: list(names_of(self._settings)))
        found: dict[str, Report | None] = dict.fromkeys(names)
        few = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with few:
                with suppress(NoSuchEnvironment):  # it was removed meanwhile
                    found[name] = await self.report(name)

        tasks = [asyncio.ensure_future(one(name)) for name in names]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._longest)
            await cancel_all(late)
        return found

    def _keep(self, name: str, health: UpstreamHealth) -> None:
        self._others.pop(name, None)
        self._others[name] = health
        while len(self._others) > MOST:
            del self._others[next(iter(self._others))]


def upstream_health(
    settings: Settings, observe: Observer, refused: Callable[[str], float | None] | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint: 200 if there is no problem, else 503; 404 for an unknown environment.

    ``refused``: see ``AdminContext``.
    """
    health = EnvironmentsHealth(settings, observe)

    async def answer(request: Request) -> Response:
        try:
            if request.query_params.get("all") == "true":
                return _all_json(await health.reports())
            name = request.query_params.get("environment")
            report = await health.report(name)
        except NoSuchEnvironment as error:
            return json_for_people({"status": "unknown", "message": error.message}, 404)
        except GatewayError as error:
            return json_for_people({"status": "problem", "message": error.message}, 503)
        content = report.to_json() if name is None else {"environment": name, **report.to_json()}
        if refused is not None:
            content["requests"] = _requests_json(await daemon_call(partial(refused, name or OWN)))
        return json_for_people(content, 200 if report.is_good else 503)

    return answer


def _requests_json(seconds: float | None) -> Mapping[str, object]:
    """Return whether requests of clients are sent now; whoever asks for the report is not refused."""
    if seconds is None:
        return {"status": "sent"}
    return {"status": "refused", "retryAfter": ceil(seconds)}


def _all_json(reports: Mapping[str, Report | None]) -> Response:
    environments = {
        name: {"status": "unknown"} if report is None else _short(report)
        for name, report in reports.items()
    }
    is_good = all(each["status"] == "ok" for each in environments.values())
    content = {"status": "ok" if is_good else "problem", "environments": environments}
    return json_for_people(content, 200 if is_good else 503)


def _short(report: Report) -> dict[str, Any]:
    """Return the result of a report, and of its steps only those that are no good."""
    content = report.to_json()
    steps = [step for step in content["steps"] if step["status"] != Status.OK]
    return {"status": content["status"], "at": content["at"], "steps": steps}
