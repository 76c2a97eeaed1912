"""A real Redis or Valkey of Debian on a socket of its own, which tests stop, start and make slow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from .requirements import need
from .sockets import PATIENCE

MISSING = "no Redis: sudo apt-get install redis-server"


@dataclass
class RedisServer:
    """A server that keeps nothing on disk."""

    program: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The setting ``replicas.address``."""
        return f"unix://{self.folder / 'redis.sock'}"

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.folder / "redis.sock"))

    def start(self) -> None:
        """Start it, without any keys, and wait until it answers."""
        command = [self.program, "--port", "0", "--save", "", "--appendonly", "no"]
        command += ["--unixsocket", str(self.folder / "redis.sock"), "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < end
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it answer nothing, while connections to it still come about: as behind a partition."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


@dataclass
class SlowWay:
    """A way to a server on which each piece takes so many seconds."""

    address: str
    seconds: float = 0.0


@contextlib.asynccontextmanager
async def slow_way(server: RedisServer) -> AsyncIterator[SlowWay]:
    """Yield a way to a server through a proxy."""
    way = SlowWay(f"unix://{server.folder / 'slow.sock'}")
    tasks = set[asyncio.Task[None]]()
    writers = list[asyncio.StreamWriter]()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                await asyncio.sleep(way.seconds)
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(server.folder / "redis.sock")
        writers.extend((writer, back))
        for task in (pass_on(reader, back), pass_on(there, writer)):
            tasks.add(asyncio.ensure_future(task))

    proxy = await asyncio.start_unix_server(connected, server.folder / "slow.sock")
    try:
        yield way
    finally:
        proxy.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await proxy.wait_closed()
        await asyncio.sleep(0)


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Yield a running server. Skips the test if there is no program; in CI it fails."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    need(program, MISSING)
    assert program is not None
    # Paths of sockets are short, and folders of pytest are not.
    folder = Path(tempfile.mkdtemp(prefix="d365-r-"))
    server = RedisServer(program, folder)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.kill()
        shutil.rmtree(folder)
