"""Document → elements. Properties that are like others are taken out of it before it comes to the XML reader.

A catalogue has tens of thousands of properties, which are most of its text and differ in few words. Of a run of them
the XML reader sees as many line ends and blanks, so that the places in its errors stay right; the element that they are
content of gets one child with what was made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final

from .xml import Element, Reader, adopt

Source = bytes | BinaryIO | Iterable[bytes]
Make = Callable[[str], Any | None]
"""Returns what the text of a property means, which goes on after ``<Property ``; None if the XML reader must say."""

_CHUNK: Final = 1 << 18
_WAITING: Final = 1 << 20
"""Bytes without the end of an entity type, after which no such end is waited for."""
_START: Final = b"<Property "
_END: Final = b"</EntityType>"


def read_elements(
    source: Source,
    *,
    name: str,
    terms: frozenset[str],
    make: Make,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[Element, Element]]:
    """Yield (parent, element) for each child of ``Edmx``, ``DataServices`` and ``Schema`` when it closes.

    The parent is still open and lends its attributes only. ``terms`` are the short names of the
    annotation terms to keep.
    """
    reader = Reader(name, terms)
    runs = _Runs(reader, make)
    done = 0
    for chunk in _chunks(source):
        for _ in runs.feed(chunk):
            # At once, because what these declare may decide what is made of the properties that follow.
            yield from reader.take()
        done += len(chunk)
        if progress is not None:
            progress(done)
    runs.close()
    yield from reader.take()


def _chunks(source: Source) -> Iterator[bytes | memoryview]:
    if isinstance(source, bytes):
        view = memoryview(source)
        return (view[at : at + _CHUNK] for at in range(0, len(view), _CHUNK))
    read: Callable[[int], bytes] | None = getattr(source, "read", None)
    if read is not None:
        return iter(lambda: read(_CHUNK), b"")
    return iter(source)


class _Runs:
    """Stands before the XML reader, which gets everything but the properties from which something was made."""

    def __init__(self, reader: Reader, make: Make) -> None:
        self._reader = reader
        self._make = make
        self._waiting = b""

    def feed(self, chunk: bytes | memoryview) -> Iterator[None]:
        """Read on, with a stop before each run and at the end."""
        text = self._waiting + chunk
        end = text.rfind(_END)
        if end < 0 and len(text) < _WAITING:
            self._waiting = text
            return
        end = len(text) if end < 0 else end
        self._waiting = text[end:]
        feed = self._reader.feed
        at = 0
        while (start := text.find(_START, at, end)) >= 0 and (stop := text.find(_END, start)) >= 0:
            feed(text[at:start])
            yield
            self._content(text[start:stop])
            at = stop
        feed(text[at:end])
        yield

    def close(self) -> None:
        self._reader.feed(self._waiting)
        self._reader.close()

    def _content(self, content: bytes) -> None:
        """Read what an entity type has from its first property on."""
        feed, make = self._reader.feed, self._make
        try:
            pieces = content.decode().split(_START.decode())[1:]
        except UnicodeDecodeError:
            feed(content)  # the XML reader says what is wrong
            return
        *others, last = pieces
        last, rest = _cut(last)
        like: list[str] = []
        made: list[Any] = []
        for piece in (*others, last):
            of_piece = make(piece)
            if of_piece is None:
                self._take_out(like, made)
                like, made = [], []
                feed(_START + piece.encode())
            else:
                like.append(piece)
                made.append(of_piece)
        self._take_out(like, made)
        feed(rest.encode())

    def _take_out(self, pieces: list[str], made: list[Any]) -> None:
        if not pieces:
            return
        start = _START.decode()
        text = start + start.join(pieces)
        owner = self._reader.open_type()
        if owner is None:
            self._reader.feed(text.encode())
            return
        adopt(owner, Element("Property", {}, 0, 0, made=made))
        self._reader.feed(b"\n" * text.count("\n") + b" " * (len(text) - text.rfind("\n") - 1))


def _cut(piece: str) -> tuple[str, str]:
    """Return the text of a property, and what comes after it. A wrong guess makes neither any less than it was."""
    for end in ("</Property>", "/>"):
        at = piece.find(end)
        if at >= 0:
            at += len(end)
            return piece[:at], piece[at:]
    return piece, ""
