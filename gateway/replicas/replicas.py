"""What one replica shares with the others of its deployment, environment by environment."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

from gateway.admission.admission import lanes_of
from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.documents.automatic import AutomaticDocuments
from gateway.events import Observer
from gateway.odata.client import ODataClient

from .limit_shares import LimitShares
from .notices import Logged, Notice, Registered, Reported
from .shared_answers import SharedAnswers
from .shared_budgets import Costs, SharedBudgets
from .shared_builds import SharedBuilds
from .shared_limit import SharedLimit
from .shared_pauses import SharedPauses
from .shared_state import SharedState
from .shared_watches import SharedWatches, WatchLog, watch_name


class Replicas:
    """The shared state of one process, and what uses it."""

    def __init__(self, settings: Settings, observe: Observer) -> None:
        self.state = SharedState(settings.replicas, observe)
        self._shares = LimitShares(self.state, settings.replicas.alone)
        self._pauses = SharedPauses(self.state)
        self._budgets = SharedBudgets(self.state)
        self._watches = SharedWatches(self.state)
        self.builds = SharedBuilds(self.state)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Share until the end of the block."""
        async with self.state.running():
            agreeing = asyncio.create_task(self._shares.run())
            try:
                yield
            finally:
                agreeing.cancel()
                await asyncio.gather(agreeing, return_exceptions=True)

    def share_documents(self, documents: AutomaticDocuments) -> None:
        """Register with all replicas what clients register with one."""
        state = self.state

        def tell(text: str) -> None:
            state.notify_soon(Registered(replica=state.replica, text=text))

        def hear(notice: Notice) -> None:
            if isinstance(notice, Registered):
                documents.register_elsewhere(notice.text)

        documents.registered = tell
        state.on_notice(hear)

    def share_reports(
        self,
        reported: Callable[[Reported], None],
        logged: Callable[[str, str], None],
    ) -> None:
        """Call these with what other replicas were told by environments, and have found in watches."""

        def hear(notice: Notice) -> None:
            if isinstance(notice, Reported):
                reported(notice)
            elif isinstance(notice, Logged):
                logged(notice.environment, notice.watch)

        self.state.on_notice(hear)

    def tell_report(
        self, environment: str, names: frozenset[str], entities: frozenset[str], at: float
    ) -> None:
        """Tell the other replicas what an environment has reported."""
        self.state.notify_soon(
            Reported(
                replica=self.state.replica,
                environment=environment,
                names=names,
                entities=entities,
                at=at,
            )
        )

    def log_of(self, environment: str, watch: tuple[Hashable, ...]) -> WatchLog | None:
        """Return the log of a watch; None if others cannot know that it is the same."""
        name = watch_name(*watch)
        return None if name is None else self._watches.log(environment, name)

    @contextmanager
    def joined(self, client: ODataClient, settings: Settings) -> Iterator[None]:
        """Share limit, pauses and cached answers of an environment until the end of the block."""
        environment = environment_in(settings) or "-"
        # Environments of one name in two deployments are told apart by the prefix; accounts have limits of their own.
        name = f"{environment}:{_digest(client.root, settings.client_id or '')}"
        with ExitStack() as leaving:
            # Lanes with credentials of their own have limits of their own.
            for lane, admission in client.admissions.items():
                place = f"{name}:{lane}" if lane else name
                limit = self._shares.join(place, admission, lanes_of(settings))
                leaving.callback(self._shares.leave, place)
                self._pauses.join(place, admission)
                leaving.callback(self._pauses.leave, place)
                if not lane and isinstance(client.costs, Costs):
                    self._budgets.join(name, client.costs.budgets, partial(_number, limit))
                    leaving.callback(self._budgets.leave, name)
            if isinstance(client.answers, EnvironmentAnswers):
                variant = _variant(client.root, settings)
                stores = settings.replicas.answers and settings.cache.ttl > 0
                shared = SharedAnswers(self.state, client.answers, variant, stores=stores)
                leaving.callback(shared.leave)
            yield


def _number(limit: SharedLimit) -> float:
    return limit.replicas


def _variant(root: str, settings: Settings) -> str:
    """Return what decides about the answers of an environment and is not part of their addresses."""
    deciding = settings.model_dump_json(include={"language", "identity", "client_id", "tenant_id"})
    return _digest(root, deciding)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=9).hexdigest()
