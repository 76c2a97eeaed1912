"""Answers custom services below ``/api/services`` (section 5.4): how F&O posts journals and confirms orders.

``GET`` describes groups, services and operations; ``POST`` calls one with a JSON body keyed by the names of the X++
parameters. No standard service posts journals or confirms sales orders; these are like those of customers:
``LedgerJournalServices/LedgerJournalService/post`` and ``SalesOrderServices/SalesOrderService/confirm``. Bodies of
failures are [U].
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import orjson

from .exchange import Incoming, Outgoing
from .payload import json_object
from .refusal import Refusal
from .store import ID, Store
from .values import Stored
from .world import COMPANY

_JSON = "application/json; charset=utf-8"
Call = Callable[[Mapping[str, str]], dict[str, Any]]


class _Failed(Exception):
    """The X++ code threw an error; its text is for the user."""


@dataclass(frozen=True, slots=True)
class _Operation:
    parameters: Mapping[str, str]
    """Name → X++ type."""
    returns: str
    call: Call


class Services:
    """Answers ``/api/services`` of the built-in catalogue."""

    def __init__(self, store: Store) -> None:
        journal = {"_dataAreaId": "String", "_journalBatchNumber": "String"}
        post = _Operation(journal, "LedgerJournalPostResult", _Poster(store).post)
        self._store = store
        order = {"_dataAreaId": "String", "_salesOrderNumber": "String"}
        confirm = _Operation(order, "SalesOrderConfirmResult", _Confirmer(store).confirm)
        self._groups = {
            "LedgerJournalServices": {"LedgerJournalService": {"post": post}},
            "SalesOrderServices": {"SalesOrderService": {"confirm": confirm}},
        }

    def answer(self, incoming: Incoming) -> Outgoing:
        """Return the response to a request whose path begins with ``/api/services``."""
        path = [unquote(part) for part in incoming.path.split("/") if part][2:]
        at: Any = self._groups
        for name in path:
            at = at.get(name) if isinstance(at, dict) else None
            if at is None:
                raise Refusal(404, f"The service '{'/'.join(path)}' does not exist.")
        if isinstance(at, _Operation):
            return self._operate(incoming, at)
        if incoming.method != "GET":
            raise Refusal(405, "A service group is described, not called.")
        kind = ("ServiceGroups", "Services", "Operations")[len(path)]
        return _json({kind: [{"Name": name} for name in at]})

    def _operate(self, incoming: Incoming, operation: _Operation) -> Outgoing:
        if incoming.method == "GET":
            parameters = [{"Name": n, "Type": t} for n, t in operation.parameters.items()]
            returned = {"Name": "return", "Type": operation.returns}
            return _json({"Parameters": parameters, "Return": returned})
        if incoming.method != "POST":
            raise Refusal(405, f"An operation does not take {incoming.method}.")
        body = json_object(incoming)
        missing = [name for name in operation.parameters if not isinstance(body.get(name), str)]
        if missing:
            message = f"Parameter '{missing[0]}' is not found within the request content body."
            return _failure(400, message, "ArgumentException")
        try:
            with self._store.transaction():
                return _json({"$id": "1", **operation.call(body)})
        except _Failed as failed:
            message = f"An exception occured when invoking the operation - {failed}"
            return _failure(500, message, "InvocationException")


@dataclass(frozen=True, slots=True)
class _Poster:
    """Posts ledger journals."""

    store: Store

    def post(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        """Mark a journal as posted, and return its JSON. Raises _Failed if it cannot be posted."""
        batch = arguments["_journalBatchNumber"]
        header = self._header(arguments["_dataAreaId"], batch)
        lines = self._lines(header)
        if not lines:
            raise _Failed(f"Journal {batch} has no lines to post.")
        for line in lines:
            if not line["AccountDisplayValue"]:
                raise _Failed(f"Account must be specified on line {line['LineNumber']}.")
        self._check_balance(lines)
        storage = self.store.storage("LedgerJournalHeaders")
        number = header[ID]
        assert isinstance(number, int)
        posted = storage.fields["IsPosted"].to_stored("Yes")
        self.store.change(storage, number, {"IsPosted": posted})
        return {
            "JournalBatchNumber": header["JournalBatchNumber"],
            "IsPosted": "Yes",
            "NumberOfLines": len(lines),
            "Vouchers": list(dict.fromkeys(line["Voucher"] for line in lines)),
        }

    def _header(self, company: str, batch: str) -> dict[str, Stored]:
        storage = self.store.storage("LedgerJournalHeaders")
        headers = self.store.find(storage, {COMPANY: company, "JournalBatchNumber": batch}, limit=1)
        if not headers:
            raise _Failed(f"Journal {batch} does not exist in company {company}.")
        if headers[0]["IsPosted"] == storage.fields["IsPosted"].to_stored("Yes"):
            raise _Failed(f"Journal {batch} is already posted.")
        return headers[0]

    def _lines(self, header: Mapping[str, Stored]) -> list[dict[str, Stored]]:
        names = (COMPANY, "JournalBatchNumber")
        storage = self.store.storage("LedgerJournalLines")
        return self.store.find(storage, {name: header[name] for name in names})

    def _check_balance(self, lines: list[dict[str, Stored]]) -> None:
        """Raise _Failed for a voucher that does not balance; a line with an offset account balances itself."""
        balances: dict[Stored, Decimal] = {}
        for line in lines:
            if not line["OffsetAccountDisplayValue"]:
                amount = Decimal(str(line["DebitAmount"])) - Decimal(str(line["CreditAmount"]))
                balances[line["Voucher"]] = balances.get(line["Voucher"], Decimal()) + amount
        for voucher, balance in balances.items():
            if balance:
                day = str(lines[0]["TransDate"])[:10]
                raise _Failed(
                    f"The transactions on voucher {voucher} do not balance as per {day}."
                    f" (accounting currency: {balance:f})"
                )


@dataclass(frozen=True, slots=True)
class _Confirmer:
    """Confirms sales orders."""

    store: Store

    def confirm(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        """Mark an order as confirmed, and return its JSON. Raises _Failed if it cannot be confirmed."""
        company, number = arguments["_dataAreaId"], arguments["_salesOrderNumber"]
        key = {COMPANY: company, "SalesOrderNumber": number}
        storage = self.store.storage("SalesOrderHeadersV2")
        status = storage.fields["SalesOrderProcessingStatus"]
        orders = self.store.find(storage, key, limit=1)
        if not orders:
            raise _Failed(f"Sales order {number} does not exist in company {company}.")
        if orders[0]["SalesOrderProcessingStatus"] != status.to_stored("Active"):
            raise _Failed(f"Sales order {number} is confirmed already.")
        if not self.store.find(self.store.storage("SalesOrderLines"), key, limit=1):
            raise _Failed(f"Sales order {number} has no lines to confirm.")
        row = orders[0][ID]
        assert isinstance(row, int)
        confirmed = status.to_stored("Confirmed")
        self.store.change(storage, row, {"SalesOrderProcessingStatus": confirmed})
        return {"SalesOrderNumber": orders[0]["SalesOrderNumber"], "Status": "Confirmed"}


def _json(value: Any, status: int = 200) -> Outgoing:
    return Outgoing(status=status, headers={"content-type": _JSON}, body=orjson.dumps(value))


def _failure(status: int, message: str, kind: str) -> Outgoing:
    activity = str(uuid.uuid5(uuid.NAMESPACE_OID, message))
    return _json({"Message": message, "ExceptionType": kind, "ActivityId": activity}, status)
