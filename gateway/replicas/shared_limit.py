"""One limit of upstream requests for all replicas, of which each has a share.

Every beat a replica says how many requests it has and would send, and what it has learned since; the shared state adds
that up, and divides the limit (``shares.lua``). A refusal is said at once, and the others are told. Without the shared
state a replica learns by itself, below its part of the highest limit.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.admission.controller import DECREASE, PATIENCE, Limit


class SharedLimit(Limit):
    """The part of one replica in the limit of an environment and credential. Takes the place of ``Limit``."""

    def __init__(
        self, *, start: int, highest: int, alone: float, changed: Callable[[bool], None]
    ) -> None:
        """``alone``: the part that is used while it is not known how many replicas there are.

        ``changed`` is called when something is to be said before the next beat; True: a request was refused.
        """
        self.total = Limit(start=start, highest=highest)
        """The limit of all replicas, as last known and learned since."""
        self.start = start
        self.growth = 0.0
        """By how much it grew here since the last beat."""
        self.replicas = 1 / alone
        """How many replicas there were when shares were last agreed."""
        self.retry_after = 0.0
        """Seconds for which the limit that was refused is not to be tried again, since the last beat."""
        self.refused_at = 0
        """Most that were under way here when a request was refused, since the last beat."""
        self.went_beyond = False
        """Whether it grew above a limit that was refused, because answers have become quicker."""
        self._pressure = 0.0
        self._alone: Limit | None = None
        self._changed = changed
        super().__init__(start=1, highest=highest)

    @property
    def is_alone(self) -> bool:
        """Whether it learns by itself, because the shared state is away."""
        return self._alone is not None

    def answered(
        self,
        now: float,
        pressure: float,
        *,
        is_used: bool,
        to_calm: float = 1.0,  # noqa: ARG002 - see CautiousLimit
    ) -> None:
        """Grow a little, if the share is used."""
        if self._alone is not None:
            self._alone.answered(now, pressure, is_used=is_used)
            self.value = self._alone.value
            return
        self._pressure = pressure
        before = self.total.value
        self.total.answered(now, pressure, is_used=is_used)
        self.went_beyond |= self.total.is_beyond
        self.growth += self.total.value - before

    def refused(self, now: float, under_way: int, pressure: float, wait: float = 0.0) -> None:
        """Shrink, and say so."""
        if self._alone is not None:
            self._alone.refused(now, under_way, pressure, wait)
            self.value = self._alone.value
            return
        share = self.value / max(self.total.value, 1.0)
        self.total.refused(now, round(under_way / max(share, 0.01)), pressure, wait)
        self.growth = 0.0
        self.refused_at = max(self.refused_at, under_way)
        self.retry_after = max(self.retry_after, PATIENCE * wait)
        # At once, and not only when the others have been heard.
        self.value = min(self.value, max(1.0, self.value * DECREASE))
        self._changed(True)

    def take_refusal(self) -> tuple[float, int, int]:
        """Return ``retry_after``, ``refused_at`` and ``went_beyond``, which begin anew."""
        refusal = self.retry_after, self.refused_at, int(self.went_beyond)
        self.retry_after, self.refused_at, self.went_beyond = 0.0, 0, False
        return refusal

    def agreed(
        self, total: float, share: int, replicas: int, refused: float = 0.0, retry_at: float = 0.0
    ) -> None:
        """Take what was agreed.

        ``refused``: the latest limit that was too high for any of them; 0: none. ``retry_at``: when it may be tried
        again.
        """
        self._alone = None
        self.total.value = total
        self.total.learn_refused(refused or float("inf"), retry_at, self._pressure)
        self.value = float(share)
        self.replicas = max(1, replicas)

    def go_alone(self) -> None:
        """Learn alone from now on: from the smaller of the own share and an equal one, up to an equal part."""
        if self._alone is None:
            part = max(1, int(self.highest / self.replicas))
            start = min(self.value, self.total.value / self.replicas)
            self._alone = Limit(start=max(1, int(start)), highest=part)
            self.value = self._alone.value
            self.growth = 0.0
