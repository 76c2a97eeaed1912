"""Which lane an operation is in: by its door, by the roles of its caller, by what it reads.

    door        the API: interactive; X-D365-Priority: low: export; a subscription's poll: subscription
    roles       the most urgent lane of the caller's roles, each with its setting ``lane``
    operation   _entities: federation

The least urgent of them is its lane, so nobody is preferred for asking.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.settings import Settings
from gateway.identity.caller import ANONYMOUS, Caller

from .work import Lane, Work

LONGEST_WAIT = 0.9
"""Share of an operation's time that a read may wait for its turn."""
ANONYMOUS_ROLES = ("anonymous",)
"""Role of callers without any, if the policy has it."""


class LaneChoice:
    """Chooses the lane of each operation."""

    def __init__(
        self,
        lanes: Mapping[str, Lane] | None = None,
        weights: Mapping[str, float] | None = None,
        longest: float | None = None,
    ) -> None:
        """``lanes``, ``weights``: of each role; ``longest``: seconds that a read may wait, if less."""
        self._lanes = lanes or {}
        self._weights = weights or {}
        self._longest = longest

    @classmethod
    def of(cls, settings: Settings) -> LaneChoice:
        """Return the choice that the settings make."""
        lanes = {
            name: Lane.INTERACTIVE if role.lane is None else Lane[role.lane.upper()]
            for name, role in settings.roles.items()
        }
        weights = {name: role.weight for name, role in settings.roles.items()}
        return cls(
            lanes if any(lane is not Lane.INTERACTIVE for lane in lanes.values()) else None,
            weights if any(weight != 1.0 for weight in weights.values()) else None,
            settings.admission.wait,
        )

    def work(self, span: tuple[float, float], caller: Caller, *lanes: Lane) -> Work:
        """Return for whom the requests of an operation are.

        ``span``: when it began, by the event loop's clock, and the seconds that it may take; ``lanes``: those of its
        door and of what it reads.
        """
        lane, weight, roles = max(lanes), 1.0, caller.roles or ANONYMOUS_ROLES
        if self._lanes:
            own = (self._lanes[role] for role in roles if role in self._lanes)
            lane = max(lane, min(own, default=Lane.INTERACTIVE))
        if self._weights:
            weight = max((self._weights[r] for r in roles if r in self._weights), default=1.0)
        # So that one that has waited in vain ends as OVERLOADED, and not as DEADLINE_EXCEEDED.
        began, seconds = span
        wait = seconds * LONGEST_WAIT
        until = began + (wait if self._longest is None else min(wait, self._longest))
        name = "" if caller is ANONYMOUS else caller.log_id
        return Work(lane=lane, caller=name, weight=weight, may_wait_until=until)
