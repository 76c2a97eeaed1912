"""Query → Request: the one place that knows precedence, escaping and the order of query options.

It prints what it is given and decides nothing: a dialect has lowered the query before. Escaping happens once,
on finished text, so a literal is spelled (``literals.to_url``) before any of it is percent-encoded. Everything
is encoded that a server, proxy or log might read in a second way; structure (quotes, parentheses, commas) stays
readable.

URL Conventions 4.01, https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html: 2
(encoding), 4 (path), 5.1 (options), 5.1.1.17 (precedence).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import TypeVar, assert_never
from urllib.parse import quote, unquote

from .literals import to_url
from .query import (
    And,
    Call,
    Compare,
    Expand,
    Expr,
    Has,
    In,
    IsNull,
    KeyPart,
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
    Some,
    Value,
    Wildcard,
)

T = TypeVar("T")
Options = tuple[tuple[str, str], ...]

JSON_HEADERS = MappingProxyType(
    {"Accept": "application/json;odata.metadata=minimal", "OData-MaxVersion": "4.0"}
)
TEXT_HEADERS = MappingProxyType({"Accept": "text/plain", "OData-MaxVersion": "4.0"})

_SAFE_IN_QUERY = "'(),:$=;*/@!"
_SAFE_IN_KEY = "':"

_OR, _AND, _TEST, _PRIMARY = range(4)
"""How tightly a printed expression holds together; ``not`` wants a primary."""


def render(query: Query, *, options: Options = ()) -> Request:
    """Print the query, ``options`` last. The URL is relative to the service root."""
    asked = [
        *_options(query.select, query.expand, query.where, query.order),
        *_window(query.top, query.skip, query.count),
        *((_encoded(name), value) for name, value in options),
    ]
    text = "&".join(f"{name}={_encoded(value)}" for name, value in asked)
    path = _resource(query.resource)
    headers = TEXT_HEADERS if query.resource.count else JSON_HEADERS
    return Request("GET", f"{path}?{text}" if text else path, headers)


def url_length(request: Request) -> int:
    return len(request.url)


def decoded(request: Request) -> str:
    """Give the URL for people: ``Set?$filter=Name%20eq%20'x'`` → ``Set?$filter=Name eq 'x'``."""
    return unquote(request.url)


def filter_text(expr: Expr) -> str:
    """Print a filter, not percent-encoded."""
    return _expr(expr, "", 0)[0]


def key_filter(
    columns: tuple[tuple[str, str, bool], ...], keys: Sequence[tuple[Value, ...]]
) -> Expr:
    """Give the filter that holds for rows whose columns (name, type, is enum) equal one of the keys.

    Shared values are written once, the columns with the fewest values outermost, so that the URL is short:
    ``dataAreaId eq 'usmf' and (Order eq 'a' or Order eq 'b')``.
    """
    distinct = [len({key[i] for key in keys}) for i in range(len(columns))]
    order = sorted(range(len(columns)), key=lambda i: distinct[i])
    rows = dict.fromkeys(tuple(key[i] for i in order) for key in keys)
    return _factored([columns[i] for i in order], list(rows))


def split_by_length(
    build: Callable[[Sequence[T]], Query], items: Sequence[T], *, limit: int, options: Options = ()
) -> list[list[T]]:
    """Cut ``items`` into runs whose rendered URLs have at most ``limit`` characters.

    ``build`` gives the (lowered) query for a run. An item that is too long by itself goes alone.
    """

    def length(size: int) -> int:
        return url_length(render(build(items[start : start + size]), options=options))

    runs: list[list[T]] = []
    start, size = 0, 16
    while start < len(items):
        size = _longest_run(length, len(items) - start, size, limit)
        runs.append(list(items[start : start + size]))
        start += size
    return runs


def _longest_run(length: Callable[[int], int], most: int, guess: int, limit: int) -> int:
    """Give a size whose length fits, within a sixteenth of the longest: interpolated, then verified."""
    fits, first, too_long = 1, length(1), most + 1
    while first < limit and too_long - fits > 1:
        size = min(max(guess, fits + 1), too_long - 1)
        measured = length(size)
        fits, too_long = (size, too_long) if measured <= limit else (fits, size)
        each = max(1.0, (measured - first) / (size - 1))
        guess = 1 + int((limit - first) / each)
        if size == fits and guess <= fits + fits // 16:
            break
    return fits


def _factored(columns: list[tuple[str, str, bool]], keys: list[tuple[Value, ...]]) -> Expr:
    (name, edm_type, is_enum), *rest = columns
    path = Path(tuple(name.split("/")))

    def one_of(values: Iterable[Value]) -> In:
        return In(path, tuple(Literal(v, edm_type, is_enum) for v in values))

    if not rest:
        return one_of(key[0] for key in keys)
    tails: dict[Value, list[tuple[Value, ...]]] = {}
    for key in keys:
        tails.setdefault(key[0], []).append(key[1:])
    heads: dict[Expr, list[Value]] = {}
    for value, tail in tails.items():
        heads.setdefault(_factored(rest, tail), []).append(value)
    return Or(tuple(And((one_of(values), tail)) for tail, values in heads.items()))


def _encoded(text: str) -> str:
    return quote(text, safe=_SAFE_IN_QUERY)


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


def _named(parts: tuple[KeyPart, ...]) -> str:
    return ",".join(f"{quote(part.name)}={_path_literal(part)}" for part in parts)


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
    """Print, and tell how tightly it holds. ``variable`` is of the innermost ``any``, ``depth`` their number."""
    match expr:
        case And(terms):
            return _join(terms, " and ", "true", _AND, variable, depth)
        case Or(terms):
            return _join(terms, " or ", "false", _OR, variable, depth)
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
    text, holds = _expr(expr, variable, depth)
    return text if holds >= level else f"({text})"


def _any(path: str, where: Expr | None, depth: int) -> str:
    if where is None:
        return f"{path}/any()"
    variable = f"x{depth}"
    return f"{path}/any({variable}:{_expr(where, variable, depth + 1)[0]})"
