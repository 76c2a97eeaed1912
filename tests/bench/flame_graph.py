"""Draws folded stacks as a flame graph: an SVG without scripts, coloured by whose code runs.

See https://www.brendangregg.com/flamegraphs.html; folded stacks are lines such as ``main (a.py);send (b.py) 17``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape

WIDTH, ROW = 1_200, 17
LEAST = 0.004
"""Share of all samples below which a frame is not drawn."""
_CHARACTER = 6.6
"""Width of a character, in pixels."""
_COLOURS = {
    "gateway/": "#f2a65a",
    "schema/": "#f2a65a",
    "uvicorn/": "#7fb2e5",
    "starlette/": "#7fb2e5",
    "aiohttp/": "#8fcb9b",
}
_OTHER = "#cfcfcf"
_FIRST = "<module>"
"""Where the first thread of a program begins."""
_LINE = re.compile(r":\d+\)$")


@dataclass(slots=True)
class Frame:
    """A function that was called where it is in the tree, in so many samples."""

    name: str
    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)

    def below(self, name: str) -> Frame:
        return self.callees.setdefault(name, Frame(name))

    @property
    def depth(self) -> int:
        """Return how many rows it takes."""
        return 1 + max((callee.depth for callee in self.callees.values()), default=0)


def tree(folded: Iterable[str], root: str) -> Frame:
    """Return what functions of this name called, all calls of one function from the same place as one frame.

    Stacks without the function, and those of other threads than the first, do not count.
    """
    found = Frame(root)
    for line in folded:
        stack, _, samples = line.rpartition(" ")
        names = [_LINE.sub(")", name) for name in stack.split(";")]
        starts = [n for n, name in enumerate(names) if name.split(" ")[0] == root]
        if not starts or not names[0].startswith(_FIRST):
            continue
        frame = found
        frame.samples += int(samples)
        for name in names[starts[-1] + 1 :]:
            frame = frame.below(name)
            frame.samples += int(samples)
    return found


def pruned(frame: Frame, least: float) -> Frame:
    """Return a frame without those below it that have fewer samples."""
    kept = {n: pruned(f, least) for n, f in frame.callees.items() if f.samples >= least}
    return Frame(frame.name, frame.samples, kept)


def svg(frame: Frame, title: str) -> str:
    """Return the drawing, callers above what they call."""
    frame = pruned(frame, LEAST * frame.samples)
    height = (frame.depth + 2) * ROW
    boxes = "\n".join(_boxes(frame, frame.samples, 0.0, 2))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="4" y="14" font-size="13">{escape(title)}</text>\n{boxes}\n</svg>\n'
    )


def _boxes(frame: Frame, total: int, left: float, row: int) -> Iterator[str]:
    width = WIDTH * frame.samples / total
    shown = frame.name.split(" ")[0]
    room = int(width / _CHARACTER) - 1
    text = shown if len(shown) <= room else f"{shown[: room - 1]}…" if room > 3 else ""
    share = f"{frame.samples / total:.1%}"
    yield (
        f'<g><title>{escape(frame.name)}: {share}</title><rect x="{left:.1f}" y="{row * ROW}" '
        f'width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{_colour(frame.name)}"/>'
        f'<text x="{left + 3:.1f}" y="{row * ROW + 12}">{escape(text)}</text></g>'
    )
    for callee in sorted(frame.callees.values(), key=lambda each: -each.samples):
        yield from _boxes(callee, total, left, row + 1)
        left += WIDTH * callee.samples / total


def _colour(name: str) -> str:
    return next((c for part, c in _COLOURS.items() if f"({part}" in name), _OTHER)
