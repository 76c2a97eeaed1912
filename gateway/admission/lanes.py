"""Which lane an operation is in: by its door, by the roles of its caller, by what it reads.

    door        the API: interactive; X-D365-Priority: low: export; a subscription's poll: subscription
    roles       the most urgent lane of the caller's roles, each with its setting ``lane``
    operation   _entities: federation

The least urgent of them is its lane, so nobody is preferred for asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.config.settings import Settings
from gateway.identity.caller import ANONYMOUS, Caller

from .work import Lane, Work

ANONYMOUS_ROLES = ("anonymous",)
"""Role of callers without any, if the policy has it."""


class LaneChoice:
    """Chooses the lane of each operation."""

    def __init__(
        self, roles: Mapping[str, Lane] | None = None, longest: float | None = None
    ) -> None:
        """``roles``: lane of each role; ``longest``: seconds that a request may wait for its turn."""
        self._roles = roles or {}
        self._longest = longest

    @classmethod
    def of(cls, settings: Settings) -> LaneChoice:
        """Return the choice that the settings make."""
        roles = {
            name: Lane.INTERACTIVE if role.lane is None else Lane[role.lane.upper()]
            for name, role in settings.roles.items()
        }
        has_lanes = any(lane is not Lane.INTERACTIVE for lane in roles.values())
        return cls(roles if has_lanes else None, settings.admission.wait)

    def work(self, now: float, caller: Caller, *lanes: Lane) -> Work:
        """Return for whom the requests of an operation are that begins now, by the event loop's clock.

        ``lanes``: those of its door and of what it reads.
        """
        lane = max(lanes)
        if self._roles:
            lane = max(lane, self._of_roles(caller.roles))
        until = None if self._longest is None else now + self._longest
        name = "" if caller is ANONYMOUS else caller.log_id
        return Work(lane=lane, caller=name, may_wait_until=until)

    def _of_roles(self, roles: Sequence[str]) -> Lane:
        known = [self._roles[role] for role in roles or ANONYMOUS_ROLES if role in self._roles]
        return min(known, default=Lane.INTERACTIVE)
