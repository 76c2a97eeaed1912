"""`/status` of the second listener: the panels of Grafana for those who have none at hand, drawn by a small script.

Nothing is loaded from elsewhere: the page is for networks that lead nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.telemetry.panels import SECTIONS

STATUS = "/status"
_FOLDER = Path(__file__).parent / "status_page"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FILES = {
    STATUS: ("status.html", "text/html"),
    f"{STATUS}/status.css": ("status.css", "text/css"),
    f"{STATUS}/status.js": ("status.js", "text/javascript"),
}


def status_page_routes() -> Iterable[BaseRoute]:
    """Yield the routes of the page, its files, and what it shows."""

    async def send_file(request: Request) -> Response:
        name, media = _FILES[request.url.path]
        return Response(_content(name), headers=_HEADERS, media_type=media)

    async def send_panels(_: Request) -> Response:
        content = msgspec.json.encode(SECTIONS)
        return Response(content, headers=_HEADERS, media_type="application/json")

    for path in _FILES:
        yield Route(path, send_file)
    yield Route(f"{STATUS}/panels.json", send_panels)


@cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
