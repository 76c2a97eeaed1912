"""The layout of the code as it is: rooms, their floors, their modules, who imports whom.

Floors come from ``tests/test_architecture.py``, texts from docstrings, arrows from the import statements. Nothing is
imported and nothing is written down twice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, the first sentence of its docstring, and what it imports."""

    name: str
    path: str
    docstring: str
    imports: frozenset[str]

    @property
    def summary(self) -> str:
        """The first line of the docstring; lines that were wrapped belong to it."""
        return " ".join(self.docstring.split("\n\n", 1)[0].split())

    @property
    def room(self) -> str:
        """The folder below the package, or the module itself where it stands at the root."""
        package, _, below = self.name.partition(".")
        return below.partition(".")[0] or package


@cache
def modules(package: str) -> tuple[Module, ...]:
    """Return the modules of a package by name."""
    files = sorted((ROOT / package).rglob("*.py"))
    return tuple(_module(file) for file in files if "node_modules" not in file.parts)


def _module(file: Path) -> Module:
    path = file.relative_to(ROOT)
    parts = path.with_suffix("").parts
    is_package = parts[-1] == "__init__"
    tree = ast.parse(file.read_text("utf-8"))
    parent = parts[:-1]
    return Module(
        name=".".join(parent if is_package else parts),
        path=path.as_posix(),
        docstring=ast.get_docstring(tree) or "",
        imports=frozenset(_imports(tree, parent)),
    )


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through statements alone: no expression imports anything, and most nodes are expressions."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from _statements(statement)


def _imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def floors(package: str) -> tuple[frozenset[str], ...]:
    """Return the rooms of each floor, the lowest first, as the architecture test has them."""
    name = {"gateway": "FLOORS", "schema": "SCHEMA_FLOORS"}[package]
    tree = ast.parse((ROOT / "tests/test_architecture.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return tuple(frozenset(rooms) for rooms in ast.literal_eval(node.value))
    raise LookupError(name)


def rooms(package: str) -> Mapping[str, tuple[Module, ...]]:
    """Return the modules of each room, the lowest floor first."""
    return {
        room: tuple(m for m in modules(package) if m.room == room and m.name != package)
        for floor in floors(package)
        for room in sorted(floor)
    }


def arrows(package: str) -> Mapping[tuple[str, str], int]:
    """Return how many modules of one room import another room."""
    counts: dict[tuple[str, str], int] = {}
    known = rooms(package)
    for module in modules(package):
        below = {i.split(".")[1] for i in module.imports if i.startswith(f"{package}.")}
        for other in below & known.keys() - {module.room}:
            if module.room in known:
                counts[module.room, other] = counts.get((module.room, other), 0) + 1
    return counts


def plain(docstring: str) -> str:
    """Return a docstring's markup as single backquotes."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring.replace("``", "`"))
