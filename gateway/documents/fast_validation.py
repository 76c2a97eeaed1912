"""Quick acceptance of valid documents: one walk instead of graphql-core's thirty rules.

:class:`FastValidator` accepts a document only if validation by the specification (GraphQL section 5) surely finds no
error. Whatever is wrong, rare or not covered here is left to graphql-core, which decides and words the errors. So a
valid document may fail to be accepted, which costs time; an invalid one must never be accepted.

Only what the document names is visited: the 300 fields of a ``where`` are not made, while graphql-core walks them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    is_input_type,
    is_leaf_type,
    is_type_sub_type_of,
    type_from_ast,
)
from msgspec import Struct

from schema.types.federation import ENTITY
from schema.types.lazy import required_or_defaulted

from .field_merging import (
    COMPOSITE,
    Composite,
    FieldMerging,
    NotProvablyValid,
    composite_type,
    fields_of,
    named_type,
    require_valid,
)

_CONDITION = GraphQLNonNull(GraphQLBoolean)
_CONDITIONS = frozenset({"skip", "include"})


class _Use(Struct, frozen=True):
    """A position where a variable is used."""

    name: str
    type: Any
    one_of: bool
    """Whether it is the value of a ``@oneOf`` field, which must not be null."""


class _Uses(Struct, frozen=True):
    """What one definition uses."""

    variables: list[_Use]
    spreads: list[tuple[str, Composite]]
    """Names of fragments, with the types that they are spread into."""


class FastValidator:
    """Accepts documents that are surely valid against one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._plain: dict[str, set[str]] = {}
        """Type → names of its fields that were seen to have neither arguments nor fields."""

    def accepts(self, document: DocumentNode) -> bool:
        """Return whether the document is surely valid; False says nothing."""
        try:
            _Walk(self._schema, self._plain).document(document)
        except (NotProvablyValid, KeyError, RecursionError):
            return False
        return True


