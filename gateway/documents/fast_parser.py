"""Parser of documents: the nodes of graphql-core's parser, in a quarter of its time.

It reads what clients send: operations and fragments (GraphQL section 2). Every other text, whether it is wrong, a
schema, or merely rare, is left to graphql-core, which decides and words the errors. So nothing is accepted here that is
refused there, and nodes, values and positions are the same. Only the tokens of a ``Location`` are missing.

Nodes are frozen dataclasses, whose constructors take longer than all the rest. So their attributes are written
directly: all of them, as ``print_ast`` reads no defaults, and not by ``__dict__``, which would take half as much memory
again.
"""

from __future__ import annotations

from typing import Any, TypeVar

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    IntValueNode,
    Lexer,
    ListTypeNode,
    ListValueNode,
    NamedTypeNode,
    NameNode,
    Node,
    NonNullTypeNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    Source,
    StringValueNode,
    TypeNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    parse,
)

from .lexemes import Lexemes, Place

LONGEST = 60_000
"""Characters of a text that is read here: graphql-core stops at its limit of tokens, this one after all of them."""
_DEEPEST = 60
"""Nested selections, lists and objects."""
_AFTER_NAME = frozenset((":", "(", "@", "{"))
"""What follows a name if the field has more than that."""
_OPERATIONS = {kind.value: kind for kind in OperationType}
_BOOLEANS = {"true": True, "false": False}
_new, _set = object.__new__, object.__setattr__
_Node = TypeVar("_Node", bound=Node)


class _NotPlain(Exception):
    """The text is left to graphql-core."""


def parse_document(text: str, max_tokens: int) -> DocumentNode:
    """Return the document of a text. Raises GraphQLSyntaxError, and RecursionError if it is nested too deeply."""
    if len(text) <= LONGEST:
        document = parse_plain(text, max_tokens)
        if document is not None:
            return document
    return _without_token_chain(parse(text, max_tokens=max_tokens))


def parse_plain(text: str, max_tokens: int) -> DocumentNode | None:
    """Return the document of a text, or None if that is left to graphql-core."""
    lexemes = Lexemes(text)
    # Comments count as tokens. Lone surrogates are no characters.
    if len(lexemes.tokens) + text.count("#") > max_tokens or not _is_unicode(text):
        return None
    try:
        return _Parser(lexemes).document()
    except (_NotPlain, GraphQLSyntaxError, RecursionError):
        return None


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _without_token_chain(node: DocumentNode) -> DocumentNode:
    """Unlink the parser's tokens: nobody follows the chain, and only the garbage collector would free it."""
    token = None if node.loc is None else node.loc.start_token
    while token is not None:
        token.prev, token.next, token = None, None, token.next
    return node


def _make(node_class: type[_Node], loc: Place, attributes: dict[str, Any]) -> _Node:
    node = _new(node_class)
    for name, value in attributes.items():
        _set(node, name, value)
    _set(node, "loc", loc)
    return node


