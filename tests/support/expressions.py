"""Short makers, random filters and a second reader of filter text, for the tests of ``gateway.odata``.

The reader is odata-query, which knows nothing of ours: ``parsed(text)`` and ``shape(expr)`` give the same tuples
exactly when the text says what the expression says.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import strategies as st
from odata_query import ast
from odata_query.grammar import ODataLexer, ODataParser

from gateway.odata.literals import parse_value
from gateway.odata.query import (
    FALSE,
    TRUE,
    And,
    Compare,
    In,
    IsNull,
    Literal,
    Matches,
    Not,
    Operator,
    Or,
    Path,
    Some,
    TextMatch,
    Wildcard,
)

ENUM = "Microsoft.Dynamics.DataEntities.NoYes"


def path(text):
    return Path(tuple(text.split("/")))


def lit(value, edm_type="Edm.String"):
    return Literal(value, edm_type, not edm_type.startswith("Edm."))


def compare(field, operator, value, edm_type="Edm.String"):
    return Compare(path(field), Operator(operator), lit(value, edm_type))


def matches(field, match, value):
    return Matches(path(field), TextMatch(match), lit(value))


def one_of(field, *values, edm_type="Edm.String"):
    return In(path(field), tuple(lit(v, edm_type) for v in values))


# --- random filters -------------------------------------------------------------------------------

CLEAN_TEXT = st.text(st.sampled_from("aBZ09'*%&+#?/\\ ;:()[],=$@!<>\"_.-~\n\tß日😀"), max_size=8)
VALUES = {
    "Edm.String": CLEAN_TEXT,
    "Edm.Boolean": st.booleans(),
    "Edm.Byte": st.integers(0, 255),
    "Edm.SByte": st.integers(-128, 127),
    "Edm.Int16": st.integers(-(2**15), 2**15 - 1),
    "Edm.Int32": st.integers(-(2**31), 2**31 - 1),
    "Edm.Int64": st.integers(-(2**63), 2**63 - 1),
    "Edm.Decimal": st.decimals(-(10**20), 10**20, places=6),
    "Edm.Double": st.floats(allow_nan=False, allow_infinity=False),
    "Edm.Single": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "Edm.Guid": st.uuids().map(str),
    "Edm.Date": st.dates(min_value=date(1000, 1, 1)).map(str),
    "Edm.TimeOfDay": st.times().map(str),
    "Edm.DateTimeOffset": st.datetimes(
        min_value=datetime.fromisoformat("1000-01-02"), timezones=st.just(UTC)
    ).map(datetime.isoformat),
    "Edm.Duration": st.from_regex(
        r"-?P([1-9]?[0-9]D(T[1-9]?[0-9]H)?|T[1-9]?[0-9]M([1-9]?[0-9](\.[0-9]{1,3})?S)?)",
        fullmatch=True,
    ),
    ENUM: st.sampled_from(["Yes", "No"]),
}
EQUALITY = ("eq", "ne")
ORDERING = ("gt", "ge", "lt", "le")


def literals(edm_type):
    return VALUES[edm_type].map(lambda v: lit(parse_value(edm_type, v), edm_type))


def field(edm_type):
    """Return a field's path; no name begins with any, all, true, false or null, which odata-query reads as words."""
    name = edm_type.rpartition(".")[2]
    return st.sampled_from([Path((name,)), Path(("Header", name)), Path((f"Größe_{name}",))])


def comparisons(edm_type, ordered):
    operators = EQUALITY + (ORDERING if ordered else ())
    return st.builds(
        Compare, field(edm_type), st.sampled_from(operators).map(Operator), literals(edm_type)
    )


def lists(edm_type):
    values = st.lists(literals(edm_type), max_size=4).map(tuple)
    return st.builds(In, field(edm_type), values)


