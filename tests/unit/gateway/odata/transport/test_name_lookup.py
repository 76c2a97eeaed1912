"""Names are looked up beside each other, in the system's own way."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver

from gateway.odata.name_lookup import NameLookup

pytestmark = pytest.mark.anyio


async def test_the_addresses_are_those_of_aiohttp() -> None:
    for host in ("localhost", "127.0.0.1", "::1"):
        theirs = await ThreadedResolver().resolve(host, 80, socket.AF_UNSPEC)
        assert await NameLookup().resolve(host, 80, socket.AF_UNSPEC) == theirs


async def test_an_unknown_name_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r"."):
        await NameLookup().resolve("no-such-host.invalid", 80)


async def test_names_that_hang_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither other look-ups nor what else runs in threads."""
    released, real = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **options: Any) -> Any:
        if host.startswith("hangs"):
            released.wait(30)
        return real("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    hanging = [asyncio.create_task(NameLookup().resolve(f"hangs{n}", 80)) for n in range(40)]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        (found,) = await NameLookup().resolve("answers", 80)
        assert found["host"] == "127.0.0.1"
        assert await asyncio.to_thread(lambda: 1) == 1
    released.set()
    await asyncio.gather(*hanging)
