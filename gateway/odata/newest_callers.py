"""The newest token of each caller: what runs for long, such as a poll, outlives the one that it began with.

WebSockets renew the token of their connection, and a poll is shared by all subscriptions of a caller. A token is taken
in the place of an earlier one only if nothing that rights may depend on differs between them.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.identity.caller import Caller


class NewestCallers:
    """Callers with their newest tokens, the most recently seen of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._callers: OrderedDict[tuple[str, str], Caller] = OrderedDict()

    def note(self, caller: Caller) -> None:
        """Remember a caller whose token was verified."""
        key = caller.issuer, caller.subject
        before = self._callers.get(key)
        if before is None or (caller.expires_at or 0.0) > (before.expires_at or 0.0):
            self._callers[key] = caller
        self._callers.move_to_end(key)
        if len(self._callers) > self._most:
            self._callers.popitem(last=False)

    def of(self, caller: Caller) -> Caller:
        """Return the same caller with the newest token."""
        newest = self._callers.get((caller.issuer, caller.subject))
        if newest is None or newest is caller or not newest.has_rights_of(caller):
            return caller
        return newest
