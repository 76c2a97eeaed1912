"""Golden cases of writing: what is sent, to the byte, and what is answered."""

import os
from pathlib import Path

import pytest

from tests.support.write_cases import FOLDER, WriteCase, answer_text, exchange_of, run, write_cases

pytestmark = pytest.mark.anyio
UPDATE = bool(os.environ.get("UPDATE_CASES"))


@pytest.mark.parametrize("case", write_cases(), ids=lambda case: case.name)
async def test_a_case_matches_its_files(case: WriteCase) -> None:
    found, _ = await run(case)

    check(case.path.with_suffix(".exchange"), exchange_of(found, is_outline=case.is_outline))
    check(case.path.with_suffix(".json"), answer_text(found))


@pytest.mark.parametrize(
    "case",
    [case for case in write_cases() if case.name.startswith("unified/")],
    ids=lambda case: case.name,
)
async def test_a_unified_case_answers_the_same_without_expand(case: WriteCase) -> None:
    found, _ = await run(case, expand="never")

    usual, own = (case.path.with_suffix(s) for s in (".exchange", ".exchange-noexpand"))
    text = exchange_of(found, is_outline=case.is_outline)
    if UPDATE:
        own.unlink(missing_ok=True)
    if own.exists() or text != usual.read_text(encoding="utf-8"):
        check(own, text)
    assert "$expand" not in text
    assert answer_text(found) == case.path.with_suffix(".json").read_text(encoding="utf-8")


def check(path: Path, text: str) -> None:
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert path.exists(), "no expectation: run with UPDATE_CASES=1 and read what it writes"
    assert text == path.read_text(encoding="utf-8")


def test_no_expectation_is_without_its_case() -> None:
    cases = {path.with_suffix("").with_suffix("") for path in FOLDER.glob("*/*.graphql")}
    files = {path.with_suffix("").with_suffix("") for path in FOLDER.glob("*/*.*")}
    assert files == cases
