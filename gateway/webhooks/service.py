"""Webhooks of changes, as their callers use them: created, paused and let go on by those whose they are."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from gateway.identity.caller import Caller
from gateway.jobs.service import is_administrator

from .errors import UnknownWebhook, WebhookNotTaken, WrongWebhookState
from .outgoing import Outgoing
from .records import DeadLetter, NewSubscription, SigningKey, Subscription
from .runner import WebhookRunner
from .subscription_store import KEY_BYTES, SubscriptionStore, lasting

GRACE = 86_400.0
"""Seconds for which a key signs beside the one that takes its place."""
_ID = re.compile("[0-9a-f]{32}")
_LETTER = re.compile("msg_[0-9a-f]{32}")
_UNCHANGED = "\0"


class Webhooks:
    """The webhooks of a deployment, for the requests of one process."""

    def __init__(
        self, store: SubscriptionStore, runner: WebhookRunner | None, outgoing: Outgoing
    ) -> None:
        """``runner`` None: others run them, such as for a command."""
        self._store = store
        self._runner = runner
        self._outgoing = outgoing

    def hand_over(self, *, has_successor: bool = False) -> None:
        """Send no more: see ``WebhookRunner``."""
        if self._runner is not None:
            self._runner.hand_over(has_successor=has_successor)

    def require(self) -> None:
        """Raise WebhooksUnavailable if no webhooks can be sent."""
        self._store.require()

    def check(self, url: str) -> str:
        """Return an address that may be sent to. Raises BadArgument."""
        return self._outgoing.check(url)

    async def create(self, new: NewSubscription) -> Subscription:
        """Create a subscription. Raises what ``SubscriptionStore.create`` raises."""
        runner = self._runner
        owner = runner.owner if runner is not None and new.is_personal else None
        subscription = await self._store.create(new, owner)
        if runner is not None:
            runner.take(subscription, new.caller)
        return subscription

    async def list(self, environment: str | None, caller: Caller | None) -> Sequence[Subscription]:
        """Return the subscriptions of a caller in an environment; for an administrator (and None), those of all."""
        is_for_all = caller is None or is_administrator(caller)
        creator = None if is_for_all or caller is None else caller.log_id
        return await self._store.list(environment, creator)

    async def find(self, name: str, environment: str | None, caller: Caller | None) -> Subscription:
        """Return a subscription that its caller may see. Raises UnknownWebhook, StoreUnavailable."""
        # Not every database takes every text: PostgreSQL refuses one with a NUL.
        one = await self._store.find(name) if _ID.fullmatch(name) else None
        is_for_all = caller is None or is_administrator(caller)
        if (
            one is None
            or (environment is not None and one.environment != environment)
            or not (is_for_all or caller is None or one.creator == caller.log_id)
        ):
            raise UnknownWebhook("There is no such webhook.")
        return one

    async def pause(self, one: Subscription) -> Subscription:
        """Send nothing more of a subscription until somebody lets it go on. Raises WrongWebhookState."""
        paused = replace(one, state="PAUSED")
        if not await self._store.change(paused, ("ACTIVE", "NEEDS_AUTH")):
            raise WrongWebhookState(f"The webhook is {one.state}.")
        if self._runner is not None:
            self._runner.drop(one.id)
        return paused

    async def resume(
        self, one: Subscription, caller: Caller | None, since: str | None = _UNCHANGED
    ) -> Subscription:
        """Go on with a subscription as its caller is now, at its cursor or another one. Raises WrongWebhookState.

        An administrator (or None) lets the subscription of somebody else go on as that one was.
        """
        is_own = caller is not None and one.creator == caller.log_id
        if one.is_personal and not is_own:
            raise WrongWebhookState("The webhook waits for its own caller, whose token it needs.")
        resumed = replace(
            one, state="ACTIVE", error=None, attempts=0, failing_since=None, pending=one.pending
        )
        if is_own and caller is not None:
            resumed = replace(resumed, caller=lasting(caller))
        if since != _UNCHANGED:
            resumed = replace(resumed, cursor=since, pending=None)
        runner = self._runner
        owner = runner.owner if runner is not None and one.is_personal else None
        if not await self._store.change(resumed, ("ACTIVE", "PAUSED", "NEEDS_AUTH"), owner):
            raise UnknownWebhook("There is no such webhook any longer.")
        if runner is not None:
            runner.take(resumed, resumed.caller if caller is None else caller)
        return resumed

    async def rotate(self, one: Subscription) -> Subscription:
        """Sign with a new key from now on, and for a day with the one before as well."""
        until = self._store.now() + GRACE
        key = SigningKey(key=secrets.token_bytes(KEY_BYTES))
        rotated = replace(one, keys=(key, replace(one.keys[0], until=until)))
        if not await self._store.change_keys(rotated):
            raise UnknownWebhook("There is no such webhook any longer.")
        return rotated

    async def remove(self, one: Subscription) -> None:
        """Forget a subscription and its dead letters."""
        await self._store.remove(one.id)
        if self._runner is not None:
            self._runner.drop(one.id)

    async def wake(self, environment: str, entity_sets: Collection[str], at: float) -> None:
        """Let those look for changes who are told of these sets."""
        if await self._store.wake(environment, entity_sets, at) and self._runner is not None:
            self._runner.wake()

    async def follows(self, environment: str) -> bool:
        """Return whether anybody is told of changes of an environment."""
        return await self._store.follows(environment)

    async def letters(self, one: Subscription) -> Sequence[DeadLetter]:
        """Return the oldest dead letters of a subscription."""
        return await self._store.letters(one.id)

    async def letter(self, one: Subscription, name: str) -> DeadLetter:
        """Return a dead letter of a subscription. Raises UnknownWebhook."""
        letter = await self._store.letter(one.id, name) if _LETTER.fullmatch(name) else None
        if letter is None:
            raise UnknownWebhook("There is no such dead letter.")
        return letter

    async def count_letters(self) -> Mapping[str, int]:
        """Return how many dead letters each subscription has."""
        return await self._store.count_letters()

    async def resend(self, one: Subscription, letter: DeadLetter) -> None:
        """Send a dead letter, which is forgotten once it is taken. Raises WebhookNotTaken, BadArgument.

        Raises Forbidden if its caller may not see it any more; a command, which knows no policy, sends it as it is.
        """
        if self._runner is not None:
            await self._runner.require_rights(one, letter.body)
        problem = await self._outgoing.send(one, letter.id, letter.body)
        if problem is not None:
            raise WebhookNotTaken(f"The receiver has not taken it: {problem}.")
        await self._store.remove_letter(letter.id)

    async def discard(self, letter: DeadLetter) -> None:
        """Forget a dead letter."""
        await self._store.remove_letter(letter.id)

    async def close(self) -> None:
        """Close what is open, if nobody runs."""
        if self._runner is None:
            await self._outgoing.close()
            await self._store.close()
