"""Every golden case: with ``$expand``, without it, and completed by graphql-core instead of compiled functions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.runtime.assembly import Gateway
from schema.why.reads import reasons
from tests.support.cases import (
    FOLDER,
    Case,
    all_cases,
    builtins_of,
    engine_of,
    requests_of,
    run_case,
    schema_without,
)

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE_CASES" in os.environ
CASES = pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)


@CASES
async def test_a_case_matches_its_files(case: Case, sandboxed: Gateway):
    answer = await run_case(case, sandboxed)

    _compare(case.expectation(".requests"), requests_of(answer))
    _compare(case.expectation(".json"), builtins_of(answer))


@pytest.mark.heavy
@CASES
async def test_a_case_answers_the_same_without_expand(case: Case, sandboxed: Gateway):
    answer = await run_case(case, sandboxed, expand="never")

    expected = case.expectation(".requests-noexpand")
    if UPDATE:
        expected.unlink(missing_ok=True)
    if expected.exists() or requests_of(answer) != _read(case.expectation(".requests")):
        _compare(expected, requests_of(answer))
    assert builtins_of(answer) == _read(case.expectation(".json"))


@pytest.mark.heavy
@CASES
async def test_a_case_answers_the_same_through_graphql_core(case: Case, sandboxed: Gateway):
    answer = await run_case(case, sandboxed, compiled=False)

    assert builtins_of(answer) == _read(case.expectation(".json"))


@pytest.mark.heavy
@pytest.mark.parametrize(
    "case", [c for c in all_cases() if not c.settings], ids=lambda case: case.name
)
async def test_a_case_answers_the_same_by_short_addresses(case: Case, sandboxed: Gateway):
    answer = await engine_of(case, sandboxed, max_url_length=200).execute(case.request)

    assert [request.url for request in answer.requests if len(request.url) > 200] == []
    assert builtins_of(answer) == _read(case.expectation(".json"))


@pytest.mark.parametrize("case", [c for c in all_cases() if c.lacks], ids=lambda case: case.name)
def test_why_names_what_an_environment_lacks(case: Case, assembled: Gateway):
    schema = schema_without(assembled, case.lacks)
    unified = schema.unified
    served = [m for m in unified.models if m.namespace in unified.namespaces]
    lines = [
        f"{name}.{field.name}: {text}"
        for name, bound in (
            (unified.binder.type_name(short), unified.type(short))
            for m in served
            for short in m.types
        )
        for field in bound.fields.values()
        if field.missing
        for heading, text in reasons(
            schema.catalog, f"{name}.{field.name}", unified=unified
        ).details
        if heading == "missing here"
    ]

    _compare(case.expectation(".why"), lines)


def test_no_expectation_has_lost_its_case():
    cases = {path.with_suffix("") for path in FOLDER.glob("*/*.graphql")}
    files = set(FOLDER.glob("*/*.*"))

    assert sorted(f for f in files if f.parent / f.name.split(".")[0] not in cases) == []


def _compare(file: Path, found: Any) -> None:
    if UPDATE:
        text = "\n".join(found) if file.suffix != ".json" else _json(found)
        file.write_text(f"{text}\n" if text else "", encoding="utf-8")
    assert found == _read(file)


def _read(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    return json.loads(text) if file.suffix == ".json" else text.splitlines()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
