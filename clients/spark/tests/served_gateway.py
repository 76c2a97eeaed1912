"""A gateway in a process of its own: what it exports, and what it has sent upstream."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode


@dataclass
class Gateway:
    """A gateway, and the log of what it does."""

    url: str
    log: Path
    """One JSON object a line."""
    seen: int = 0
    """Lines that were read."""

    def sent(self) -> list[dict[str, Any]]:
        """Return the upstream requests since the last time."""
        lines = self.log.read_text("utf-8").splitlines()
        new, self.seen = [json.loads(line) for line in lines[self.seen :]], len(lines)
        return [line for line in new if line["event"] == "request_sent"]

    def rows(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """Return an export as NDJSON."""
        with urllib.request.urlopen(f"{self.url}/export/{path}?{urlencode(parameters)}") as lines:
            return [json.loads(line) for line in lines]

    def run(self, document: str) -> Any:
        """Return the data of an operation."""
        body = json.dumps({"query": document}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]
