"""Writes the rows of an import, some hundred at a time, each time as one mutation of a list.

    rows ──fields──▶ input objects ──ledger──▶ those to write ──mutation──▶ results, in the order of the rows
             │                        └─ written before under the same key: the stored result
             └─ unreadable, unknown fields: refused

A mutation whose arguments cannot be used sends nothing at all. Which rows are to blame is found by binding halves of
them against an upstream that accepts everything; the others are written then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct, structs

from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.errors import BadArgument, GatewayError
from gateway.explain.writes import AcceptingUpstream
from gateway.idempotency.ledger import Ledger, Runs
from gateway.request import Answer, GraphQLRequest
from gateway.writes.outcome import NOT_SENT
from gateway.writes.payload import Payload

from .request import Import
from .results import CALLER_REFUSALS, RowResult, Status, row_errors, status_of
from .rows import SourceRow

_KEY = "rows"
_PLACE = re.compile(r"Variable '\$input' has invalid value at \[0\]\.?|\binput\.0\.?")
_OF_ROW = frozenset({"IDEMPOTENCY_MISMATCH", "OUTCOME_UNKNOWN"})
"""Codes of keys that concern their own row."""
_decode_result = msgspec.json.Decoder(RowResult).decode


class ImportStopped(Exception):
    """An import ends early: the service does not answer, or the operation may not run."""

    def __init__(self, answer: Answer, results: Sequence[RowResult] = ()) -> None:
        super().__init__("The import was stopped.")
        self.answer = answer
        """With the errors for the client."""
        self.results = results
        """Those of the rows that were tried last."""


class ImportApi(Protocol):
    """What writes the rows: the current generation of an API."""

    @property
    def engine(self) -> Engine:
        """The engine that binds rows."""
        ...

    @property
    def ledger(self) -> Ledger | None:
        """The ledger of idempotency keys; None if keys have no effect."""
        ...

    async def execute(self, request: GraphQLRequest) -> Answer:
        """Run a mutation. Raises nothing but CancelledError."""
        ...


class _Row(Struct):
    """A row on its way."""

    number: int
    values: dict[str, Any]


class ImportWriter:
    """Writes the rows of one import."""

    def __init__(self, of: Import, first: GraphQLRequest, api: ImportApi) -> None:
        """``first``: the request of its mutations, without rows; with its idempotency key, if it has one."""
        self._import = of
        self._request = structs.replace(first, idempotency_key=None)
        self._key = first.idempotency_key
        self._api = api
        # Rows are looked up before they are written, so that they may be tried again whatever became of them.
        self._looks_up = bool(of.request.unique_by)
        done: Mapping[str, Status] = {"create": "created", "upsert": "written"}
        self._done: Status = "valid" if of.request.validates else done[of.request.mode]

    async def write(self, rows: Sequence[SourceRow]) -> list[RowResult]:
        """Write rows, and return what became of them in their order. Raises ImportStopped."""
        results: dict[int, RowResult] = {}
        ready: list[_Row] = []
        for row in rows:
            read = self._read(row)
            if isinstance(read, RowResult):
                results[row.number] = read
            else:
                ready.append(read)
        try:
            if self._import.request.validates:
                results.update(await self._validate(ready))
            else:
                results.update(await self._write_once(ready))
        except ImportStopped as stopped:
            tried = {r.row: r for r in stopped.results}
            own = [r for row in rows if (r := results.get(row.number) or tried.get(row.number))]
            raise ImportStopped(stopped.answer, own) from None
        return [results[row.number] for row in rows]

    def _read(self, row: SourceRow) -> _Row | RowResult:
        """Return a row as an input object, or why it is none."""
        options, fields = self._import.request, self._import.fields
        if row.error is not None:
            return _refused(row.number, BadArgument(row.error))
        try:
            if options.format == "csv":
                values = fields.of_cells(row.values, empties=options.empties)
            else:
                values = fields.of_json(row.values)
        except (BadArgument, RecursionError) as error:
            reason = error if isinstance(error, BadArgument) else BadArgument("It is too deep.")
            return _refused(row.number, reason)
        return _Row(row.number, values)

    # Idempotency keys: one a row, derived from that of the import

    async def _write_once(self, rows: Sequence[_Row]) -> dict[int, RowResult]:
        """Write the rows that were not written before under the same key."""
        ledger = self._api.ledger
        if self._key is None or ledger is None or not rows:
            return await self._write(rows)
        results: dict[int, RowResult] = {}
        held: list[_Row] = []
        begun, runs = await self._begin(ledger, rows)
        for row, earlier in zip(rows, begun, strict=True):
            if earlier is None:
                held.append(row)
            else:
                results[row.number] = _result_of(row, earlier)
        try:
            written = await self._write(held)
        except ImportStopped as stopped:
            await self._settle(runs, held, {r.row: r for r in stopped.results})
            raise ImportStopped(stopped.answer, [*results.values(), *stopped.results]) from None
        except BaseException:
            runs.abandon()
            raise
        await self._settle(runs, held, written)
        return {**results, **written}

    async def _begin(
        self, ledger: Ledger, rows: Sequence[_Row]
    ) -> tuple[list[bytes | GatewayError | None], Runs]:
        """Return what there is of the rows under the key. Raises ImportStopped."""
        request, mode = self._request, self._import.request.mode
        # No header can be equal to such a key: those of headers have no spaces.
        keys = []
        for row in rows:
            parts = (self._import.set, mode, request.query, request.companies, row.values)
            digest = hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
            keys.append((f"import {self._key} {row.number}", digest))
        try:
            begun, runs = await ledger.begin_all(
                request.caller.log_id, keys, repeatable=self._looks_up
            )
        except GatewayError as error:
            raise ImportStopped(_answer_of(error)) from error
        for earlier in begun:
            if isinstance(earlier, GatewayError) and earlier.code not in _OF_ROW:
                await runs.settle([None] * begun.count(None))
                raise ImportStopped(_answer_of(earlier))
        return begun, runs

    async def _settle(
        self, runs: Runs, rows: Sequence[_Row], results: Mapping[int, RowResult]
    ) -> None:
        """Store the results of rows that came to an end; the keys of others are free again."""
        own = (results.get(row.number) for row in rows)
        await runs.settle(
            [msgspec.json.encode(r) if r is not None and self._is_final(r) else None for r in own]
        )

    def _is_final(self, result: RowResult) -> bool:
        """Return whether another try would not improve a row, or write it twice."""
        if result.status == "unknown":
            return not self._looks_up
        if result.status in ("created", "exists", "written"):
            return True
        codes = {e["code"] for e in result.errors}
        return result.status == "refused" and not codes & CALLER_REFUSALS

    # Mutations

    async def _write(self, rows: Sequence[_Row]) -> dict[int, RowResult]:
        """Write rows. Those behind a row that failed are tried again, unless all fail. Raises ImportStopped."""
        results: dict[int, RowResult] = {}
        left = rows
        while left:
            try:
                results |= await self._write_together(left)
            except ImportStopped as stopped:
                tried = results | {r.row: r for r in stopped.results}
                raise ImportStopped(stopped.answer, list(tried.values())) from None
            untried = [row for row in left if _is_untried(results[row.number])]
            left = untried if len(untried) < len(left) else ()
        return results

    async def _write_together(self, rows: Sequence[_Row]) -> dict[int, RowResult]:
        """Write rows by one mutation, without those whose values cannot be used. Raises ImportStopped."""
        answer = await self._api.execute(self._of_rows(rows))
        payload = (answer.to_builtins().get("data") or {}).get(_KEY)
        if payload is not None:
            return self._results(rows, payload)
        if not _is_about_rows(answer):
            raise ImportStopped(answer)
        unusable = await self._unusable(rows)
        if not unusable:
            raise ImportStopped(answer)
        rest = [row for row in rows if row.number not in unusable]
        try:
            return {**unusable, **(await self._write_together(rest) if rest else {})}
        except ImportStopped as stopped:
            raise ImportStopped(stopped.answer, [*unusable.values(), *stopped.results]) from None

    def _of_rows(self, rows: Sequence[_Row]) -> GraphQLRequest:
        return structs.replace(self._request, variables={"input": [row.values for row in rows]})

    def _results(self, rows: Sequence[_Row], payload: Mapping[str, Any]) -> dict[int, RowResult]:
        """Return the results in a payload. Raises ImportStopped if the service has failed for all of them."""
        results = {}
        for row, own in zip(rows, payload["results"], strict=True):
            errors = row_errors(own["userErrors"])
            written = own.get(self._import.row_name)
            done: Status = "exists" if own.get("created") is False else self._done
            results[row.number] = RowResult(
                row=row.number,
                status=status_of((e["code"] for e in errors), done),
                id=None if written is None else written["id"],
                errors=errors,
            )
        failed = payload["userErrors"]
        if failed and all(r.status in ("not_sent", "unknown") for r in results.values()):
            causes = [{"message": e["message"], "extensions": {"code": e["code"]}} for e in failed]
            raise ImportStopped(Answer(errors=causes), list(results.values()))
        return results

    # Without sending anything

    async def _validate(self, rows: Sequence[_Row]) -> dict[int, RowResult]:
        """Return what would become of rows if the service accepted them. Raises ImportStopped."""
        unusable = await self._unusable(rows)
        rest = [row for row in rows if row.number not in unusable]
        return {**unusable, **(await self._bound(rest) if rest else {})}

    async def _unusable(self, rows: Sequence[_Row]) -> dict[int, RowResult]:
        """Return the results of rows that cannot be bound, found by halves. Raises ImportStopped."""
        if not rows:
            return {}
        try:
            await self._bound(rows)
        except _Unbound as error:
            if len(rows) == 1:
                return {rows[0].number: error.of_row(rows[0].number)}
            middle = len(rows) // 2
            first = await self._unusable(rows[:middle])
            return {**first, **await self._unusable(rows[middle:])}
        return {}

    async def _bound(self, rows: Sequence[_Row]) -> dict[int, RowResult]:
        """Run the mutation of rows against a service that accepts all. Raises _Unbound, ImportStopped."""
        engine = self._api.engine
        accepting = AcceptingUpstream(engine.schema.catalog)
        try:
            operation = engine.read(self._of_rows(rows))
            performed = await engine.perform(
                operation, accepting, accepting, None, assumes_rows=True
            )
        except OperationRefused as refused:
            answer = Answer(errors=refused.errors)
            raise (_Unbound(answer) if _is_about_rows(answer) else ImportStopped(answer)) from None
        except GatewayError as error:
            raise ImportStopped(_answer_of(error)) from error
        payload = performed.payloads[_KEY]
        if isinstance(payload, Payload):
            return {
                row.number: self._as_bound(row, own)
                for row, own in zip(rows, payload.results, strict=True)
            }
        answer = _answer_of(payload)
        raise _Unbound(answer) if _is_about_rows(answer) else ImportStopped(answer)

    def _as_bound(self, row: _Row, payload: Payload) -> RowResult:
        errors = row_errors(e.to_dict() for e in payload.errors)
        status = status_of((e["code"] for e in errors), "valid")
        return RowResult(row=row.number, status=status, errors=errors)


class _Unbound(Exception):
    """Rows cannot be bound: at least one of them has a value that cannot be used."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("Rows cannot be bound.")
        self._errors = answer.errors

    def of_row(self, number: int) -> RowResult:
        """Return the result of a row that was bound alone."""
        errors = [
            _error(e["extensions"]["code"], _PLACE.sub("", e["message"]).lstrip(": "))
            for e in self._errors
        ]
        return RowResult(row=number, status="refused", errors=errors)


def _is_untried(result: RowResult) -> bool:
    return any(error["code"] == NOT_SENT for error in result.errors)


def _error(code: str, message: str, hint: str | None = None) -> Mapping[str, Any]:
    return {"code": code, "message": message} | ({} if hint is None else {"hint": hint})


def _refused(number: int, error: GatewayError) -> RowResult:
    """Return the result of a row that is refused here."""
    status: Status = "unknown" if error.code == "OUTCOME_UNKNOWN" else "refused"
    errors = [_error(error.code, error.message, error.hint)]
    return RowResult(row=number, status=status, errors=errors)


def _answer_of(error: GatewayError) -> Answer:
    return Answer(errors=[{"message": error.message, "extensions": error.extensions()}])


def _is_about_rows(answer: Answer) -> bool:
    """Return whether an operation failed for what its rows are."""
    codes = {e.get("extensions", {}).get("code") for e in answer.errors}
    return bool(codes) and codes <= CALLER_REFUSALS


def _result_of(row: _Row, earlier: bytes | GatewayError) -> RowResult:
    """Return the result of a row that an earlier import has tried under the same key."""
    if isinstance(earlier, GatewayError):
        return _refused(row.number, earlier)
    return structs.replace(_decode_result(earlier), replayed=True)
