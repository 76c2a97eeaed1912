"""An upstream that sends whatever a script says, and what must never be seen of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from tests.support import random_rows as worlds
from tests.support.zoo_model import DIALECTS, Zoo, schema_of

SECRETS = (
    "S3CRET",
    "Secret.Place",
    "fo.example",
    "evil.example",
    "Traceback",
    "Bearer",
    "gateway/",
    ".py",
)
JSON = {"Content-Type": "application/json"}
SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}
GOOD = "{ orders { nodes { area orderId } } }"
encode = msgspec.json.Encoder(decimal_format="number").encode
Script = Callable[[httpx.Request], httpx.Response | None]


class Hostile(Zoo):
    """A zoo whose upstream follows a script; where the script says None, the tables answer."""

    script: Script | None = None

    def _answer(self, request: httpx.Request) -> httpx.Response:
        found = None if self.script is None else self.script(request)
        return super()._answer(request) if found is None else found

    async def ask(self, query: str, script: Script, **variables: Any) -> dict[str, Any]:
        """Ask under a script; then see that nothing leaked and that the engine goes on."""
        self.script = script
        answer = await self.execute(query, variables)
        self.script = None
        text = answer.encode().decode()
        assert [s for s in SECRETS if s in text] == []
        good = (await self.execute(GOOD)).to_builtins()
        assert "errors" not in good
        assert len(good["data"]["orders"]["nodes"]) == 3
        return answer.to_builtins()


def hostile(dialect: str = "odata", *, can_expand: bool = True) -> Hostile:
    zoo = Hostile(DIALECTS[dialect], can_expand=can_expand, schema=SCHEMAS[dialect])
    zoo.tables = worlds.tables(7, 3, insensitive=dialect == "finops")
    return zoo


def always(body: object = b"", status: int = 200, headers: dict[str, str] | None = None) -> Script:
    content = body if isinstance(body, bytes) else encode(body)
    return lambda _request: httpx.Response(status, content=content, headers=headers or JSON)


def on(set_name: str, script: Script) -> Script:
    """Follow the script for one set only."""
    place = f"/data/{set_name}"
    return lambda request: script(request) if request.url.path.startswith(place) else None


def raising(error: Exception) -> Script:
    def script(_request: httpx.Request) -> httpx.Response:
        raise error

    return script


def value(*rows: object, **more: object) -> Script:
    return always({"value": rows, **more})


def codes(answer: dict[str, Any]) -> list[tuple[list[Any], str]]:
    return [(e.get("path", []), e["extensions"]["code"]) for e in answer.get("errors", [])]
