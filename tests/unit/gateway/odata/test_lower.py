"""What each dialect sends for the same question: one table, a column per dialect."""

from dataclasses import replace

import pytest

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import ODATA
from gateway.odata.finops import FINOPS
from gateway.odata.lower import Lowered, lower_where
from gateway.odata.query import (
    FALSE,
    TRUE,
    And,
    Call,
    Expand,
    Has,
    IsNull,
    KeyPart,
    Not,
    Or,
    Order,
    Query,
    Resource,
    Some,
    Wildcard,
)
from gateway.odata.render import filter_text, readable_url, render
from tests.support.expressions import ENUM, compare, lit, matches, one_of, path

NO = UnsupportedQuery
EMPTY = "nothing is sent"
ALL = "no filter"
DATE = "Edm.DateTimeOffset"
INT = "Edm.Int32"
GUID = "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10"


def null(field, edm_type="Edm.String"):
    return IsNull(path(field), edm_type)


NAME = compare("Name", "eq", "x")
SOME = Some(path("Lines"), compare("Qty", "gt", 1, INT))

FILTERS = [
    # F&O answers the six comparisons (d365-odata 2.2)
    (NAME, "Name eq 'x'", "Name eq 'x'"),
    (compare("Qty", "ne", 1, INT), "Qty ne 1", "Qty ne 1"),
    (compare("Qty", "gt", 1, INT), "Qty gt 1", "Qty gt 1"),
    (compare("Qty", "ge", 1, INT), "Qty ge 1", "Qty ge 1"),
    (compare("Name", "lt", "m*"), "Name lt 'm*'", "Name lt 'm*'"),
    (compare("Qty", "le", 1, INT), "Qty le 1", "Qty le 1"),
    (compare("Id", "eq", GUID, "Edm.Guid"), f"Id eq {GUID}", f"Id eq {GUID}"),
    (compare("On", "eq", True, "Edm.Boolean"), "On eq true", "On eq true"),
    # F&O has no `in`
    (one_of("Name", "a", "b"), "Name eq 'a' or Name eq 'b'", "Name eq 'a' or Name eq 'b'"),
    (one_of("Name", "a", "a"), "Name eq 'a'", "Name eq 'a'"),
    (one_of("Name"), EMPTY, EMPTY),
    (Not(one_of("Name")), ALL, ALL),
    (
        Not(one_of("Name", "a", "b")),
        "Name ne 'a' and Name ne 'b'",
        "Name ne 'a' and Name ne 'b'",
    ),
    (one_of("Name", "a", None), "Name eq 'a' or Name eq null", "Name eq 'a' or Name eq ''"),
    # F&O has no contains(), startswith(), endswith(): wildcards
    (matches("Name", "contains", "x"), "contains(Name,'x')", "Name eq '*x*'"),
    (matches("Name", "startswith", "O'N"), "startswith(Name,'O''N')", "Name eq 'O''N*'"),
    (matches("Name", "endswith", "x"), "endswith(Name,'x')", "Name eq '*x'"),
    (matches("Name", "contains", ""), "contains(Name,'')", ALL),
    (Not(matches("Name", "contains", "")), "not contains(Name,'')", EMPTY),
    # `ne '*x*'` is unknown there, `not` is documented
    (Not(matches("Name", "contains", "x")), "not contains(Name,'x')", "not (Name eq '*x*')"),
    # enums: qualified, eq and ne only
    (compare("Blocked", "eq", "Yes", ENUM), f"Blocked eq {ENUM}'Yes'", f"Blocked eq {ENUM}'Yes'"),
    (
        Not(one_of("Blocked", "Yes", "No", edm_type=ENUM)),
        f"Blocked ne {ENUM}'Yes' and Blocked ne {ENUM}'No'",
        f"Blocked ne {ENUM}'Yes' and Blocked ne {ENUM}'No'",
    ),
    (compare("Blocked", "gt", "No", ENUM), NO, NO),
    (compare("Blocked", "le", "No", ENUM), NO, NO),
    (compare("On", "gt", False, "Edm.Boolean"), NO, NO),
    (compare("Id", "lt", GUID, "Edm.Guid"), NO, NO),
    (compare("Photo", "eq", "AAAA", "Edm.Binary"), NO, NO),
    (compare("Took", "gt", "PT1H", "Edm.Duration"), "Took gt duration'PT1H'", NO),
    # there are no nulls in F&O: '' and 1900-01-01 say "not filled in", a number cannot
    (null("Name"), "Name eq null", "Name eq ''"),
    (Not(null("Name")), "Name ne null", "Name ne ''"),
    (null("Due", DATE), "Due eq null", "Due lt 1900-01-02T00:00:00Z"),
    (Not(null("Due", DATE)), "Due ne null", "Due ge 1900-01-02T00:00:00Z"),
    (null("Day", "Edm.Date"), "Day eq null", "Day lt 1900-01-02"),
    (null("Qty", INT), "Qty eq null", NO),
    (null("Blocked", ENUM), "Blocked eq null", NO),
    (null("On", "Edm.Boolean"), "On eq null", NO),
    # comparisons with null are tests for null
    (compare("Name", "eq", None), "Name eq null", "Name eq ''"),
    (compare("Name", "ne", None), "Name ne null", "Name ne ''"),
    (Not(compare("Name", "ne", None)), "Name eq null", "Name eq ''"),
    (compare("Name", "ge", None), "Name eq null", "Name eq ''"),
    (Not(compare("Name", "le", None)), "Name ne null", "Name ne ''"),
    (compare("Name", "gt", None), EMPTY, EMPTY),
    (Not(compare("Name", "lt", None)), ALL, ALL),
    # `not` moves to the tests; over an order null passes, whichever logic the service has
    (Not(NAME), "Name ne 'x'", "Name ne 'x'"),
    (Not(Not(NAME)), "Name eq 'x'", "Name eq 'x'"),
    (Not(compare("Qty", "gt", 1, INT)), "Qty le 1 or Qty eq null", "Qty le 1"),
    (Not(compare("Qty", "ge", 1, INT)), "Qty lt 1 or Qty eq null", "Qty lt 1"),
    (Not(compare("Qty", "lt", 1, INT)), "Qty ge 1 or Qty eq null", "Qty ge 1"),
    (Not(compare("Qty", "le", 1, INT)), "Qty gt 1 or Qty eq null", "Qty gt 1"),
    (
        Not(And((NAME, Or((compare("Qty", "eq", 1, INT), null("Name")))))),
        "Name ne 'x' or Qty ne 1 and Name ne null",
        "Name ne 'x' or Qty ne 1 and Name ne ''",
    ),
    (Wildcard(path("Name"), "x*"), "Name eq 'x*'", "Name eq 'x*'"),
    (Not(Wildcard(path("Name"), "x*")), "not (Name eq 'x*')", "not (Name eq 'x*')"),
    # F&O has no `has`, no `any`; a to-one path is Microsoft's own sample
    (Has(path("C"), lit("Red", "S.Colors")), "C has S.Colors'Red'", NO),
    (Not(Has(path("C"), lit("Red", "S.Colors"))), "not (C has S.Colors'Red')", NO),
    (SOME, "Lines/any(x0:x0/Qty gt 1)", NO),
    (Not(SOME), "not Lines/any(x0:x0/Qty gt 1)", NO),
    (Some(path("Lines"), None), "Lines/any()", NO),
    (Some(path("Lines"), Not(one_of("Name"))), "Lines/any()", NO),
    (Some(path("Lines"), one_of("Name")), EMPTY, NO),
    (
        compare("SalesOrderHeader/SalesOrderStatus", "eq", "Invoiced", "Ns.SalesStatus"),
        "SalesOrderHeader/SalesOrderStatus eq Ns.SalesStatus'Invoiced'",
        "SalesOrderHeader/SalesOrderStatus eq Ns.SalesStatus'Invoiced'",
    ),
    # constants fold
    (And(()), ALL, ALL),
    (Or(()), EMPTY, EMPTY),
    (Or((NAME, TRUE)), ALL, ALL),
    (And((NAME, FALSE)), EMPTY, EMPTY),
    (And((NAME, NAME, Or((NAME,)))), "Name eq 'x'", "Name eq 'x'"),
    # text that contains a star is exact elsewhere; see test_residual for F&O
    (compare("Name", "eq", "a*b"), "Name eq 'a*b'", "Name eq 'a*b'"),
    (matches("Name", "contains", "a*b"), "contains(Name,'a*b')", "Name eq '*a*b*'"),
]