class _Parser:
    """Reads one text from its start to its end. ``_at`` is the index of the next token."""

    __slots__ = ("_at", "_depth", "_lexemes", "_tokens")

    def __init__(self, lexemes: Lexemes) -> None:
        self._lexemes = lexemes
        self._tokens = lexemes.tokens
        self._at = 0
        self._depth = 0

    def document(self) -> DocumentNode:
        tokens = self._tokens
        # The end matches twice after trailing spaces.
        end = tokens.index("")
        if end == 0 or tokens[end - 1] != "}":
            raise _NotPlain
        definitions: list[DefinitionNode] = []
        while self._at < end:
            definitions.append(self._definition(self._at))
        node = _make(
            DocumentNode, Place(-1, end, self._lexemes), {"definitions": tuple(definitions)}
        )
        _set(node, "token_count", end + self._lexemes.comments())
        return node

    def _definition(self, start: int) -> DefinitionNode:
        keyword = self._tokens[start]
        if keyword == "fragment":
            return self._fragment(start)
        operation, name, variables = _OPERATIONS.get(keyword), None, None
        if operation is not None:
            self._at = start + 1
            if self._tokens[self._at].isidentifier():
                name = self._name()
            variables = self._variables()
        elif keyword != "{":
            raise _NotPlain
        attributes = {
            "operation": operation or OperationType.QUERY,
            "description": None,
            "name": name,
            "variable_definitions": variables,
            "directives": None if operation is None else self._directives(is_const=False),
            "selection_set": self._selection_set(),
        }
        return _make(OperationDefinitionNode, self._place(start), attributes)

    def _fragment(self, start: int) -> DefinitionNode:
        self._at = start + 1
        if self._tokens[self._at] == "on":
            raise _NotPlain
        name = self._name()
        self._expect("on")
        attributes = {
            "description": None,
            "name": name,
            "variable_definitions": (),
            "type_condition": self._named_type(),
            "directives": self._directives(is_const=False),
            "selection_set": self._selection_set(),
        }
        return _make(FragmentDefinitionNode, self._place(start), attributes)

    def _selection_set(self) -> SelectionSetNode:
        start, tokens, lexemes = self._at, self._tokens, self._lexemes
        self._expect("{")
        self._enter()
        selections: list[SelectionNode] = []
        add, set_attribute, at = selections.append, _set, start + 1
        while True:
            lexeme = tokens[at]
            if lexeme.isidentifier():
                if tokens[at + 1] in _AFTER_NAME:
                    self._at = at
                    add(self._field())
                    at = self._at
                    continue
                # Nearly all fields are plain names; the place of such a name is that of its field.
                name, field = _new(NameNode), _new(FieldNode)
                place = Place(at, at, lexemes)
                set_attribute(name, "value", lexeme)
                set_attribute(name, "loc", place)
                set_attribute(field, "alias", None)
                set_attribute(field, "name", name)
                set_attribute(field, "arguments", None)
                set_attribute(field, "directives", None)
                set_attribute(field, "selection_set", None)
                set_attribute(field, "loc", place)
                add(field)
                at += 1
            elif lexeme == "...":
                self._at = at
                add(self._spread())
                at = self._at
            elif lexeme == "}":
                break
            else:
                raise _NotPlain
        self._depth -= 1
        self._at = at + 1
        return _make(SelectionSetNode, Place(start, at, lexemes), {"selections": tuple(selections)})

    def _field(self) -> FieldNode:
        start, tokens = self._at, self._tokens
        alias, name = None, self._name()
        if tokens[self._at] == ":":
            self._at += 1
            alias, name = name, self._name()
        attributes = {
            "alias": alias,
            "name": name,
            "arguments": self._arguments(is_const=False),
            "directives": self._directives(is_const=False),
            "selection_set": self._selection_set() if tokens[self._at] == "{" else None,
        }
        return _make(FieldNode, self._place(start), attributes)

    def _spread(self) -> SelectionNode:
        start = self._at
        self._at += 1
        lexeme, condition = self._tokens[self._at], None
        if lexeme == "on":
            self._at += 1
            condition = self._named_type()
        elif lexeme.isidentifier():
            spread = {
                "name": self._name(),
                "arguments": None,
                "directives": self._directives(is_const=False),
            }
            return _make(FragmentSpreadNode, self._place(start), spread)
        inline = {
            "type_condition": condition,
            "directives": self._directives(is_const=False),
            "selection_set": self._selection_set(),
        }
        return _make(InlineFragmentNode, self._place(start), inline)

    def _directives(self, *, is_const: bool) -> tuple[DirectiveNode, ...] | None:
        directives: list[DirectiveNode] = []
        while self._tokens[self._at] == "@":
            start = self._at
            self._at += 1
            attributes = {"name": self._name(), "arguments": self._arguments(is_const=is_const)}
            directives.append(_make(DirectiveNode, self._place(start), attributes))
        return tuple(directives) or None

    def _arguments(self, *, is_const: bool) -> tuple[ArgumentNode, ...] | None:
        if self._tokens[self._at] != "(":
            return None
        arguments: list[ArgumentNode] = []
        self._at += 1
        while not arguments or self._tokens[self._at] != ")":
            arguments.append(self._pair(ArgumentNode, is_const=is_const))
        self._at += 1
        return tuple(arguments)

    def _pair(self, node_class: type[_Node], *, is_const: bool) -> _Node:
        """Return an argument or the field of an object."""
        start = self._at
        name = self._name()
        self._expect(":")
        attributes = {"name": name, "value": self._value(is_const=is_const)}
        return _make(node_class, self._place(start), attributes)

    def _value(self, *, is_const: bool) -> ValueNode:
        start, lexeme = self._at, self._tokens[self._at]
        if lexeme == "$":
            if is_const:
                raise _NotPlain
            return self._variable()
        if lexeme in ("[", "{"):
            return self._composite(is_const=is_const)
        self._at += 1
        place = Place(start, start, self._lexemes)
        if lexeme.isidentifier():
            boolean = _BOOLEANS.get(lexeme)
            if boolean is not None:
                return _make(BooleanValueNode, place, {"value": boolean})
            if lexeme == "null":
                return _make(NullValueNode, place, {})
            return _make(EnumValueNode, place, {"value": lexeme})
        if lexeme[:1] == '"':
            return _string(lexeme, place)
        if lexeme[-1:].isdigit():
            is_integer = lexeme.lstrip("-").isdigit()
            return _make(IntValueNode if is_integer else FloatValueNode, place, {"value": lexeme})
        raise _NotPlain

    def _composite(self, *, is_const: bool) -> ValueNode:
        """Return a list or an object."""
        self._enter()
        start, tokens = self._at, self._tokens
        self._at += 1
        if tokens[start] == "[":
            items: list[ValueNode] = []
            while tokens[self._at] != "]":
                items.append(self._value(is_const=is_const))
        else:
            fields: list[ObjectFieldNode] = []
            while tokens[self._at] != "}":
                fields.append(self._pair(ObjectFieldNode, is_const=is_const))
        self._at += 1
        self._depth -= 1
        place = self._place(start)
        if tokens[start] == "[":
            return _make(ListValueNode, place, {"values": tuple(items)})
        return _make(ObjectValueNode, place, {"fields": tuple(fields)})

    def _variables(self) -> tuple[VariableDefinitionNode, ...] | None:
        if self._tokens[self._at] != "(":
            return None
        definitions: list[VariableDefinitionNode] = []
        self._at += 1
        while not definitions or self._tokens[self._at] != ")":
            definitions.append(self._variable_definition())
        self._at += 1
        return tuple(definitions)

    def _variable_definition(self) -> VariableDefinitionNode:
        start, default = self._at, None
        variable = self._variable()
        self._expect(":")
        declared = self._type()
        if self._tokens[self._at] == "=":
            self._at += 1
            default = self._value(is_const=True)
        attributes = {
            "description": None,
            "variable": variable,
            "type": declared,
            "default_value": default,
            "directives": self._directives(is_const=True),
        }
        return _make(VariableDefinitionNode, self._place(start), attributes)

    def _variable(self) -> VariableNode:
        start = self._at
        self._expect("$")
        return _make(VariableNode, Place(start, start + 1, self._lexemes), {"name": self._name()})

    def _type(self) -> TypeNode:
        start = self._at
        result: ListTypeNode | NamedTypeNode
        if self._tokens[start] == "[":
            self._enter()
            self._at += 1
            inner = self._type()
            self._expect("]")
            self._depth -= 1
            result = _make(ListTypeNode, self._place(start), {"type": inner})
        else:
            result = self._named_type()
        if self._tokens[self._at] != "!":
            return result
        self._at += 1
        return _make(NonNullTypeNode, self._place(start), {"type": result})

    def _named_type(self) -> NamedTypeNode:
        name = self._name()
        return _make(NamedTypeNode, self._place(self._at - 1), {"name": name})

    def _name(self) -> NameNode:
        at = self._at
        lexeme = self._tokens[at]
        # No other token looks like an identifier: names are all that begins with a letter.
        if not lexeme.isidentifier():
            raise _NotPlain
        self._at = at + 1
        name = _new(NameNode)
        _set(name, "value", lexeme)
        _set(name, "loc", Place(at, at, self._lexemes))
        return name

    def _place(self, start: int) -> Place:
        """Return the place from a token to the last one that was read."""
        return Place(start, self._at - 1, self._lexemes)

    def _expect(self, lexeme: str) -> None:
        if self._tokens[self._at] != lexeme:
            raise _NotPlain
        self._at += 1

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NotPlain


def _string(lexeme: str, place: Place) -> StringValueNode:
    """Return a text. graphql-core reads escapes and the indentation of block strings."""
    if not lexeme.startswith('"""') and "\\" not in lexeme:
        return _make(StringValueNode, place, {"value": lexeme[1:-1], "block": False})
    read = Lexer(Source(lexeme)).advance()
    if read.end != len(lexeme):
        raise _NotPlain
    return _make(StringValueNode, place, {"value": read.value, "block": lexeme.startswith('"""')})
