"""SDL text as a source of a comparison: split into definitions, each of which is parsed on demand.

graphql-core needs minutes and gigabytes to parse the SDL of a whole catalogue; splitting it takes a few seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DEFAULT_DEPRECATION_REASON,
    ConstDirectiveNode,
    DefinitionNode,
    DirectiveDefinitionNode,
    FieldDefinitionNode,
    GraphQLSyntaxError,
    InputValueDefinitionNode,
    OperationTypeDefinitionNode,
    StringValueNode,
    parse,
    print_ast,
)

from schema.errors import SchemaTextError
from schema.introspection.type_records import Member, Value

from .shapes import Directive, Shape
from .sources import OWN_DIRECTIVES, is_own

_TOKEN = re.compile(
    r'"""[\s\S]*?(?<!\\)"""'
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|\#[^\n]*"
    r"|[{}()\[\]]"
    r"|(?<![@\w])(?:(?P<extend>extend)\s+)?(?:"
    r"(?:scalar|type|interface|union|enum|input)\s+(?P<type>[_A-Za-z]\w*)"
    r"|(?P<schema>schema)(?=\s*[@{])"
    r"|directive\s*(?P<directive>@\s*[_A-Za-z]\w*))"
)
_SCHEMA = "schema "
"""Key of the schema definition; names contain no blanks."""
_KINDS = {
    "scalar": "SCALAR",
    "object": "OBJECT",
    "interface": "INTERFACE",
    "union": "UNION",
    "enum": "ENUM",
    "input": "INPUT_OBJECT",
}


@dataclass(slots=True)
class _Place:
    """Where a name is defined and extended: start and end positions in the text."""

    pieces: list[tuple[int, int]] = field(default_factory=list)
    definitions: int = 0


class SdlSource:
    """A schema as SDL; extensions count as parts of the types they extend."""

    def __init__(self, text: str, name: str) -> None:
        """Raise SchemaTextError if there is no definition, or if a name is defined twice."""
        self._text = text
        self._name = name
        self._places = self._cut()
        doubles = [key.strip() for key, place in self._places.items() if place.definitions > 1]
        if doubles:
            raise SchemaTextError(f"{name} defines {', '.join(doubles[:5])} more than once.")
        if not self._places:
            raise _no_schema(text, name)
        self._types = [
            key for key in self._places if key[0] != "@" and key != _SCHEMA and not is_own(key)
        ]
        self.roots = self._roots()
        self.directives: Sequence[Directive] = tuple(
            _directive(node)
            for key in self._places
            if key[0] == "@" and key[1:] not in OWN_DIRECTIVES
            for node in self._parsed(key)
            if isinstance(node, DirectiveDefinitionNode)
        )

    def _cut(self) -> dict[str, _Place]:
        starts = list(_starts(self._text))
        places: dict[str, _Place] = {}
        ends = [*(start for start, _, _ in starts), len(self._text)][1:]
        for number, ((start, key, is_extension), end) in enumerate(zip(starts, ends, strict=True)):
            place = places.setdefault(key, _Place())
            # The text before the first definition must not be ignored: it may be an error.
            place.pieces.append((start if number else 0, end))
            place.definitions += not is_extension
        return places

    def _roots(self) -> dict[str, str]:
        if _SCHEMA in self._places:
            nodes: Iterable[Any] = self._parsed(_SCHEMA)
            roots: dict[str, str] = {}
            for node in nodes:
                operations: Iterable[OperationTypeDefinitionNode] = node.operation_types or ()
                roots.update({o.operation.value: o.type.name.value for o in operations})
            if roots:
                return roots
        usual = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
        return {kind: name for kind, name in usual.items() if name in self._places}

    def names(self) -> Iterator[str]:
        """Return the names in the order of the text."""
        return iter(self._types)

    def text(self, name: str) -> str:
        """Return the text of the definition and its extensions."""
        return "\n".join(self._text[a:b].strip() for a, b in self._places[name].pieces)

    def shape(self, name: str) -> Shape:
        """Return a parsed type. Raises SchemaTextError, or KeyError if there is none of that name."""
        nodes: list[Any] = list(self._parsed(name))
        first = nodes[0]
        specified = [_given(n, "specifiedBy", "url") for n in nodes]
        return Shape(
            kind=_KINDS[first.kind.split("_")[0]],
            description=next((_text(n) for n in nodes if _text(n)), None),
            fields=tuple(
                _member(f) for n in nodes for f in _part(n, "fields", FieldDefinitionNode)
            ),
            inputs=tuple(
                _member(f) for n in nodes for f in _part(n, "fields", InputValueDefinitionNode)
            ),
            values=tuple(
                Value(v.name.value, _text(v), _deprecation(v.directives or ()))
                for n in nodes
                for v in getattr(n, "values", None) or ()
            ),
            interfaces=tuple(
                i.name.value for n in nodes for i in getattr(n, "interfaces", None) or ()
            ),
            members=tuple(t.name.value for n in nodes for t in getattr(n, "types", None) or ()),
            specified_by=next((url for url in specified if url), None),
            one_of=any(d.name.value == "oneOf" for n in nodes for d in n.directives or ()),
        )

    def _parsed(self, key: str) -> Iterator[DefinitionNode]:
        for start, end in self._places[key].pieces:
            try:
                yield from parse(self._text[start:end], no_location=True).definitions
            except GraphQLSyntaxError as error:
                lines = self._text.count("\n", 0, start)
                line = lines + (error.locations[0].line if error.locations else 1)
                raise SchemaTextError(f"{self._name}, line {line}: {error.message}") from error


def _starts(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the definitions: start, key, and whether it is an extension."""
    depth = 0
    described: int | None = None
    for token in _TOKEN.finditer(text):
        mark = text[token.start()]
        if mark in "{([":
            depth += 1
        elif mark in "})]":
            depth -= 1
        elif depth == 0 and mark == '"':
            described = token.start()
        elif depth == 0 and mark != "#":
            name = token["type"] or (token["directive"] or "").replace(" ", "") or _SCHEMA
            start = token.start() if described is None else described
            yield start, name, token["extend"] is not None
            described = None