def lowered(dialect, expr):
    return dialect.lower(Query(resource=Resource("Set"), where=expr))


def said(result: Lowered):
    if result.empty:
        return EMPTY
    return ALL if result.query.where is None else filter_text(result.query.where)


@pytest.mark.parametrize("dialect", [ODATA, FINOPS], ids=["odata", "finops"])
@pytest.mark.parametrize(("expr", "odata", "finops"), FILTERS)
def test_a_filter_becomes_what_the_product_answers(expr, odata, finops, dialect):
    expected = finops if dialect is FINOPS else odata
    if expected is NO:
        with pytest.raises(UnsupportedQuery, match=f"{dialect.title} cannot .*[.]"):
            lowered(dialect, expr)
    else:
        assert said(lowered(dialect, expr)) == expected


def test_a_refusal_says_what_is_answered_instead():
    with pytest.raises(UnsupportedQuery) as caught:
        lowered(FINOPS, compare("Blocked", "ge", "No", ENUM))

    assert caught.value.message == f"Finance & Operations cannot compare values of {ENUM} with gte."
    assert caught.value.hint == "It answers eq, ne."


def test_a_product_with_in_is_sent_in():
    dialect = replace(ODATA, has_in=True)

    assert said(lowered(dialect, one_of("Name", "a", "b"))) == "Name in ('a','b')"
    assert (
        said(lowered(dialect, Not(one_of("Name", "a", "b"))))
        == "not (Name in ('a','b')) or Name eq null"
    )
    assert said(lowered(dialect, Not(one_of("Name", "a", None)))) == "not (Name in ('a',null))"
    assert said(lowered(dialect, one_of("Name", "a"))) == "Name eq 'a'"


