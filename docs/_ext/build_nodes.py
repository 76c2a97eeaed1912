"""Short ways to docutils nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from docutils import nodes

MARKUP = re.compile(r"(``?[^`]+``?|:\w+:`[^`]+`)")


def text(source: str) -> Iterator[nodes.Node]:
    """Return the nodes of a docstring or help text: plain words, and what stands in backquotes as code."""
    for part in MARKUP.split(source):
        if part.startswith((":", "`")) and part.endswith("`") and "`" in part[:-1]:
            code = part.strip("`") if part.startswith("`") else part.split("`")[1]
            yield nodes.literal(text=code.lstrip("~"))
        elif part:
            yield nodes.Text(part)


def paragraph(source: str) -> nodes.paragraph:
    """Return a paragraph of such a text."""
    return nodes.paragraph("", "", *text(source))


def section(title: Iterable[nodes.Node], anchor: str) -> nodes.section:
    """Return an empty section."""
    result = nodes.section(ids=[anchor])
    result += nodes.title("", "", *title)
    return result


def table(head: Sequence[str], rows: Iterable[Sequence[Iterable[nodes.Node]]]) -> nodes.table:
    """Return a table; a cell is the inline nodes of its only paragraph."""
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", _row([[nodes.Text(name)] for name in head]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["generated"])


def _row(cells: Sequence[Iterable[nodes.Node]]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))
