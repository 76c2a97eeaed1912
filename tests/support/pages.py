"""The pages of the documentation as texts: their code blocks, their inline code, their chapters."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [path for path in DOCS.rglob("*.md") if not path.is_relative_to(DOCS / "_build")]
    + [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
)
_FENCE = re.compile(r"^( *)```([\w{}-]*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_ROLE = re.compile(r"``? ?\{\w+\}`[^`]+`(?: ``)?|\{\w+\}`[^`]+`")

if str(DOCS / "_ext") not in sys.path:
    sys.path.append(str(DOCS / "_ext"))  # what the site is built with is tested as it is


class Block(NamedTuple):
    """A code block of a page."""

    page: str
    language: str
    text: str


def page(name: str) -> str:
    """Return a page of ``docs/`` by its name without the suffix."""
    return (DOCS / f"{name}.md").read_text("utf-8")


def blocks(language: str, *, of: str | None = None) -> list[Block]:
    """Return the code blocks of a language, of all pages or of one."""
    paths = PAGES if of is None else [DOCS / f"{of}.md"]
    return [
        Block(path.relative_to(ROOT).as_posix(), found[2], re.sub(f"(?m)^{found[1]}", "", found[3]))
        for path in paths
        for found in _FENCE.finditer(path.read_text("utf-8"))
        if found[2] == language
    ]


def inline_code(path: Path) -> list[str]:
    """Return what stands in backquotes in the prose of a page; roles are left out."""
    prose = _ROLE.sub("", _FENCE.sub("", path.read_text("utf-8")))
    return [code.replace("\n", " ") for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def roles(name: str, path: Path) -> list[str]:
    """Return the texts of a role, as ``max_rows`` of ``{setting}`max_rows```."""
    return re.findall(rf"(?<!` )\{{{name}\}}`([^`]+)`", path.read_text("utf-8"))
