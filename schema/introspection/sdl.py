"""Prints the SDL of a schema type by type without creating types; equals graphql-core's ``print_schema``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from graphql import (
    DEFAULT_DEPRECATION_REASON,
    GraphQLNamedType,
    StringValueNode,
    is_specified_directive,
    print_ast,
)
from graphql.language.block_string import is_printable_as_block_string, print_block_string
from graphql.utilities import print_directive
from graphql.utilities.print_schema import print_schema_definition

from schema.types.build import ODataSchema

from .type_records import DescribedType, Member, Value
from .types import Types

FORGET_AFTER = 200
"""Types, or fields of root types, after which the catalogue's records are dropped."""
_KEYWORDS = {
    "SCALAR": "scalar",
    "OBJECT": "type",
    "INTERFACE": "interface",
    "UNION": "union",
    "ENUM": "enum",
    "INPUT_OBJECT": "input",
}


class Marks:
    """Additions to the SDL, such as directives; this base class adds nothing."""

    def head(self) -> str:
        """Return the text before the first definition."""
        return ""

    def shows(self, name: str) -> bool:  # noqa: ARG002 - for subclasses that omit types
        """Return whether a type is printed."""
        return True

    def shows_field(self, owner: str, name: str) -> bool:  # noqa: ARG002 - likewise
        """Return whether a field is printed."""
        return True

    def of_type(self, shown: DescribedType) -> str:  # noqa: ARG002 - likewise
        """Return the directives of a type, with a leading blank."""
        return ""

    def of_field(self, owner: str, field: Member | Value) -> str:  # noqa: ARG002 - likewise
        """Return the directives of a field, argument or enum value, with a leading blank."""
        return ""


_NO_MARKS = Marks()


def print_types(schema: ODataSchema, marks: Marks = _NO_MARKS) -> Iterator[str]:
    """Yield the SDL. ``schema`` must be a copy, because its records are dropped on the way."""
    types = Types(schema)
    yield (between := marks.head())
    between = between and "\n\n"
    if not between and (definition := print_schema_definition(types.core)) is not None:
        yield definition
        between = "\n\n"
    for directive in types.core.directives:
        if not is_specified_directive(directive):
            yield between + print_directive(directive)
            between = "\n\n"
    for number, name in enumerate(types.names(), 1):
        if name not in GraphQLNamedType.reserved_types and marks.shows(name):
            shown = types.find(name)
            assert shown is not None
            yield between
            yield from _type(shown, types, marks)
            between = "\n\n"
        if number % FORGET_AFTER == 0:
            types.forget()
    yield "\n"


def _type(shown: DescribedType, types: Types, marks: Marks) -> Iterator[str]:
    above = shown.interfaces() if shown.interfaces is not None else ()
    interfaces = [name for name in above if marks.shows(name)]
    yield _description(shown.description) + f"{_KEYWORDS[shown.kind]} {shown.name}"
    if interfaces:
        yield " implements " + " & ".join(interfaces)
    if shown.one_of:
        yield " @oneOf"
    if shown.specified_by is not None:
        yield f" @specifiedBy(url: {_string(shown.specified_by)})"
    yield marks.of_type(shown)
    if shown.kind == "UNION" and shown.possible is not None:
        members = list(shown.possible())
        yield " = " + " | ".join(members) if members else ""
    yield from _block(_lines(shown, marks), types, lambda item: marks.of_field(shown.name, item))


def _lines(shown: DescribedType, marks: Marks) -> Iterator[tuple[Member | Value, str]]:
    for field in shown.fields() if shown.fields is not None else ():
        if marks.shows_field(shown.name, field.name):
            yield field, field.name + _arguments(field.arguments) + f": {field.type}"
    for member in shown.inputs() if shown.inputs is not None else ():
        yield member, _input(member)
    for value in shown.values() if shown.values is not None else ():
        yield value, value.name


def _block(
    lines: Iterable[tuple[Member | Value, str]],
    types: Types,
    marked: Callable[[Member | Value], str],
) -> Iterator[str]:
    before = " {\n"
    for number, (item, line) in enumerate(lines, 1):
        blank = "\n" if number > 1 and item.description is not None else ""
        described = _description(item.description, "  ")
        yield f"{before}{blank}{described}  {line}{_deprecated(item.deprecation)}{marked(item)}"
        before = "\n"
        if number % FORGET_AFTER == 0:
            types.forget()
    if before == "\n":
        yield "\n}"


def _arguments(arguments: tuple[Member, ...]) -> str:
    if not arguments:
        return ""
    if all(argument.description is None for argument in arguments):
        inline = (_input(a) + _deprecated(a.deprecation) for a in arguments)
        return f"({', '.join(inline)})"
    lines = (
        ("\n" if place and a.description is not None else "")
        + _description(a.description, "    ")
        + f"    {_input(a)}{_deprecated(a.deprecation)}"
        for place, a in enumerate(arguments)
    )
    return "(\n" + "\n".join(lines) + "\n  )"


def _input(member: Member) -> str:
    default = "" if member.default is None else f" = {member.default}"
    return f"{member.name}: {member.type}{default}"


def _deprecated(reason: str | None) -> str:
    if reason is None:
        return ""
    argument = "" if reason == DEFAULT_DEPRECATION_REASON else f"(reason: {_string(reason)})"
    return f" @deprecated{argument}"


def _description(text: str | None, indentation: str = "") -> str:
    if text is None:
        return ""
    is_block = is_printable_as_block_string(text)
    printed = print_block_string(text) if is_block else _string(text)
    return indentation + printed.replace("\n", "\n" + indentation) + "\n"


def _string(text: str) -> str:
    return print_ast(StringValueNode(value=text))
