"""Webhooks of changes: signed, in order, none lost, again after failures, and only what their caller may see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.events.environments import WebhookAbandoned, WebhookFailed
from gateway.events.webhooks import WebhookPaused
from gateway.webhooks.errors import WebhooksUnavailable
from gateway.webhooks.records import WebhookCounts
from gateway.webhooks.service import GRACE
from gateway.webhooks.subscription_store import SubscriptionStore
from tests.support.hooked import CREDIT
from tests.support.manual_clock import until
from tests.support.receivers import TARGET, Receiver, is_verified, receiving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    async with receiving(tmp_path_factory.mktemp("webhooks")) as receiver:
        yield receiver


@pytest.fixture
async def here(shared: Receiver) -> AsyncIterator[Receiver]:
    shared.requests.clear()
    shared.messages.clear()
    shared.status = lambda _: 204
    yield shared
    for one in (await shared.get("/webhooks"))["webhooks"]:
        await shared.get(one["links"]["self"], "DELETE", 204)


def limits(message: dict[str, Any]) -> list[str]:
    return [row["node"]["creditLimit"] for row in message["data"]["upserts"]]


async def test_a_change_is_sent_as_soon_as_it_is_reported(here: Receiver) -> None:
    """The next look would be in an hour."""
    one = await here.create(
        fields="customerAccount creditLimit", where={"creditLimit": {"gte": "1"}}
    )
    await here.here.ask(CREDIT, limit="501")
    (message,) = await here.settled(1)

    (row,) = message["data"]["upserts"]
    assert row["node"] == {"customerAccount": "US-009", "creditLimit": "501"}
    assert message["type"] == "changes"
    assert (message["data"]["sequence"], message["data"]["webhook"]) == (1, one["id"])
    (request,) = here.requests
    assert (request.method, str(request.url)) == ("POST", TARGET)
    assert is_verified(request, one["secret"])
    assert not is_verified(request, one["secret"][:-8] + "AAAAAAA=")
    shown = await here.get(one["links"]["self"])
    assert (shown["state"], shown["sequence"], shown["error"]) == ("ACTIVE", 1, None)
    assert "secret" not in shown


async def test_the_whole_list_comes_first_if_requested(here: Receiver) -> None:
    await here.create(set="customerGroups", since=None, fields="customerGroupId")
    await here.settled(1)
    await until(lambda: here.messages and not here.messages[-1]["data"]["hasMore"])

    rows = [row["id"] for message in here.messages for row in message["data"]["upserts"]]
    assert len(rows) == len(set(rows)) > 1
    assert {message["data"]["set"] for message in here.messages} == {"CustomerGroups"}


async def test_a_unified_list_is_sent_in_the_words_of_its_model(here: Receiver) -> None:
    one = await here.create(
        set="accounting.customers",
        fields="number creditLimit",
        where={"creditLimit": {"gte": "1"}},
    )
    await here.here.ask(CREDIT, limit="502")
    (message,) = await here.settled(1)

    (row,) = message["data"]["upserts"]
    assert row["node"] == {"number": "US-009", "creditLimit": "502"}
    assert one["set"] == message["data"]["set"] == "accounting.customers"


async def test_failures_are_repeated_in_order_and_become_dead_letters(here: Receiver) -> None:
    one = await here.create(fields="creditLimit")
    here.status = lambda _: 500
    await here.here.ask(CREDIT, limit="601")
    await here.settled(1)
    # A report does not shorten the pause.
    await here.here.ask(CREDIT, limit="602")
    here.pass_time(1.0)
    assert len(here.requests) == 1
    ids = {here.requests[0].headers["webhook-id"]}
    here.pass_time(7.0)
    await here.settled(2)
    here.pass_time(40.0)
    await here.settled(3)
    # What has changed meanwhile is another webhook: a receiver must not take it for the one before.
    ids = {request.headers["webhook-id"] for request in here.requests}
    assert len(ids) == 2
    here.pass_time(200.0)
    await here.settled(4)

    shown = await here.get(one["links"]["self"])
    assert (shown["state"], shown["deadLetters"], shown["sequence"]) == ("ACTIVE", 1, 1)
    assert await here.counts() == WebhookCounts(active=1, dead_letters=1)
    assert shown["failingSince"] is not None
    assert "500" in shown["error"]["message"]
    events = here.here.events
    assert sum(isinstance(event, WebhookAbandoned) for event in events) == 1
    assert sum(isinstance(event, WebhookFailed) for event in events) == 3

    here.status = lambda _: 204
    await here.here.ask(CREDIT, limit="603")
    here.pass_time(900.0)
    (message,) = await here.settled(5)
    assert (limits(message), message["data"]["sequence"]) == (["603"], 2)

    (letter,) = (await here.get(one["links"]["deadLetters"]))["deadLetters"]
    whole = await here.get(letter["links"]["self"])
    assert (limits(whole["body"]), whole["error"]) == (["602"], "status 500")
    here.status = lambda _: 503
    refused = await here.get(letter["links"]["resend"], "POST", 502)
    assert refused["errors"][0]["extensions"]["code"] == "WEBHOOK_NOT_TAKEN"
    here.status = lambda _: 200
    await here.get(letter["links"]["resend"], "POST", 204)
    assert here.requests[-1].headers["webhook-id"] == letter["id"]
    assert json.loads(here.requests[-1].content) == whole["body"]
    await here.get(letter["links"]["self"], status=404)


@pytest.mark.parametrize(
    ("status", "seconds"), [(410, 0.0), (500, 300_000.0)], ids=["gone", "failing for days"]
)
async def test_who_fails_for_long_is_paused(here: Receiver, status: int, seconds: float) -> None:
    one = await here.create()
    here.status = lambda _: status
    await here.here.ask(CREDIT, limit=str(700 + status))
    await here.settled(1)
    if seconds:
        here.pass_time(seconds)
        await here.settled(2)
    assert (await here.get(one["links"]["self"]))["state"] == "PAUSED"
    paused = [event for event in here.here.events if isinstance(event, WebhookPaused)]
    assert paused[-1].subscription == one["id"][:8]
    number = len(here.requests)
    here.pass_time(100_000.0)

    here.status = lambda _: 204
    assert (await here.get(f"{one['links']['self']}/resume", "POST"))["state"] == "ACTIVE"
    (message,) = await here.settled(number + 1)
    assert limits(message) == [str(700 + status)]


async def test_what_was_sent_before_a_kill_comes_under_the_same_id(here: Receiver) -> None:
    one = await here.create(fields="creditLimit")
    runner, store = here.webhooks._runner, here.webhooks._store
    assert runner is not None
    settle = store.settle
    killed: list[str] = []

    async def kill(*_: object, **__: object) -> bool:
        killed.append("settle")
        return False

    store.settle = kill  # type: ignore[method-assign] # the process ends before it notes the success
    await here.here.ask(CREDIT, limit="801")
    await here.settled(1)
    store.settle = settle  # type: ignore[method-assign]
    assert killed
    here.pass_time(60.0)
    first, second = await here.settled(2)

    assert len({request.headers["webhook-id"] for request in here.requests}) == 1
    assert first["data"]["sequence"] == second["data"]["sequence"] == 1
    assert (await here.get(one["links"]["self"]))["sequence"] == 1


async def test_a_new_secret_signs_beside_the_one_before(here: Receiver) -> None:
    one = await here.create()
    new = await here.get(f"{one['links']['self']}/secret", "POST")
    assert new["secret"] != one["secret"]
    for number, expected in enumerate(((True, True), (False, True))):
        await here.here.ask(CREDIT, limit=str(850 + number))
        await here.settled(number + 1)
        request = here.requests[-1]
        verified = tuple(is_verified(request, each["secret"]) for each in (one, new))
        assert verified == expected
        here.at += GRACE


async def test_paused_webhooks_send_nothing_until_resumed(here: Receiver) -> None:
    one = await here.create(fields="creditLimit")
    own = one["links"]["self"]
    assert (await here.get(f"{own}/pause", "POST"))["state"] == "PAUSED"
    await here.get(f"{own}/pause", "POST", 409)
    await here.here.ask(CREDIT, limit="900")
    await until(lambda: here.here.reports)
    here.pass_time(10_000.0)
    assert here.requests == []
    await here.get(f"{own}/resume", "POST", json={"since": "now"})
    await here.here.ask(CREDIT, limit="901")
    (message,) = await here.settled(1)
    assert limits(message)[-1] == "901"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"set": "nothing"}, 404, "UNKNOWN_SET"),
        ({"fields": "nothing"}, 400, "BAD_ARGUMENT"),
        ({"fields": "customerAccount } } } other { x"}, 400, "BAD_ARGUMENT"),
        ({"where": {"nothing": {"eq": 1}}}, 400, "BAD_USER_INPUT"),
        ({"since": "nothing"}, 400, "INVALID_CURSOR"),
        ({"since": 7}, 400, "BAD_ARGUMENT"),
        ({"other": 1}, 400, "BAD_ARGUMENT"),
        ({"profile": "nothing"}, 404, "UNKNOWN_PROFILE"),
        ({"url": "https://other.example.org/x"}, 400, "BAD_ARGUMENT"),
        ({"url": "http://app.example.com/x"}, 400, "BAD_ARGUMENT"),
        ({"url": "https://127.0.0.1/x"}, 400, "BAD_ARGUMENT"),
        ({"url": None}, 400, "BAD_ARGUMENT"),
    ],
)
async def test_what_cannot_be_sent_is_refused(
    here: Receiver, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await here.create(status, **body)

    assert answer["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize(
    "values",
    [{}, {"webhooks": {"hosts": ["*"]}}, {"webhooks": {"hosts": ["*"]}, "store": "none"}],
    ids=["no hosts", "no store", "no store at all"],
)
def test_some_deployments_send_none(values: dict[str, Any]) -> None:
    with pytest.raises(WebhooksUnavailable):
        SubscriptionStore(Settings.model_validate({"data_dir": None, **values})).require()


async def test_redirects_are_not_followed(here: Receiver) -> None:
    one = await here.create()
    here.status = lambda _: 302
    await here.here.ask(CREDIT, limit="302")
    await here.settled(1)

    assert len(here.requests) == 1
    shown = await here.get(one["links"]["self"])
    assert shown["error"]["message"] == "The receiver has not taken it: status 302."


async def test_nothing_of_them_is_stored_in_clear(here: Receiver) -> None:
    one = await here.create(fields="customerAccount creditLimit")
    here.status = lambda _: 500
    await here.here.ask(CREDIT, limit="987654")
    for number, seconds in enumerate((0.0, 10.0, 60.0)):
        here.pass_time(seconds)
        await here.settled(number + 1)
    assert (await here.get(one["links"]["self"]))["deadLetters"] == 1
    folder = here.here.app.state.environment.live.gateway.settings.data_dir
    files = b"".join(p.read_bytes() for p in (folder / "store").iterdir())

    for text in ("987654", TARGET, one["secret"][6:]):
        assert text.encode() not in files
        assert text not in str(here.here.events)
