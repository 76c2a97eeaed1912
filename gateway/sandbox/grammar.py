"""Parses the text of a ``$filter`` into odata-query's tree.

odata-query parses OData v4 leniently. Its lexer is extended by what it lacks for F&O (qualified enum literals
``NS.NoYes'Yes'``, ``divby``), and corrected: it takes the beginning of some names for a keyword (``AllowEdit`` →
``all``…). Keywords in capitals are refused for F&O (section 2.2, [R]).

odata-query makes the tables of its parser when it is imported, so the first filter imports this module.
"""

# mypy cannot see SLY's lexer protocol: names in the class body are rules, `_` is its decorator
# mypy: disable-error-code="misc,no-untyped-def,no-untyped-call,untyped-decorator,has-type,name-defined,var-annotated"

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from odata_query import ast, exceptions, grammar

from .filter_literals import EnumLiteral, Has
from .refusal import Refusal

_KEYWORDS = frozenset(
    {
        "AND",
        "OR",
        "NOT",
        "EQ",
        "NE",
        "LT",
        "LE",
        "GT",
        "GE",
        "IN",
        "ADD",
        "SUB",
        "MUL",
        "DIV",
        "MOD",
    }
)
_WORD = re.compile(r"\s*([A-Za-z]+)")


class _Lexer(grammar.ODataLexer):
    tokens = grammar.ODataLexer.tokens

    @_(r"(?:[^\W\d][\w.]*)?'(?:[^']|'')*'")  # noqa: F821 - SLY's decorator
    def STRING(self, t):  # noqa: N802 - the token
        prefix, _, rest = t.value.partition("'")
        text = rest[:-1].replace("''", "'")
        t.value = EnumLiteral(prefix, text) if prefix else ast.String(text)
        return t

    @_(r"\s+(?:divby|div)\s+")  # noqa: F821 - SLY's decorator
    def DIV(self, t):  # noqa: N802 - the token
        t.value = ast.Div()
        return t

    @_(r"\s+(?:eq|has)\s+")  # noqa: F821 - SLY's decorator
    def EQ(self, t):  # noqa: N802 - the token
        t.value = Has() if t.value.strip().lower() == "has" else ast.Eq()
        return t

    @_(r"(?:true|false)\b")  # noqa: F821 - SLY's decorator
    def BOOLEAN(self, t):  # noqa: N802 - the token
        t.value = ast.Boolean(t.value)
        return t

    @_(r"null\b")  # noqa: F821 - SLY's decorator
    def NULL(self, t):  # noqa: N802 - the token
        t.value = ast.Null()
        return t

    @_(r"any(?=\s*\()")  # noqa: F821 - SLY's decorator
    def ANY(self, t):  # noqa: N802 - the token
        t.value = ast.Any()
        return t

    @_(r"all(?=\s*\()")  # noqa: F821 - SLY's decorator
    def ALL(self, t):  # noqa: N802 - the token
        t.value = ast.All()
        return t

    @_(r"[^\W\d](?:\.?\w){0,127}")  # noqa: F821 - SLY's decorator
    def ODATA_IDENTIFIER(self, t):  # noqa: N802 - the token
        *namespace, name = t.value.split(".")
        t.value = ast.Identifier(name, tuple(namespace))
        return t


def parse_filter(text: str, *, strict: bool) -> Any:
    """Return the tree of a filter. Raises Refusal 400; with ``strict`` also for keywords that are not lower case."""
    try:
        tree = grammar.ODataParser().parse(_lists(_tokens(text, strict=strict)))
    except exceptions.ODataException as problem:
        raise Refusal(400, f"Syntax error in '{text}': {problem}") from problem
    except RecursionError as problem:
        raise Refusal(400, "The node count limit of '100' has been exceeded.") from problem
    return tree


def _tokens(text: str, *, strict: bool) -> Iterator[Any]:
    for token in _Lexer().tokenize(text):
        if strict and token.type in _KEYWORDS:
            written = _WORD.match(text, token.index)
            if written is not None and not written[1].islower():
                raise Refusal(400, f"Syntax error at position {token.index} in '{text}'.")
        yield token


def _lists(tokens: Iterator[Any]) -> Iterator[Any]:
    """Yield the tokens with a comma in lists of one item: odata-query expects ``(x,)`` for OData's ``in (x)``."""
    depth = 0
    single = False
    for token in tokens:
        if token.type == "IN":
            depth, single = 0, True
        elif single and token.type == "(":
            depth += 1
        elif single and token.type == "," and depth == 1:
            single = False
        elif single and token.type == ")":
            depth -= 1
            if depth == 0:
                single = False
                yield _comma(token)
        yield token


def _comma(like: Any) -> Any:
    comma = type(like)()
    comma.type = comma.value = ","
    comma.lineno, comma.index = like.lineno, like.index
    return comma
