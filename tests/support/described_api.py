"""A client of the administration that compares each answer with the OpenAPI description."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from jsonschema_rs import Draft202012Validator

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.http.admin_app import AdminContext, create_admin_app
from gateway.store.api_keys import open_register


@dataclass
class DescribedApi:
    """The second listener with the key of an administrator."""

    http: httpx.AsyncClient
    description: Mapping[str, Any]
    seen: list[Event]
    """What it has reported."""

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, and return its answer, which is as described."""
        response = await self.http.request(method, path, **options)
        check_described(self.description, response)
        return response


def new_key(settings: Settings, role: str) -> str:
    """Return an API key with a role. Processes may notice it a second later."""
    register = open_register(settings)
    try:
        return register.create("integrator", [role], None)[1]
    finally:
        register.close()


def check_described(description: Mapping[str, Any], response: httpx.Response) -> None:
    """Fail unless an answer of an operation is one that the description has."""
    method, path = response.request.method.lower(), response.request.url.path
    template = next(t for t in sorted(description["paths"]) if _matches(t, path))
    described = description["paths"][template][method]["responses"][str(response.status_code)]
    if "content" not in described:
        assert response.content == b""
        return
    media, content = next(iter(described["content"].items()))
    assert response.headers["content-type"].startswith(media)
    schema = {**content["schema"], "components": description["components"]}
    Draft202012Validator(schema).validate(response.json())


def _matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


@asynccontextmanager
async def described_api(settings: Settings) -> AsyncIterator[DescribedApi]:
    """Yield the second listener, running."""
    key = new_key(settings, "admin")
    seen: list[Event] = []
    app = create_admin_app(AdminContext(settings=settings, workers=tuple, observe=seen.append))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1:9",
            headers={"Authorization": f"Bearer {key}"},
        ) as http:
            description = (await http.get("/admin/openapi.json")).json()
            yield DescribedApi(http, description, seen)
