"""Requests that schemathesis makes from the description of the administration: valid and wrong ones, in any order.

Each answer is one that the description has, and none is a defect.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from gateway.config.settings import Settings
from tests.support.described_api import check_described, described_api

EXAMPLES = 400 if os.environ.get("HOSTILE_MINUTES") else 20
URLS = st.sampled_from(
    ["https://acme.operations.dynamics.com/data", "https://b.dynamics.com", "https://127.0.0.1"]
)
_OWN_HEADERS = {"content-type", "if-match"}
ACME = {"name": "acme", "url": "https://acme.operations.dynamics.com", "auth": "none"}
LONG = ("/check", "/drift")
"""Ends of the paths of operations that call environments, which are not there, or wait."""


@pytest.mark.heavy
def test_every_generated_request_is_answered_as_described(tmp_path: Path) -> None:
    values = {
        "data_dir": tmp_path / "data",
        "stored_environments": True,
        "linking": {"public_url": "https://erp.example.com"},
    }
    asyncio.run(ask(Settings.model_validate(values)))


async def ask(own: Settings) -> None:
    statuses = Counter[int]()
    async with described_api(own) as api:
        schema = schemathesis.openapi.from_dict(dict(api.description))
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        assert len(operations) > 8
        cases: list[Any] = []

        @settings(
            derandomize=True,
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def draw(data: st.DataObject) -> None:
            operation = data.draw(st.sampled_from(operations))
            mode = data.draw(st.sampled_from(GenerationMode))
            case = data.draw(operation.as_strategy(generation_mode=mode))
            if operation.path.endswith(LONG):
                return
            # Names and addresses that exist are rarely drawn otherwise.
            if "name" in case.path_parameters and data.draw(st.booleans()):
                case.path_parameters["name"] = "acme"
            if isinstance(case.body, dict) and data.draw(st.booleans()):
                case.body["url"] = data.draw(URLS)
            cases.append(case)

        draw()
        assert (await api("POST", "/admin/environments", json=ACME)).status_code == 201
        for case in cases:
            sent = case.as_transport_kwargs(base_url="http://127.0.0.1:9")
            headers = {k: v for k, v in sent["headers"].items() if k.lower() in _OWN_HEADERS}
            options = {k: sent[k] for k in ("json", "params") if sent.get(k) is not None}
            if isinstance(sent.get("data"), bytes | str):
                options["content"] = sent["data"]
            response = await api.http.request(
                sent["method"], sent["url"], headers=headers, **options
            )
            statuses[response.status_code] += 1
            assert response.status_code < 500, (sent, response.text)
            # A name with a slash leads to no operation.
            if response.headers.get("content-type", "").startswith("application/json"):
                check_described(api.description, response)
    assert statuses.keys() >= {200, 400, 404}, statuses
