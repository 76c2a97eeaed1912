"""An OData service over rows in memory that can be written: with versions, changesets and the refusals of F&O."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import httpx

from tests.support.memory_odata import ROOT, Row, Tables

ETAG = "@odata.etag"
_WRITES = re.compile(
    r"^(?P<method>POST|PATCH|DELETE) (?P<url>\S+) HTTP/1\.1\r\n(?P<head>(?:.+\r\n)*)\r\n(?P<body>.*?)\r?\n--",
    re.MULTILINE,
)
_PARTS = re.compile(r",(?=\w+=)")


@dataclass
class WritableTables(Tables):
    """The service; ``writes`` are what was sent to it, by itself or within a changeset."""

    writes: list[str] = field(default_factory=list)
    refusing: dict[str, str] = field(default_factory=dict)
    """Set → text with which every write of its rows is refused."""
    versions: bool = True
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        for rows in self.rows.values():
            for row in rows:
                self._touch(row)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return super().answer(request)
        path = request.url.raw_path.decode().removeprefix("/data/")
        text = request.content.decode()
        if path != "$batch":
            return self._write(request.method, path, request.headers, text)
        if "changeset_" not in text:
            return super().answer(request)
        return self._changeset(text)

    def _changeset(self, text: str) -> httpx.Response:
        before = copy.deepcopy(self.rows)
        parts = []
        for write in _WRITES.finditer(text):
            head = (line.partition(": ") for line in write["head"].split("\r\n") if line)
            sent = httpx.Headers([(name, value) for name, _, value in head])
            answer = self._write(write["method"], write["url"], sent, write["body"])
            if answer.status_code >= 300:
                self.rows.clear()
                self.rows.update(before)
                parts = [answer]
                break
            parts.append(answer)
        pieces = "".join(_part(number, answer) for number, answer in enumerate(parts, 1))
        inner = (
            f"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{pieces}--b--\r\n--a--\r\n"
        )
        headers = {"Content-Type": "multipart/mixed; boundary=a"}
        return httpx.Response(200, headers=headers, text=inner)

    def _write(
        self, method: str, url: str, headers: Mapping[str, str], text: str
    ) -> httpx.Response:
        path = unquote(url.partition("?")[0])
        set_name, _, rest = path.partition("(")
        version = headers.get("If-Match")
        self.writes.append(" ".join(filter(None, (method, path, text, version and "If-Match"))))
        if set_name in self.refusing:
            return _refused(400, f"Infolog: Error: {self.refusing[set_name]}")
        body = json.loads(text, parse_float=Decimal) if text else {}
        if method == "POST":
            return self._create(set_name, body)
        row = self._found(set_name, rest.removesuffix(")"))
        if row is None:
            return _refused(404, "There is no such row.")
        if version not in (None, "*", row.get(ETAG)):
            return _refused(412, "Another version.")
        if method == "DELETE":
            self.rows[set_name].remove(row)
            return httpx.Response(204)
        row.update(body)
        self._touch(row)
        return httpx.Response(204)

    def _create(self, set_name: str, body: Row) -> httpx.Response:
        key = {name: body[name] for name in self.keys[set_name]}
        if any(self._has_key(row, key) for row in self.rows[set_name]):
            return _refused(
                400,
                f"Write failed for table row of type '{set_name}Entity'. Infolog: Error: The record already exists.",
            )
        row = dict(body)
        self._touch(row)
        self.rows[set_name].append(row)
        return httpx.Response(201, json=json.loads(json.dumps(row, default=float)))

    def _found(self, set_name: str, key: str) -> Row | None:
        names = self.keys[set_name]
        parts = _PARTS.split(key) if "=" in key else [f"{names[0]}={key}"]
        values = {n: _plain(v) for n, _, v in (part.partition("=") for part in parts)}
        return next((row for row in self.rows[set_name] if self._has_key(row, values)), None)

    def _has_key(self, row: Row, key: Mapping[str, Any]) -> bool:
        return all(self.order(row[name], value) == 0 for name, value in key.items())

    def _touch(self, row: Row) -> None:
        if self.versions:
            row[ETAG] = f'W/"{next(self._numbers)}"'


def _plain(literal: str) -> Any:
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else Decimal(literal)


def _refused(status: int, message: str) -> httpx.Response:
    inner = {"message": message, "type": "X", "stacktrace": ""}
    body = {"error": {"code": "", "message": "An error has occurred.", "innererror": inner}}
    return httpx.Response(status, json=body, request=httpx.Request("POST", ROOT))


def _part(number: int, answer: httpx.Response) -> str:
    head = f"HTTP/1.1 {answer.status_code} .\r\nContent-Type: application/json"
    return (
        f"--b\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
        f"{head}\r\n\r\n{answer.text}\r\n"
    )
