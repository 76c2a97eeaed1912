"""Faults that tests inject while the sandbox runs: what the caller sees, and what was written."""

from __future__ import annotations

import socket
import threading
from typing import Any

import httpx
import pytest
import uvicorn

from gateway.sandbox import (
    ConnectionLost,
    Fault,
    FaultRule,
    SandboxSettings,
    create_sandbox,
)
from tests.sandbox.test_changesets import batch, changeset, created, group, part, results
from tests.support.process import PATIENCE

pytestmark = pytest.mark.anyio
BODY = {"CustomerGroupId": "91", "Description": "x"}


async def _post(ask, body=BODY):
    return await ask("/data/CustomerGroups", "POST", json=body)


@pytest.mark.parametrize(
    ("at", "written"), [("before", set()), ("after", {"91"}), ("mid-answer", {"91"})]
)
async def test_a_broken_connection_leaves_the_outcome_open(sandbox, at, written):
    ask = sandbox()
    ask.app.state.faults.add(FaultRule(at=at, method="POST", path="/data/CustomerGroups"))
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        await _post(ask)

    assert isinstance(caught.value, ConnectionLost)
    assert caught.value.at == at
    assert created(ask) == written
    assert [hit for _, hit in ask.app.state.faults.hits] == ["POST /data/CustomerGroups"]
    assert len(ask.app.state.requests) == 1
    assert (await _post(ask, {**BODY, "CustomerGroupId": "92"})).status_code == 201


async def test_a_batch_may_break_between_its_parts(sandbox):
    ask = sandbox()
    ask.app.state.faults.add(FaultRule(at="between-parts", path="*$batch", parts=2))
    with pytest.raises(httpx.RemoteProtocolError):
        await ask("/data/$batch", "POST", **batch(
            changeset(group(91), group(92)), part(*group(93)), part(*group(94))))  # fmt: skip

    assert created(ask) == {"91", "92", "93"}


async def test_rules_count_the_requests_they_match(sandbox):
    ask = sandbox()
    rule = FaultRule(at="before", method="POST", skip=1, times=2, answer=Fault.throttled(3))
    ask.app.state.faults.add(rule)
    answers = [await _post(ask, {**BODY, "CustomerGroupId": f"9{n}"}) for n in range(4)]
    await ask("/data/CustomerGroups")

    assert [a.status_code for a in answers] == [201, 429, 429, 201]
    assert answers[1].headers["retry-after"] == "3"
    assert created(ask) == {"90", "93"}
    ask.app.state.faults.clear()
    assert ask.app.state.faults.hits == []


async def test_a_rule_for_all_requests_ends_when_removed(sandbox):
    ask = sandbox()
    ask.app.state.faults.add(FaultRule(at="before", times=0, answer=Fault.html()))

    assert [(await _post(ask)).status_code for _ in range(3)] == [502] * 3
    ask.app.state.faults.clear()
    assert (await _post(ask)).status_code == 201


async def test_an_answer_may_hide_that_the_write_was_done(sandbox):
    ask = sandbox()
    ask.app.state.faults.add(FaultRule(at="after", answer=Fault.html(502)))

    assert (await _post(ask)).status_code == 502
    assert created(ask) == {"91"}


async def test_a_part_of_a_batch_may_be_throttled(sandbox):
    """[R: C4]: a part may be 429 with its own ``Retry-After`` while the outer status is 200."""
    ask = sandbox()
    rule = FaultRule(at="before", path="*CustomerGroups", in_batch=True, answer=Fault.throttled(9))
    ask.app.state.faults.add(rule)
    answer = await ask("/data/$batch", "POST", **batch(part(*group(91)), part(*group(92))))

    assert [status for _, status, _ in results(answer)] == [429, 201]
    assert "Retry-After: 9" in answer.text
    assert created(ask) == {"92"}


@pytest.mark.parametrize(
    "values",
    [{"at": "before", "in_batch": True}, {"at": "after", "in_batch": True, "answer": Fault()},
     {"at": "mid-answer", "answer": Fault()}, {"at": "before", "answer": Fault.half()}],
)  # fmt: skip
def test_rules_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="answer"):
        FaultRule(**values)


def _read(client, options, seen):
    with client.stream("POST", "/data/$batch", **options) as answer:
        seen.append(answer.status_code)
        answer.read()


@pytest.fixture
def served():
    """A sandbox on a socket: gives the application and its address."""
    app = create_sandbox(SandboxSettings(scale=0.1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            app.state.store.close()


@pytest.mark.parametrize(
    ("at", "written", "started"),
    [("before", 0, False), ("after", 1, False), ("mid-answer", 1, True), ("between-parts", 1, False)],
)  # fmt: skip
def test_on_a_socket_the_transport_is_closed(served, at, written, started):
    app, root = served
    app.state.faults.add(FaultRule(at=at, method="POST"))
    options = batch(part(*group(91)), part(*group(92)))
    seen: list[Any] = []
    with httpx.Client(base_url=root, timeout=PATIENCE) as client:
        with pytest.raises(httpx.TransportError):
            _read(client, options, seen)
        rows = app.state.store.rows("CustomerGroups", CustomerGroupId="91")
        again = client.post("/data/CustomerGroups", json={**BODY, "CustomerGroupId": "99"})

    assert len(rows) == written
    assert seen == ([200] if started else [])
    assert again.status_code == 201
