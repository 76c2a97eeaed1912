"""Calls actions and custom services: one call, its result, and its refusal in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from gateway.errors import GatewayError, OutcomeUnknown, UpstreamMalformed
from gateway.odata.error_details import Problem
from gateway.odata.response_check import Response
from gateway.operations.lenient_rows import lenient_row, untyped_json
from gateway.operations.pages import Failure
from gateway.operations.value_conversion import from_untyped, from_upstream
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import MutationField

from .audit_trail import as_existing, with_error, with_result
from .fresh_reads import FreshReads
from .outcome import UserError, problems_in
from .payload import Payload
from .payload_reader import PayloadSelection
from .plan import CallMutation, CallWrite, DoneRow
from .row_lookup import RowLookup
from .sender import WriteSender


class CallRunner:
    """Runs the calls of one operation; ``planner`` plans what is below the rows that a call returns."""

    def __init__(
        self,
        catalog: Catalog,
        sender: WriteSender,
        planner: OperationPlanner,
        reads: FreshReads,
        lookup: RowLookup,
        pause: float,
    ) -> None:
        """``lookup`` finds rows that show what was done, ``pause`` seconds apart after a lost answer."""
        self._lookup = lookup
        self._pause = pause
        self._catalog = catalog
        self._sender = sender
        self._planner = planner
        self._reads = reads

    async def call(self, mutation: CallMutation, selection: PayloadSelection) -> Payload:
        """Send a call and return its payload; if it shows that it was done before, one without outputs.

        Raises GatewayError.
        """
        done = mutation.call.done
        if done is not None and await self._is_done(done):
            await self._record_done(mutation.call)
            return Payload()
        response, problems = await self._send_once(mutation.call)
        if problems and done is not None and await self._is_done(done):
            # Somebody else was as fast.
            return Payload()
        if response is None and not problems:
            return Payload()
        if response is None or problems:
            return Payload(
                errors=tuple(UserError(code=p.code, message=p.message) for p in problems)
            )
        field = mutation.field
        try:
            return await self._payload(field, _decode(response), selection)
        except GatewayError as error:
            # The call has been done all the same: only what it returned is missing.
            if field.service is not None:
                raise
            return Payload(result=Failure(error))

    async def _is_done(self, row: DoneRow) -> bool:
        """Return whether a row shows that a call was done; not if the caller cannot see it. Raises GatewayError."""
        check, flag = row.check, row.check.flag
        rows = await self._lookup.find(
            check.entity_set, check.csdl, check.key, [row.key], (flag.source,)
        )
        return any(
            flag.value is not None and from_upstream(flag.value, values.get(flag.source)) is True
            for values in rows[row.key]
        )

    async def _record_done(self, call: CallWrite) -> None:
        trail = self._sender.trail
        if trail is not None:
            await trail.close([as_existing(trail.entry_of_call(call))])

    async def _send_once(self, call: CallWrite) -> tuple[Response | None, Sequence[Problem]]:
        """Send a call, and find out whether it was done if its answer is lost; send it once more if it was not.

        Without answer and problems it was done, and nothing else is known of it. Raises GatewayError.
        """
        for is_repeated in (False, True):
            try:
                return await self._send(call)
            except OutcomeUnknown:
                if call.done is None:
                    raise
                for pause in (0.0, self._pause):
                    await asyncio.sleep(pause)
                    with suppress(GatewayError):  # the lost answer says more
                        if await self._is_done(call.done):
                            return None, ()
                # What has not ended in time may still be under way.
                if is_repeated or self._sender.may_still_run:
                    raise
        raise AssertionError

    async def _send(self, call: CallWrite) -> tuple[Response | None, Sequence[Problem]]:
        """Send a call, and record it before and after. Raises GatewayError."""
        trail = self._sender.trail
        if trail is None:
            return await self._send_checked(call)
        entry = trail.entry_of_call(call)
        await trail.announce([entry])
        try:
            response, problems = await self._send_checked(call)
        except GatewayError as error:
            await trail.close([with_error(entry, error)])
            raise
        except BaseException:
            trail.abandon([entry])
            raise
        request_id = None if response is None else response.request_id
        await trail.close([with_result(entry, problems, request_id)])
        return response, problems

    async def _send_checked(self, call: CallWrite) -> tuple[Response | None, Sequence[Problem]]:
        """Return the answer (None: not sent), and why the call was refused."""
        problem = await self._sender.check_call(call)
        if problem is not None:
            return None, (problem,)
        response = await self._sender.call(call)
        if response.status < 300:
            return response, ()
        problems = problems_in(response, self._sender.dialect.errors)
        refusals, row = self._sender.refusals, call.row
        if refusals is not None:
            problems = refusals.of_call(problems, None if row is None else row.entity_set)
        return response, problems

    async def _payload(
        self, field: MutationField, raw: Any, selection: PayloadSelection
    ) -> Payload:
        if field.service is not None:
            return Payload(output=raw if isinstance(raw, dict) else {"value": raw})
        if field.operation is None or field.operation.returns is None or raw is None:
            return Payload()
        if field.csdl:
            return Payload(result=await self._rows(field, raw, selection))
        return Payload(result=self._value(field, raw))

    def _value(self, field: MutationField, raw: Any) -> Any:
        assert field.operation is not None
        assert field.operation.returns is not None
        returns = field.operation.returns
        value = raw.get("value") if isinstance(raw, dict) else raw
        return from_untyped(self._catalog.value_of(returns), value, is_list=returns.many)

    async def _rows(self, field: MutationField, raw: Any, selection: PayloadSelection) -> Any:
        assert field.operation is not None
        assert field.operation.returns is not None
        if selection.level is None:
            return None
        set_name = self._catalog.set_for(field.csdl)
        plan = self._planner.read(selection.level, set_name, extras=selection.level.info.key)
        many = field.operation.returns.many
        value = raw.get("value") if many and isinstance(raw, dict) else raw
        if many and not isinstance(value, list):
            raise UpstreamMalformed("The upstream sent something that is no list.")
        items: list[Any] = value if isinstance(value, list) and many else [value]
        # A call's own rows cannot be bounded by a filter, so those outside the bounds are dropped here.
        admits, info = self._planner.bounds.admits, selection.level.info
        items = [i for i in items if not isinstance(i, dict) or admits(info, set_name, i)]
        rows = [lenient_row(plan.row_type, item) for item in items]
        if plan.row_type.redact is not None:
            plan.row_type.redact(rows)
        await self._reads.open().runner.attach(rows, plan)
        return rows if many else next(iter(rows), None)


def _decode(response: Response) -> Any:
    """Return the body as plain JSON. Raises UpstreamMalformed; the call has been done all the same."""
    if not response.body:
        return None
    try:
        return untyped_json(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamMalformed(
            "The call was done, but the upstream's answer to it is not JSON."
        ) from error
