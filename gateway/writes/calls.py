"""Actions and custom services: one call, its result, and its refusal in plain words."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.response_check import Response
from gateway.operations.pages import Failure
from gateway.operations.row_types import lenient_row, untyped_json
from gateway.operations.value_conversion import from_untyped
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import MutationField

from .outcome import UserError, problems_in
from .payload import Payload
from .payload_rows import Fetching, PayloadSelection
from .plan import CallMutation
from .sender import Exchange


class Calls:
    """Calls of one operation."""

    def __init__(
        self, catalog: Catalog, exchange: Exchange, bare: OperationPlanner, fetching: Fetching
    ) -> None:
        self._catalog = catalog
        self._exchange = exchange
        self._bare = bare
        self._fetching = fetching

    async def call(self, mutation: CallMutation, asked: PayloadSelection) -> Payload:
        """Call and give the payload. Raises GatewayError."""
        barred = await self._exchange.barred(mutation.call)
        if barred is not None:
            return Payload(errors=(UserError(code=barred.code, message=barred.message),))
        response = await self._exchange.call(mutation.call)
        if response.status >= 300:
            problems = problems_in(response, self._exchange.dialect.errors)
            return Payload(
                errors=tuple(UserError(code=p.code, message=p.message) for p in problems)
            )
        of = mutation.field
        try:
            return await self._done(of, _decoded(response), asked)
        except GatewayError as error:
            # The call has been done all the same: only what it gave back is missing.
            if of.service is not None:
                raise
            return Payload(result=Failure(error))

    async def _done(self, of: MutationField, raw: Any, asked: PayloadSelection) -> Payload:
        if of.service is not None:
            return Payload(output=raw if isinstance(raw, dict) else {"value": raw})
        if of.operation is None or of.operation.returns is None or raw is None:
            return Payload()
        if of.csdl:
            return Payload(result=await self._rows(of, raw, asked))
        return Payload(result=self._plain(of, raw))

    def _plain(self, of: MutationField, raw: Any) -> Any:
        assert of.operation is not None
        assert of.operation.returns is not None
        returns = of.operation.returns
        value = raw.get("value") if isinstance(raw, dict) else raw
        return from_untyped(self._catalog.value_of(returns), value, is_list=returns.many)

    async def _rows(self, of: MutationField, raw: Any, asked: PayloadSelection) -> Any:
        assert of.operation is not None
        assert of.operation.returns is not None
        if asked.level is None:
            return None
        set_name = self._catalog.set_for(of.csdl)
        plan = self._bare.read(asked.level, set_name, extras=asked.level.info.key)
        many = of.operation.returns.many
        found = raw.get("value") if many and isinstance(raw, dict) else raw
        if many and not isinstance(found, list):
            raise UpstreamMalformed("The upstream sent something that is no list.")
        items: list[Any] = found if isinstance(found, list) and many else [found]
        admits, info = self._bare.planner.limit.admits, asked.level.info
        items = [i for i in items if not isinstance(i, dict) or admits(info, set_name, i)]
        rows = [lenient_row(plan.row_type, item) for item in items]
        await self._fetching()[1].attach(rows, plan)
        return rows if many else next(iter(rows), None)


def _decoded(response: Response) -> Any:
    """Return the body as plain JSON. Raises UpstreamMalformed; the call has been done all the same."""
    if not response.body:
        return None
    try:
        return untyped_json(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamMalformed(
            "The call was done, but the upstream's answer to it is not JSON."
        ) from error
