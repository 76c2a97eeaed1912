"""Runs a data project of the environment: started once, polled until it has ended, its package's address requested.

    checkpoint: id ──▶ ExportToPackage ──▶ checkpoint: started ──▶ status … status ──▶ address

The id is ours, and is stored before the first request. Whoever goes on after a kill, or after a lost answer, asks for
the status of that id first: an execution that exists is not started again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from gateway.config.package_models import PackageOptions
from gateway.errors import (
    OutcomeUnknown,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.odata.packages import (
    ENDED,
    ExecutionStatus,
    PackageActions,
    execution_request,
    read_status,
    read_text,
    start_request,
)
from gateway.odata.upstream import Upstream

from .records import Execution, NoPackage

_PATIENCE = 6
"""Polls for which an execution that was just started may not be there yet."""
_PASSING = (UpstreamThrottled, UpstreamTimeout, UpstreamUnavailable)
_INTERNAL = 500
Sleep = Callable[[float], Awaitable[None]]


class ExecutionFailed(Exception):
    """An execution has ended without a whole package."""

    def __init__(self, status: ExecutionStatus) -> None:
        super().__init__(status.value)
        self.status = status


class Executions:
    """The executions of one data project, for one caller."""

    def __init__(
        self,
        upstream: Upstream,
        actions: PackageActions,
        project: str,
        options: PackageOptions,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._actions = actions
        self._project = project
        self._options = options
        self._sleep = sleep

    async def started(self, execution: Execution, *, may_exist: bool) -> Execution:
        """Return an execution that was started; ``may_exist``: it may have been before.

        Raises NoPackage if the account may not start it, GatewayError.
        """
        if may_exist and await self._appears(execution.id):
            return replace(execution, is_started=True)
        request = start_request(
            self._actions,
            project=self._project,
            execution=execution.id,
            company=execution.company,
        )
        try:
            response = await self._upstream.write(request)
        except UpstreamForbidden as error:
            raise NoPackage(
                f"this account may not run the data project {self._project} in {execution.company}"
            ) from error
        except OutcomeUnknown as error:
            if await self._appears(execution.id):
                return replace(execution, is_started=True)
            # Started again under the same id, if that has not appeared until then.
            raise UpstreamUnavailable(
                "The environment did not say whether it has started the data project.",
                detail=error.detail,
            ) from error
        if not 200 <= response.status < 300:
            if await self._exists(execution.id):
                return replace(execution, is_started=True)
            raise UpstreamRejected(
                f"The environment has not started the data project {self._project}.",
                hint="Does it exist there, and may this account run it?",
                detail=f"{response.status}: {response.body[:2_000]!r}",
                upstream_status=response.status,
                upstream_request_id=response.request_id,
            )
        # The id of the answer counts: an environment may give its own.
        return replace(execution, id=read_text(response) or execution.id, is_started=True)

    async def ended(self, execution: Execution) -> None:
        """Return when an execution has succeeded. Raises ExecutionFailed, GatewayError."""
        loop, options = asyncio.get_running_loop(), self._options
        begun, patience = loop.time(), _PATIENCE
        while True:
            try:
                status = await self._status(execution.id)
            except _PASSING:
                status = None
            if status is ExecutionStatus.SUCCEEDED:
                return
            if status in ENDED:
                assert status is not None
                raise ExecutionFailed(status)
            if status is ExecutionStatus.UNKNOWN:
                patience -= 1
                if not patience:
                    raise ExecutionFailed(status)
            elif status is not None:
                patience = _PATIENCE
            if loop.time() - begun >= options.timeout:
                raise UpstreamRejected(
                    f"The data project {self._project} runs for more than {options.timeout:g} s.",
                    hint="Resume the job to wait longer. Setting: packages.timeout.",
                )
            await self._sleep(self._pause())

    async def address(self, execution: Execution) -> str:
        """Return where a package can be downloaded. Raises GatewayError."""
        request = execution_request(self._actions.address, execution.id)
        address = read_text(await self._upstream.send(request, safe=True))
        if not address:
            raise UpstreamMalformed("The environment names no address for the package.")
        return address

    async def _appears(self, execution: str) -> bool:
        """Return whether an execution exists, which may take a while to appear."""
        for _ in range(_PATIENCE):
            if await self._exists(execution):
                return True
            await self._sleep(self._pause())
        return False

    async def _exists(self, execution: str) -> bool:
        try:
            return await self._status(execution) is not ExecutionStatus.UNKNOWN
        except _PASSING:
            return False

    async def _status(self, execution: str) -> ExecutionStatus:
        """Return a status; that of an execution that does not exist is unknown. Raises GatewayError."""
        request = execution_request(self._actions.status, execution)
        try:
            return read_status(await self._upstream.send(request, safe=True))
        except (UpstreamRejected, UpstreamUnavailable) as error:
            # "Execution details were not found": https://github.com/microsoft/Recurring-Integrations-Scheduler/issues/71
            if isinstance(error, UpstreamRejected) or error.upstream_status == _INTERNAL:
                return ExecutionStatus.UNKNOWN
            raise

    def _pause(self) -> float:
        """Return seconds until the next poll: jobs that were started together spread out."""
        return self._options.poll * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
