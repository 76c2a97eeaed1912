import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.odata.finops import FINOPS
from gateway.odata.local import evaluate
from gateway.odata.query import FALSE, Path, Query, Resource
from gateway.odata.render import filter_text, key_filter, render, split_by_length, url_length
from tests.odata.expressions import ENUM

COLUMNS = (
    ("OrderNumber", "Edm.String", False),
    ("dataAreaId", "Edm.String", False),
    ("LineNumber", "Edm.Int32", False),
)


def query(columns, keys):
    where = key_filter(columns, keys)
    return FINOPS.lower(Query(resource=Resource("Set"), where=where)).query


TEXTS = [
    (COLUMNS[:1], [("a",)], "OrderNumber eq 'a'"),
    (COLUMNS[:1], [("a",), ("b",), ("a",)], "OrderNumber eq 'a' or OrderNumber eq 'b'"),
    (
        COLUMNS[:2],
        [("a", "usmf"), ("b", "usmf")],
        "dataAreaId eq 'usmf' and (OrderNumber eq 'a' or OrderNumber eq 'b')",
    ),
    (
        COLUMNS[:2],
        [("a", "usmf"), ("b", "usmf"), ("c", "dat")],
        (
            "dataAreaId eq 'usmf' and (OrderNumber eq 'a' or OrderNumber eq 'b')"
            " or dataAreaId eq 'dat' and OrderNumber eq 'c'"
        ),
    ),
    (
        COLUMNS[:2],
        [("a", "usmf"), ("a", "dat"), ("b", "usmf"), ("b", "dat")],
        "(OrderNumber eq 'a' or OrderNumber eq 'b') and (dataAreaId eq 'usmf' or dataAreaId eq 'dat')",
    ),
    (
        COLUMNS,
        [("a", "usmf", 1), ("a", "usmf", 2), ("b", "usmf", 3)],
        (
            "dataAreaId eq 'usmf' and (OrderNumber eq 'a' and (LineNumber eq 1 or LineNumber eq 2)"
            " or OrderNumber eq 'b' and LineNumber eq 3)"
        ),
    ),
    (
        (("Customer/Group", "Edm.String", False), ("Blocked", ENUM, True)),
        [("10", "Yes")],
        f"Customer/Group eq '10' and Blocked eq {ENUM}'Yes'",
    ),
]


@pytest.mark.parametrize(("columns", "keys", "text"), TEXTS)
def test_shared_values_are_written_once(columns, keys, text):
    assert filter_text(query(columns, keys).where) == text


@pytest.mark.parametrize("columns", [COLUMNS[:1], COLUMNS])
def test_no_keys_match_no_row(columns):
    assert FINOPS.lower(Query(resource=Resource("Set"), where=key_filter(columns, []))).empty
    assert query(columns, []).where == FALSE


KEY = st.tuples(st.sampled_from("abc"), st.sampled_from(["usmf", "dat"]), st.integers(1, 3))


@given(st.lists(KEY, max_size=12), KEY)
def test_a_key_filter_is_membership(keys, row):
    values = dict(zip((Path((name,)) for name, _, _ in COLUMNS), row, strict=True))

    found = evaluate(key_filter(COLUMNS, keys), values.__getitem__, case_insensitive=False)

    assert found is (row in keys)


@given(st.lists(KEY, max_size=12))
def test_a_key_filter_depends_on_the_keys_alone(keys):
    assert key_filter(COLUMNS, keys) == key_filter(COLUMNS, [*keys, *keys])


@given(
    st.lists(st.text("aé&'", max_size=30), max_size=60),
    st.integers(40, 400),
)
def test_runs_keep_the_limit_the_order_and_every_item(items, limit):
    def build(part):
        return query(COLUMNS[:1], [(item,) for item in part])

    runs = split_by_length(build, items, limit=limit, options=FINOPS.options)

    assert [item for run in runs for item in run] == items
    assert all(
        len(run) == 1 or url_length(render(build(run), options=FINOPS.options)) <= limit
        for run in runs
    )


def test_runs_are_full_and_found_with_few_renderings():
    items = [f"US-{i:06}" for i in range(5_000)]
    built = []

    def build(part):
        built.append(len(part))
        return query(COLUMNS[:1], [(item,) for item in part])

    runs = split_by_length(build, items, limit=2_000)

    lengths = [url_length(render(build(run))) for run in runs]
    assert min(lengths[:-1]) > 2_000 * 15 / 16
    assert len(built) - len(runs) <= 2 * len(runs) + 5


def test_an_item_too_long_by_itself_goes_alone():
    items = ["a", "b" * 500, "c", "d"]

    runs = split_by_length(lambda part: query(COLUMNS[:1], [(i,) for i in part]), items, limit=100)

    assert runs == [["a"], ["b" * 500], ["c", "d"]]
