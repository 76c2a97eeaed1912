"""Hooks: what an environment reports is looked for at once, by those who have the secret, and as seldom as before."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config.settings import Settings
from gateway.hooks.receiving import Reported
from gateway.hooks.worker_reports import WorkerReports
from tests.support.hooked import CREDIT, Hooked, hooked, secret_in
from tests.support.manual_clock import until
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DESCRIPTION = """mutation($text: String!) { updateCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "10" },
  patch: { description: $text }) { userErrors { message } } }"""
CUSTOMER = {"PrimaryEntityName": "mserp_custcustomerv3entity", "MessageName": "Update"}
POSTED = {"BusinessEventId": "CustFreeTextInvoicePostedBusinessEvent"}


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hooked]:
    events = {"CustFreeTextInvoicePostedBusinessEvent": ["CustomersV3", "nothing"]}
    hooks = {"events": events, "max_body": 2_000}
    async with hooked(tmp_path_factory.mktemp("hooks"), hooks=hooks) as opened:
        yield opened


async def test_a_write_is_told_without_waiting_for_a_poll(here: Hooked) -> None:
    """By the time of a twin, by a sweep, and by the etags of all rows; a poll is due in an hour."""
    customers = """subscription { changes(set: "CustomersV3", companies: ["usmf"], since: "now") {
      upserts { node { ... on CustomerV3 { creditLimit } } } source } }"""
    groups = """subscription { changes(set: "CustomerGroups", companies: ["usmf"], since: "now") {
      upserts { node { ... on CustomerGroup { description } } } source } }"""
    rows = """subscription { entityChanged(set: "CustomerGroups", companies: ["usmf"]) {
      kind node { ... on CustomerGroup { description } } } }"""
    async with (
        here.following(customers) as twin,
        here.following(groups) as swept,
        here.following(rows) as watched,
    ):
        assert (await twin.next())["changes"] == {"upserts": [], "source": "TWIN"}
        assert (await swept.next())["changes"] == {"upserts": [], "source": "ETAGS"}
        await until(lambda: here.polls)
        await here.ask(CREDIT, limit="901")
        await here.ask(DESCRIPTION, text="hooked")

        (row,) = (await twin.next())["changes"]["upserts"]
        assert row == {"node": {"creditLimit": "901"}}
        (row,) = (await swept.next())["changes"]["upserts"]
        assert row == {"node": {"description": "hooked"}}
        assert (await watched.next())["entityChanged"]["node"] == {"description": "hooked"}

    assert [(r.status_code, r.json()) for r in here.reports] == [
        (200, {"sets": ["CustomersV3"]}),
        (200, {"sets": ["CustomerGroups"]}),
    ]


async def test_a_refused_changeset_reports_nothing(here: Hooked) -> None:
    before = len(here.reports)
    body = await here.http.post(
        "/graphql",
        json={
            "query": """mutation @atomic {
              one: updateCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "20" },
                patch: { description: "never" }) { userErrors { message } }
              two: updateCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "none" },
                patch: { description: "never" }) { userErrors { message } } }"""
        },
    )
    assert "never" not in str(here.sandbox.state.store.rows("CustomerGroups"))
    assert body.status_code == 200
    await here.ask(DESCRIPTION, text="again")
    await until(lambda: len(here.reports) > before)
    assert len(here.reports) == before + 1


@pytest.mark.parametrize(
    ("content", "query", "headers", "answer"),
    [
        (CUSTOMER, "", {}, {"sets": ["CustomersV3"]}),
        (POSTED, "", {}, {"sets": ["CustomersV3"]}),
        ({}, "?set=customersV3&set=VendorsV2", {}, {"sets": ["CustomersV3", "VendorsV2"]}),
        ({"BusinessEventId": "Other"}, "?set=nothing", {}, {"sets": []}),
        ({"PrimaryEntityName": "mserp_unknown"}, "", {}, {"sets": []}),
        (
            [{"data": {"validationCode": "512d38b6"}, "eventType": "x"}],
            "",
            {"aeg_event_type": "SubscriptionValidation"},
            {"validationResponse": "512d38b6"},
        ),
    ],
)
async def test_reports_are_answered_with_the_sets(
    here: Hooked, content: object, query: str, headers: dict[str, str], answer: object
) -> None:
    response = await here.report(content, query, **headers)

    assert (response.status_code, response.json()) == (200, answer)


async def test_senders_of_cloud_events_are_allowed(here: Hooked) -> None:
    response = await here.http.options(
        here.path(), headers={"WebHook-Request-Origin": "eventgrid.azure.net"}
    )

    assert response.status_code == 200
    assert response.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert response.headers["webhook-allowed-rate"] == "3000"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"{", 400, "BAD_REQUEST"), (b" " * 2_001, 413, "BODY_TOO_LARGE")],
)
async def test_bad_reports_are_refused(here: Hooked, body: bytes, status: int, code: str) -> None:
    response = await here.report(body)

    assert response.status_code == status
    assert response.json()["errors"][0]["extensions"]["code"] == code


async def test_unknown_secrets_are_as_unknown_environments(here: Hooked) -> None:
    paths = [
        here.path("wrong"),
        here.path(here.secret.upper()),
        here.path(environment="nothing"),
        here.path(environment="default/x"),
        here.path("wrong", "nothing"),
    ]
    answers = {(r.status_code, r.text) for r in [await here.http.post(path) for path in paths]}
    answers |= {(r.status_code, r.text) for r in [await here.http.get(path) for path in paths]}

    assert len(answers) == 1
    ((status, text),) = answers
    assert status == 404
    assert json.loads(text)["errors"][0]["extensions"]["code"] == "UNKNOWN_HOOK"
    assert (await here.http.get(here.path())).status_code == 405


async def test_the_secret_is_nowhere(here: Hooked) -> None:
    await here.report({})
    await here.http.post(here.path(), headers={"host": "evil.example"})
    data_dir = here.app.state.environment.live.gateway.settings.data_dir

    assert here.secret not in "".join(str(event) for event in here.events)
    texts = [p.read_bytes() for p in data_dir.rglob("*") if p.is_file()]
    assert texts
    assert not [text for text in texts if here.secret.encode() in text]


async def test_many_reports_are_few_polls(here: Hooked) -> None:
    """However many there are, a poll that runs or is due takes them all."""
    query = 'subscription { entityChanged(set: "VendorGroups", companies: ["usmf"]) { kind } }'
    async with here.following(query):
        await until(lambda: here.app.state.subscriptions.watches)
        (watch,) = here.app.state.subscriptions._watches.values()
        await asyncio.sleep(0.1)
        watch._options = watch._options.model_copy(update={"woken_interval": 0.3})
        before = here.polls
        answers = await asyncio.gather(*(here.report({}, "?set=VendorGroups") for _ in range(200)))
        assert {answer.status_code for answer in answers} == {200}
        await until(lambda: here.polls > before)
        assert here.polls - before <= 2


async def test_secrets_are_rotated_and_revoked(tmp_path: Path) -> None:
    async with hooked(tmp_path, hooks={"per_minute": 3}) as here:
        settings = Settings(data_dir=tmp_path)
        secrets = here.app.state.hooks._secrets

        async def noticed(secret: str) -> None:
            """Read the store until it is there: a busy machine may not have read it in time."""
            async with asyncio.timeout(60):
                while not await secrets.accepts("default", secret):
                    await secrets._poller.read_now()

        async def status(secret: str) -> int:
            return (await here.http.post(here.path(secret), content=b"{}")).status_code

        assert await status(here.secret) == 200
        new = secret_in(settings, grace=600.0, at=time.time())
        await noticed(new)
        assert [await status(here.secret), await status(new)] == [200, 200]
        last = secret_in(settings, grace=0.0, at=time.time())
        await noticed(last)
        # The last one is the fourth report of its minute.
        assert [await status(new), await status(last)] == [404, 429]


async def test_all_replicas_are_told(tmp_path: Path, redis: RedisServer) -> None:
    """Each polls what it alone watches; of what both watch the leader polls, and the other reads the log at once."""
    with redis.client() as client:
        client.flushall()
    replicas = {"address": redis.address, "timeout": 5.0}
    changes = """subscription { changes(set: "CustomersV3", companies: ["usmf"], since: "now") {
      upserts { id } } }"""
    rows = 'subscription { entityChanged(set: "CustomerGroups", companies: ["usmf"]) { kind } }'
    async with (
        hooked(tmp_path, replicas=replicas) as one,
        one.replica() as other,
        other.following(changes) as alone,
        one.following(rows) as leading,
        other.following(rows) as led,
    ):
        await alone.next()
        await until(lambda: one.polls and other.polls)
        await one.ask(CREDIT, limit="777")
        assert len((await alone.next())["changes"]["upserts"]) == 1
        for text in ("for all", "for all again"):
            await one.ask(DESCRIPTION, text=text)
            for each in (leading, led):
                assert (await each.next())["entityChanged"] == {"kind": "UPDATED"}
        polls = one.polls + other.polls
        await asyncio.sleep(0.2)
        assert one.polls + other.polls == polls


async def test_all_workers_of_a_machine_are_told(tmp_path: Path) -> None:
    """Without a shared state: each polls what it watches."""
    rows = 'subscription { entityChanged(set: "CustomerGroups", companies: ["usmf"]) { kind } }'
    async with (
        hooked(tmp_path, workers=2) as one,
        one.replica() as other,
        other.following(rows) as watched,
    ):
        await until(lambda: other.polls)
        await one.ask(DESCRIPTION, text="for both workers")
        assert (await watched.next())["entityChanged"] == {"kind": "UPDATED"}


async def test_workers_that_are_gone_or_talk_nonsense_stop_nobody(tmp_path: Path) -> None:
    heard: list[tuple[str, Reported]] = []
    first = WorkerReports(tmp_path / "own", lambda *one: heard.append(one))
    second = WorkerReports(tmp_path / "own", lambda *one: heard.append(one))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(tmp_path / "own" / "killed.sock"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"nonsense", str(second._own))
    reported = Reported(names=frozenset({"Customers"}), at=1.0)

    first.tell("acme", reported)
    first.tell("acme", Reported(names=frozenset({"x" * 1_000_000}), at=1.0))
    await until(lambda: heard)
    first.close()
    second.close()

    assert heard == [("acme", reported)]
    assert not (tmp_path / "own").exists()


async def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"d365-graphql-{os.getuid()}-{os.getppid()}").symlink_to(tmp_path)

    assert WorkerReports.open(lambda *_: None) is None


async def test_a_path_too_long_for_a_socket_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)

    with pytest.raises(OSError, match="too long"):
        WorkerReports(folder, lambda *_: None)
    assert not folder.exists()
