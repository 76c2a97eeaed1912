"""The usual query: one list, whose page comes whole in one small answer to one request.

    join or send ──▶ decode ──▶ complete ──▶ data

It takes a fifth of the steps of ``plan_runner`` and ``completion``, which do the same for every query. Whatever is not
as usual (an error, a next link, a large answer, a value that does not fit) is left to them, with the answer that has
come: so nothing is sent twice, and what is wrong is worded in one place.

Operations that wait for the same answer complete it once: their plan is one and the same object, for callers who see
the same rows, and so is the answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from weakref import ref

import msgspec

from gateway.errors import GatewayError, Overloaded
from gateway.odata.dialect import Dialect
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.operations.completion_compiler import FastPathMiss, RootCompletion
from gateway.operations.interpreted_pages import LONGEST, Interpreter, json_page
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import Prepared
from gateway.operations.raw_rows import RawRows
from gateway.operations.shapes import TYPENAME
from gateway.planning.page_window import Window, keyset_page
from gateway.planning.plan import ListRoot, ReadPlan
from gateway.telemetry.operation_scope import current_scope

from .answer_checks import have_distinct_keys, most_rows
from .decimal_text import decode_small_page
from .expanded_children import placer
from .fast_path import Slicing, complete_page, encode
from .field_attribution import current_fields, set_fields
from .page_decoder import SMALL, PageDecoder
from .read_requests import without_cancelling
from .shared_reads import ReadContext

Data = dict[str, Any]
Made = tuple[Data, int]
"""The data of a query, and the number of rows that were read for it."""


class SingleRead:
    """How the only list of a prepared query is read and completed; made once for each plan."""

    def __init__(
        self,
        prepared: Prepared,
        root: ListRoot,
        request: Request,
        dialect: Dialect,
        slicing: Slicing,
    ) -> None:
        plan, complete = root.plan, root.shape.complete
        assert plan.window is not None
        assert isinstance(complete, RootCompletion)
        self.prepared = prepared
        self.plan = plan
        self.is_usual = True
        self.request = request
        self.fields = (root.shape.key,)
        self.expected = root.shape.rows
        self.window: Window = plan.window
        self._dialect = dialect
        self._slicing = slicing
        self._has_answer_only = not plan.children and len(plan.row_type.attributes) == len(
            plan.level.values
        )
        self._most = most_rows(request)
        self._complete = complete
        self._latest: _Latest | None = None
        """What is made of the latest answer that several operations have; for as long as that lives."""

    async def data(self, reads: ReadContext) -> Data | None:
        """Return the data of the query; None if it must be read the whole way. Raises nothing but CancelledError."""
        answer = reads.join(self.request)
        is_shared = answer is not None
        try:
            response = await (self._sent(reads) if answer is None else _joined(answer))
        except Overloaded:
            # Whoever began it may wait no longer; this operation may.
            if is_shared:
                reads.forget()
            return None
        except GatewayError:
            return None
        made = await self._made(response, reads, is_shared=is_shared or reads.has_company)
        if made is None:
            return None
        data, rows = made
        reads.count_rows(rows)
        if reads.may_learn:
            self.expected.learn(self.window.size, min(rows, self.window.size))
        return data

    async def _sent(self, reads: ReadContext) -> Response:
        before = current_fields()
        set_fields(self.fields)
        answer = reads.begin(self.request)
        set_fields(before)
        return await without_cancelling(answer)

    async def _made(
        self, response: Response, reads: ReadContext, *, is_shared: bool
    ) -> Made | None:
        """Return what is made of an answer, once for all operations that have it."""
        learns, is_large = reads.may_learn, len(response.body) > SMALL
        while (latest := self._latest) is not None and latest.response() is response:
            if not latest.is_made:
                await without_cancelling(latest.ending)
            if latest.is_made:
                return latest.made
        # What is cached would be in memory twice.
        is_shared = is_shared and not (is_large and reads.may_be_cached(self.request))
        if not is_large:
            made = self._completed(response.body, learns=learns)
            return self._remembered(response, made) if is_shared and made is not None else made
        if not is_shared:
            return await self._completed_in_slices(response, learns=learns)
        latest = self._latest = _Latest(ref(response, self._forget))
        try:
            latest.made = _encoded(await self._completed_in_slices(response, learns=learns))
            latest.is_made = True
            return latest.made
        finally:
            # One of the others does it, if this operation was cancelled.
            if not latest.is_made and self._latest is latest:
                self._latest = None
            latest.ending.set_result(None)

    async def _completed_in_slices(self, response: Response, *, learns: bool) -> Made | None:
        """Return the same of a large answer, with breaks for other operations."""
        plan, window = self.plan, self.window
        try:
            page = await PageDecoder().raw_page(response)
            if page is None or page.next is not None:
                return None
            number = len(page.value)
            if self._most is not None and number > self._most:
                return None
            rows = RawRows(plan.row_type, page.value)
            whole = keyset_page(rows, window, plan.row_type, page.count)
            if whole.total is None and window.needs.total:
                return None
            place = placer(plan, self._dialect, texts=True, learns=learns)
            complete = self._complete.of(texts=True)
            value = await complete_page(whole, complete, place, self._slicing)
        except Exception:
            # Likewise.
            return None
        return self._in_order(value), number

    def _completed(self, body: bytes, *, learns: bool) -> Made | None:
        """Return what is made of a small answer; None if it is not as usual."""
        plan = self.plan
        if len(body) <= LONGEST and (interpreter := self._interpreter()) is not None:
            return self._interpreted(body, interpreter)
        page = decode_small_page(plan.row_type, body)
        if page is None or page.next is not None:
            return None
        number = len(page.value)
        try:
            whole = whole_page(page, plan, self._most)
            if whole is None:
                return None
            rows: list[Any] = whole.rows  # type: ignore[assignment] # no JSON text
            placer(plan, self._dialect, texts=True, learns=learns)(rows)
            if len(rows) > 1 and not have_distinct_keys(rows, plan.row_type):
                return None
            complete = self._complete.of(texts=True)
            value = complete.head(whole, *complete.lists(whole, rows, 0))
        except Exception:
            # The whole way finds the same, and says what it is.
            return None
        return self._in_order(value), number

    def _interpreter(self) -> Interpreter | None:
        """Return what completes pages as long as it pays not to compile the operation; None if they are compiled."""
        known = self._complete.interpreter
        if known is None:
            known = False
            with suppress(FastPathMiss):
                known = Interpreter(self._complete, self.plan.row_type)
            self._complete.interpreter = known
        if not isinstance(known, Interpreter) or known.used > self._slicing.interpreted:
            return None
        # Further columns are checked by the struct that has them.
        return known if self._has_answer_only else None

    def _interpreted(self, body: bytes, interpreter: Interpreter) -> Made | None:
        """Return the same, without functions that are compiled for the operation."""
        try:
            page = json_page(body)
            number = len(page.value)
            if page.next is not None or (self._most is not None and number > self._most):
                return None
            # The rows of a page are whatever its window is cut from.
            rows: list[Any] = page.value
            whole = keyset_page(rows, self.window, self.plan.row_type, page.count)
            return self._in_order(interpreter.complete(whole)), number
        except Exception:
            # Likewise.
            return None

    def _in_order(self, value: Any) -> Data:
        return {key: "Query" if name == TYPENAME else value for key, name in self.prepared.order}

    def _remembered(self, response: Response, made: Made) -> Made:
        latest = self._latest = _Latest(ref(response, self._forget))
        latest.made, latest.is_made = _encoded(made), True
        return made

    def _forget(self, reference: ref[Response]) -> None:
        if self._latest is not None and self._latest.response is reference:
            self._latest = None


def whole_page(page: Any, plan: ReadPlan, most: int | None) -> Page | None:
    """Return the page of a plan's window of an answer that is the whole list; None if that is not as usual.

    ``most``: rows that the answer may hold, if its request says so.
    """
    window = plan.window
    assert window is not None
    if most is not None and len(page.value) > most:
        return None
    whole = keyset_page(page.value, window, plan.row_type, page.count)
    return None if whole.total is None and window.needs.total else whole


class _Latest:
    """What is made of an answer that several operations have, by the first of them."""

    __slots__ = ("_ending", "is_made", "made", "response")

    def __init__(self, response: ref[Response]) -> None:
        self.response = response
        self.made: Made | None = None
        self.is_made = False
        self._ending: asyncio.Future[None] | None = None

    @property
    def ending(self) -> asyncio.Future[None]:
        """Done when it is made, or was given up."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_future()
        return self._ending


def _encoded(made: Made | None) -> Made | None:
    """Return the same with the data as JSON: it is encoded once."""
    if made is None:
        return None
    data, rows = made
    return {key: msgspec.Raw(encode(value)) for key, value in data.items()}, rows


async def _joined(answer: asyncio.Future[Response]) -> Response:
    """Await an answer that others wait for as well, as the time of an operation that waits for the environment."""
    if answer.done():
        return answer.result()
    scope = current_scope()
    if scope is None:
        return await answer
    scope.begin_wait()
    try:
        return await answer
    finally:
        scope.end_wait()
