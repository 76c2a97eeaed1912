"""A page of an export: its rows as the format of the export takes them, or else as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class PageInfo(Struct, rename="camel"):
    """What a page says of its place in the list."""

    has_next_page: bool = False
    end_cursor: str | None = None
    start_cursor: str | None = None


class Rows(Struct, rename="camel"):
    """The rows of a page."""

    page_info: PageInfo = msgspec.field(default_factory=PageInfo)
    nodes: msgspec.Raw = msgspec.Raw(b"[]")
    """A JSON array."""
    slices: tuple[Any, ...] | None = None
    """What the writer has collected of them. None: they are in ``nodes``, as some value could not be completed fast."""

    def take(self) -> tuple[msgspec.Raw, tuple[Any, ...] | None]:
        """Return ``nodes`` and ``slices``, which are in memory only as long as who has taken them needs them.

        Whoever reads pages still has this one while the next one is completed.
        """
        taken = self.nodes, self.slices
        self.nodes, self.slices = msgspec.Raw(b"[]"), ()
        return taken
