"""The map of the code names every module, as its docstring describes it."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT

PAGE = ROOT / "docs/contributing/map.md"
EXTENSIONS = ROOT / "docs/_ext"


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", [str(EXTENSIONS), *sys.path])
    spec = importlib.util.spec_from_file_location("module_map", EXTENSIONS / "module_map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page: str = module.module_map()
    return page


def test_the_map_is_that_of_the_code(generated: str) -> None:
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(generated, "utf-8")

    assert PAGE.read_text("utf-8") == generated, "UPDATE_DOCS=1 make check writes the map anew"


@pytest.mark.parametrize("package", ["gateway", "schema"])
def test_every_module_stands_in_the_map(package: str, generated: str) -> None:
    modules = [
        path.relative_to(ROOT / package)
        for path in (ROOT / package).rglob("*.py")
        if "node_modules" not in path.parts and path.name != "__init__.py"
    ]

    missing = [path for path in modules if not _stands(package, path, generated)]

    assert len(modules) > 70
    assert missing == []


@pytest.mark.usefixtures("generated")
def test_every_module_says_in_one_sentence_what_it_does() -> None:
    from layout import modules

    wrong = {
        m.path: m.summary
        for package in ("gateway", "schema")
        for m in modules(package)
        if not 15 <= len(m.summary) <= 320 or not re.search(r"[.:]$", m.summary)
    }

    assert wrong == {}


def _stands(package: str, path: Path, page: str) -> bool:
    room, *below = path.parts
    if not below:
        return f"\n### {package}/{path}\n" in page
    _, found, rest = page.partition(f"\n### {package}/{room}/\n")
    return bool(found) and f"\n| `{'/'.join(below)}` | " in rest.partition("\n### ")[0]
