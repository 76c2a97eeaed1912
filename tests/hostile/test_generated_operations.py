"""Operations that schemathesis makes from the introspected schema: nearly all valid, with odd values and empty inputs.

Whatever they ask, each has a well-formed answer: data, or errors with codes, and never a defect. The same operations
in each run of CI; ``make hostile`` asks more of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from schemathesis.core.result import Ok

from gateway.app import create_app
from gateway.config.settings import Settings
from tests.support.http_fuzz import json_faults
from tests.support.observers import raise_defects
from tests.support.tally import TALLY, leaks_in, own_peak
from tests.support.threaded import threaded

IS_LONG = bool(os.environ.get("HOSTILE_MINUTES"))
EXAMPLES = 400 if IS_LONG else 20
SETS = () if IS_LONG else ("Customer*", "LedgerJournal*", "SalesOrder*", "VendorInvoice*")
"""What the API has: schemathesis takes seconds to see how deep the types of a whole one go."""
SCALARS: Mapping[str, tuple[str, ...]] = {
    "Base64": ("", "AAAA"),
    "Date": ("2024-02-29", "1900-01-01", "9999-12-31"),
    "DateTime": ("2024-02-29T12:00:00Z", "1900-01-01T00:00:00Z", "2024-01-01T00:00:00.123+14:00"),
    "Decimal": ("0", "-7.50", "1e3", "79228162514264337593543950335"),
    "Duration": ("PT1S",),
    "JSON": ("x",),
    "Long": ("0", "9007199254740993", "-9223372036854775808"),
    "TimeOfDay": ("12:00:00", "23:59:59.999"),
    "UUID": ("00000000-0000-0000-0000-000000000000", "{5637144576}"),
    "_Any": ("x",),
}
"""Texts of the scalars that only this API has; some are in no valid form."""


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[httpx.Client, list[Any]]]:
    """A gateway over the sandbox, and schemathesis' operation for each of its root fields."""
    for name, texts in SCALARS.items():
        schemathesis.graphql.scalar(name, st.sampled_from(texts).map(nodes.String))
    settings = Settings(cache_dir=None, language="none", include=SETS)
    app = create_app(settings, observe=raise_defects)
    with threaded(app) as address, httpx.Client(base_url=address, timeout=60) as http:
        schema = schemathesis.graphql.from_url(f"{address}/graphql", timeout=60)
        yield http, [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


@pytest.mark.heavy
def test_every_valid_operation_has_a_well_formed_answer(
    service: tuple[httpx.Client, list[Any]],
) -> None:
    http, operations = service
    assert len(operations) > (300 if IS_LONG else 60)
    counts, codes = TALLY.of("generated operations"), set[str]()
    quiet = settings(
        derandomize=True,
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    @quiet
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(operations))
        text = data.draw(operation.as_strategy()).body
        response = http.post("/graphql", json={"query": text})

        counts.look_at(response.content)
        faults = json_faults(response.content)
        counts.server_errors += response.status_code >= 500 or bool(faults)
        about = f"{text} → {response.status_code} {response.text[:500]}"
        assert response.status_code < 500, about
        assert faults == [], about
        assert not leaks_in(response.content), about
        answer = response.json()
        assert {"data", "errors"} & answer.keys(), about
        codes.update(error["extensions"]["code"] for error in answer.get("errors", ()))
        if "errors" not in answer:
            codes.add("none")

    ask()
    counts.measure(own_peak())
    assert {"none", "BAD_ARGUMENT"} <= codes  # the operations reach the service, and the rules
