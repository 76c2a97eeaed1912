"""Which examples an API can run; where it is none of them, one of its own."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

from graphql import (
    FieldNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    parse,
    visit,
)
from starlette.applications import Starlette

from gateway.documents.refusal import OperationRefused
from gateway.http.endpoints import Endpoint
from gateway.planning.plan import FailedRoot
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.catalog.names import add_prefix
from schema.catalog.records import FieldKind, RootKind

from . import EXAMPLES, Example, examples

OTHERWISE = EXAMPLES / "otherwise"
"""Examples that ask for less than those of their names."""

_FIELDS = 4
"""Most fields that the example of an API's own asks for."""


async def runnable_examples(
    endpoint: Endpoint,
    companies: tuple[str, ...] | None,
    app: Starlette,
    shown: Sequence[Example],
) -> list[Example]:
    """Return those examples that the endpoint's API can run in a scope; before it has started, all of them.

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
            called = [_called(e, gateway) for e in tried if e is not None]
            fit += [e for e in called if _runs(gateway, e, companies)][:1]
        return fit or list(_own(gateway))


def _called(example: Example, gateway: Gateway) -> Example:
    """Put the prefixes of an API before the root fields and types of an example."""
    catalog = gateway.catalog
    if not (catalog.prefix or catalog.type_prefix):
        return example
    document = parse(example.query)
    types = _Types(catalog.type_prefix, gateway.schema.core.type_map)
    visit(document, types)
    called = [(node, catalog.type_prefix) for node in types.found]
    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    if operation.operation is not OperationType.SUBSCRIPTION:
        fields = (f for f in operation.selection_set.selections if isinstance(f, FieldNode))
        called += [(field.name, catalog.prefix) for field in fields]
    query = example.query
    # From the last to the first: where the others stand remains true.
    for node, prefix in sorted(called, key=lambda item: _start(item[0]), reverse=True):
        start = _start(node)
        query = query[:start] + add_prefix(prefix, node.value) + query[start + len(node.value) :]
    return replace(example, query=query)


class _Types(Visitor):
    """Finds the names of types that the schema has with a prefix."""

    def __init__(self, prefix: str, known: Container[str]) -> None:
        super().__init__()
        self._prefix = prefix
        self._known = known
        self.found: list[NameNode] = []

    def enter_named_type(self, node: NamedTypeNode, *_: Any) -> None:
        if self._prefix and add_prefix(self._prefix, node.name.value) in self._known:
            self.found.append(node.name)


def _start(node: NameNode) -> int:
    assert node.loc is not None
    return node.loc.start


def _runs(gateway: Gateway, example: Example, companies: tuple[str, ...] | None) -> bool:
    request = GraphQLRequest(
        query=example.query, variables=example.variables or {}, companies=companies
    )
    try:
        operation = gateway.engine.read(request)
        if operation.is_mutation or operation.is_subscription:
            return True
        query = gateway.engine.plan(operation)
    except OperationRefused:
        return False
    return not any(isinstance(root, FailedRoot) for root in query.roots)


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
