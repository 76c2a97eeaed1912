import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.odata.local_filter import evaluate
from gateway.odata.query import FALSE, TRUE, And, In, Not, Or, Path, Some
from gateway.odata.simplify import conjunction, leaves, paths, simplify
from tests.support.expressions import compare, joined, lit, matches, one_of, path

A, B = compare("A", "eq", "x"), matches("B", "contains", "y")
LINES = Path(("Lines",))


@pytest.mark.parametrize(
    ("expr", "simple"),
    [
        (A, A),
        (And((A, TRUE)), A),
        (And((A, FALSE)), FALSE),
        (Or((A, FALSE)), A),
        (Or((A, TRUE)), TRUE),
        (And((And((A, B)), A)), And((A, B))),
        (Or((And((A, B)), Or((A, B)))), Or((And((A, B)), A, B))),
        (Not(Not(A)), A),
        (Not(And(())), FALSE),
        (Not(Or((FALSE,))), TRUE),
        (Not(A), Not(A)),
        (In(path("A"), ()), FALSE),
        (one_of("A", "x"), one_of("A", "x")),
        (Some(LINES, None), Some(LINES, None)),
        (Some(LINES, B), Some(LINES, B)),
        (Some(LINES, And((A, TRUE))), Some(LINES, A)),
        (Some(LINES, TRUE), Some(LINES, None)),
        (Some(LINES, In(path("A"), ())), FALSE),
    ],
)
def test_constants_fold(expr, simple):
    assert simplify(expr) == simple


def test_a_conjunction_skips_none():
    assert conjunction([None, A, None, And((B,))]) == And((A, B))
    assert conjunction([None]) == TRUE


def test_leaves_and_paths_are_ordered_left_to_right():
    some = Some(LINES, compare("Inner", "eq", "x"))
    expr = Or((Not(And((A, B))), some, A))

    assert list(leaves(expr)) == [A, B, some, A]
    assert paths(expr) == (path("A"), path("B"), LINES)


NULLABLE = st.fixed_dictionaries({"A": st.sampled_from("xyz") | st.none(), "B": st.none()})


@given(
    joined(
        st.sampled_from([A, B, TRUE, FALSE, one_of("A"), one_of("A", "x", "y")])
        | st.sampled_from("xyz").map(lambda t: compare("A", "lt", lit(t).value))
    ),
    NULLABLE,
)
def test_simplified_filters_are_equivalent(expr, row):
    def answer(e):
        return evaluate(e, lambda p: row[p.segments[0]], case_insensitive=False)

    assert answer(simplify(expr)) is answer(expr)
    assert simplify(simplify(expr)) == simplify(expr)
