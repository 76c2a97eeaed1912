"""Text that holds a star, where F&O takes a star for a wildcard: sent wider, tested again here."""

import re
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnsupportedQuery
from gateway.odata.finops import FINOPS
from gateway.odata.local_filter import evaluate
from gateway.odata.query import (
    And,
    Compare,
    Expand,
    In,
    IsNull,
    Matches,
    Not,
    Operator,
    Or,
    Order,
    Path,
    Query,
    Resource,
    TextMatch,
)
from gateway.odata.render import filter_text, readable_url, render
from tests.support.expressions import compare, joined, lit, matches, one_of, parsed, path

STAR = compare("Name", "eq", "a*b")
ROWS = [
    # what is asked, what is sent (None: everything), what is tested here
    (STAR, "Name eq 'a*b'", STAR),
    (compare("Name", "eq", "a**b  "), "Name eq 'a*b'", compare("Name", "eq", "a**b  ")),
    (compare("Name", "ne", "a*b"), None, compare("Name", "ne", "a*b")),
    (Not(STAR), None, Not(STAR)),
    (Not(compare("Name", "ne", "*b")), "Name eq '*b'", Not(compare("Name", "ne", "*b"))),
    (compare("Name", "eq", "**"), None, compare("Name", "eq", "**")),
    (
        matches("Name", "startswith", "*b"),
        "Name eq '*b*'",
        matches("Name", "startswith", "*b"),
    ),
    (matches("Name", "contains", "*"), None, matches("Name", "contains", "*")),
    (Not(matches("Name", "contains", "a*")), None, Not(matches("Name", "contains", "a*"))),
    (
        one_of("Name", "x", "a*b"),
        "Name eq 'x' or Name eq 'a*b'",
        one_of("Name", "x", "a*b"),
    ),
    (Not(one_of("Name", "x", "a*b")), "Name ne 'x'", Not(one_of("Name", "x", "a*b"))),
    # what was answered exactly is not tested again
    (And((STAR, compare("City", "eq", "x"))), "Name eq 'a*b' and City eq 'x'", STAR),
    (
        And((compare("City", "eq", "x"), And((Not(STAR), compare("City", "gt", "a"))))),
        "City eq 'x' and City gt 'a'",
        Not(STAR),
    ),
    (
        Or((STAR, compare("City", "eq", "x"))),
        "Name eq 'a*b' or City eq 'x'",
        Or((STAR, compare("City", "eq", "x"))),
    ),
    (
        Or((Not(STAR), compare("City", "eq", "x"))),
        None,
        Or((Not(STAR), compare("City", "eq", "x"))),
    ),
    # no equality, no wildcard
    (compare("Name", "lt", "a*b"), "Name lt 'a*b'", None),
    (matches("Name", "contains", "a"), "Name eq '*a*'", None),
    (compare("Id", "eq", "Yes", "Ns.NoYes"), "Id eq Ns.NoYes'Yes'", None),
]


@pytest.mark.parametrize(("expr", "text", "residual"), ROWS)
def test_a_star_widens_the_filter_and_leaves_a_residual(expr, text, residual):
    lowered = FINOPS.lower(Query(resource=Resource("Set"), where=expr))

    assert lowered.residual == residual
    assert (lowered.query.where and filter_text(lowered.query.where)) == text


def sent(**query):
    return readable_url(render(FINOPS.lower(Query(**query)).query))


def test_top_and_count_are_left_to_the_residual():
    order = (Order(path("Name")),)

    assert (
        sent(resource=Resource("Set"), where=STAR, order=order, top=5, skip=2, count=True)
        == "Set?$filter=Name eq 'a*b'&$orderby=Name"
    )
    assert (
        sent(resource=Resource("Set", count=True), where=STAR)
        == "Set?$select=Name&$filter=Name eq 'a*b'"
    )


