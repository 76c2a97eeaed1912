"""uvicorn's HTTP protocol with limits for slow clients, and with notice to streams when the server stops.

uvicorn waits for the rest of a request's head for ever, and buffers it without limit. It only bounds the pause between
two requests of a connection (``timeout_keep_alive``). The time of a body is bounded where it is read
(``gateway.http.request_parameters``), that of responses, and the number of connections, in ``connections``.

A stopping server waits for running responses and notifies the application only after that, so event streams and
WebSockets would go on until they are cut. Here each connection's ``state`` holds an event that is set at once.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any, TypeAlias
from urllib.parse import unquote
from weakref import ref

import httptools

from gateway.events import ConnectionCut
from gateway.http.edge import HEALTH
from gateway.http.exchange import EXCHANGE, HEAD, Head
from gateway.http.waiting_bytes import UNREAD
from gateway.request import Answer
from gateway.shutdown import STOPPING

from .connections import Admission, ConnectionLimits, Outlet, connections_of
from .draining import is_draining, notice_connection
from .exchanges import Exchange
from .uvicorn_parts import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS = 15.0
"""Seconds for a request's head, counted from the connection or from the first byte of the head."""
EXCESS_SECONDS = 1.0
"""Likewise, beyond the limits: idle connections must not take the place of health probes."""
LAST_REQUEST = 0.5
"""Seconds for which a stopping server still accepts a request on an idle connection."""
LINGER = 1.0
"""Seconds for which input of a refused client is read and dropped: else TCP's reset would discard the response."""
MAX_HEAD = 65_536
"""Maximum bytes of a request's URL and headers."""
MAX_PIPELINED = 64
"""Maximum requests that wait for the response to an earlier one (pipelining: RFC 9112, section 9.3.2)."""
_HEALTH = frozenset(path.encode() for path in HEALTH)
_Target: TypeAlias = tuple[str, bytes, bytes]
"""Path, the same as it was sent, query."""


