"""The map of the code as Markdown: every module with the first line of its docstring, room by room.

The page is committed, because a clone is read before it is built; ``tests/docs/test_map.py`` compares the two.
"""

from __future__ import annotations

from layout import Module, plain, rooms

HEAD = """\
# Map of the code

Every module with the first line of its docstring, room by room, from the top floor down. A room imports lower floors
only; see [Architecture](../how-it-works/architecture.md). If you want to change behaviour, start from the
[recipes](recipes.md).

<!-- Written by `UPDATE_DOCS=1 make check`; change the docstrings. -->
"""


def module_map() -> str:
    """Return the page."""
    parts = [HEAD]
    for package in ("gateway", "schema"):
        parts.append(f"\n## {package}\n")
        parts += [
            _section(package, room, modules) for room, modules in reversed(rooms(package).items())
        ]
    return "".join(parts)


def _section(package: str, room: str, modules: tuple[Module, ...]) -> str:
    place = f"{package}/{room}"
    first = modules[0]
    is_folder = first.path.endswith("/__init__.py")
    title = f"{place}/" if is_folder else first.path
    lines = [f"\n### {title}\n", f"\n{_cell(first)}\n"]
    if listed := modules[1:] if is_folder else ():
        lines.append("\n| module | what it does |\n|---|---|\n")
        lines += [f"| `{m.path.removeprefix(f'{place}/')}` | {_cell(m)} |\n" for m in listed]
    return "".join(lines)


def _cell(module: Module) -> str:
    return plain(module.summary).replace("|", "\\|")
