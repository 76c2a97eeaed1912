"""Says how a page ends as soon as it is there, so that the next one can be requested while its rows are completed."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.execution.plan_runner import Loaded
from gateway.operations.pages import Page
from gateway.request import PageEnd, PageSink


async def note_loaded(sink: PageSink, loaded: Sequence[Loaded]) -> None:
    """Tell a sink how the page of its list ends; nothing if it failed, or if its last row has no cursor."""
    page = loaded[0].value if len(loaded) == 1 else None
    if not isinstance(page, Page):
        return
    try:
        end = PageEnd(len(page.rows), page.has_next, page.cursor_at(-1))
    except Exception:
        # Completion finds the same, and says what is wrong with the row.
        return
    await sink.loaded(end)