def test_a_product_without_any_text_search_refuses_it():
    with pytest.raises(UnsupportedQuery, match="search for a part of a text"):
        lowered(replace(ODATA, has_text_functions=False), matches("Name", "contains", "x"))


def test_a_product_may_refuse_filters_over_navigations():
    with pytest.raises(UnsupportedQuery, match="fields of a related row"):
        lowered(replace(ODATA, filter_to_one=False), compare("Group/Name", "eq", "x"))


def test_finops_filters_through_one_relation_only():
    assert said(lowered(FINOPS, compare("Group/Name", "eq", "x"))) == "Group/Name eq 'x'"
    assert said(lowered(ODATA, compare("Group/Owner/Name", "eq", "x")))
    with pytest.raises(
        UnsupportedQuery, match="through 2 relations in a row \\(Group/Owner/Name\\)"
    ):
        lowered(FINOPS, compare("Group/Owner/Name", "eq", "x"))


def test_lowering_twice_changes_nothing():
    for expr, _, finops in FILTERS:
        if finops is not NO:
            once = lower_where(FINOPS, expr)
            assert lower_where(FINOPS, once) == once


# --- keys -----------------------------------------------------------------------------------------


def keyed(*values, **query):
    key = tuple(KeyPart(n, lit(v)) for n, v in zip(("dataAreaId", "Id"), values, strict=True))
    return Query(resource=Resource("Set", key), **query)


def sent(result):
    return readable_url(render(result.query))


