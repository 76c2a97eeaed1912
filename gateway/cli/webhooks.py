"""`webhooks …`: webhooks of the store, for those who may use it; their dead letters, sent again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from gateway.config.settings import Settings
from gateway.errors import BadArgument
from gateway.webhooks.errors import UnknownWebhook
from gateway.webhooks.outgoing import Outgoing
from gateway.webhooks.records import Subscription
from gateway.webhooks.service import Webhooks
from gateway.webhooks.subscription_store import SubscriptionStore
from gateway.webhooks.webhook_json import letter_json, webhook_json

from .tables import plain, print_table

_PATH = "/webhooks"
_LEAST = 4
"""Digits by which a webhook can be named."""
_T = TypeVar("_T")


def print_list(settings: Settings, *, as_json: bool) -> None:
    """Print all webhooks. Raises GatewayError."""

    async def read(webhooks: Webhooks) -> list[tuple[Subscription, int]]:
        letters = await webhooks.count_letters()
        found = await webhooks.list(None, None)
        return [(one, letters.get(one.id, 0)) for one in found]

    found = _with_webhooks(settings, read)
    if as_json:
        shown = [webhook_json(one, _PATH, letters) for one, letters in found]
        print(msgspec.json.encode({"webhooks": shown}).decode())
        return
    header = ("ID", "SET", "ENVIRONMENT", "STATE", "SENT", "DEAD", "URL")
    print_table([header, *(_row(one, letters) for one, letters in found)])


def _row(one: Subscription, letters: int) -> tuple[str, ...]:
    number = f"{one.delivered:,}"
    environment = one.environment or "-"
    url = plain(one.target.url)
    return (one.id, one.entity_set, environment, one.state, number, str(letters), url)


def show(settings: Settings, name: str) -> None:
    """Print a webhook. Raises GatewayError."""

    async def read(webhooks: Webhooks) -> tuple[Subscription, int]:
        one = await _find(webhooks, name)
        return one, (await webhooks.count_letters()).get(one.id, 0)

    one, letters = _with_webhooks(settings, read)
    print(json.dumps(webhook_json(one, _PATH, letters), indent=2))


def pause(settings: Settings, name: str) -> None:
    """Pause a webhook. Raises GatewayError."""

    async def act(webhooks: Webhooks) -> Subscription:
        return await webhooks.pause(await _find(webhooks, name))

    print(f"{_with_webhooks(settings, act).id}: paused", file=sys.stderr)


def resume(settings: Settings, name: str) -> None:
    """Let a webhook go on. Raises GatewayError."""

    async def act(webhooks: Webhooks) -> Subscription:
        return await webhooks.resume(await _find(webhooks, name), None)

    print(f"{_with_webhooks(settings, act).id}: goes on in a gateway", file=sys.stderr)


def remove(settings: Settings, name: str) -> None:
    """Remove a webhook. Raises GatewayError."""

    async def act(webhooks: Webhooks) -> Subscription:
        one = await _find(webhooks, name)
        await webhooks.remove(one)
        return one

    print(f"{_with_webhooks(settings, act).id}: removed", file=sys.stderr)


def print_letters(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print the dead letters of a webhook. Raises GatewayError."""

    async def read(webhooks: Webhooks) -> list[bytes]:
        letters = await webhooks.letters(await _find(webhooks, name))
        return [msgspec.json.encode(letter_json(each, _PATH, whole=True)) for each in letters]

    letters = _with_webhooks(settings, read)
    if as_json:
        print(msgspec.json.encode({"deadLetters": list(map(msgspec.Raw, letters))}).decode())
        return
    facts = [json.loads(letter) for letter in letters]
    rows = [(f["id"], f["died"], str(f["attempts"]), str(f["bytes"]), f["error"]) for f in facts]
    print_table([("ID", "GIVEN UP", "ATTEMPTS", "BYTES", "WHY"), *rows])


def resend(settings: Settings, name: str, letter: str | None) -> None:
    """Send dead letters again. Raises GatewayError for the first one that is not taken."""

    async def act(webhooks: Webhooks) -> int:
        one = await _find(webhooks, name)
        number = 0
        if letter is not None:
            await webhooks.resend(one, await webhooks.letter(one, letter))
            return 1
        while letters := await webhooks.letters(one):
            for each in letters:
                await webhooks.resend(one, each)
                number += 1
        return number

    print(f"{_with_webhooks(settings, act)} taken", file=sys.stderr)


async def _find(webhooks: Webhooks, name: str) -> Subscription:
    """Return the webhook with an id that begins so. Raises UnknownWebhook, BadArgument."""
    matches = [one for one in await webhooks.list(None, None) if one.id.startswith(name)]
    if len(name) < _LEAST or not matches:
        raise UnknownWebhook(
            f"There is no webhook {name}.", hint="`webhooks list` prints those that are there."
        )
    if len(matches) > 1:
        raise BadArgument(f"{len(matches)} webhooks begin with {name}.", hint="Name more digits.")
    return matches[0]


def _with_webhooks(settings: Settings, use: Callable[[Webhooks], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        webhooks = Webhooks(SubscriptionStore(settings), None, Outgoing(settings.webhooks))
        try:
            return await use(webhooks)
        finally:
            await webhooks.close()

    return asyncio.run(run())
