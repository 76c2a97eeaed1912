"""Documents: parsed, checked against the limits and the schema, and prepared, each once.

Kept by text in a bounded cache; a prepared operation is kept by the values of the variables in ``@skip`` and
``@include``, the only ones that it depends on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionNode,
    parse,
)

from schema.catalog import Catalog

from .acceptor import Acceptor
from .prepare import Prepared, prepare
from .selection import condition_variables, fragments_of
from .suggestions import Validator

MAX_DOCUMENTS = 1_000
MAX_PREPARED = 64
MAX_ERRORS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """What a document may cost."""

    tokens: int = 15_000
    depth: int = 15


@dataclass(eq=False, slots=True)
class Document:
    """A checked document; with errors it is not to be run."""

    node: DocumentNode | None
    errors: list[GraphQLError]
    code: str = ""
    """Code of the errors."""
    conditions: tuple[str, ...] = ()
    prepared: dict[tuple[object, ...], Prepared] = field(default_factory=dict)

    def operations(self) -> list[OperationDefinitionNode]:
        """Give the operations in their order."""
        assert self.node is not None
        return [d for d in self.node.definitions if isinstance(d, OperationDefinitionNode)]


class Documents:
    """The documents of one schema."""

    def __init__(self, catalog: Catalog, core: GraphQLSchema, limits: DocumentLimits) -> None:
        self._catalog = catalog
        self._core = core
        self._limits = limits
        self._acceptor = Acceptor(core)
        self._validator = Validator(core, catalog.roots, MAX_ERRORS)
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def get(self, text: str) -> Document:
        """Give the document of a text, from the cache where it was seen before."""
        found = self._kept.get(text)
        if found is None:
            found = self._kept[text] = self._read(text)
            if len(self._kept) > MAX_DOCUMENTS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(text)
        return found

    def _read(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=self._limits.tokens)
        except GraphQLSyntaxError as error:
            return Document(None, [error], "GRAPHQL_PARSE_FAILED")
        except RecursionError:
            return Document(
                None, [GraphQLError("The document is nested too deeply.")], "GRAPHQL_PARSE_FAILED"
            )
        errors = [] if self._acceptor.accepts(node) else self._validator.errors(node)
        if errors:
            return Document(node, errors, "GRAPHQL_VALIDATION_FAILED")
        if (depth := depth_of(node)) > self._limits.depth:
            too_deep = GraphQLError(
                f"The document selects {depth} levels deep; the most is {self._limits.depth}."
            )
            return Document(node, [too_deep], "BUDGET_EXCEEDED")
        return Document(node, [], conditions=condition_variables(node))

    def prepare(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> Prepared:
        """Give the prepared operation for these variables."""
        assert document.node is not None
        conditions = {name: variables.get(name) for name in document.conditions}
        key = (id(operation), *conditions.values())
        found = document.prepared.get(key)
        if found is None:
            if len(document.prepared) >= MAX_PREPARED:
                document.prepared.clear()
            found = prepare(self._catalog, document.node, operation, conditions)
            document.prepared[key] = found
        return found


def depth_of(document: DocumentNode) -> int:
    """Give the number of nested selection sets of a valid document; a fragment counts where it is spread."""
    fragments = fragments_of(document)
    known: dict[str, int] = {}

    def below(selections: tuple[SelectionNode, ...]) -> int:
        deepest = 0
        for node in selections:
            if isinstance(node, FragmentSpreadNode):
                deepest = max(deepest, fragment(node.name.value))
                continue
            inner = getattr(node, "selection_set", None)
            if inner is not None:
                own = 1 if node.kind == "field" else 0
                deepest = max(deepest, own + below(inner.selections))
        return deepest

    def fragment(name: str) -> int:
        if name not in known:
            definition = fragments.get(name)
            known[name] = 0 if definition is None else below(definition.selection_set.selections)
        return known[name]

    runnable = OperationDefinitionNode | FragmentDefinitionNode
    return max(
        (
            1 + below(d.selection_set.selections)
            for d in document.definitions
            if isinstance(d, runnable)
        ),
        default=0,
    )
