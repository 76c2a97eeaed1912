"""Tells the other replicas that an environment wants no requests for a while, or answers none; hears it from them."""

from __future__ import annotations

from functools import partial
from math import ceil

from gateway.admission.admission import Admission
from gateway.odata.response_check import Response

from .notices import Notice, Throttled, Unanswered
from .shared_state import SharedState


class SharedPauses:
    """The pauses of one replica."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._admissions: dict[str, Admission[Response]] = {}
        state.on_notice(self._heard)

    def join(self, name: str, admission: Admission[Response]) -> None:
        """Share the pauses of an environment and credential."""
        self._admissions[name] = admission
        admission.pauses.closed = partial(self._tell, name)
        admission.breaker.opened = partial(self._tell_unanswered, name)

    def leave(self, name: str) -> None:
        """Share them no longer."""
        self._admissions.pop(name, None)

    def _tell(self, name: str, identity: str | None, seconds: float) -> None:
        notice = Throttled(
            replica=self._state.replica, lane=name, seconds=seconds, identity=identity
        )
        self._state.notify_soon(notice)

    def _tell_unanswered(self, name: str) -> None:
        self._state.notify_soon(Unanswered(replica=self._state.replica, lane=name))

    def _heard(self, notice: Notice) -> None:
        if not isinstance(notice, Throttled | Unanswered):
            return
        admission = self._admissions.get(notice.lane)
        if admission is None:
            return
        if isinstance(notice, Unanswered):
            admission.breaker.warn()
        elif 0 < notice.seconds < LONGEST:
            refusal = Response(429, {"retry-after": str(max(1, ceil(notice.seconds)))}, b"", "")
            admission.pauses.close(notice.identity, refusal, notice.seconds)


LONGEST = 24 * 3600.0
"""Seconds; what a replica says is checked as what a service says."""
