"""The table of threats names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "security" / "index.md"
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text("utf-8"))


def test_every_threat_names_a_test() -> None:
    rows = PAGE.read_text("utf-8").partition("## Threats and their tests")[2].partition("\n## ")[0]
    threats = [line for line in rows.splitlines() if line.startswith("| ")][1:]

    assert threats
    assert [row for row in threats if "`tests/" not in row] == []


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_a_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert not name or name in functions