def test_a_safe_key_stays_in_the_path():
    query = keyed("usmf", "O'Neil: ü-1.5 (x)", select=("Id",))

    assert FINOPS.lower(query) == Lowered(query)


@pytest.mark.parametrize(
    "value", ["a/b", "a\\b", "50%", "a&b", "a#b", "a+b", "a?b", "a.", "", "<a>"]
)
def test_an_unsafe_key_becomes_a_filter(value):
    result = FINOPS.lower(keyed("usmf", value, select=("Name",)))

    assert (
        sent(result) == f"Set?$select=Name&$filter=dataAreaId eq 'usmf' and Id eq '{value}'&$top=1"
    )
    assert result.keyed_by_filter
    assert result.residual is None


def test_a_key_with_a_star_has_no_top_before_its_residual():
    result = FINOPS.lower(keyed("usmf", "a*b", select=("Name",)))

    assert sent(result) == "Set?$select=Name,Id&$filter=dataAreaId eq 'usmf' and Id eq 'a*b'"
    assert result.residual == compare("Id", "eq", "a*b")
    assert result.keyed_by_filter


def test_a_filter_beside_an_unsafe_key_is_kept():
    result = ODATA.lower(keyed("usmf", "a/b", where=NAME))

    assert sent(result) == (
        "Set?$filter=dataAreaId eq 'usmf' and Id eq 'a/b' and Name eq 'x'&$top=1"
    )


def test_paths_behind_an_unsafe_key_keep_it():
    key = (KeyPart("Id", lit("a/b")),)
    for resource in (
        Resource("Set", key, navigation="Lines"),
        Resource("Set", key, call=Call("Ns.F")),
    ):
        assert FINOPS.lower(Query(resource=resource)).query.resource == resource


def test_only_text_makes_a_key_unsafe():
    key = (
        KeyPart("Day", lit("2019-10-04T12:00:00Z", DATE)),
        KeyPart("Line", lit(1, INT)),
        KeyPart("None", lit(None)),
    )

    assert FINOPS.key_is_safe(key)


# --- expansions -----------------------------------------------------------------------------------


def expanded(dialect, *expands):
    return sent(dialect.lower(Query(resource=Resource("Set"), expand=expands)))


def test_one_level_with_a_selection_is_expanded_everywhere():
    expand = Expand(navigation="Lines", select=("Id",))

    assert expanded(FINOPS, expand) == expanded(ODATA, expand) == "Set?$expand=Lines($select=Id)"


def test_finops_expands_one_level():
    nested = Expand(navigation="Lines", expand=(Expand(navigation="Item"),))

    assert expanded(ODATA, nested) == "Set?$expand=Lines($expand=Item)"
    with pytest.raises(UnsupportedQuery, match="expand beyond level 1"):
        expanded(FINOPS, nested)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"where": Not(NAME)}, "$filter=Name ne 'x'"),
        ({"where": one_of("Name")}, "$filter=false"),
        ({"order": (Order(path("Name")),)}, "$orderby=Name"),
        ({"top": 0}, "$top=0"),
        ({"skip": 1}, "$skip=1"),
        ({"count": True}, "$count=true"),
    ],
)
def test_finops_takes_no_options_inside_an_expansion(options, text):
    expand = Expand(navigation="Lines", **options)

    assert expanded(ODATA, expand) == f"Set?$expand=Lines({text})"
    with pytest.raises(UnsupportedQuery, match="expanded rows"):
        expanded(FINOPS, expand)


def test_a_constant_filter_is_left_out_of_an_expansion():
    assert expanded(ODATA, Expand(navigation="Lines", where=TRUE)) == "Set?$expand=Lines"


def test_expanded_rows_cannot_be_tested_here():
    dialect = replace(FINOPS, expand_options=True)

    with pytest.raises(UnsupportedQuery, match="contains a star"):
        expanded(dialect, Expand(navigation="Lines", where=compare("Name", "eq", "a*b")))
