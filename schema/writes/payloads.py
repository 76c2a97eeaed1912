"""The payload types of mutations: the result of writing a row or a list of rows, or of a call."""

from __future__ import annotations

from collections.abc import Iterator

from schema.catalog import Catalog
from schema.catalog.names import Names
from schema.catalog.records import (
    MutationField,
    PayloadField,
    PayloadRole,
    Result,
    ServiceField,
    TypeKind,
)

from . import descriptions as texts
from .naming import companion_name

_RESERVED = frozenset({"etag", "created", "userErrors", "results", "result"})
_ERRORS = PayloadField(
    name="userErrors",
    role=PayloadRole.USER_ERRORS,
    result=Result("UserError", nullable=False, many=True),
    description=texts.USER_ERRORS,
)


class Payloads:
    """The fields of payload types."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def of_row(self, csdl: str) -> Iterator[PayloadField]:
        """Return the fields of ``CustomerV3Payload``."""
        yield PayloadField(
            name=self.row_name(csdl),
            role=PayloadRole.ROW,
            result=Result(self._catalog.reference_name(csdl)),
            description=texts.ROW,
        )
        yield PayloadField(
            name="etag", role=PayloadRole.ETAG, result=Result("String"), description=texts.ETAG
        )
        yield PayloadField(
            name="created",
            role=PayloadRole.CREATED,
            result=Result("Boolean"),
            description=texts.CREATED,
        )
        yield _ERRORS

    def row_name(self, csdl: str) -> str:
        """Return the name of the payload field that holds the row."""
        field = self._catalog.row_name(csdl)
        return f"{field}Row" if field in _RESERVED else field

    def of_rows(self, csdl: str) -> Iterator[PayloadField]:
        """Return the fields of ``CustomerV3Payloads``."""
        yield PayloadField(
            name="results",
            role=PayloadRole.RESULTS,
            result=Result(
                companion_name(self._catalog, TypeKind.PAYLOAD, csdl), nullable=False, many=True
            ),
            description=texts.RESULTS,
        )
        yield PayloadField(
            name=_ERRORS.name,
            role=_ERRORS.role,
            result=_ERRORS.result,
            description=texts.CALL_ERRORS,
        )

    def of_operation(self, field: MutationField) -> Iterator[PayloadField]:
        """Return the fields of an action's or service's payload."""
        operation = field.operation
        if operation is not None and operation.returns is not None:
            yield self._result(field)
        if field.service is not None:
            names = Names((_ERRORS.name,))
            for output in field.service.output:
                yield self._output(output, names.take(output.name, output.wire))
        yield _ERRORS

    def _result(self, field: MutationField) -> PayloadField:
        assert field.operation is not None
        returns = field.operation.returns
        assert returns is not None
        if field.csdl:
            result = Result(self._catalog.reference_name(field.csdl), many=returns.many)
            value = None
        else:
            value = self._catalog.value_of(returns)
            result = Result(value.scalar, many=returns.many or value.many)
        return PayloadField(
            name="result",
            role=PayloadRole.RESULT,
            result=result,
            value=value,
            description=texts.RESULT,
        )

    def _output(self, output: ServiceField, name: str) -> PayloadField:
        return PayloadField(
            name=name,
            role=PayloadRole.OUTPUT,
            result=Result(output.type_name, many=output.many),
            source=output.wire,
        )
