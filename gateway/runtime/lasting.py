"""What outlives an application of a process: the next one goes on with it after a reload of the settings.

    application ──▶ ``of(key, make)`` ◀── the next one, while the first still ends what it began

Keys hold all that a part depends on, so that other settings get another part. A part is forgotten with the last one who
uses it: an environment that was closed begins anew, as it does without any reload.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TypeVar, cast
from weakref import WeakValueDictionary

from gateway.admission.admission import Admission, lanes_of
from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.identity.caller import Caller
from gateway.odata.response_check import Response
from gateway.shutdown import Shutdown
from schema.model.relations import Relation

_T = TypeVar("_T")
_OWNER_BYTES = 16


class Lasting:
    """The parts of one process that its applications share, one after the other. Belongs to one event loop."""

    def __init__(self) -> None:
        self.shutdown = Shutdown()
        """Ends the writes of all environments."""
        self.has_served = False
        """Whether an application has started before, which serves while the next one starts."""
        self.owner = secrets.token_hex(_OWNER_BYTES)
        """Under which the process holds leases in the store."""
        self.webhook_callers: dict[str, Caller] = {}
        """Callers of webhooks, with their tokens, which no other process has."""
        self._parts: WeakValueDictionary[Hashable, object] = WeakValueDictionary()

    def of(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return the part of that key, which is made if nobody has it."""
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = make()
        return cast("_T", part)

    def of_environment(
        self, settings: Settings, kind: str, make: Callable[[], _T], *more: Hashable
    ) -> _T:
        """Return a part of the environment that settings are of. ``more``: what else it depends on."""
        signs_in = (settings.tenant_id, settings.client_id)
        key = (kind, environment_in(settings), settings.url, *signs_in, *more)
        return self.of(key, make)

    def sandbox(
        self, settings: Settings, relations: Sequence[Relation], make: Callable[[], _T]
    ) -> _T:
        """Return the embedded sandbox, with what was written to it."""
        deciding = (settings.sandbox.model_dump_json(), repr(relations))
        return self.of_environment(settings, "sandbox", make, *deciding)

    def admissions_of(
        self, settings: Settings
    ) -> Callable[[str, Callable[[], Admission[Response]]], Admission[Response]]:
        """Return what finds the admissions of a client, by lane: their limits are learned, and hold for all of them."""
        lanes = repr(lanes_of(settings))
        return partial(self._admission, settings, lanes)

    def _admission(
        self,
        settings: Settings,
        lanes: str,
        lane: str,
        make: Callable[[], Admission[Response]],
    ) -> Admission[Response]:
        return self.of_environment(settings, "admission", make, lane, lanes)