def _refusal(status: int, code: str, message: str, hint: str | None = None) -> bytes:
    """Return a complete response that closes its connection."""
    extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
    body = Answer(errors=[{"message": message, "extensions": extensions}]).encode()
    fields = [
        b"content-type: application/json; charset=utf-8",
        b"cache-control: no-store",
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    if status == 503:
        fields.append(b"retry-after: 1")
    return STATUS_LINE[status] + b"\r\n".join(fields) + b"\r\n\r\n" + body


BAD = _refusal(400, "BAD_REQUEST", "This is not an HTTP request.")
LATE = _refusal(
    408, "REQUEST_TIMEOUT", f"The request's head was not complete after {HEAD_SECONDS:g} seconds."
)
TOO_LARGE = _refusal(
    431, "HEADERS_TOO_LARGE", f"URL and headers are larger than {MAX_HEAD:,} bytes."
)
TOO_MANY = _refusal(
    503,
    "TOO_MANY_CONNECTIONS",
    "There are too many connections, in all or from this client.",
    "Use fewer, and keep them open. Settings: max_connections, max_connections_per_peer. Behind a proxy, set"
    " trusted_proxies, so that its clients are counted and not the proxy.",
)


class _Refused(Exception):
    """Aborts parsing; ``response`` is sent to the client."""

    def __init__(self, response: bytes) -> None:
        super().__init__()
        self.response = response


class BoundedProtocol(HttpToolsProtocol):
    """One HTTP connection, which is closed if a request's head is late or too large."""

    def __init__(self, *args: Any, limits: ConnectionLimits | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections_of(
            self.server_state, limits or ConnectionLimits(), self.config.loaded_app
        )
        self._stopping = asyncio.Event()
        self.app_state = {**self.app_state, STOPPING: self._stopping}
        self._is_ending = False
        self._is_upgraded = False
        self._is_excess = False
        self._drops_input = False
        """Whether input is ignored, because the connection was refused."""
        self._awaits_head = True
        self._size = 0
        """Bytes of an incomplete head."""
        self._refused_with: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        """Since when nothing has come after the latest response; None: a request is under way."""
        self._latest: tuple[bytes, _Target] = b"", ("", b"", b"")
        """The latest URL, and what it says: that of the next request is the same in most cases."""
        self._head = Head([])
        """What the latest head says: that of the next request is the same in most cases."""
        self._outlet: Outlet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        notice_connection(self.server_state)
        self._outlet = Outlet(transport, self._connections)
        # Not a method of this protocol: each connection would leave a cycle.
        self.app_state[UNREAD] = transport.get_write_buffer_size
        super().connection_made(self._outlet)  # type: ignore[arg-type] # delegates to a transport
        admission = self._connections.add(self._outlet)
        if admission is Admission.REFUSED:
            self._refuse(TOO_MANY)
            return
        self._is_excess = admission is Admission.EXCESS
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._outlet.on_lost()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if isinstance(self.cycle, Exchange):
            self.cycle.leave()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head is too large."""
        if self._drops_input:
            return
        if self._awaits_head:
            self._size += len(data)
        super().data_received(data)
        if self._drops_input or self.transport.is_closing() or self._is_upgraded:
            return
        if self._size > MAX_HEAD:
            self._refuse(TOO_LARGE)
        elif self._size or self._is_answered_early:
            self._watch()

    def eof_received(self) -> None:
        """Close a refused connection. Other clients may only have closed their sending side."""
        if self._drops_input and self._is_idle:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Start the request. Raises if it is refused, which httptools turns into its own error."""
        self._unwatch()
        refusal = self._check_head()
        if refusal is not None:
            self._refused_with = refusal
            raise _Refused(refusal)
        self._awaits_head, self._size = False, 0
        if self.parser.should_upgrade() or self.parser.get_http_version() != "1.1":
            super().on_headers_complete()
        else:
            self._begin()
        if (
            (self._is_ending or self._is_excess or is_draining(self.server_state))
            and not self._is_upgraded
            and self.cycle
        ):
            self.cycle.keep_alive = False

    def _begin(self) -> None:
        """Start a usual request: as uvicorn does, but with an ``Exchange``."""
        path, raw_path, query = self._target()
        if self.headers != self._head.raw:
            self._head = Head(self.headers)
        scope = self.scope
        scope["headers"] = self._head.raw
        scope[HEAD] = self._head  # type: ignore[literal-required] # an addition to ASGI
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"], scope["query_string"] = path, raw_path, query
        before = self.cycle
        cycle = self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        scope[EXCHANGE] = ref(cycle)  # type: ignore[literal-required] # an addition to ASGI
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _target(self) -> _Target:
        """Return what the URL of the request says. Raises httptools' error, as uvicorn does, if it is none."""
        url, target = self._latest
        if url != self.url:
            parsed = httptools.parse_url(self.url)
            path = parsed.path.decode("ascii")
            if "%" in path:
                path = unquote(path)
            root = self.root_path
            target = root + path, root.encode("ascii") + parsed.path, parsed.query or b""
            self._latest = self.url, target
        return target

    def _check_head(self) -> bytes | None:
        """Return the response that refuses a request for its head; None if it is served."""
        if len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > MAX_HEAD:
            return TOO_LARGE
        if len(self.pipeline) >= MAX_PIPELINED:
            return BAD
        is_health = self.url.partition(b"?")[0] in _HEALTH
        if self._is_excess and not is_health:
            return TOO_MANY
        proxies = self._connections.proxies
        if proxies and not is_health and proxies.trusts(self._outlet.peer):
            client = proxies.client(self._outlet.peer, self.headers)
            if client != self._outlet.peer and not self._outlet.count_for(client):
                return TOO_MANY
        return None

    def on_message_complete(self) -> None:
        self._awaits_head = True
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._is_upgraded = True
        self._unwatch()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """Finish the running response and notify streams. An idle connection may still send one request."""
        self._stopping.set()
        self._is_ending = True
        if self._is_idle:
            self.loop.call_later(LAST_REQUEST, self._close_idle)
        else:
            self._end_after_answers()

    @property
    def is_running(self) -> bool:
        """Whether an answer is under way."""
        return not self._is_idle

    @property
    def _is_idle(self) -> bool:
        """Whether no request is running. The head of one may be arriving."""
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        if self._is_idle and not self._size and not self._is_upgraded:
            self.transport.close()

    def _end_after_answers(self) -> None:
        """Close the connection after the responses to earlier requests."""
        last = self.pipeline[0][0] if self.pipeline else self.cycle
        last.keep_alive = False

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Refuse input that is not HTTP, or that ``on_headers_complete`` has refused."""
        self._refuse(self._refused_with or BAD)

    def _refuse(self, response: bytes) -> None:
        """Respond, and close the connection after ``LINGER`` seconds."""
        self._unwatch()
        self._drops_input = True
        if response is TOO_MANY:
            self._connections.limits.observe(ConnectionCut(reason="too many connections"))
        if self._awaits_head and not self._is_idle:
            self._end_after_answers()
            return
        if self._is_idle or not self.cycle.response_started:
            if not self._is_idle:
                # Let the application see a disconnected client.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
                if isinstance(self.cycle, Exchange):
                    self.cycle.leave()
            self.transport.write(response)
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER, self.transport.close)

    # Time

    def on_response_complete(self) -> None:
        """Go on with the next request that has arrived, or wait for one: as uvicorn does, but with one timer.

        uvicorn starts a timer after each response, which the next request cancels.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch_idle(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _watch_idle(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was idle for long enough."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:  # the end of the request that is under way looks again
            return
        rest = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._watch_idle(rest)
        else:
            super().timeout_keep_alive_handler()

    @property
    def _is_answered_early(self) -> bool:
        """Whether the response is complete while the request's body still arrives."""
        return not self._awaits_head and self.cycle.response_complete

    def _watch(self) -> None:
        """Start the timer for the next head."""
        if self._timer is None:
            seconds = EXCESS_SECONDS if self._is_excess else HEAD_SECONDS
            self._timer = self.loop.call_later(seconds, self._late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # An earlier request of this connection is still running.
            self._watch()
        elif self._size:
            self._refuse(LATE)
        else:
            self.transport.close()


def socket_protocol(**options: Any) -> asyncio.Protocol:
    """Return the protocol of a connection that becomes a WebSocket."""
    from .sockets import StoppableWebSocket  # noqa: PLC0415 - importing websockets takes 30 ms and 4 MB

    return StoppableWebSocket(**options)