def joined(leaves):
    """Return filters over the leaves: ``and``, ``or``, ``not`` in any nesting, empty and single ones too."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda ts: And(tuple(ts)))
            | st.lists(inner, max_size=3).map(lambda ts: Or(tuple(ts)))
            | inner.map(Not)
        ),
        max_leaves=8,
    )


UNORDERED = ("Edm.Boolean", "Edm.Guid", ENUM)
COMPARED = tuple(VALUES)
TEXT_MATCHES = st.builds(
    Matches, field("Edm.String"), st.sampled_from(TextMatch), literals("Edm.String")
)
FINOPS_TYPES = tuple(t for t in VALUES if t != "Edm.Duration")
FINOPS_FILTERS = joined(
    st.one_of(
        TEXT_MATCHES,
        *(comparisons(t, t not in UNORDERED) for t in FINOPS_TYPES),
        *(lists(t) for t in FINOPS_TYPES),
        *(
            field(t).map(lambda p, t=t: IsNull(p, t))
            for t in ("Edm.String", "Edm.DateTimeOffset", "Edm.Date")
        ),
    )
)
_OWN_LEAVES = st.one_of(
    TEXT_MATCHES,
    *(comparisons(t, t not in UNORDERED) for t in COMPARED),
    *(lists(t) for t in COMPARED),
    *(field(t).map(lambda p, t=t: IsNull(p, t)) for t in COMPARED),
)
ODATA_FILTERS = joined(
    _OWN_LEAVES
    | st.builds(
        Some, st.sampled_from([path("Lines"), path("A/B")]), st.none() | joined(_OWN_LEAVES)
    )
)


# --- the second reader ----------------------------------------------------------------------------

_QUOTED = re.compile(r"([^\W\d][\w.]*)?'((?:[^']|'')*)'")
_MARK = "\ue000"


def parsed(text):
    """Read filter text with odata-query. Qualified enum literals, which it does not know, go in as marked text."""
    known = _QUOTED.sub(
        lambda m: m[0] if m[1] in (None, "duration") else f"'{_MARK}{m[1]}{_MARK}{m[2]}'", text
    )
    return _read(ODataParser().parse(ODataLexer().tokenize(known)))


def _read(node, variables=()):
    match node:
        case ast.BoolOp(op, left, right):
            word = "and" if isinstance(op, ast.And) else "or"
            return _flat(word, [_read(left, variables), _read(right, variables)])
        case ast.UnaryOp(ast.Not(), operand):
            return ("not", _read(operand, variables))
        case ast.Compare(ast.In(), left, ast.List(values)):
            return ("in", _steps(left, variables), tuple(map(_value, values)))
        case ast.Compare(comparator, left, right):
            return (_WORDS[type(comparator)], _steps(left, variables), _value(right))
        case ast.Call(ast.Identifier(name), [left, right]):
            return (name, _steps(left, variables), _value(right))
        case ast.CollectionLambda(owner, ast.Any(), None):
            return ("any", _steps(owner, variables), None)
        case ast.CollectionLambda(owner, ast.Any(), ast.Lambda(ast.Identifier(name), inner)):
            return ("any", _steps(owner, variables), _read(inner, (*variables, name)))
        case ast.Boolean(val):
            return ("and" if val == "true" else "or", ())
    raise AssertionError(node)


_WORDS = {ast.Eq: "eq", ast.NotEq: "ne", ast.Gt: "gt", ast.GtE: "ge", ast.Lt: "lt", ast.LtE: "le"}


def _steps(node, variables):
    if isinstance(node, ast.Attribute):
        return (*_steps(node.owner, variables), node.attr)
    return () if variables and node.name == variables[-1] else (node.full_name(),)


def _value(node):
    match node:
        case ast.Null():
            return None
        case ast.Integer(val) | ast.Float(val):
            return Decimal(val)
        case ast.Boolean(val):
            return val == "true"
        case ast.String(val) if val.startswith(_MARK):
            return ("enum", *val[1:].split(_MARK))
        case ast.String(val):
            return ("text", val)
    return (type(node).__name__, node.val)


def _flat(word, terms):
    return (word, tuple(t for term in terms for t in (term[1] if term[0] == word else (term,))))


# --- our expressions in the same form -------------------------------------------------------------

_NODES = {
    "Edm.Guid": "GUID",
    "Edm.Date": "Date",
    "Edm.TimeOfDay": "Time",
    "Edm.DateTimeOffset": "DateTime",
    "Edm.Duration": "Duration",
}


def plain(literal):
    if literal.value is None or isinstance(literal.value, bool):
        return literal.value
    if literal.is_enum:
        return ("enum", literal.type, literal.value)
    if literal.type == "Edm.String":
        return ("text", literal.value)
    if literal.type in _NODES:
        return (_NODES[literal.type], literal.value)
    return (
        Decimal(repr(literal.value)) if isinstance(literal.value, float) else Decimal(literal.value)
    )


def shape(expr):
    match expr:
        case And((term,)) | Or((term,)):
            return shape(term)
        case And(terms):
            return _flat("and", map(shape, terms))
        case Or(terms):
            return _flat("or", map(shape, terms))
        case Not(term):
            return ("not", shape(term))
        case Compare(p, operator, value):
            return (operator.value, p.segments, plain(value))
        case Matches(p, match, value):
            return (match.value, p.segments, plain(value))
        case Wildcard(p, pattern, negated):
            test = ("eq", p.segments, ("text", pattern))
            return ("not", test) if negated else test
        case In(p, values):
            return ("in", p.segments, tuple(map(plain, values)))
        case Some(p, where):
            return ("any", p.segments, None if where is None else shape(where))
    raise AssertionError(expr)


assert shape(TRUE) == parsed("true")
assert shape(FALSE) == parsed("false")
