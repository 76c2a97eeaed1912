"""`webhooks …` and `env hook`: what those do who may use the store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.commands import app as commands
from tests.support.hooked import CREDIT
from tests.support.process import Finished, invoke
from tests.support.receivers import receiving
from tests.support.sockets import answering, listening

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_dead_letters_are_listed_and_sent_again(tmp_path: Path) -> None:
    options = {"private_hosts": ["localhost"], "attempts": 1, "interval": 3_600.0}
    variables = {"D365_DATA_DIR": str(tmp_path), "D365_WEBHOOKS__PRIVATE_HOSTS": "localhost"}

    def call(*arguments: str) -> Finished:
        result = CliRunner().invoke(commands, ["webhooks", *arguments], env=variables)
        return Finished(result.exit_code, result.stdout, result.stderr)

    async def run(*arguments: str) -> Finished:
        # In a thread, as the receiver is in the event loop of this one.
        return await asyncio.to_thread(call, *arguments)

    async def shown(*arguments: str) -> Any:
        return json.loads((await run(*arguments)).stdout)

    async with (
        receiving(tmp_path, webhooks=options) as here,
        listening(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as server,
    ):
        one = await here.create(url=f"http://localhost:{server.port}/x", fields="creditLimit")
        here.status = lambda _: 500
        await here.here.ask(CREDIT, limit="111")
        await here.settled(1)
        name = one["id"][:8]

        (listed,) = (await shown("list", "--json"))["webhooks"]
        assert (listed["id"], listed["deadLetters"]) == (one["id"], 1)
        assert "CustomersV3" in (await run("list")).stdout
        assert (await shown("show", name))["error"]["message"].endswith("status 500.")
        assert "status 500" in (await run("dead-letters", name)).stdout
        (letter,) = (await shown("dead-letters", name, "--json"))["deadLetters"]
        assert letter["body"]["data"]["upserts"][0]["node"] == {"creditLimit": "111"}
        assert (await run("resend", name, "msg_" + "0" * 32)).returncode != 0
        assert "1 taken" in (await run("resend", name)).stderr
        assert len(server.requests) == 1
        assert (await shown("dead-letters", name, "--json"))["deadLetters"] == []

        assert (await run("pause", name)).returncode == 0
        assert (await run("pause", name)).returncode != 0
        assert (await shown("show", name))["state"] == "PAUSED"
        assert (await run("resume", name)).returncode == 0
        assert (await run("show", "zz")).returncode != 0
        assert (await run("remove", name)).returncode == 0
        assert (await shown("list", "--json"))["webhooks"] == []


def test_hooks_are_made_shown_and_revoked(tmp_path: Path) -> None:
    variables = {"D365_DATA_DIR": str(tmp_path)}

    def run(*arguments: str) -> Finished:
        return invoke(tmp_path, "env", "hook", *arguments, **variables)

    first = run("default")
    assert first.stdout.startswith("https://GATEWAY/hooks/default/")
    assert run("default").returncode != 0
    second = json.loads(run("default", "--rotate", "--grace", "7d", "--json").stdout)
    assert second["path"] not in first.stdout
    hooks = json.loads(run("default", "--show", "--json").stdout)["hooks"]
    assert [hook["expires"] is None for hook in hooks] == [True, False]
    assert "EXPIRES" in run("default", "--show").stdout
    assert "2 revoked" in run("default", "--revoke").stderr
    assert run("nothing").returncode != 0
