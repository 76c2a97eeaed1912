"""Query → Request: the only module that knows precedence, escaping and the order of query options.

It prints and decides nothing: a dialect has lowered the query before. Text is percent-encoded once, when it is
complete: literals get their form (``literals.to_url``) before that. Everything is encoded that a server, proxy or log
might interpret differently; structure (quotes, parentheses, commas) stays readable.

URL Conventions 4.01, https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html: 2
(encoding), 4 (path), 5.1 (options), 5.1.1.17 (precedence).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import TypeVar, assert_never
from urllib.parse import quote, unquote

from msgspec import Struct, structs

from .literals import to_url, to_url_array
from .query import (
    TRUE,
    And,
    Apply,
    Call,
    Compare,
    Expand,
    Expr,
    Has,
    In,
    IsNull,
    KeyPart,
    ListPart,
    Literal,
    Matches,
    Not,
    Operator,
    Or,
    Order,
    Path,
    Query,
    Request,
    Resource,
    Rule,
    Some,
    Wildcard,
)

Options = tuple[tuple[str, str], ...]
QueryOrExpand = TypeVar("QueryOrExpand", Query, Expand)

JSON_HEADERS = MappingProxyType(
    {"Accept": "application/json;odata.metadata=minimal", "OData-MaxVersion": "4.0"}
)
TEXT_HEADERS = MappingProxyType({"Accept": "text/plain", "OData-MaxVersion": "4.0"})

_SAFE_IN_QUERY = "'(),:$=;*/@!"
# Fewer than RFC 3986 allows in a segment: it lets servers give ; and = a meaning of their own (section 3.3).
_SAFE_IN_KEY = "':"

_OR, _AND, _TEST, _PRIMARY = range(4)
"""Precedence of a printed expression, from loose to tight (5.1.1.17); ``not`` requires a primary expression."""


def render(query: Query, *, options: Options = ()) -> Request:
    """Return the request of a lowered query, ``options`` last. Its URL is relative to the service root.

    Raises ValueError for a literal that its type cannot have.
    """
    headers = TEXT_HEADERS if query.resource.count else JSON_HEADERS
    shown = _url(_with_hidden_rules(query), options) if _has_rule(query) else None
    return Request("GET", _url(query, options), headers, None, shown)


def _url(query: Query, options: Options) -> str:
    parameters = [
        *(
            _options(query.select, query.expand, query.where, query.order)
            if query.apply is None
            else (("$apply", _apply(query.apply, query.where)),)
        ),
        *_window(query.top, query.skip, query.count),
        *_aliases(query.resource.call),
        *((percent_encode(name), value) for name, value in options),
    ]
    text = _joined(parameters)
    path = _resource(query.resource)
    return f"{path}?{text}" if text else path


class Frame(Struct, frozen=True):
    """A printed query with a gap for the last term of its filter: ``before`` + term + ``after`` is the URL."""

    before: str
    after: str
    is_alone: bool
    """Whether the filter has no other term, so that the term needs no parentheses."""
    shown: str | None = None
    """``before`` as callers may see it, if a rule is part of it."""


def frame(query: Query, *, options: Options = ()) -> Frame:
    """Print the query around the last term of its filter, percent-encoded."""
    printed = _frame(query, options)
    if not _has_rule(query):
        return printed
    return structs.replace(printed, shown=_frame(_with_hidden_rules(query), options).before)


def _frame(query: Query, options: Options) -> Frame:
    own = [] if query.where is None else [_at_least(_AND, query.where, "", 0), ""]
    before = [
        *_options(query.select, query.expand, None, ()),
        ("$filter", " and ".join(own)),
    ]
    after = [
        *_options((), (), None, query.order),
        *_window(query.top, query.skip, query.count),
        *((percent_encode(name), value) for name, value in options),
    ]
    return Frame(
        f"{_resource(query.resource)}?{_joined(before)}",
        f"&{_joined(after)}" if after else "",
        is_alone=not own,
    )


def resource_path(resource: Resource) -> str:
    """Return the path of a resource, percent-encoded and relative to the service root."""
    return _resource(resource)


def url_length(request: Request) -> int:
    """Return the characters of the URL behind the service root."""
    return len(request.url)


def readable_url(request: Request) -> str:
    """Return the URL in readable form: ``Set?$filter=Name%20eq%20'x'`` → ``Set?$filter=Name eq 'x'``."""
    return unquote(request.url if request.shown is None else request.shown)


_HIDDEN = Rule(TRUE)
"""What stands for a rule in a URL that people read; no filter that is sent holds it."""


def _has_rule(query: Query | Expand) -> bool:
    if query.ruling or (query.where is not None and _holds_rule(query.where)):
        return True
    return any(map(_has_rule, query.expand)) if query.expand else False


def _holds_rule(expr: Expr) -> bool:
    # By type, because a match takes a microsecond on the way of every request.
    if isinstance(expr, And | Or):
        return any(map(_holds_rule, expr.terms))
    if isinstance(expr, Compare):
        return False
    if isinstance(expr, Not):
        return _holds_rule(expr.term)
    return isinstance(expr, Rule) or (
        isinstance(expr, Some) and expr.where is not None and _holds_rule(expr.where)
    )


def _with_hidden_rules(query: QueryOrExpand) -> QueryOrExpand:
    return structs.replace(
        query,
        select=tuple(name for name in query.select if name not in query.ruling),
        where=None if query.where is None else _hidden_rules(query.where),
        expand=tuple(map(_with_hidden_rules, query.expand)),
    )


def _hidden_rules(expr: Expr) -> Expr:
    match expr:
        case Rule():
            return _HIDDEN
        case And(terms):
            return And(tuple(map(_hidden_rules, terms)))
        case Or(terms):
            return Or(tuple(map(_hidden_rules, terms)))
        case Not(term):
            return Not(_hidden_rules(term))
        case Some(path, where):
            return Some(path, None if where is None else _hidden_rules(where))
        case _:
            return expr


def filter_text(expr: Expr) -> str:
    """Return the text of a filter, not percent-encoded."""
    return _expr(expr, "", 0)[0]


def percent_encode(text: str) -> str:
    """Return the value of a query option, percent-encoded."""
    return quote(text, safe=_SAFE_IN_QUERY)


def _joined(parameters: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{name}={percent_encode(value)}" for name, value in parameters)


def _resource(resource: Resource) -> str:
    name = quote(resource.name, safe="/")
    segments = [name + _key(resource.key)] if name else []
    if resource.navigation is not None:
        segments.append(quote(resource.navigation, safe="/"))
    if resource.call is not None:
        segments.append(_call(resource.call))
    if resource.count:
        segments.append("$count")
    return "/".join(segments)


def _key(key: tuple[KeyPart, ...]) -> str:
    match key:
        case ():
            return ""
        case (part,):
            return f"({_path_literal(part)})"
        case _:
            return f"({_named(key)})"


def _call(call: Call) -> str:
    return f"{quote(call.name)}({_named(call.arguments)})"


def _aliases(call: Call | None) -> Iterator[tuple[str, str]]:
    """Yield the values of the arguments that are passed by alias: ``@p1=["a","b"]`` (URL Conventions 5.1.2)."""
    parts = () if call is None else call.arguments
    for number, part in enumerate(parts, 1):
        if isinstance(part, ListPart):
            yield f"@p{number}", to_url_array(part.values)


def _named(parts: tuple[KeyPart | ListPart, ...]) -> str:
    return ",".join(
        f"{quote(part.name)}="
        + (f"@p{number}" if isinstance(part, ListPart) else _path_literal(part))
        for number, part in enumerate(parts, 1)
    )


def _path_literal(part: KeyPart) -> str:
    return quote(to_url(part.value), safe=_SAFE_IN_KEY)


def _options(
    select: tuple[str, ...],
    expand: tuple[Expand, ...],
    where: Expr | None,
    order: tuple[Order, ...],
) -> Iterator[tuple[str, str]]:
    if select:
        yield "$select", ",".join(select)
    if expand:
        yield "$expand", ",".join(map(_expand, expand))
    if where is not None:
        yield "$filter", filter_text(where)
    if order:
        yield "$orderby", ",".join(_order(o) for o in order)


def _apply(apply: Apply, where: Expr | None) -> str:
    """Return ``filter(…)/groupby((A,B),aggregate(X with sum as Y,$count as N))``."""
    totals = ",".join(
        f"{t.source} with {t.method} as {t.alias}" if t.method else f"$count as {t.alias}"
        for t in apply.totals
    )
    aggregate = f"aggregate({totals})"
    if apply.keys:
        aggregate = f"groupby(({','.join(apply.keys)}),{aggregate})"
    return aggregate if where is None else f"filter({filter_text(where)})/{aggregate}"


def _window(top: int | None, skip: int | None, count: bool) -> Iterator[tuple[str, str]]:
    if top is not None:
        yield "$top", str(top)
    if skip is not None:
        yield "$skip", str(skip)
    if count:
        yield "$count", "true"


def _expand(expand: Expand) -> str:
    inner = [
        *_options(expand.select, expand.expand, expand.where, expand.order),
        *_window(expand.top, expand.skip, expand.count),
    ]
    if not inner:
        return expand.navigation
    return f"{expand.navigation}({';'.join(f'{name}={value}' for name, value in inner)})"


def _order(order: Order) -> str:
    return _path(order.path, "") + (" desc" if order.descending else "")


def _path(path: Path, variable: str) -> str:
    return "/".join((variable, *path.segments) if variable else path.segments)


def _expr(expr: Expr, variable: str, depth: int) -> tuple[str, int]:
    """Return the text of an expression and its precedence.

    ``variable`` is that of the innermost ``any``, ``depth`` the number of ``any`` around the expression.
    """
    match expr:
        case And(terms):
            return _join(terms, " and ", "true", _AND, variable, depth)
        case Or(terms):
            return _join(terms, " or ", "false", _OR, variable, depth)
        case Rule():
            return ("{rule}", _PRIMARY) if expr is _HIDDEN else _expr(expr.term, variable, depth)
        case Not(term):
            return f"not {_at_least(_PRIMARY, term, variable, depth)}", _TEST
        case Some(path, where):
            return _any(_path(path, variable), where, depth), _PRIMARY
        case Matches(path, match, value):
            return f"{match.value}({_path(path, variable)},{to_url(value)})", _PRIMARY
        case Compare() | Wildcard() | In() | IsNull() | Has():
            return _test(expr, _path(expr.path, variable))
        case _:
            assert_never(expr)


def _test(expr: Compare | Wildcard | In | IsNull | Has, path: str) -> tuple[str, int]:
    match expr:
        case Compare(operator=operator, value=value):
            return f"{path} {operator.value} {to_url(value)}", _TEST
        case Wildcard(pattern=pattern, negated=negated):
            test = f"{path} {Operator.EQ.value} {to_url(Literal(pattern, 'Edm.String'))}"
            return f"not ({test})" if negated else test, _TEST
        case In(values=values):
            return f"{path} in ({','.join(map(to_url, values))})", _TEST
        case IsNull():
            return f"{path} eq null", _TEST
        case Has(value=value):
            return f"{path} has {to_url(value)}", _TEST
        case _:
            assert_never(expr)


def _join(
    terms: tuple[Expr, ...], word: str, none: str, level: int, variable: str, depth: int
) -> tuple[str, int]:
    match terms:
        case ():
            return none, _PRIMARY
        case (term,):
            return _expr(term, variable, depth)
        case _:
            return word.join(_at_least(level, term, variable, depth) for term in terms), level


def _at_least(level: int, expr: Expr, variable: str, depth: int) -> str:
    text, own_level = _expr(expr, variable, depth)
    return text if own_level >= level else f"({text})"


def _any(path: str, where: Expr | None, depth: int) -> str:
    if where is None:
        return f"{path}/any()"
    # A range variable must not hide that of an any() around it.
    variable = f"x{depth}"
    return f"{path}/any({variable}:{_expr(where, variable, depth + 1)[0]})"