class _Walk:
    """Walks one document. An unknown name raises KeyError, everything else that may be wrong NotProvablyValid."""

    def __init__(self, schema: GraphQLSchema, plain: dict[str, set[str]]) -> None:
        self._schema = schema
        self._plain = plain
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._types: dict[str, Composite] = {}
        self._uses = _Uses([], [])
        self._must_merge = False

    def document(self, document: DocumentNode) -> None:
        operations: list[OperationDefinitionNode] = []
        for definition in document.definitions:
            # Executable documents hold operations and fragments only (5.1.1).
            if isinstance(definition, OperationDefinitionNode):
                operations.append(definition)
            elif isinstance(definition, FragmentDefinitionNode):
                self._fragment(definition)
            else:
                raise NotProvablyValid
        names = {None if o.name is None else o.name.value for o in operations}
        # Unique names (5.2.1.1), and an anonymous operation only if it is the only one (5.2.2.1).
        require_valid(len(names) == len(operations) > 0 and (len(names) == 1 or None not in names))
        in_fragments = {name: self._inside(f) for name, f in self._fragments.items()}
        reached: set[str] = set()
        for operation in operations:
            reached |= self._operation(operation, in_fragments)
        # Every fragment is used (5.5.1.4).
        require_valid(len(reached) == len(self._fragments))
        _require_no_cycle({n: [s for s, _ in f.spreads] for n, f in in_fragments.items()})
        # Rarely needed: only if a response key is repeated, or fragments may repeat one.
        if self._must_merge:
            merging = FieldMerging(self._schema, self._fragments)
            for operation in operations:
                merging.check([(operation.selection_set, self._root(operation))])

    def _fragment(self, definition: FragmentDefinitionNode) -> None:
        name = definition.name.value
        require_valid(name not in self._fragments)
        require_valid(not (definition.directives or definition.variable_definitions))
        self._fragments[name] = definition
        self._types[name] = composite_type(self._schema, definition.type_condition.name.value)

    def _root(self, operation: OperationDefinitionNode) -> GraphQLObjectType:
        root = self._schema.get_root_type(operation.operation)
        # Subscriptions are rare and have rules of their own (section 5.2.3): graphql-core knows them.
        if root is None or operation.operation is OperationType.SUBSCRIPTION:
            raise NotProvablyValid
        return root

    def _inside(self, fragment: FragmentDefinitionNode) -> _Uses:
        self._uses = _Uses([], [])
        self._selections(fragment.selection_set, self._types[fragment.name.value], set())
        return self._uses

    def _operation(
        self, operation: OperationDefinitionNode, in_fragments: Mapping[str, _Uses]
    ) -> set[str]:
        """Check an operation, and return the names of the fragments that it reaches."""
        # None of the served directives may stand on an operation (5.7.2).
        require_valid(not operation.directives)
        variables = self._variables(operation.variable_definitions or ())
        self._uses = own = _Uses([], [])
        self._selections(operation.selection_set, self._root(operation), set())
        uses, queue = list(own.variables), [name for name, _ in own.spreads]
        reached: set[str] = set()
        while queue:
            name = queue.pop()
            if name not in reached:
                reached.add(name)
                uses.extend(in_fragments[name].variables)
                queue.extend(n for n, _ in in_fragments[name].spreads)
        for use in uses:
            self._use(use, *variables[use.name])
        # Every variable is used (5.8.4); an undefined one was a KeyError above.
        require_valid(len({use.name for use in uses}) == len(variables))
        return reached

    def _variables(
        self, definitions: Sequence[VariableDefinitionNode]
    ) -> dict[str, tuple[Any, bool]]:
        """Return variable → its type, and whether it has a default that is not null."""
        variables: dict[str, tuple[Any, bool]] = {}
        for definition in definitions:
            name, default = definition.variable.name.value, definition.default_value
            declared = type_from_ast(self._schema, definition.type)
            require_valid(
                name not in variables and not definition.directives and is_input_type(declared)
            )
            if default is not None:
                self._value(default, declared)
            has_default = default is not None and type(default) is not NullValueNode
            variables[name] = (declared, has_default)
        return variables

    def _use(self, use: _Use, declared: Any, has_default: bool) -> None:
        """Check that a variable may stand where it is used (section 5.8.5)."""
        expected = use.type
        if use.one_of:
            require_valid(type(declared) is GraphQLNonNull)
        is_nullable = type(declared) is not GraphQLNonNull
        if has_default and type(expected) is GraphQLNonNull and is_nullable:
            expected = expected.of_type
        require_valid(is_type_sub_type_of(self._schema, declared, expected))

    def _selections(self, selected: SelectionSetNode, parent: Composite, keys: set[str]) -> None:
        """Check a selection set; ``keys`` are the response keys of its scope so far, and are added to."""
        fields = fields_of(parent)
        plain = self._plain.get(parent.name)
        if plain is None:
            plain = self._plain[parent.name] = {"__typename"}
        for node in selected.selections:
            if node.directives:
                self._conditions(node.directives)
            if isinstance(node, FieldNode):
                name = node.name.value
                key = name if node.alias is None else node.alias.value
                if key in keys:
                    self._must_merge = True
                keys.add(key)
                # Nearly all fields are plain values.
                if name in plain and not (node.arguments or node.selection_set):
                    continue
                self._field(node, fields)
                if not (node.arguments or node.selection_set or fields[name].args):
                    plain.add(name)
            elif isinstance(node, InlineFragmentNode):
                self._inline(node, parent, keys)
            else:
                assert isinstance(node, FragmentSpreadNode)
                self._spread(node, parent)

    def _field(self, node: FieldNode, fields: Mapping[str, GraphQLField]) -> None:
        name = node.name.value
        if name == "__typename":
            require_valid(not node.arguments and node.selection_set is None)
            return
        field = fields[name]
        if node.arguments or field.args:
            self._arguments(node.arguments or (), field.args)
        result = named_type(field.type)
        if isinstance(result, COMPOSITE):
            if node.selection_set is None:
                raise NotProvablyValid
            self._selections(node.selection_set, result, set())
        else:
            require_valid(node.selection_set is None and is_leaf_type(result))

    def _inline(self, node: InlineFragmentNode, parent: Composite, keys: set[str]) -> None:
        inner = parent
        if node.type_condition is not None:
            inner = composite_type(self._schema, node.type_condition.name.value)
            self._overlap(inner, parent)
        self._selections(node.selection_set, inner, keys)

    def _spread(self, node: FragmentSpreadNode, parent: Composite) -> None:
        name = node.name.value
        require_valid(not node.arguments)
        self._overlap(self._types[name], parent)
        self._uses.spreads.append((name, parent))
        self._must_merge = True

    def _overlap(self, inner: Composite, parent: Composite) -> None:
        """Require that an object can be of both types (section 5.5.2.3): one is the other, or implements it.

        ``_Entity`` holds whatever is a ``Node``; other overlaps of unions are left to graphql-core.
        """
        if inner is parent:
            return
        for narrow, wide in ((inner, parent), (parent, inner)):
            if isinstance(wide, GraphQLUnionType):
                is_node = wide.name == ENTITY and narrow.name == "Node"
                require_valid(is_node or self._schema.is_sub_type(wide, narrow))
                return
        for narrow, wide in ((inner, parent), (parent, inner)):
            if isinstance(wide, GraphQLInterfaceType) and self._schema.is_sub_type(wide, narrow):
                is_object = isinstance(narrow, GraphQLObjectType)
                require_valid(is_object or bool(self._schema.get_possible_types(narrow)))  # type: ignore[arg-type]
                return
        raise NotProvablyValid

    def _conditions(self, directives: Sequence[DirectiveNode]) -> None:
        names = [d.name.value for d in directives]
        require_valid(_CONDITIONS.issuperset(names) and len(set(names)) == len(names))
        for directive in directives:
            arguments = directive.arguments or ()
            require_valid(len(arguments) == 1 and arguments[0].name.value == "if")
            self._value(arguments[0].value, _CONDITION)

    def _arguments(
        self, arguments: Sequence[ArgumentNode], defined: Mapping[str, GraphQLArgument]
    ) -> None:
        names = {a.name.value for a in arguments}
        require_valid(len(names) == len(arguments))
        for argument in arguments:
            self._value(argument.value, defined[argument.name.value].type)
        for name, definition in defined.items():
            if type(definition.type) is GraphQLNonNull:
                require_valid(name in names)

    def _value(self, node: ValueNode, expected: Any, *, one_of: bool = False) -> None:
        if isinstance(node, VariableNode):
            self._uses.variables.append(_Use(node.name.value, expected, one_of))
            return
        if type(expected) is GraphQLNonNull:
            require_valid(not isinstance(node, NullValueNode))
            expected = expected.of_type
        if isinstance(node, NullValueNode):
            require_valid(not one_of)
        elif type(expected) is GraphQLList:
            items = node.values if isinstance(node, ListValueNode) else (node,)
            for item in items:
                self._value(item, expected.of_type)
        elif isinstance(expected, GraphQLInputObjectType):
            self._object(node, expected)
        else:
            require_valid(not isinstance(node, ListValueNode | ObjectValueNode))
            _require_leaf(node, expected)

    def _object(self, node: ValueNode, expected: GraphQLInputObjectType) -> None:
        if not isinstance(node, ObjectValueNode):
            raise NotProvablyValid
        names = {f.name.value for f in node.fields}
        require_valid(len(names) == len(node.fields))
        is_one_of = expected.is_one_of
        require_valid(not is_one_of or len(names) == 1)
        for field in node.fields:
            self._value(field.value, expected.fields[field.name.value].type, one_of=is_one_of)
        # A missing field with a default is valid; it is rare, and left to graphql-core.
        require_valid(names.issuperset(required_or_defaulted(expected)))


def _require_leaf(node: ValueNode, expected: Any) -> None:
    """Require that a scalar or enum accepts the literal."""
    require_valid(is_leaf_type(expected))
    read = expected.coerce_input_literal or expected.parse_literal
    try:
        require_valid(read(node) is not Undefined)
    except Exception as error:
        raise NotProvablyValid from error


def _require_no_cycle(spreads: Mapping[str, Sequence[str]]) -> None:
    """Require that no fragment spreads itself, directly or not (section 5.5.2.2)."""
    try:
        TopologicalSorter(spreads).prepare()
    except CycleError as error:
        raise NotProvablyValid from error
