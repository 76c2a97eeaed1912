"""The SDL of a schema, type by type and without making types: what graphql-core's ``print_schema`` prints."""

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
"""Types, or fields of root types, after which the records are forgotten."""
_KEYWORDS = {
    "SCALAR": "scalar",
    "OBJECT": "type",
    "INTERFACE": "interface",
    "UNION": "union",
    "ENUM": "enum",
    "INPUT_OBJECT": "input",
}


class Marks:
    """What is written beside what the types are; here nothing."""

    def head(self) -> str:
        """Return what comes first."""
        return ""

    def shows(self, name: str) -> bool:  # noqa: ARG002 - for those who leave types out
        """Return whether a type is written."""
        return True

    def shows_field(self, owner: str, name: str) -> bool:  # noqa: ARG002 - likewise
        """Return whether a field is written."""
        return True

    def of_type(self, shown: DescribedType) -> str:  # noqa: ARG002 - likewise
        """Return what stands behind a type, with a blank in front."""
        return ""

    def of_field(self, owner: str, field: Member | Value) -> str:  # noqa: ARG002 - likewise
        """Return what stands behind a field, argument or value of a type, with a blank in front."""
        return ""


_NO_MARKS = Marks()


def print_types(schema: ODataSchema, marks: Marks = _NO_MARKS) -> Iterator[str]:
    """Return the SDL piece by piece. ``schema`` is one of one's own: its records are forgotten on the way."""
    types = Types(schema)
    yield (between := marks.head())
    between = between and "\n\n"
    if not between and (told := print_schema_definition(types.core)) is not None:
        yield told
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
    for given in shown.inputs() if shown.inputs is not None else ():
        yield given, _input(given)
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


def _input(given: Member) -> str:
    default = "" if given.default is None else f" = {given.default}"
    return f"{given.name}: {given.type}{default}"


def _deprecated(reason: str | None) -> str:
    if reason is None:
        return ""
    told = "" if reason == DEFAULT_DEPRECATION_REASON else f"(reason: {_string(reason)})"
    return f" @deprecated{told}"


def _description(text: str | None, indentation: str = "") -> str:
    if text is None:
        return ""
    is_block = is_printable_as_block_string(text)
    printed = print_block_string(text) if is_block else _string(text)
    return indentation + printed.replace("\n", "\n" + indentation) + "\n"


def _string(text: str) -> str:
    return print_ast(StringValueNode(value=text))
