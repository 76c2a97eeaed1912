"""An OData service over rows in memory, for tests that know every row.

It reads filters with odata-query and answers them with an evaluator of its own: nothing of the gateway's query code is
used, so that the two cannot be wrong together. Rows are JSON values (numbers as ``int`` and ``Decimal``). What leaves
can be spoilt: single properties by ``spoilt``, whole sets by ``failing``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from functools import cmp_to_key, lru_cache
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

import httpx
import msgspec
from odata_query import ast
from odata_query.grammar import ODataLexer, ODataParser

Row = dict[str, Any]
ROOT = "https://fo.example/data"
MISSING = object()
"""In ``spoilt``: the property is not sent at all."""

_encode = msgspec.json.Encoder(decimal_format="number").encode
_READS = re.compile(r"^GET (\S+) HTTP/1\.1\r$", re.MULTILINE)
_VARIABLE = re.compile(r"\bx\d+/")
_ENUM = re.compile(r"(?<![\w.'])(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*('(?:[^']|'')*')")


@dataclass(frozen=True)
class Nav:
    """A navigation: (own column, target's column) pairs."""

    target: str
    on: tuple[tuple[str, str], ...]
    many: bool = False


@dataclass
class Tables:
    """The service."""

    rows: dict[str, list[Row]]
    keys: Mapping[str, tuple[str, ...]]
    navs: Mapping[str, Mapping[str, Nav]] = field(default_factory=dict)
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Set → what its type declares; what a derived type declares is named with a cast, as the URL conventions ask."""
    insensitive: bool = False
    """Whether text compares as in F&O: without case and trailing blanks."""
    nulls_last: bool = False
    """Whether nulls sort behind all values in ascending order, as in PostgreSQL."""
    links: bool = False
    """Whether ``Prefer: odata.maxpagesize`` is honoured and next links name the row behind which they go on."""
    skip_refused: bool = False
    page_size: int | None = None
    counts: bool = True
    """Whether ``$count=true`` is heard."""
    spoilt: dict[int, dict[str, object]] = field(default_factory=dict)
    """id of a row → property → what is sent in its place."""
    failing: dict[str, Callable[[], httpx.Response]] = field(default_factory=dict)
    """Set → the answer of every request to it."""
    requests: list[str] = field(default_factory=list)
    """What was read, by itself or within a batch."""
    batches: list[int] = field(default_factory=list)
    """How many reads each batch held."""
    preferences: list[str | None] = field(default_factory=list)
    _last_rows: dict[str, Row] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.raw_path.decode().removeprefix("/data/")
        if asked == "$batch":
            return self._batch(request)
        self.requests.append(unquote(asked))
        self.preferences.append(request.headers.get("prefer"))
        path, _, query = asked.partition("?")
        options = _options(query)
        set_name, key, rest = _path(path)
        if set_name in self.failing:
            return self.failing[set_name]()
        if set_name not in self.rows:
            return _refusal(404)
        if key is not None:
            return self._one(set_name, key, options)
        if "$apply" in options:
            return self._applied(set_name, options, path)
        rows = self._windowless(self.rows[set_name], set_name, options)
        if rest == "$count":
            return httpx.Response(
                200, text=str(len(rows)), headers={"Content-Type": "text/plain; charset=utf-8"}
            )
        if "$skip" in options and self.skip_refused:
            return _refusal(400)
        if self.links:
            return self._linked(set_name, rows, options, path)
        return self._page(set_name, rows, options, path)

    def _applied(self, set_name: str, options: Mapping[str, str], path: str) -> httpx.Response:
        """Groups of rows, by a module of its own."""
        from tests.support.applying_odata import apply

        def passing(where: str) -> list[Row]:
            own = {"$filter": where} if where else {}
            return self._windowless(self.rows[set_name], set_name, own)

        groups = apply(options["$apply"], passing)
        paging = {n: v for n, v in options.items() if n in ("$apply", "$top", "$skip")}
        return self._cut(groups, paging, path)

    def _batch(self, request: httpx.Request) -> httpx.Response:
        """Answer a batch of reads, each as if it had come by itself."""
        self.batches.append(len(_READS.findall(request.content.decode())))
        return answer_batch(request, lambda url: self.answer(httpx.Request("GET", f"{ROOT}/{url}")))

    def _linked(
        self, set_name: str, rows: list[Row], options: Mapping[str, str], path: str
    ) -> httpx.Response:
        """A page as long as is preferred, and a link behind its last row, wherever that has gone."""
        total, token = len(rows), options.get("$skiptoken")
        if token is not None:
            last = self._last_rows[token]
            order = options.get("$orderby") or ",".join(self.keys[set_name])
            among = self.ordered([last, *(r for r in rows if r != last)], order)
            rows = among[next(i for i, r in enumerate(among) if r is last) + 1 :]
        rows = rows[int(options.get("$skip", 0)) :]
        top = int(options.get("$top", len(rows)))
        wanted = (self.preferences[-1] or "").rpartition("=")[2]
        size = min(top, int(wanted or len(rows)), self.page_size or len(rows))
        body: Row = {"value": [self.sent(r, set_name, options) for r in rows[:size]]}
        if options.get("$count") == "true" and self.counts:
            body["@odata.count"] = total
        if size < min(top, len(rows)):
            name = f"behind+{len(self._last_rows)}/"
            self._last_rows[name] = dict(rows[size - 1])
            kept = {n: v for n, v in options.items() if n not in ("$skip", "$skiptoken", "$top")}
            link = "&".join(f"{n}={quote(v)}" for n, v in kept.items())
            body["@odata.nextLink"] = f"{ROOT}/{path}?{link}&$skiptoken={quote(name, safe='')}"
        return _json(body)

    def _one(self, set_name: str, key: str, options: Mapping[str, str]) -> httpx.Response:
        names = self.keys[set_name]
        parts = dict(p.split("=", 1) for p in _split(key, ",")) if "=" in key else {names[0]: key}
        wanted = " and ".join(f"{name} eq {unquote(value)}" for name, value in parts.items())
        tree = _parsed(wanted)
        found = [r for r in self.rows[set_name] if self._value(tree, r, set_name)]
        if not found:
            return _refusal(404)
        return _json(self.sent(found[0], set_name, options))

    def _page(
        self, set_name: str, rows: list[Row], options: Mapping[str, str], path: str
    ) -> httpx.Response:
        return self._cut(rows, options, path, lambda row: self.sent(row, set_name, options))

    def _cut(
        self,
        rows: list[Row],
        options: Mapping[str, str],
        path: str,
        sent: Callable[[Row], Row] = lambda row: row,
    ) -> httpx.Response:
        start = int(options.get("$skip", 0))
        end = min(len(rows), start + int(options.get("$top", len(rows))))
        body: Row = {"@odata.context": f"{ROOT}/$metadata#{path}"}
        if options.get("$count") == "true" and self.counts:
            body["@odata.count"] = len(rows)
        cut = end if self.page_size is None else min(end, start + self.page_size)
        body["value"] = [sent(row) for row in rows[start:cut]]
        if cut < end:
            left = {**options, "$skip": str(cut), "$top": str(end - cut)}
            link = "&".join(f"{name}={value}" for name, value in left.items())
            body["@odata.nextLink"] = f"{ROOT}/{path}?{link}"
        return _json(body)

    # Rows as they are sent

    def sent(self, row: Row, set_name: str, options: Mapping[str, str]) -> Row:
        """Return the JSON of a row."""
        asked = [s for s in options.get("$select", "").split(",") if s]
        self._check(set_name, *asked)
        select = [s.rpartition("/")[2] for s in asked]
        shown = {**row, **self.spoilt.get(id(row), {})}
        out = {
            name: value
            for name, value in shown.items()
            if value is not MISSING and (not select or name in select or name.startswith("@"))
        }
        for item in _split(options.get("$expand", ""), ","):
            self._expand(row, set_name, item, out)
        return out

    def _check(self, set_name: str, *names: str) -> None:
        known = self.declared.get(set_name)
        unknown = [n for n in names if known is not None and "/" not in n and n not in known]
        assert unknown == [], f"{set_name} has no {unknown}: a cast is missing"

    def _expand(self, row: Row, set_name: str, item: str, out: Row) -> None:
        name, _, inner = item.partition("(")
        self._check(set_name, name)
        cast, _, name = name.rpartition("/")
        if cast and row.get("@odata.type") != f"#{cast}":
            return
        options = dict(o.split("=", 1) for o in _split(inner.removesuffix(")"), ";"))
        nav = self.navs[set_name][name]
        found = self.related(row, nav)
        if not nav.many:
            out[name] = self.sent(found[0], nav.target, options) if found else None
        else:
            found = self._windowless(found, nav.target, options)
            if options.get("$count") == "true" and self.counts:
                out[f"{name}@odata.count"] = len(found)
            start = int(options.get("$skip", 0))
            found = found[start : start + int(options.get("$top", len(found)))]
            out[name] = [self.sent(r, nav.target, options) for r in found]
        over = self.spoilt.get(id(row), {}).get(f"nav {name}", out[name])
        if over is MISSING:
            del out[name]
        else:
            out[name] = over

    def related(self, row: Row, nav: Nav) -> list[Row]:
        """Return the rows that a navigation leads to; an absent reference leads nowhere."""
        return [
            other
            for other in self.rows[nav.target]
            if all(
                row.get(own) is not None
                and other.get(theirs) is not None
                and self.order(row[own], other[theirs]) == 0
                for own, theirs in nav.on
            )
        ]

    # Filter and order

    def _windowless(self, rows: list[Row], set_name: str, options: Mapping[str, str]) -> list[Row]:
        where = options.get("$filter")
        if where is None:
            kept = rows
        else:
            tree = _parsed(where)
            kept = [row for row in rows if self._value(tree, row, set_name)]
        return self.ordered(kept, options.get("$orderby") or ",".join(self.keys[set_name]))

    def ordered(self, rows: list[Row], order: str) -> list[Row]:
        """Sort as ``$orderby`` says: nulls first where it rises."""
        for term in reversed([t for t in order.split(",") if t]):
            name, _, direction = term.strip().partition(" ")

            def compare(one: Row, other: Row, name: str = name) -> int:
                return self.order(one.get(name), other.get(name))

            rows = sorted(rows, key=cmp_to_key(compare), reverse=direction == "desc")
        return rows

    def order(self, one: object, other: object) -> int:
        """Compare two values: negative, zero or positive."""
        if one is None or other is None:
            rises = (one is not None) - (other is not None)
            return -rises if self.nulls_last else rises
        left, right = self._comparable(one), self._comparable(other)
        return (left > right) - (left < right)

    def _comparable(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.casefold().rstrip(" ") if self.insensitive else value
        return value

    def _value(self, node: ast._Node, row: Row, set_name: str) -> Any:
        match node:
            case ast.BoolOp(op=op, left=left, right=right):
                first = bool(self._value(left, row, set_name))
                decides = first is isinstance(op, ast.Or)
                return first if decides else bool(self._value(right, row, set_name))
            case ast.UnaryOp(operand=operand):
                return not self._value(operand, row, set_name)
            case ast.Compare(comparator=comparator, left=left, right=right):
                return self._compares(comparator, left, right, row, set_name)
            case ast.Call(func=func, args=args):
                text, part = (self._comparable(self._value(a, row, set_name)) for a in args)
                tests = {"contains": str.__contains__, "startswith": str.startswith}
                return text is not None and tests.get(func.name, str.endswith)(text, part)
            case ast.CollectionLambda(owner=owner, lambda_=inner):
                return self._any(owner, inner, row, set_name)
            case ast.Identifier() | ast.Attribute():
                return self._at(_steps(node), row, set_name)
            case ast.Boolean(val=val):
                return val == "true"
            case _:
                return _plain(node)

    def _at(self, steps: list[str], row: Row | None, set_name: str) -> Any:
        """Return the value at a path; the variable of an ``any`` stands for the row itself."""
        while row is not None and len(steps) > 1:
            nav = self.navs[set_name].get(steps[0])
            if nav is not None:
                row, set_name = next(iter(self.related(row, nav)), None), nav.target
            steps = steps[1:]
        return None if row is None else row.get(steps[0])

    def _any(self, owner: ast._Node, inner: ast.Lambda | None, row: Row, set_name: str) -> bool:
        *before, name = _steps(owner)
        owners: list[Row] = [row]
        for step in before:
            nav = self.navs[set_name].get(step)
            if nav is not None:
                owners, set_name = [r for o in owners for r in self.related(o, nav)], nav.target
        nav = self.navs[set_name][name]
        rows = [r for o in owners for r in self.related(o, nav)]
        return any(inner is None or self._value(inner.expression, r, nav.target) for r in rows)

    def _compares(
        self, comparator: Any, left: ast._Node, right: ast._Node, row: Row, set_name: str
    ) -> bool:
        one = self._value(left, row, set_name)
        if isinstance(comparator, ast.In):
            assert isinstance(right, ast.List)
            return any(self.order(one, _plain(v)) == 0 for v in right.val)
        other = self._value(right, row, set_name)
        if isinstance(comparator, ast.Eq | ast.NotEq):
            return (self.order(one, other) == 0) is isinstance(comparator, ast.Eq)
        if one is None or other is None:
            return False
        order = self.order(one, other)
        return {
            ast.Gt: order > 0,
            ast.GtE: order >= 0,
            ast.Lt: order < 0,
            ast.LtE: order <= 0,
        }[type(comparator)]


@lru_cache(maxsize=1024)
def _parsed(where: str) -> ast._Node:
    """Return the tree of a filter. Parsing costs more than all else here, and a request filters many rows."""
    # The parser knows no ``any`` behind two steps and a variable, and no filter here refers to rows outside of its any.
    text = _VARIABLE.sub("", _ENUM.sub(r"\1", where))
    return ODataParser().parse(ODataLexer().tokenize(text))


def _steps(node: Any) -> list[str]:
    return [*_steps(node.owner), node.attr] if isinstance(node, ast.Attribute) else [node.name]


def _plain(node: Any) -> Any:
    """Return a literal as rows hold it."""
    value = node.py_val
    match value:
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case float():
            return Decimal(node.val)
        case _:
            return value


def _options(query: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _path(path: str) -> tuple[str, str | None, str]:
    """``Set(key)/rest`` → its parts."""
    found = re.fullmatch(r"(\w+)(?:\((.*)\))?(?:/(.*))?", path)
    assert found is not None, path
    return found[1], found[2], unquote(found[3] or "")


def _split(text: str, mark: str) -> list[str]:
    """Split at marks that stand outside of parentheses and quotes."""
    parts: list[str] = []
    depth = start = 0
    quoted = False
    for at, char in enumerate(text):
        quoted ^= char == "'"
        if not quoted:
            depth += (char == "(") - (char == ")")
            if char == mark and depth == 0:
                parts.append(text[start:at])
                start = at + 1
    return [p for p in (*parts, text[start:]) if p]


def answer_batch(request: httpx.Request, read: Callable[[str], httpx.Response]) -> httpx.Response:
    """Return the answers to the reads of a multipart batch; ``read`` takes their addresses."""
    parts = []
    for url in _READS.findall(request.content.decode()):
        answer = read(url)
        head = f"HTTP/1.1 {answer.status_code} .\r\nContent-Type: {answer.headers['content-type']}"
        parts.append(
            f"--b\r\nContent-Type: application/http\r\n\r\n{head}\r\n\r\n{answer.text}\r\n"
        )
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    return httpx.Response(200, headers=headers, text="".join((*parts, "--b--\r\n")))


def _json(value: object) -> httpx.Response:
    return httpx.Response(
        200,
        content=_encode(value),
        headers={"Content-Type": "application/json; odata.metadata=minimal"},
    )


def _refusal(status: int) -> httpx.Response:
    body = {"error": {"code": "", "message": "An error has occurred."}}
    return httpx.Response(status, json=body)
