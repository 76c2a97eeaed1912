from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import ODATA
from gateway.odata.finops import FINOPS
from gateway.odata.key_filters import key_filter, key_requests, split_by_length
from gateway.odata.local_filter import evaluate
from gateway.odata.query import (
    FALSE,
    And,
    Compare,
    Literal,
    Operator,
    Or,
    Order,
    Path,
    Query,
    Resource,
)
from gateway.odata.render import filter_text, render, url_length
from tests.support.expressions import ENUM

COLUMNS = (
    ("OrderNumber", "Edm.String", False),
    ("dataAreaId", "Edm.String", False),
    ("LineNumber", "Edm.Int32", False),
)


def query(columns, keys):
    where = key_filter(columns, keys)
    return FINOPS.lower(Query(resource=Resource("Set"), where=where)).query


TEXTS: list[tuple[Any, list[Any], str | None]] = [
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
def test_runs_keep_limit_order_and_every_item(items, limit):
    def build(part):
        return query(COLUMNS[:1], [(item,) for item in part])

    runs = split_by_length(build, items, limit=limit, options=FINOPS.options)

    assert [item for run in runs for item in run] == items
    assert all(
        len(run) == 1 or url_length(render(build(run), options=FINOPS.options)) <= limit
        for run in runs
    )


def test_runs_are_full_after_few_renderings():
    items = [f"US-{i:06}" for i in range(5_000)]
    built = []

    def build(part):
        built.append(len(part))
        return query(COLUMNS[:1], [(item,) for item in part])

    runs = split_by_length(build, items, limit=2_000)

    lengths = [url_length(render(build(run))) for run in runs]
    assert min(lengths[:-1]) > 2_000 * 15 / 16
    assert len(built) - len(runs) <= 2 * len(runs) + 5


def test_too_long_an_item_has_a_run_of_its_own():
    items = ["a", "b" * 500, "c", "d"]

    runs = split_by_length(lambda part: query(COLUMNS[:1], [(i,) for i in part]), items, limit=100)

    assert runs == [["a"], ["b" * 500], ["c", "d"]]


# Keys that stand in a URL as they are


def asked(columns, keys, *, limit=100_000, where=None, order=()):
    plain = Query(resource=Resource("Set"), select=("A", "B"), where=where, order=order)
    return key_requests(FINOPS, plain, columns, keys, limit=limit)


@pytest.mark.parametrize(
    ("columns", "keys", "text"), [(c, list(dict.fromkeys(k)), t) for c, k, t in TEXTS]
)
def test_keys_are_printed_as_their_filter_would_be(columns, keys, text):
    ((request, named),) = asked(columns, keys)

    assert unquote(request.url) == f"Set?$select=A,B&$filter={text}&cross-company=true"
    assert sorted(named) == sorted(keys)


ODD = st.sampled_from(["a", "O'Neil", "a b", "é&=", "50%", "x#y+z", "", "a/b"])
ONE_OR_TWO = st.one_of(
    st.tuples(st.just(COLUMNS[:1]), st.lists(st.tuples(ODD), min_size=1, max_size=8, unique=True)),
    st.tuples(
        st.just((COLUMNS[1], COLUMNS[2])),
        st.lists(st.tuples(ODD, st.integers(0, 4)), min_size=1, max_size=12, unique=True),
    ),
)
BLOCKED = Compare(Path(("Blocked",)), Operator.EQ, Literal("Yes", ENUM, is_enum=True))
EITHER = Or((BLOCKED, Compare(Path(("Name",)), Operator.GT, Literal("m", "Edm.String"))))


@given(ONE_OR_TWO, st.sampled_from([None, BLOCKED, EITHER]))
def test_printed_keys_equal_the_lowered_and_rendered_filter(of, where):
    columns, keys = of
    order = (Order(Path(("A",)), descending=True),)
    ((request, _),) = asked(columns, keys, where=where, order=order)

    terms = key_filter(columns, keys)
    whole = Query(
        resource=Resource("Set"),
        select=("A", "B"),
        where=terms if where is None else And((where, terms)),
        order=order,
    )
    assert request == render(FINOPS.lower(whole).query, options=FINOPS.options)


def passes(text, row):
    """Read a filter of ``eq``, ``and`` and ``or`` as Python does, which gives them the same precedence."""
    return eval(text.replace(" eq ", " == "), dict(row))


@given(
    st.lists(KEY, min_size=1, max_size=12, unique=True),
    st.integers(100, 400),
)
def test_each_request_names_its_own_keys_and_all_are_named(keys, limit):
    answer = asked(COLUMNS, keys, limit=limit)

    assert sorted(key for _, own in answer for key in own) == sorted(keys)
    for request, own in answer:
        text = unquote(request.url.partition("$filter=")[2].partition("&")[0])
        rows = [{n: v for (n, _, _), v in zip(COLUMNS, key, strict=True)} for key in keys]
        named = [key for key, row in zip(keys, rows, strict=True) if passes(text, row)]
        assert sorted(own) == sorted(named)
        assert len(request.url) <= limit or len(own) == 1


@pytest.mark.parametrize("companies", [1, 3])
def test_requests_are_full(companies):
    keys = [(f"US-{i:06}", f"c{i % companies}") for i in range(3_000)]
    answer = asked(COLUMNS[:2], keys, limit=2_000)

    lengths = [len(request.url) for request, _ in answer]
    assert max(lengths) <= 2_000
    assert min(lengths[:-1]) > 1_900


def test_too_long_a_key_has_a_request_of_its_own():
    keys = [("a",), ("b" * 500,), ("c",), ("d",)]

    assert [list(own) for _, own in asked(COLUMNS[:1], keys, limit=200)] == [
        [("a",)],
        [("b" * 500,)],
        [("c",), ("d",)],
    ]


def test_companies_with_equal_values_are_joined():
    keys = [(f"T{i}", company) for company in ("usmf", "dat", "demf") for i in range(4)]
    ((request, named),) = asked((COLUMNS[0], COLUMNS[1]), keys)

    assert request.url.count("OrderNumber%20eq") == 4
    assert request.url.count("dataAreaId%20eq") == 3
    assert sorted(named) == sorted(keys)


@pytest.mark.parametrize(
    ("dialect", "keys", "plain"),
    [
        (FINOPS, [("a",), ("b'c",)], True),
        (FINOPS, [("a",), ("b*",)], False),
        (FINOPS, [("a",), (None,)], False),
        (ODATA, [("a",), ("b*",)], True),
        (replace(ODATA, has_in=True), [("a",), ("b",)], False),
    ],
)
def test_keys_are_plain_if_eq_finds_them_exactly(dialect, keys, plain):
    query = Query(resource=Resource("Set"))
    found = key_requests(dialect, query, COLUMNS[:1], keys, limit=2_000)

    assert (found is not None) is plain


def test_columns_that_the_product_cannot_compare_are_refused():
    with pytest.raises(UnsupportedQuery, match=r"compare values of Edm\.Binary"):
        asked((("Blob", "Edm.Binary", False),), [("YQ==",), ("Yg==",)])
