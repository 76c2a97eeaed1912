"""Plans of function calls at the root (OData Protocol 4.01, section 11.5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from gateway.errors import Forbidden
from gateway.odata.query import Call, KeyPart, ListPart, Literal, Query, Resource
from gateway.operations.prepared_operation import RootShape
from gateway.operations.value_conversion import to_literal, to_literals
from schema.catalog.records import Argument, ValueType
from schema.model.records import short

from .plan import CallRoot

if TYPE_CHECKING:
    from .planner import OperationPlanner


def plan_call(
    planner: OperationPlanner, shape: RootShape, arguments: Mapping[str, Any]
) -> CallRoot:
    """Plan a function call.

    Raises Forbidden if the function, the row it is bound to, or the rows it returns may be outside ``company_limit``,
    and BadArgument for a value that is not of its type.
    """
    operation = shape.root.operation
    assert operation is not None
    assert operation.returns is not None
    parameters = planner.catalog.root_arguments(shape.root)
    _check_company_limit(planner, shape, parameters, arguments)
    imported = shape.root.operation_import
    name = operation.name if imported is None else imported.name
    resource = Resource(call=Call(name, tuple(_call_parts(parameters, arguments))))
    if operation.bound_to is not None:
        key = tuple(_bound_key(planner, parameters, arguments))
        set_name = planner.catalog.set_for(operation.bound_to.name) or ""
        resource = structs.replace(resource, name=set_name, key=key)
    many = operation.returns.many
    if shape.level is None:
        return CallRoot(shape, Query(resource=resource), None, many)
    is_entity = operation.returns.name in planner.catalog.model.entity_types
    returned_set = planner.catalog.set_for(operation.returns.name) if is_entity else None
    plan = planner.read(shape.level, returned_set, resource=resource)
    return CallRoot(shape, plan.query, plan, many)


def _check_company_limit(
    planner: OperationPlanner,
    shape: RootShape,
    parameters: Sequence[Argument],
    arguments: Mapping[str, Any],
) -> None:
    limit, operation = planner.bounds, shape.root.operation
    if not limit:
        return
    assert operation is not None
    if operation.bound_to is not None:
        info = planner.catalog.object(operation.bound_to.name)
        key = {p.source: planner.key_value(p, arguments) for p in parameters if p.of is not None}
        if not limit.admits(info, None, key):
            raise Forbidden(f"{shape.root.name} is called on a row that cannot be read.")
    values = {p.source: arguments.get(p.name) for p in parameters if p.name in arguments}
    imported = shape.root.operation_import
    names = (short(operation.name), *(() if imported is None else (imported.name,)))
    limit.check_arguments(values, is_bound=operation.bound_to is not None, names=names)
    returns = "" if operation.returns is None else operation.returns.name
    if shape.level is not None and returns in planner.catalog.model.entity_types:
        limit.check_readable(shape.level.info, None, shape.root.name)


def _call_parts(
    parameters: Iterable[Argument], arguments: Mapping[str, Any]
) -> Iterable[KeyPart | ListPart]:
    """Yield the parameters of the call itself; those without a value are left out."""
    for parameter in parameters:
        value = arguments.get(parameter.name)
        if parameter.value is not None and value is not None:
            yield _call_part(parameter, parameter.value, value)


def _call_part(parameter: Argument, value: ValueType, argument: Any) -> KeyPart | ListPart:
    # A parameter whose single value is a list (a set of flags) is no collection.
    if parameter.many and not value.many:
        return ListPart(parameter.source, to_literals(value, argument, what=parameter.name))
    return KeyPart(parameter.source, to_literal(value, argument, what=parameter.name))


def _bound_key(
    planner: OperationPlanner, parameters: Iterable[Argument], arguments: Mapping[str, Any]
) -> Iterable[KeyPart]:
    """Yield the key of the row that the function is bound to."""
    for parameter in parameters:
        if parameter.of is not None and parameter.of.value is not None:
            value, kind = planner.key_value(parameter, arguments), parameter.of.value
            yield KeyPart(parameter.source, Literal(value, kind.edm, kind.is_enum))