def _part(node: Any, name: str, kind: type[Any]) -> Iterator[Any]:
    return (item for item in getattr(node, name, None) or () if isinstance(item, kind))


def _member(node: FieldDefinitionNode | InputValueDefinitionNode) -> Member:
    arguments: Iterable[InputValueDefinitionNode] = ()
    default = None
    if isinstance(node, FieldDefinitionNode):
        arguments = node.arguments or ()
    else:
        default = node.default_value
    return Member(
        node.name.value,
        _text(node),
        print_ast(node.type),
        tuple(map(_member, arguments)),
        None if default is None else print_ast(default),
        _deprecation(node.directives or ()),
    )


def _text(node: Any) -> str | None:
    description: StringValueNode | None = getattr(node, "description", None)
    return None if description is None else description.value


def _deprecation(directives: Iterable[ConstDirectiveNode]) -> str | None:
    for directive in directives:
        if directive.name.value == "deprecated":
            return _string(directive, "reason") or DEFAULT_DEPRECATION_REASON
    return None


def _given(node: Any, name: str, argument: str) -> str | None:
    texts = (_string(d, argument) for d in node.directives or () if d.name.value == name)
    return next(texts, None)


def _string(directive: ConstDirectiveNode, argument: str) -> str | None:
    for given in directive.arguments or ():
        if given.name.value == argument and isinstance(given.value, StringValueNode):
            return given.value.value
    return None


def _directive(node: DirectiveDefinitionNode) -> Directive:
    return Directive(
        node.name.value,
        _text(node),
        tuple(map(_member, node.arguments or ())),
        tuple(location.value for location in node.locations),
        node.repeatable,
    )


_OPERATION = re.compile(r"(?:\A|\n)[\ufeff \t]*(?:query|mutation|subscription|fragment|\{)")


def _no_schema(text: str, name: str) -> SchemaTextError:
    if _OPERATION.search(text):
        return SchemaTextError(
            f"{name} contains an operation, not a schema.",
            hint="Use `explain` for operations; `schema diff` compares SDL, introspection results and metadata"
            " documents.",
        )
    return SchemaTextError(
        f"{name} contains no type definition.",
        hint="Pass SDL, an introspection result or a metadata document.",
    )
