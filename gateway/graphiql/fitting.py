"""Which examples an API can run; where it is none of them, one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphql import FieldNode, OperationDefinitionNode, OperationType, parse
from starlette.applications import Starlette

from gateway.assemble import Gateway
from gateway.endpoints import Endpoint
from gateway.execute import Answer, GraphQLRequest, Ready
from gateway.plan import FailedRoot
from schema.fields import FieldKind, RootKind
from schema.names import prefixed

from . import EXAMPLES, Example, examples

OTHERWISE = EXAMPLES / "otherwise"
"""Examples that ask for less than those of their names."""

_FIELDS = 4
"""Most fields that the example of an API's own asks for."""


async def fitting(
    endpoint: Endpoint,
    companies: tuple[str, ...] | None,
    app: Starlette,
    shown: Sequence[Example],
) -> list[Example]:
    """Give those examples that the endpoint's API can run in a scope; before it has started, all of them.

    An environment may lack what one of them needs; another of its name may then stand in its place.
    """
    live = await endpoint.live(app)
    if live is None:
        return list(shown)
    others = {example.name: example for example in examples(OTHERWISE)}
    with live.serving() as gateway:
        fit = []
        for example in shown:
            tried = (example, others.get(example.name))
            called = [_called(e, gateway.catalog.prefix) for e in tried if e is not None]
            fit += [e for e in called if _runs(gateway, e, companies)][:1]
        return fit or list(_own(gateway))


def _called(example: Example, prefix: str) -> Example:
    """Put the prefix of an API before the root fields of an example."""
    if not prefix:
        return example
    query = example.query
    (operation,) = (d for d in parse(query).definitions if isinstance(d, OperationDefinitionNode))
    if operation.operation is OperationType.SUBSCRIPTION:
        return example
    # From the last to the first: where the others stand remains true.
    for field in reversed(operation.selection_set.selections):
        assert isinstance(field, FieldNode)
        assert field.name.loc is not None
        start, end = field.name.loc.start, field.name.loc.end
        query = query[:start] + prefixed(prefix, query[start:end]) + query[end:]
    return replace(example, query=query)


def _runs(gateway: Gateway, example: Example, companies: tuple[str, ...] | None) -> bool:
    request = GraphQLRequest(
        query=example.query, variables=example.variables or {}, companies=companies
    )
    checked = gateway.engine.checked(request)
    if isinstance(checked, Answer):
        return False
    if checked.operation.operation is not OperationType.QUERY:
        return True
    ready = gateway.engine.ready(request)
    return isinstance(ready, Ready) and not any(isinstance(b, FailedRoot) for b in ready.bound)


def _own(gateway: Gateway) -> Sequence[Example]:
    """Ask the first list for its first rows."""
    catalog = gateway.catalog
    listed = next((name for kind, _, name in catalog.set_roots() if kind is RootKind.LIST), None)
    if listed is None:
        return ()
    fields = catalog.object(catalog.roots[listed].csdl).fields.values()
    values = [f.name for f in fields if f.kind is FieldKind.VALUE][:_FIELDS]
    title = f"The first rows of {listed}"
    query = (
        f"# {title}\n{{\n  {listed}(first: 5) {{\n    nodes {{ {' '.join(values)} }}\n  }}\n}}\n"
    )
    return (Example(name=listed, title=title, query=query, variables=None),)
