"""Graceful shutdown: every request that reached the server gets a JSON response.

    SIGTERM ─▶ /readyz answers 503
               ├─ drain    connections are still accepted, each for one request: balancers notice, clients move
               │           then those in the backlog are accepted, the listener is closed
               ├─ spread   sockets and streams end, one after the other
               ├─ grace    running requests continue, beside that
               ├─ answers  no further write is sent (NOT_SENT); those that were sent are waited for
               ├─ last     unanswered writes are reported as OUTCOME_UNKNOWN
               └─ last     reads are cancelled and answered with 503; then connections are cut

All steps but the first end early if nothing is running. Ctrl-C leaves out the first one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pickle import UnpicklingError
from typing import cast

import uvicorn
from starlette.applications import Starlette

from gateway.config.setting_changes import SettingsAttempt
from gateway.config.settings import Settings
from gateway.events import Observer, Stopped, Stopping, WorkerReplaced, log_event
from gateway.http.admin_app import WorkerState
from gateway.lifespan import leave, longest_of_open, seconds_refused
from gateway.logs import is_json, log_uncaught
from gateway.shutdown import Shutdown, begin_stop

from .backlog import Backlog
from .connections import change_limits, limits_of
from .draining import DrainingState, ShutdownSteps, in_order, steps_of
from .fork_server import accept_signals, start_method
from .hot_application import HotApplication, Reason
from .signals_and_port import terminal_watch
from .uvicorn_parts import STARTUP_FAILURE, Multiprocess, Process, subprocess_started
from .worker_pipe import WorkerPipe
from .workers_reload import SECONDS, Question

METRICS_SECONDS = 5.0
"""Seconds in which all workers together must have said what they measured, or know; Prometheus waits ten."""
AGAIN = 5.0
"""Seconds until another worker is started after one that could not start, while others serve."""
_TICK = 0.05
"""Seconds between two checks whether anything is running, or whether a worker is ready."""


class GracefulServer(uvicorn.Server):
    """uvicorn's server with a graceful shutdown."""

    def __init__(self, config: uvicorn.Config, steps: ShutdownSteps | None = None) -> None:
        super().__init__(config)
        self.server_state = self._draining = DrainingState()
        self._steps = steps or ShutdownSteps()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Follow the settings of the application from its start on."""
        app = self.config.loaded_app
        if isinstance(app, HotApplication):
            # A worker that starts may have got others meanwhile.
            self.follow(app.settings)
            app.followers.append(self.follow)
        self._backlog = Backlog(sockets or (), self._protocol)
        # Of several workers each would take all: libuv's way leaves the others to those that are idle.
        if self.config.workers == 1:
            self._draining.on_connection = self._backlog.accept_soon
        await super().startup(sockets)

    def follow(self, settings: Settings) -> None:
        """Use what settings say of connections and of the end, also for connections that are open, from now on."""
        self._steps = steps_of(settings)
        follow(self.config, settings)
        change_limits(self.server_state, limits_of(settings))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in the steps of the module's docstring."""
        self._steps = self._grown()
        began, steps = time.monotonic(), self._steps
        begin_stop(self.config.loaded_app)
        self._leave()
        open_connections = len(self.server_state.connections)
        self._report(Stopping(connections=open_connections, drain=steps.drain, grace=steps.grace))
        await self._serve_on()
        # Closing the listener would reset them.
        await self._backlog.accept_all()
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        loop = asyncio.get_running_loop()
        for seconds, connection in in_order(tuple(self.server_state.connections), steps.spread):
            if seconds:
                loop.call_later(seconds, connection.shutdown)
            else:
                connection.shutdown()
        cut = await self._drain()
        self._report(Stopped(seconds=time.monotonic() - began, cut=cut))
        if not self.force_exit:
            await self.lifespan.shutdown()

    def _report(self, event: Stopping | Stopped) -> None:
        state = getattr(self.config.loaded_app, "state", None)
        observe: Observer = getattr(state, "observe", None) or log_event
        # The terminal may be gone, which is why the process ends.
        with contextlib.suppress(OSError):
            observe(event)

    async def _serve_on(self) -> None:
        """Accept connections until balancers have noticed; at a terminal (SIGINT) nobody waits for that."""
        self._draining.is_draining = True
        for _ in range(round(self._steps.drain / _TICK)):
            if signal.SIGINT in self._captured_signals:
                return
            await asyncio.sleep(_TICK)

    def _protocol(self) -> asyncio.Protocol:
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _drain(self) -> int:
        """Wait for what is running; return how many connections were cut."""
        writes = self._writes()
        await self._until_idle(self._steps.grace, writes)
        if writes is not None:
            writes.refuse()
            await self._until_idle(self._steps.answers, writes)
            writes.abandon()
            await self._until_idle(self._steps.last, writes)
        for task in tuple(self.server_state.tasks):
            task.cancel("The server stops.")
        await self._until_idle(self._steps.last, None)
        left = tuple(self.server_state.connections)
        for connection in left:
            connection.transport.abort()
        return len(left)

    def _grown(self) -> ShutdownSteps:
        """Return the steps, with time for the operations of all environments that are open."""
        app, steps = self.config.loaded_app, self._steps
        if not steps.may_grow or self._writes() is None or not isinstance(app, Starlette):
            return steps
        return replace(steps, grace=max(steps.grace, longest_of_open(app)))

    def _leave(self) -> None:
        """Let other processes go on with the jobs, from their next checkpoint."""
        app = self.config.loaded_app
        if self._writes() is not None and isinstance(app, Starlette):
            leave(app)

    def _writes(self) -> Shutdown | None:
        """Return what ends the writes of the application, of all its environments; None if it is not a gateway."""
        return getattr(getattr(self.config.loaded_app, "state", None), "shutdown", None)

    def _jobs(self) -> int:
        """Return how many jobs have not come to a checkpoint."""
        jobs = getattr(getattr(self.config.loaded_app, "state", None), "jobs", None)
        return 0 if jobs is None else jobs.held

    async def _until_idle(self, seconds: float, writes: Shutdown | None) -> None:
        """Wait until no connection, request, write or job is under way; at most ``seconds``."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        state = self.server_state
        while loop.time() < end and not self.force_exit:
            awaited = self._jobs() or (writes is not None and writes.is_awaited)
            if not (state.connections or state.tasks or awaited):
                return
            await asyncio.sleep(_TICK)


def follow(config: uvicorn.Config, settings: Settings) -> None:
    """Let new connections be as settings say."""
    config.ws_max_size = settings.max_body_bytes
    config.timeout_keep_alive = settings.keep_alive  # type: ignore[assignment] # float seconds work


class WorkerProcess(Process):
    """A worker with a graceful shutdown, whose settings can change."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        make_server: Callable[[uvicorn.Config], uvicorn.Server] = GracefulServer,
    ) -> None:
        # Before the process is made, which takes a copy of this.
        self.metrics: WorkerPipe[None, str] = WorkerPipe()
        self.settings: WorkerPipe[Question, SettingsAttempt] = WorkerPipe()
        self.refused: WorkerPipe[str, float | None] = WorkerPipe()
        super().__init__(config, sockets)
        self._make_server = make_server
        # In the place of uvicorn's, which always imports everything anew.
        options = {"config": config, "target": self.target, "sockets": sockets}
        process = start_method().Process(  # type: ignore[attr-defined] # each context has it
            target=subprocess_started, kwargs={**options, "stdin_fileno": None}
        )
        self.process = cast("SpawnProcess", process)

    def ping(self, timeout: float = 5) -> bool:
        """Return whether the worker answers a health check in time.

        One that dies meanwhile is not waited for: this process has both ends of the pipe, which therefore does not say
        that the other one is gone.
        """
        running = self.process
        try:
            self.parent_conn.send(b"ping")
            wait([self.parent_conn, running.sentinel], timeout)
            return self.parent_conn.poll() and self.parent_conn.recv() is not None
        except (OSError, EOFError, UnpicklingError):
            return False

    def always_pong(self) -> None:
        """Answer health checks until nobody makes them any more, and stop then."""
        if parent_process() is not None:
            # The copy of this process: it would keep the pipe open when the other end is gone.
            self.parent_conn.close()
        try:
            super().always_pong()
        except (EOFError, OSError):
            self.server.should_exit = True

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the worker's process."""
        accept_signals()
        # Before the thread that answers health checks: uvicorn creates the server when it is first used, by whichever
        # thread that is. If both created one, the checks would for ever speak of a server that never started.
        self._server = self._make_server(self.config)
        self.metrics.answer(self._metrics, "metrics")
        self.settings.answer(self._reload, "settings")
        self.refused.answer(self._refused, "refused")
        try:
            super().target(sockets)
        except Exception as error:
            # multiprocessing would print it, between lines that may be JSON.
            if not is_json():
                raise
            log_uncaught(type(error), error)
            raise SystemExit(1) from error

    def _reload(self, question: Question) -> SettingsAttempt:
        """Serve with other settings, once this worker serves at all."""
        reason, settings = question
        end = time.monotonic() + SECONDS
        while not (self._server and self._server.started) and time.monotonic() < end:
            time.sleep(_TICK)
        app = self.config.loaded_app
        assert isinstance(app, HotApplication)
        return app.reload_soon(reason, settings).result(SECONDS)

    def _refused(self, name: str) -> float | None:
        """Return for how many seconds requests to an environment are refused yet; None also while it starts."""
        if self._server is None or not self._server.started:
            return None
        return seconds_refused(cast("Starlette", self.config.loaded_app), name)

    def _metrics(self, _: None) -> str:
        """Return the metrics of this worker; nothing before its application has been made."""
        state = getattr(getattr(self.config, "loaded_app", None), "state", None)
        measurements = getattr(state, "measurements", None)
        if measurements is None:
            return ""
        from gateway.telemetry.exposition import render  # noqa: PLC0415 - slow, and not needed to serve

        return render(measurements)


