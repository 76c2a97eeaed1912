r"""Divides display values at their delimiter, and joins segments again: ``600150-001-022``, ``US\-101``.

A delimiter inside a value is escaped by a backslash; nothing else is documented. So what could be read in two ways is
refused: a delimiter after several backslashes, and with delimiters of two characters three of them in a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

ESCAPE = "\\"
DELIMITERS: Mapping[str, str] = {
    "Hyphen": "-",
    "Period": ".",
    "Underscore": "_",
    "Bar": "|",
    "Tilde": "~",
    "DoubleHyphen": "--",
    "DoublePeriod": "..",
    "DoubleUnderscore": "__",
    "DoubleBar": "||",
    "DoubleTilde": "~~",
}
"""Members of the enum ``DimensionSegmentDelimiter``."""


class AmbiguousError(ValueError):
    """A display value that can be read in two ways, or segments that cannot be written in one."""


def split(text: str, delimiter: str) -> list[str]:
    """Return the segments of a display value, without escapes; blank ones are empty. Raises AmbiguousError."""
    if ESCAPE not in text and len(delimiter) == 1:
        return text.split(delimiter)
    segments = [""]
    for piece in _pieces(text, delimiter):
        if piece is None:
            segments.append("")
        else:
            segments[-1] += piece
    return segments


def _pieces(text: str, delimiter: str) -> Iterator[str | None]:
    """Yield the text piece by piece, and None for each delimiter. Raises AmbiguousError."""
    at, length = 0, len(delimiter)
    while at < len(text):
        run = _run(text, at)
        if text[at] == ESCAPE:
            if text.startswith(delimiter, at + run):
                if run > 1:
                    raise AmbiguousError("a delimiter follows several backslashes")
                yield delimiter
                at += run + length
                continue
        elif text[at] == delimiter[0] and run >= length:
            if run % length:
                raise AmbiguousError("delimiters overlap")
            yield from [None] * (run // length)
            at += run
            continue
        yield text[at : at + run]
        at += run


def _run(text: str, at: int) -> int:
    """Return how often the character at a place stands there in a row."""
    end = at + 1
    while end < len(text) and text[end] == text[at]:
        end += 1
    return end - at


def join(segments: Sequence[str], delimiter: str) -> str:
    """Return the display value of segments, which divides into them again. Raises AmbiguousError."""
    text = delimiter.join(escaped(segment, delimiter) for segment in segments)
    if split(text, delimiter) != list(segments):
        raise AmbiguousError(f"a value with a backslash, or a part of the delimiter {delimiter}")
    return text


def escaped(segment: str, delimiter: str) -> str:
    r"""Return a value as a segment: ``US-101`` → ``US\-101``."""
    return segment.replace(delimiter, ESCAPE + delimiter)


def unescaped(segment: str, delimiter: str) -> str:
    r"""Return the value of a segment: ``US\-101`` → ``US-101``."""
    return segment.replace(ESCAPE + delimiter, delimiter)
