"""The requests that the page about the administration prints are accepted, in their order."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.config.settings import Settings
from tests.support.described_api import described_api
from tests.support.pages import blocks, page

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Printed(NamedTuple):
    """A request of ``curl``."""

    method: str
    path: str
    body: object


def printed() -> list[Printed]:
    text = "\n".join(block.text for block in blocks("sh", of="administration"))
    lines = text.replace("\\\n", " ").splitlines()
    joined: list[str] = []
    for line in lines:
        # JSON may span lines, within quotation marks of the shell.
        if joined and joined[-1].count("'") % 2:
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    return [_request(shlex.split(line)[1:]) for line in joined if line.startswith("curl ")]


def _request(words: list[str]) -> Printed:
    method, path, body = "GET", "", None
    arguments = iter(words)
    for word in arguments:
        match word:
            case "-X":
                method = next(arguments)
            case "-H":
                assert next(arguments) == "Authorization: Bearer $KEY"
            case "--json":
                body = json.loads(next(arguments))
                method = "POST" if method == "GET" else method
            case _:
                path = word.removeprefix("$ADMIN")
    return Printed(method, path, body)


async def test_printed_requests_are_answered(tmp_path: Path) -> None:
    requests = printed()
    answers = []
    settings = Settings(data_dir=tmp_path, stored_environments=True)
    async with described_api(settings) as api:
        for method, path, body in requests:
            if path.endswith("/check"):
                continue  # there is no network
            answers.append((await api(method, path, json=body)).status_code)

    assert answers == [201, 201, 200, 204, 200, 200, 200, 200, 200, 200, 200, 200, 204]


async def test_every_operation_is_on_the_page(tmp_path: Path) -> None:
    async with described_api(Settings(data_dir=tmp_path)) as api:
        described = {
            f"{method.upper()} {path}"
            for path, item in api.description["paths"].items()
            for method in item
            if method != "parameters" and path.startswith("/admin/environments")
        }

    shown = {
        f"{r.method} {r.path.partition('?')[0].replace('/contoso', '/{name}')}" for r in printed()
    }
    assert described - shown == set(), page("administration")
