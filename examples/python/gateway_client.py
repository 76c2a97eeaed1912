"""A small client for the gateway: retries that honour Retry-After, idempotent mutations, pages of connections."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

Row = dict[str, Any]
BUSY = {409, 429, 503}
"""Statuses of requests that were not run: busy, out of points, or the same idempotency key still runs."""


class GatewayError(Exception):
    """The operation failed; the codes of its errors say why."""

    def __init__(self, errors: list[Row]) -> None:
        super().__init__("; ".join(error["message"] for error in errors))
        self.codes = [error.get("extensions", {}).get("code") for error in errors]


class Gateway:
    """One API of a gateway, for one company."""

    def __init__(self, url: str, company: str, token: str | None = None) -> None:
        self.url, self.company = url, company
        headers = {"X-D365-Company": company}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(headers=headers, timeout=120)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def execute(self, document: str, *, key: str | None = None, **variables: Any) -> Row:
        """Return the data of an operation. A mutation with a ``key`` runs once, however often it is sent."""
        headers = {"Idempotency-Key": key} if key else {}
        repeatable = key is not None or not document.lstrip().startswith("mutation")
        body = {"query": document, "variables": variables}
        for last in (False, False, False, False, True):
            try:
                response = self._http.post(self.url, json=body, headers=headers)
            except httpx.TransportError:
                if last or not repeatable:
                    raise
                time.sleep(1)
                continue
            if response.status_code in BUSY and not last:
                time.sleep(float(response.headers.get("Retry-After", 1)))
                continue
            break
        return self.read(response)

    def read(self, response: httpx.Response) -> Row:
        """Return the data of a response. Raises GatewayError if it has errors."""
        answer: Row = response.json()
        if answer.get("errors"):
            raise GatewayError(answer["errors"])
        data: Row = answer["data"]
        return data

    def pages(
        self, document: str, *path: str, after: str | None = None, **variables: Any
    ) -> Iterator[Row]:
        """Yield the nodes of the connection at ``path``; the document has a variable ``$after``."""
        while True:
            connection: Any = self.execute(document, after=after, **variables)
            for name in path:
                connection = connection[name]
            yield from connection["nodes"]
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = connection["pageInfo"]["endCursor"]


def reasons(payload: Mapping[str, Any]) -> list[str]:
    """Return why a mutation, or a row of it, was refused; empty if it was done."""
    return [f"{error['code']}: {error['message']}" for error in payload["userErrors"]]
