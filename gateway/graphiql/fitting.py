"""Chooses the examples that an API can run; if there are none, makes one for its first list."""

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

from gateway.documents.refusal import OperationRefused
from gateway.planning.plan import FailedRoot
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.catalog.names import add_prefix
from schema.catalog.records import FieldKind, RootKind

from . import EXAMPLES, Example, examples

OTHERWISE = EXAMPLES / "otherwise"
"""Simpler examples, in place of those with the same names."""

_FIELDS = 4
"""Maximum fields of the example that is made."""


def runnable_examples(
    gateway: Gateway, companies: tuple[str, ...] | None, tabs: Sequence[Example]
) -> list[Example]:
    """Return the examples that a gateway can run in a company scope.

    An environment may lack what an example needs; a simpler one with its name is tried then.
    """
    others = {example.name: example for example in examples(OTHERWISE)}
    fit = []
    for example in tabs:
        tried = (example, others.get(example.name))
        candidates = [_with_prefixes(e, gateway) for e in tried if e is not None]
        fit += [e for e in candidates if _runs(gateway, e, companies)][:1]
    if any(not (example.changes or example.subscribes) for example in fit):
        return fit
    # The first tab reads: roles may allow what no example does.
    return [*_example_of_first_list(gateway), *fit]


def _with_prefixes(example: Example, gateway: Gateway) -> Example:
    """Return an example with the prefixes of an API before its root fields and types."""
    catalog = gateway.catalog
    if not (catalog.prefix or catalog.type_prefix):
        return example
    document = parse(example.query)
    types = _Types(catalog.type_prefix, gateway.schema.core.type_map)
    visit(document, types)
    names = [(node, catalog.type_prefix) for node in types.nodes]
    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    if operation.operation is not OperationType.SUBSCRIPTION:
        fields = (f for f in operation.selection_set.selections if isinstance(f, FieldNode))
        names += [(field.name, catalog.prefix) for field in fields]
    query = example.query
    # From the last to the first, so that the positions of the others stay valid.
    for node, prefix in sorted(names, key=lambda item: _start(item[0]), reverse=True):
        start = _start(node)
        query = query[:start] + add_prefix(prefix, node.value) + query[start + len(node.value) :]
    return replace(example, query=query)


class _Types(Visitor):
    """Collects the names of types that have a prefix in the schema."""

    def __init__(self, prefix: str, served: Container[str]) -> None:
        super().__init__()
        self._prefix = prefix
        self._served = served
        self.nodes: list[NameNode] = []

    def enter_named_type(self, node: NamedTypeNode, *_: Any) -> None:
        if self._prefix and add_prefix(self._prefix, node.name.value) in self._served:
            self.nodes.append(node.name)


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


def _example_of_first_list(gateway: Gateway) -> Sequence[Example]:
    """Return an example with the first rows of the first list; none if the API has no list."""
    catalog = gateway.catalog
    name = next((name for kind, _, name in catalog.set_roots() if kind is RootKind.LIST), None)
    if name is None:
        return ()
    fields = catalog.object(catalog.roots[name].csdl).fields.values()
    values = [f.name for f in fields if f.kind is FieldKind.VALUE][:_FIELDS]
    title = f"The first rows of {name}"
    query = f"# {title}\n{{\n  {name}(first: 5) {{\n    nodes {{ {' '.join(values)} }}\n  }}\n}}\n"
    return (Example(name=name, title=title, query=query, variables=None),)
