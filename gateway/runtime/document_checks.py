"""Checks a trusted document against what a gateway serves: whether it is valid, can be planned, and what it costs.

Nothing is sent. Variables are made up (``documents.sample_variables``), so what only a value decides is not held
against a document.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec import Struct

from gateway.cost.gate import Price
from gateway.documents.refusal import OperationRefused
from gateway.documents.sample_variables import SampleOperation, sample_operations
from gateway.documents.trusted import TrustedDocument
from gateway.errors import (
    BudgetExceeded,
    Forbidden,
    GatewayError,
    PageLimitExceeded,
    UnsupportedQuery,
)
from gateway.failures import report_error
from gateway.planning.plan import FailedRoot
from gateway.request import GraphQLRequest, ValidOperation

from .assembly import Gateway

MAX_MESSAGES = 5
"""Errors of one operation that are told."""
_OF_THE_DOCUMENT = (BudgetExceeded, Forbidden, PageLimitExceeded, UnsupportedQuery)
"""Errors of planning that no other values of the variables would avoid."""
_OF_THE_VALUES = "BAD_USER_INPUT"


class OperationCheck(Struct, frozen=True, kw_only=True):
    """What became of one operation of a document."""

    operation: str | None = None
    kind: str = ""
    code: str | None = None
    """Code of its errors; None: it can run."""
    messages: tuple[str, ...] = ()
    price: Price | None = None
    """None: nothing prices it."""


class DocumentCheck(Struct, frozen=True, kw_only=True):
    """What became of a document."""

    document: TrustedDocument
    operations: tuple[OperationCheck, ...]

    @property
    def broken(self) -> tuple[OperationCheck, ...]:
        """Its operations that cannot run."""
        return tuple(operation for operation in self.operations if operation.code is not None)


def check_document(
    gateway: Gateway, document: TrustedDocument, *, pin: bool = False
) -> DocumentCheck:
    """Return whether a document can run. ``pin``: keep its operations ready, if they can."""
    try:
        operations = tuple(_checks(gateway, document, pin))
    except Exception as error:
        # A document that finds a defect must not keep the others from being checked.
        report = report_error(error, gateway.observe)
        code = str(report["extensions"]["code"])
        operations = (
            OperationCheck(operation=document.name, code=code, messages=(report["message"],)),
        )
    return DocumentCheck(document=document, operations=operations)


def _checks(gateway: Gateway, document: TrustedDocument, pin: bool) -> Iterator[OperationCheck]:
    documents = gateway.engine.caches.documents
    try:
        operations = tuple(
            sample_operations(gateway.schema.core, documents.get_valid(document.text))
        )
    except OperationRefused as refused:
        yield OperationCheck(
            operation=document.name, code=refused.code, messages=_messages(refused)
        )
        return
    if not operations:
        yield OperationCheck(
            code="OPERATION_RESOLUTION_FAILURE",
            messages=("The document contains no operation.",),
        )
    for operation in operations:
        yield _check(gateway, document, operation, pin)


def _check(
    gateway: Gateway, document: TrustedDocument, sample: SampleOperation, pin: bool
) -> OperationCheck:
    request = GraphQLRequest(
        query=document.text,
        trusted=document,
        operation_name=sample.name,
        variables=sample.variables,
    )
    check = partial(OperationCheck, operation=sample.name or document.name, kind=sample.kind)
    try:
        operation = gateway.engine.read(request)
        if pin:
            gateway.engine.caches.pin(
                document.text,
                operation.document,
                operation.operation,
                operation.variables.coerced,
            )
        return check(price=_price(gateway, operation, sample))
    except OperationRefused as refused:
        if refused.code == _OF_THE_VALUES and sample.variables:
            return check()
        return check(code=refused.code, messages=_messages(refused))
    except GatewayError as error:
        if sample.variables and not isinstance(error, _OF_THE_DOCUMENT):
            return check()
        return check(code=error.code, messages=(error.message,))


def _price(gateway: Gateway, operation: ValidOperation, sample: SampleOperation) -> Price | None:
    """Return the price of an operation. Raises OperationRefused, GatewayError if it cannot be planned."""
    gate = gateway.engine.gate
    if operation.is_subscription:
        return None
    if operation.is_mutation:
        return None if gate is None else gate.price(operation)
    query = gateway.engine.plan(operation)
    for root in query.roots:
        if isinstance(root, FailedRoot) and (
            not sample.variables or isinstance(root.error, _OF_THE_DOCUMENT)
        ):
            raise root.error
    return None if gate is None else gate.price(query)


def _messages(refused: OperationRefused) -> tuple[str, ...]:
    return tuple(str(error["message"]) for error in refused.errors[:MAX_MESSAGES])
