"""``{drawing}``: pictures as SVG, drawn from the code: the floors, who imports whom, and the way of a request.

They are part of the page and use its colours, so that they follow the theme. ``python docs/_ext/drawings.py`` writes
the picture of README, which brings colours of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from docutils import nodes
from layout import ROOT, arrows, floors, rooms
from sphinx.util.docutils import SphinxDirective

PAGE_COLOURS = (
    ".w{fill:var(--color-background-secondary);stroke:var(--color-foreground-border)}"
    ".t{fill:var(--color-foreground-primary)}.s{fill:var(--color-foreground-secondary)}"
    ".l{stroke:var(--color-foreground-muted);fill:none}.a{fill:var(--color-foreground-muted)}"
    ".d{fill:var(--color-brand-primary)}.g{stroke:var(--color-background-border)}"
)
OWN_COLOURS = (
    ".w{fill:#f6f8fa;stroke:#8b949e}.t{fill:#1f2328}.s{fill:#59636e}.l{stroke:#59636e;fill:none}.a{fill:#59636e}"
    "@media(prefers-color-scheme:dark){.w{fill:#161b22;stroke:#6e7681}.t{fill:#e6edf3}.s{fill:#9198a1}"
    ".l{stroke:#9198a1}.a{fill:#9198a1}}"
)
FONT = 'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"'

READ = (
    ("http", "the request: body, headers, limits"),
    ("documents", "text → validated document, cached by its text"),
    ("operations", "document → compiled operation, cached by its structure"),
    ("planning", "operation + variables → plan (no I/O)"),
    ("execution", "plan → OData requests → rows"),
    ("odata", "lower to the dialect, render, send, retry, decode"),
    ("completion", "rows → answer; compiled functions first, graphql-core otherwise"),
)
WRITE = (
    ("http", "the request, as for a read"),
    ("documents", "text → validated document"),
    ("writes", "arguments → what is written, then requests and changesets"),
    ("odata", "send once; repeat only what was surely not processed"),
    ("writes", "answers → outcome, user errors, rows of the payload"),
    ("completion", "payloads → answer"),
)
START = (
    ("config", "environment, file, defaults → settings"),
    ("metadata", "fetch $metadata, or open the cached snapshot"),
    ("schema/csdl", "XML → model"),
    ("schema/catalog", "model → every GraphQL name, type and operator"),
    ("schema/types", "catalog → schema, its types made when first touched"),
    ("runtime", "client, dialect, catalog and engine → a gateway"),
    ("app", "routes, then the port"),
)
FLOWS = {"read": READ, "write": WRITE, "start": START}


def flow(steps: Sequence[tuple[str, str]], colours: str = PAGE_COLOURS) -> str:
    """Draw steps from top to bottom: the room, and what it makes of what."""
    height, gap, width = 44, 18, 720
    shapes = []
    for number, (room, what) in enumerate(steps):
        top = 8 + number * (height + gap)
        shapes.append(
            f'<rect class="w" x="8" y="{top}" width="{width - 16}" height="{height}" rx="6"/>'
        )
        shapes.append(_text(24, top + 27, room, "t", bold=True))
        shapes.append(_text(190, top + 27, what, "s"))
        if number:
            shapes.append(_arrow(width // 2, top - gap, top - 1))
    return _svg(width, 8 + len(steps) * (height + gap) - gap + 8, shapes, colours)


def floor_plan(package: str) -> str:
    """Draw the rooms of a package, the highest floor on top; each imports lower floors only."""
    levels = floors(package)
    sizes = {room: len(found) for room, found in rooms(package).items()}
    height, gap, width = 34, 8, 720
    shapes = []
    for number, level in enumerate(reversed(levels)):
        top = 8 + number * (height + gap)
        shapes.append(_text(8, top + 22, str(len(levels) - number), "s"))
        each = (width - 48) / len(level)
        for place, room in enumerate(sorted(level)):
            left = 40 + place * each
            shapes.append(
                f'<rect class="w" x="{left:.0f}" y="{top}" width="{each - 8:.0f}" height="{height}" rx="5"/>'
            )
            shapes.append(_text(left + 12, top + 22, room, "t", bold=True))
            count = f"{sizes[room]} modules" if sizes[room] > 1 else "1 module"
            shapes.append(_text(left + each - 20, top + 22, count, "s", anchor="end"))
    return _svg(width, 16 + len(levels) * (height + gap) - gap, shapes)


def matrix(package: str) -> str:
    """Draw who imports whom: a row is a room, a dot below a column that it imports that room."""
    names = [room for level in reversed(floors(package)) for room in sorted(level)]
    counts = arrows(package)
    cell, left, top = 22, 160, 130
    size = len(names) * cell
    shapes = []
    for place, name in enumerate(names):
        middle = place * cell + cell / 2
        shapes.append(_text(left - 8, top + middle + 4, name, "t", anchor="end"))
        turn = f"rotate(-60 {left + middle:.0f} {top - 8})"
        shapes.append(_text(left + middle, top - 8, name, "t", turn=turn))
        shapes.extend(
            f'<path class="g" d="M{left} {top + line}h{size}M{left + line} {top}v{size}"/>'
            for line in (place * cell, size)
        )
        shapes.append(
            f'<rect class="w" x="{left + place * cell}" y="{top + place * cell}" width="{cell}" height="{cell}"/>'
        )
    for (importer, imported), count in sorted(counts.items()):
        x = left + names.index(imported) * cell + cell / 2
        y = top + names.index(importer) * cell + cell / 2
        radius = min(3 + count * 0.4, 8)
        title = f"{importer} imports {imported} ({count} modules)"
        shapes.append(
            f'<circle class="d" cx="{x}" cy="{y}" r="{radius:.1f}"><title>{escape(title)}</title></circle>'
        )
    return _svg(left + size + 70, top + size + 8, shapes)


def _text(
    x: float,
    y: float,
    words: str,
    kind: str,
    *,
    bold: bool = False,
    anchor: str = "start",
    turn: str = "",
) -> str:
    weight = ' font-weight="600"' if bold else ""
    turned = f' transform="{turn}"' if turn else ""
    return (
        f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" {FONT} font-size="13" text-anchor="{anchor}"'
        f"{weight}{turned}>{escape(words)}</text>"
    )


def _arrow(x: float, top: float, bottom: float) -> str:
    return (
        f'<path class="l" d="M{x} {top}V{bottom - 5}"/>'
        f'<path class="a" d="M{x - 4} {bottom - 6}h8l-4 6z"/>'
    )


def _svg(width: float, height: float, shapes: Sequence[str], colours: str = PAGE_COLOURS) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
        f"<style>{colours}</style>{''.join(shapes)}</svg>"
    )


DRAWINGS = {
    "floors": lambda: floor_plan("gateway"),
    "schema-floors": lambda: floor_plan("schema"),
    "imports": lambda: matrix("gateway"),
    **{name: (lambda steps=steps: flow(steps)) for name, steps in FLOWS.items()},
}


class Drawing(SphinxDirective):
    """One picture; the text below the directive says the same for those who do not see it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture with its caption."""
        name = self.arguments[0]
        if name not in DRAWINGS:
            raise self.error(f"There is no drawing {name!r}: {', '.join(DRAWINGS)}.")
        label = escape(" ".join(self.content), quote=True)
        svg = DRAWINGS[name]().replace('role="img"', f'role="img" aria-label="{label}"')
        return [nodes.raw("", f'<div class="drawing">{svg}</div>', format="html")]


README_PICTURE = ROOT / "docs" / "pictures" / "read.svg"


def readme_picture() -> str:
    """Return the picture that README shows."""
    return flow(READ, OWN_COLOURS) + "\n"


if __name__ == "__main__":
    Path(README_PICTURE).parent.mkdir(exist_ok=True)
    README_PICTURE.write_text(readme_picture(), "utf-8")
    sys.stdout.write(f"{README_PICTURE.relative_to(ROOT)} written\n")
