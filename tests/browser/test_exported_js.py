"""Which export belongs to an operation: the list at the cursor, with its filter and its fields."""

from gateway.graphiql import PLAIN
from tests.support.node import call_each, missing
from tests.support.requirements import need

PAGE = PLAIN.parent / "page"
TWO = "{ a: as(first: 1) { nodes { x } } b: bs { edges { node { y } } } c { z } }"
DEEP = """query Q($n: String, $where: W, $not: Boolean!) {
  as(where: $where) {
    nodes { __typename x y: x lines { nodes { z } } one { z two { z } } f(a: 1) { z } ...F }
    totalCount
  }
  bs(where: { name: { eq: $n }, kind: { in: [A, B] }, gone: $gone }, companies: ["usmf", "demf"]) {
    ...G @skip(if: $not)
  }
}
fragment F on A { x u v @include(if: $not) }
fragment G on B { pageInfo { endCursor } edges { node { ... on B { w } } } }"""
VARIABLES = {"n": "Ann", "where": {"x": {"gt": "1"}}, "not": False}
CASES = [
    (TWO, {}, 3, {"list": "as", "fields": "x", "left": []}),
    (TWO, {}, TWO.index("y"), {"list": "bs", "fields": "y", "left": []}),
    (TWO, {}, TWO.index("z"), {"list": "as", "fields": "x", "left": []}),
    (
        DEEP,
        VARIABLES,
        -1,
        {
            "list": "as",
            "where": '{"x":{"gt":"1"}}',
            "fields": "x,y:x,one{z},u",
            "left": ["lines", "two", "f"],
        },
    ),
    (
        DEEP,
        VARIABLES,
        DEEP.index("bs("),
        {
            "list": "bs",
            "where": '{"name":{"eq":"Ann"},"kind":{"in":["A","B"]}}',
            "fields": "w",
            "companies": "usmf,demf",
            "left": [],
        },
    ),
    ("{ as(where: $w) { totalCount } }", None, 0, {"list": "as", "left": []}),
    ("{ a(k: 1) { x } }", {}, 3, None),
    ("mutation { a { nodes { x } } }", {}, 3, None),
    ("{ as { nodes { x }", {}, 3, None),
]


def test_the_list_at_the_cursor_is_exported_as_it_is_selected():
    trouble = missing(PAGE)
    need(not trouble, trouble)
    calls = [
        [{"query": query, "variables": variables}, cursor] for query, variables, cursor, _ in CASES
    ]

    results = call_each(PAGE / "src" / "exported.js", "exported", calls)

    assert results == [wanted for *_, wanted in CASES]