class Workers(Multiprocess):
    """Workers that reload settings and metadata on SIGHUP; uvicorn would restart them."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        on_ready: Callable[[], None],
        steps: ShutdownSteps,
        observe: Observer = log_event,
    ) -> None:
        """``on_ready`` is called once, when the first worker serves; ``steps`` are those of each worker's end."""
        super().__init__(config, sockets)
        self._on_ready = on_ready
        self._observe = observe
        self._again_at: dict[int, float] = {}
        self._make_server = partial(GracefulServer, steps=steps)
        self._hung_up = terminal_watch()
        self.reload_settings: Callable[[Reason], object] = lambda _: None
        """Reads the settings anew, and gives them to the workers. Blocks."""
        self._due: set[int] = set()
        self._states: Mapping[int, WorkerState] = {}
        self._reading = threading.Lock()

    def states(self) -> Sequence[WorkerState]:
        """Return the state of each worker. Any thread may call it."""
        return tuple(self._states.values())

    def metrics(self) -> Mapping[str, str | None]:
        """Return the metrics of each worker; None for one that does not answer. Any thread may call it."""
        with self._reading:
            end = time.monotonic() + METRICS_SECONDS
            texts: dict[str, str | None] = {}
            for index, process in enumerate(tuple(self.processes)):
                assert isinstance(process, WorkerProcess)
                # A number and not the id of the process, so that a replaced one continues its series.
                texts[str(index)] = process.metrics.request(None, end - time.monotonic()) or None
            return texts

    def refused(self, name: str) -> float | None:
        """Return for how many seconds a worker refuses requests to an environment yet; None: none says that it does.

        Any thread may call it.
        """
        with self._reading:
            end = time.monotonic() + METRICS_SECONDS
            answers = [w.refused.request(name, end - time.monotonic()) for w in self.workers()]
        return max((seconds for seconds in answers if seconds is not None), default=None)

    def handle_hup(self) -> None:
        """Reload settings and metadata, or stop if the terminal is gone."""
        if self._hung_up():
            self.should_exit.set()
            return
        threading.Thread(target=self._reload_all, name="reload", daemon=True).start()

    def _reload_all(self) -> None:
        self.reload_settings("signal")
        self.reload()

    def workers(self) -> Sequence[WorkerProcess]:
        """Return the workers. Any thread may call it."""
        return [process for process in tuple(self.processes) if isinstance(process, WorkerProcess)]

    def follow(self, settings: Settings) -> None:
        """Start workers as settings say from now on. Any thread may call it."""
        follow(self.config, settings)
        self._make_server = partial(GracefulServer, steps=steps_of(settings))

    def reload(self) -> None:
        """Make all workers reload their metadata. Any thread may call it."""
        self._due = {process.pid for process in tuple(self.processes) if process.pid is not None}

    def init_processes(self) -> None:
        """Start the workers, and wait until one of them serves or all have to stop."""
        self.processes.extend(self._start() for _ in range(self.processes_num))
        while not self.should_exit.wait(_TICK):
            self.handle_signals()
            self.keep_subprocess_alive()
            if self._has_ready():
                self._on_ready()
                return

    def terminate_all(self) -> None:
        """Close the listener here, so that it ends with those of the workers, and stop them."""
        now = time.time()
        self._states = {pid: WorkerState(pid, "stopping", now) for pid in self._states}
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang, and pass SIGHUP on to those that are ready."""
        if self.should_exit.is_set():
            return
        self._note_states()
        timeout = self.config.timeout_worker_healthcheck
        for index, process in enumerate(self.processes):
            if process.is_alive(timeout=timeout):
                self._pass_hangup(process)
                continue
            # A signal to the whole group may end a worker before this process has looked at its own.
            self.handle_signals()
            if self.should_exit.is_set():
                return
            pid = process.pid or 0
            if pid not in self._again_at:
                self._end(process)
                if process.exitcode == STARTUP_FAILURE and not self._has_ready():
                    # Another one would fail in the same way.
                    self.should_exit.set()
                late = AGAIN if process.exitcode == STARTUP_FAILURE else 0.0
                self._again_at[pid] = time.monotonic() + late
            if self.should_exit.is_set():
                return
            if time.monotonic() >= self._again_at[pid]:
                del self._again_at[pid]
                self.processes[index] = self._start()

    def _end(self, process: Process) -> None:
        """Make sure that a process has ended, and say why it is replaced."""
        has_ended = not process.process.is_alive()
        process.kill()
        process.join()
        reason = _reason_of(process.exitcode) if has_ended else "hangs"
        self._observe(WorkerReplaced(pid=process.pid or 0, reason=reason))

    def _has_ready(self) -> bool:
        """Return whether any worker serves."""
        return any(state.state == "ready" for state in self.states())

    def _note_states(self) -> None:
        """Note which workers are ready. Only this thread speaks to them, so that others need the notes."""
        states: dict[int, WorkerState] = {}
        for process in self.processes:
            pid = process.pid or 0
            known = self._states.get(pid)
            if known is None:
                known = WorkerState(pid, "starting", time.time())
            if known.state == "starting" and process.is_ready(timeout=1):
                known = WorkerState(pid, "ready", time.time())
            states[pid] = known
        self._states = states

    def _start(self) -> Process:
        process = WorkerProcess(self.config, self.sockets, self._make_server)
        process.start()
        return process

    def _pass_hangup(self, process: Process) -> None:
        # The signal would end one that has not yet installed its handler.
        if process.pid in self._due and process.is_ready(timeout=1):
            self._due.remove(process.pid)
            os.kill(process.pid, signal.SIGHUP)


def _reason_of(code: int | None) -> str:
    """Return why a process has ended, by its exit code as multiprocessing has it: a signal is a negative one."""
    return f"signal {-code}" if code is not None and code < 0 else f"exit {code}"
