"""Answers a list from rows that came another way than by its own request, in the form of the upstream's JSON.

The plan, and all that happens to rows between the upstream and an answer (types, masks, completion), are those of the
list; only the request is not sent.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.errors import UnsupportedQuery
from gateway.execution.plan_runner import PlanRunner
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.request import Answer, Collect, PageEnd, PlannedQuery

from .engine import Engine

_HEADERS = {"content-type": "application/json"}


class _OnePage:
    """An upstream with one page, which is read once."""

    root = "http://rows.invalid"

    def __init__(self, rows: bytes) -> None:
        self._rows: bytes | None = rows

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:  # noqa: ARG002 - the protocol's
        """Return the page. Raises UnsupportedQuery if a plan reads anything else."""
        if self._rows is None:
            raise UnsupportedQuery("These rows are not all that the operation reads.")
        rows, self._rows = self._rows, None
        return Response(200, _HEADERS, b'{"value":%b}' % rows, request.url)


class _Sink:
    """Takes rows as they are completed."""

    def __init__(self, collect: Collect) -> None:
        self.collect: Collect | None = collect

    async def loaded(self, end: PageEnd) -> None:
        """Do nothing: there is no next page to be requested."""


async def answer_with(
    engine: Engine, query: PlannedQuery, rows: bytes, collect: Collect | None = None
) -> Answer:
    """Answer a query of one list from its rows, a JSON array. Raises nothing but CancelledError.

    ``collect`` takes completed rows, see ``PageSink``. Whoever gives the rows has applied the filter of the plan: it is
    not tested again.
    """
    if collect is not None:
        query = replace(query, request=replace(query.request, sink=_Sink(collect)))
    fetcher = engine.reads.fetcher(_OnePage(rows))
    runner: PlanRunner = engine.reads.runner(fetcher)
    try:
        return await engine.answer_or_error(engine.run(query, runner))
    finally:
        await fetcher.close()
