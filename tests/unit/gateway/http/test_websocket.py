"""graphql-transport-ws over sockets: messages, close codes, limits, and how a connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.events import Event, RequestSent
from tests.support.manual_clock import Ticking, until
from tests.support.streaming import ACK, INIT, Served, Socket, serving, subscribe

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CHANGES = """subscription ($account: String) {
  changed: entityChanged(set: "CustomersV3", where: { customerAccount: { eq: "US-003" } }) {
    __typename what: kind set id etag
    node { id ...Named }
    again: node { ... on CustomerV3 @include(if: true) { salesOrders(first: 1) { totalCount } } }
    none: node @skip(if: true) { id }
  }
}
fragment Named on CustomerV3 { nameAlias isNamed: customerAccount @skip(if: $never) }
""".replace("($account: String)", "($never: Boolean = false)")


QUERY = subscribe("{ customersV3(first: 1) { nodes { __typename } } }")


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
async def served(sandbox: Starlette, events: list[Event]) -> AsyncIterator[Served]:
    async with serving(sandbox, events) as opened:
        yield opened


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([QUERY], 4401),
        ([INIT, INIT], 4429),
        (["{"], 4400),
        (["[]"], 4400),
        (["[" * 10_000], 4400),
        ([b"{}"], 4400),
        ([{"type": "hello"}], 4400),
        ([{"type": "connection_init", "payload": 5}], 4400),
        ([INIT, {"type": "subscribe", "payload": {"query": "{ __typename }"}}], 4400),
        ([INIT, {"type": "subscribe", "id": "1"}], 4400),
        ([INIT, {"type": "complete"}], 4400),
        ([INIT, {**QUERY, "id": ""}], 4400),
        ([{**INIT, "payload": {"x-d365-timeout": "soon"}}], 4400),
        ([INIT, subscribe(CHANGES), subscribe(CHANGES)], 4409),
        ([INIT, "x" * 20_001], 1009),
    ],
)
async def test_invalid_message_closes(served: Served, messages: list[Any], code: int) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(*messages)

        assert (await ws.end())[0] == code


async def test_message_nested_too_deeply_closes(served: Served) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say('{"type":"ping","payload":' + '{"a":' * 2_000 + "1" + "}" * 2_001)

        assert await ws.end() == (4400, "Invalid message: nested too deeply")


async def test_other_subprotocol_is_not_acceptable(served: Served) -> None:
    address = f"ws://127.0.0.1:{served.port}/graphql"
    async with connect(address, proxy=None) as raw:
        assert (await Socket(raw).end())[0] == 4406


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("https://127.0.0.1:{port}", True),
        ("http://127.0.0.1", False),
        ("https://elsewhere.example", False),
        ("null", False),
    ],
)
async def test_pages_of_other_origins_cannot_connect(
    served: Served, origin: str | None, accepted: bool
) -> None:
    given = None if origin is None else origin.format(port=served.port)
    if accepted:
        async with served.connect(origin=given) as raw:
            await Socket(raw).say(INIT)
            assert await Socket(raw).hear() == ACK
    else:
        with pytest.raises(InvalidStatus) as refused:
            await served.connect(origin=given)
        assert refused.value.response.status_code == 403


async def test_query_has_one_result(served: Served) -> None:
    async with served.begun() as ws:
        await ws.say(QUERY)

        data = {"customersV3": {"nodes": [{"__typename": "CustomerV3"}]}}
        assert await ws.hear() == {"id": "1", "type": "next", "payload": {"data": data}}
        assert await ws.hear() == {"id": "1", "type": "complete"}
        await ws.say(QUERY)
        assert (await ws.hear())["type"] == "next"


async def test_operations_have_the_connections_scope(served: Served) -> None:
    async with served.begun(**{"X-D365-Company": "demf"}) as ws:
        await ws.say(subscribe("{ customersV3(first: 1) { nodes { dataAreaId } } }"))

        answer = await ws.hear()
    assert answer["payload"]["data"]["customersV3"]["nodes"] == [{"dataAreaId": "demf"}]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, "BAD_REQUEST"),
        ({"query": 5}, "BAD_REQUEST"),
        ({}, "BAD_REQUEST"),
        ({"query": "{ __typename }", "variables": []}, "BAD_REQUEST"),
        ({"query": 'subscription { entityChanged(set: "no") { id } }'}, "BAD_ARGUMENT"),
        (
            {"query": 'subscription { entityChanged(set: "customersV3", where: 5) { id } }'},
            "BAD_ARGUMENT",
        ),
        (
            {
                "query": 'subscription { entityChanged(set: "customersV3",'
                ' where: { customerAccount: { like: "x" } }) { id } }'
            },
            "BAD_USER_INPUT",
        ),
        (
            {
                "query": 'subscription { a: entityChanged(set: "customersV3") { id }'
                ' b: entityChanged(set: "vendorsV2") { id } }'
            },
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ({"query": "subscription { __typename }"}, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_operation_that_cannot_run_is_an_error_message(
    served: Served, payload: dict[str, Any], code: str
) -> None:
    async with served.begun() as ws:
        await ws.say({"id": "bad", "type": "subscribe", "payload": payload})

        said = await ws.hear()
        assert (said["id"], said["type"]) == ("bad", "error")
        assert [error["extensions"]["code"] for error in said["payload"]] == [code]
        await ws.say({"type": "ping", "payload": {"at": 1}})
        assert await ws.hear() == {"type": "pong"}


def rename(name: str, account: str = "US-003") -> dict[str, Any]:
    return subscribe(
        f"""mutation {{ updateCustomerV3(
          key: {{ dataAreaId: "usmf", customerAccount: "{account}" }}, patch: {{ nameAlias: "{name}" }}
        ) {{ userErrors {{ message }} }} }}""",
        "rename",
    )


async def test_change_has_the_selected_row(served: Served) -> None:
    async with served.begun(**{"X-D365-Company": "usmf"}) as ws:
        await ws.say(subscribe(CHANGES, "changes"))
        await served.watched()
        await ws.say(rename("Told"))
        said = [await ws.hear() for _ in range(3)]

    [change] = [m["payload"] for m in said if m["id"] == "changes"]
    row = change["data"]["changed"]
    assert list(row) == ["__typename", "what", "set", "id", "etag", "node", "again"]
    assert (row["__typename"], row["what"], row["set"]) == (
        "EntityChanged",
        "UPDATED",
        "customersV3",
    )
    assert row["node"] == {"id": row["id"], "nameAlias": "Told", "isNamed": "US-003"}
    assert isinstance(row["again"]["salesOrders"]["totalCount"], int)
    assert "errors" not in change


async def test_rows_of_one_poll_are_read_by_one_query(served: Served, events: list[Event]) -> None:
    selected = "kind node { ... on CustomerV3 { nameAlias } }"
    where = '{ customerAccount: { in: ["US-004", "US-005", "US-006"] } }'
    batch = "".join(
        f'm{n}: updateCustomerV3(key: {{ dataAreaId: "usmf", customerAccount: "US-00{n}" }},'
        ' patch: { nameAlias: "Batch" }) { userErrors { message } } '
        for n in (4, 5, 6)
    )
    async with served.begun(**{"X-D365-Company": "usmf"}) as ws:
        await ws.say(
            subscribe(
                f'subscription {{ entityChanged(set: "customersV3", where: {where}) {{ {selected} }} }}',
                "changes",
            )
        )
        await served.watched()
        events.clear()
        await ws.say(subscribe(f"mutation @atomic {{ {batch} }}", "batch"))
        said = [await ws.hear() for _ in range(5)]

    changes = [m["payload"]["data"]["entityChanged"] for m in said if m["id"] == "changes"]
    assert [change["node"]["nameAlias"] for change in changes] == ["Batch"] * 3
    read = [e for e in events if isinstance(e, RequestSent) and "NameAlias" in str(e.url)]
    assert len([e for e in read if e.method == "GET"]) == 1


async def test_deleted_row_has_no_node(served: Served) -> None:
    made = """mutation { createCustomerGroup(input: {
      dataAreaId: "usmf", customerGroupId: "WS", description: "Soon gone"
    }) { userErrors { message } } }"""
    gone = """mutation { deleteCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "WS" }) {
      userErrors { message } } }"""
    changes = """subscription { entityChanged(
      set: "customerGroups", companies: ["usmf"], where: { customerGroupId: { eq: "WS" } }
    ) { kind etag node { ... on CustomerGroup { description } } } }"""
    async with served.begun() as ws:
        await ws.say(subscribe(changes, "changes"))
        await served.watched()
        payloads = []
        for write in (made, gone):
            await ws.say(subscribe(write, "write"))
            said = [await ws.hear() for _ in range(3)]
            payloads += [m["payload"] for m in said if m["id"] == "changes"]

    created, deleted = (each["data"]["entityChanged"] for each in payloads)
    assert (created["kind"], created["node"]) == ("CREATED", {"description": "Soon gone"})
    assert deleted == {"kind": "DELETED", "etag": None, "node": None}


async def test_completed_subscription_stops_its_watch(served: Served) -> None:
    async with served.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await until(lambda: served.hub.watches)
        await ws.say({"id": "1", "type": "complete"}, {"id": "nobody", "type": "complete"})
        await until(lambda: not served.hub.watches)
        await ws.say(QUERY)
        assert (await ws.hear())["type"] == "next"


async def test_disconnect_stops_its_watches(served: Served) -> None:
    async with served.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await until(lambda: served.hub.watches)
    await until(lambda: not served.hub.watches)


async def test_new_metadata_end_no_subscription(served: Served) -> None:
    live = served.app.state.live
    async with served.begun(**{"X-D365-Company": "usmf"}) as ws:
        await ws.say(subscribe(CHANGES, "changes"))
        await served.watched()
        live.replace(live._fresh_copy(live.gateway))
        await until(lambda: not live.retired)
        await ws.say(rename("Renewed"))
        said = [await ws.hear() for _ in range(3)]

    [change] = [m["payload"]["data"]["changed"] for m in said if m["id"] == "changes"]
    assert change["node"]["nameAlias"] == "Renewed"


async def test_too_many_operations_are_refused(sandbox: Starlette) -> None:
    async with serving(sandbox, [], max_per_connection=1) as served, served.begun() as ws:
        await ws.say(subscribe(CHANGES, "1"), subscribe(CHANGES, "2"))

        said = await ws.hear()
        assert (said["id"], said["type"]) == ("2", "error")
        assert said["payload"][0]["extensions"]["code"] == "BUDGET_EXCEEDED"


async def test_too_many_connections_are_refused(sandbox: Starlette) -> None:
    async with serving(sandbox, [], max_connections=1) as served, served.begun():
        with pytest.raises(InvalidStatus) as refused:
            await served.connect()
        assert refused.value.response.status_code == 503


async def test_connection_without_init_is_closed(sandbox: Starlette) -> None:
    async with serving(sandbox, [], init_timeout=0.1) as served, served.connect() as raw:
        assert await Socket(raw).end() == (4408, "Connection initialisation timeout")


async def test_connection_without_pong_is_closed(sandbox: Starlette) -> None:
    ticking = Ticking()
    async with serving(sandbox, []) as served:
        served.hub.clock = ticking.clock
        async with served.begun() as ws:
            await ticking.tick()  # it was heard
            for _ in range(5):
                await ticking.tick()
                assert await ws.hear() == {"type": "ping"}
                await ws.say({"type": "pong"})
                await turns()
                await ticking.tick()
            await ticking.tick()
            assert await ws.hear() == {"type": "ping"}
            ticking.wake()
            assert await ws.end() == (4408, "No pong in time")


async def turns() -> None:
    """Let the event loop read what has arrived."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_shutdown_completes_no_subscription(sandbox: Starlette) -> None:
    async with serving(sandbox, []) as served, served.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await served.watched()
        served.server.should_exit = True

        # No ``complete`` before it: the client subscribes again elsewhere.
        assert await ws.end() == (1001, "The gateway stops")


async def test_without_subscriptions_there_are_no_websockets(sandbox: Starlette) -> None:
    async with serving(sandbox, [], enabled=False) as served:
        assert served.app.state.live.gateway.schema.core.subscription_type is None
        with pytest.raises(InvalidStatus) as refused:
            await served.connect()
        assert refused.value.response.status_code == 403
