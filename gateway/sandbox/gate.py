"""What a request passes before the service (sections 4 and 8).

Latency, authentication, throttling, limits of the web server, injected faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from .capacity import Capacity, Workers
from .exchange import Incoming, Outgoing
from .refusal import Refusal, envelope, styled_body
from .settings import Fault, SandboxSettings, Throttle

_BUSY = "This request could not be processed at this time due to system experiencing high resource utilization."
_HAZARDS = ("%2f", "%5c", "%25", "+")
Answer = Callable[[Incoming], Outgoing]


class Gate:
    """Lets requests through to the service, or answers in its place."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._throttle = None if settings.throttle is None else Throttle.parse(settings.throttle)
        self._workers = None if settings.capacity is None else Workers(_capacity(settings))

    async def pass_through(self, number: int, incoming: Incoming, answer: Answer) -> Outgoing:
        """Return the answer of the service, or the one in its place."""
        if self._settings.latency_ms and self._workers is None:
            await asyncio.sleep(self._settings.latency_ms / 1000)
        url = incoming.url
        fault = None if self._settings.fault is None else self._settings.fault(number, url)
        if fault is not None and fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        try:
            self._check(number, incoming, url)
        except Refusal as refusal:
            return Outgoing.of_refusal(refusal)
        if fault is not None:
            return _faulty(fault, incoming, url, answer)
        if self._workers is None:
            return answer(incoming)
        outgoing = await self._workers.answer(incoming, answer)
        if outgoing is None:
            return Outgoing.of_refusal(_throttled(self._settings.busy_retry_after))
        return outgoing

    def throttled(self, number: int) -> Refusal | None:
        """Return the 429 of a request by its number, None if it may pass; parts of a batch may get one each."""
        if self._throttle is None or number % self._throttle.every:
            return None
        return _throttled(self._throttle.retry_after)

    def _check(self, number: int, incoming: Incoming, url: str) -> None:
        settings = self._settings
        refusal = self.throttled(number)
        if refusal is not None:
            raise refusal
        if settings.url_limit and len(url) > settings.url_limit:
            body = styled_body(
                "html", settings.url_limit_status, "The request URL or query string is too long."
            )
            raise Refusal(settings.url_limit_status, "URL too long", body=body)
        longest = max(map(len, incoming.path.split("/")))
        if settings.segment_limit and longest > settings.segment_limit:
            body = styled_body("html", 400, "HTTP Error 400. The request URL is invalid.")
            raise Refusal(400, "Segment too long", body=body)
        if settings.path_hazards and any(hazard in incoming.path.lower() for hazard in _HAZARDS):
            raise Refusal(
                404,
                "Path refused",
                body=styled_body("html", 404, "The request filtering module denied the request."),
            )
        if settings.auth == "bearer":
            self._authenticate(incoming)

    def _authenticate(self, incoming: Incoming) -> None:
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        expected = self._settings.bearer_token
        style = self._settings.auth_body
        if (
            scheme.lower() != "bearer"
            or not token
            or (expected is not None and token not in (expected, *self._settings.forbidden_tokens))
        ):
            headers = {"www-authenticate": "Bearer"}
            raise Refusal(
                401, "Unauthorized", headers=headers, body=styled_body(style, 401, "Unauthorized")
            )
        if token in self._settings.forbidden_tokens:
            raise Refusal(403, "Forbidden", body=styled_body(style, 403, "Forbidden"))


def _capacity(settings: SandboxSettings) -> Capacity:
    assert settings.capacity is not None
    return Capacity(
        workers=Capacity.parse(settings.capacity),
        every=settings.capacity_every,
        refuses_above=settings.busy_above,
        latency=settings.latency_ms / 1000,
        per_kib=settings.ms_per_kib / 1000,
        priorities=settings.priorities,
    )


def _throttled(after: int | None) -> Refusal:
    message = _BUSY if after is None else f"{_BUSY} Please try again after {after} seconds."
    return Refusal(
        429,
        message,
        headers={} if after is None else {"retry-after": str(after)},
        body=(orjson.dumps(envelope(message, "")), "application/json; charset=utf-8"),
    )


def _faulty(fault: Fault, incoming: Incoming, url: str, answer: Answer) -> Outgoing:
    match fault.kind:
        case "half":
            outgoing = answer(incoming)
            outgoing.body = outgoing.body[: len(outgoing.body) // 2]
            return outgoing
        case "empty-page":
            # The context is the real one, so that the answer differs only in being empty.
            context = orjson.loads(answer(incoming).body).get("@odata.context")
            page = {
                "@odata.context": context,
                "value": [],
                "@odata.nextLink": f"{incoming.origin}{url}",
            }
            return Outgoing.of_json(page)
        case "hang":
            return answer(incoming)
    return fault_answer(fault)


def fault_answer(fault: Fault) -> Outgoing:
    """Return the answer that a fault describes."""
    headers = {"content-type": fault.content_type, **fault.headers}
    return Outgoing(status=fault.status, headers=headers, body=fault.body.encode())