def test_the_columns_that_the_residual_reads_are_selected():
    where = Or((STAR, compare("Group/Code", "eq", "x*"), compare("City", "eq", "x")))

    assert sent(resource=Resource("Set"), where=where).startswith(
        "Set?$expand=Group($select=Code)&"
    )
    assert sent(
        resource=Resource("Set"),
        where=where,
        select=("Id", "City"),
        expand=(Expand(navigation="Lines"), Expand(navigation="Group", select=("Id",))),
    ).startswith("Set?$select=Id,City,Name&$expand=Lines,Group($select=Id,Code)&$filter=")
    assert sent(
        resource=Resource("Set"), where=where, expand=(Expand(navigation="Group"),)
    ).startswith("Set?$expand=Group&$filter=")


def test_a_star_too_far_away_to_be_read_is_refused():
    far_seeing = replace(FINOPS, filter_depth=2)
    with pytest.raises(UnsupportedQuery, match="filter A/B/Name by text that contains a star"):
        far_seeing.lower(Query(resource=Resource("Set"), where=compare("A/B/Name", "eq", "a*")))


# --- the property: wider, and exact after the residual ---------------------------------------------

TEXT = st.text("aAb*", max_size=4)
PATHS = st.sampled_from([Path(("Name",)), Path(("City",))])
TEXTS = TEXT.map(lit) | TEXT.map(lambda t: lit(t + " "))
LEAVES = st.one_of(
    st.builds(Compare, PATHS, st.sampled_from(Operator), TEXTS),
    st.builds(Matches, PATHS, st.sampled_from(TextMatch), TEXT.map(lit)),
    st.builds(In, PATHS, st.lists(TEXTS, max_size=3).map(tuple)),
    PATHS.map(lambda p: IsNull(p, "Edm.String")),
)
ROW = st.fixed_dictionaries({"Name": TEXT, "City": TEXT})

COMPARE = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}


def fold(text):
    return text.rstrip(" ").lower()


def upstream(asked, row):
    """Answer the text that was sent as F&O does: a star in ``eq`` is a wildcard; in ``ne`` nobody knows."""
    match asked:
        case ("and", terms):
            return all(upstream(t, row) for t in terms)
        case ("or", terms):
            return any(upstream(t, row) for t in terms)
        case ("not", term):
            return not upstream(term, row)
        case ("eq", (name,), ("text", text)) if "*" in text:
            pattern = ".*".join(map(re.escape, text.lower().split("*")))
            return re.fullmatch(pattern + " *", row[name].lower()) is not None
        case (operator, (name,), ("text", text)):
            assert operator != "ne" or "*" not in text
            return COMPARE[operator](fold(row[name]), fold(text))
    raise AssertionError(asked)


def exact(expr, row):
    """Answer the question itself."""
    match expr:
        case And(terms):
            return all(exact(t, row) for t in terms)
        case Or(terms):
            return any(exact(t, row) for t in terms)
        case Not(term):
            return not exact(term, row)
        case IsNull(Path((name,))):
            return row[name] == ""
        case Compare(Path((name,)), operator, literal):
            return COMPARE[operator.value](fold(row[name]), fold(literal.value))
        case In(Path((name,)), values):
            return fold(row[name]) in [fold(v.value) for v in values]
        case Matches(Path((name,)), match, literal):
            value, text = row[name].lower(), str(literal.value).lower()
            return {
                TextMatch.CONTAINS: text in value,
                TextMatch.STARTS_WITH: value.startswith(text),
                TextMatch.ENDS_WITH: value.endswith(text),
            }[match]
    raise AssertionError(expr)


def at(row, path):
    return row[path.segments[0]]


@given(joined(LEAVES), st.lists(ROW, min_size=1, max_size=12))
def test_the_wider_filter_and_the_residual_together_are_exact(expr, rows):
    lowered = FINOPS.lower(Query(resource=Resource("Set"), where=expr))
    where, residual = lowered.query.where, lowered.residual

    wanted = [row for row in rows if exact(expr, row)]
    came = [row for row in rows if where is None or upstream(parsed(filter_text(where)), row)]
    kept = [
        row
        for row in came
        if residual is None
        or evaluate(
            residual,
            partial(at, row),
            case_insensitive=True,
            absent=FINOPS.absent,
        )
    ]

    assert all(row in came for row in wanted)
    assert kept == wanted
    assert not (lowered.empty and came)
