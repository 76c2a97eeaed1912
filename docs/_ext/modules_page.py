"""``{module-map}``: every module of a package with the first line of its docstring, room by room."""

from __future__ import annotations

from build_nodes import paragraph, section, table, text
from docutils import nodes
from layout import Module, rooms
from sphinx.util.docutils import SphinxDirective


class ModuleMap(SphinxDirective):
    """The rooms of the package that is the argument, from the top floor down."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a section for each room."""
        package = self.arguments[0]
        return [
            _section(package, room, modules) for room, modules in reversed(rooms(package).items())
        ]


def _section(package: str, room: str, modules: tuple[Module, ...]) -> nodes.section:
    place = f"{package}/{room}"
    first = modules[0]
    is_folder = first.path.endswith("/__init__.py")
    title = f"{place}/" if is_folder else first.path
    result = section([nodes.literal(text=title)], f"room-{package}-{room.strip('_')}")
    result += paragraph(first.summary)
    listed = modules[1:] if is_folder else ()
    if listed:
        rows = [
            ([nodes.literal(text=m.path.removeprefix(f"{place}/"))], list(text(m.summary)))
            for m in listed
        ]
        result += table(("module", "what it does"), rows)
    return result
