from dataclasses import replace
from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.odata.dialect import ODATA
from gateway.odata.finops import FINOPS
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
from gateway.odata.render import filter_text, readable_url, render, url_length
from tests.support.expressions import (
    CLEAN_TEXT,
    ENUM,
    FINOPS_FILTERS,
    ODATA_FILTERS,
    compare,
    lit,
    matches,
    one_of,
    parsed,
    path,
    shape,
)

A, B, C = (compare(name, "eq", 1, "Edm.Int32") for name in "ABC")

FILTERS = [
    (TRUE, "true"),
    (FALSE, "false"),
    (Not(TRUE), "not true"),
    (A, "A eq 1"),
    (And((A,)), "A eq 1"),
    (Or((And((A, B)), C)), "A eq 1 and B eq 1 or C eq 1"),
    (And((Or((A, B)), C)), "(A eq 1 or B eq 1) and C eq 1"),
    (And((A, And((B, C)))), "A eq 1 and B eq 1 and C eq 1"),
    (And((Or((A,)), B)), "A eq 1 and B eq 1"),
    (Not(A), "not (A eq 1)"),
    (Not(Not(A)), "not (not (A eq 1))"),
    (Not(Or((A, B))), "not (A eq 1 or B eq 1)"),
    (And((Not(A), B)), "not (A eq 1) and B eq 1"),
    (Not(matches("Name", "contains", "x")), "not contains(Name,'x')"),
    (matches("Name", "startswith", "O'N"), "startswith(Name,'O''N')"),
    (matches("H/Name", "endswith", ""), "endswith(H/Name,'')"),
    (one_of("Id", 1, 2, edm_type="Edm.Int64"), "Id in (1,2)"),
    (Not(one_of("Id", 1, edm_type="Edm.Int64")), "not (Id in (1))"),
    (IsNull(path("Name"), "Edm.String"), "Name eq null"),
    (compare("Name", "ne", None), "Name ne null"),
    (Has(path("Style"), lit("Yellow", "Sales.Pattern")), "Style has Sales.Pattern'Yellow'"),
    (Not(Has(path("S"), lit("Y", "Sales.P"))), "not (S has Sales.P'Y')"),
    (Wildcard(path("Name"), "*x'*"), "Name eq '*x''*'"),
    (Wildcard(path("Name"), "x*", negated=True), "not (Name eq 'x*')"),
    (Some(path("Lines"), None), "Lines/any()"),
    (Not(Some(path("Lines"), None)), "not Lines/any()"),
    (
        Some(path("Lines"), And((A, Some(path("Tags"), Or((B, C)))))),
        "Lines/any(x0:x0/A eq 1 and x0/Tags/any(x1:x1/B eq 1 or x1/C eq 1))",
    ),
    (And((Some(path("Lines"), A), B)), "Lines/any(x0:x0/A eq 1) and B eq 1"),
    (compare("Amount", "le", Decimal("-1.50"), "Edm.Decimal"), "Amount le -1.50"),
    (compare("Blocked", "eq", "Yes", ENUM), f"Blocked eq {ENUM}'Yes'"),
    (compare("Ns.Derived/Name", "eq", "x"), "Ns.Derived/Name eq 'x'"),
]


@pytest.mark.parametrize(("expr", "text"), FILTERS)
def test_a_filter_is_printed_with_the_fewest_parentheses(expr, text):
    assert filter_text(expr) == text


@given(ODATA_FILTERS, st.booleans())
def test_another_reader_reads_back_every_filter(expr, has_in):
    dialect = replace(ODATA, has_in=has_in)
    where = dialect.lower(Query(resource=Resource("S"), where=expr)).query.where or TRUE

    assert parsed(filter_text(where)) == shape(where)


@given(FINOPS_FILTERS)
def test_another_reader_reads_back_every_finops_filter(expr):
    where = FINOPS.lower(Query(resource=Resource("S"), where=expr)).query.where or TRUE

    assert parsed(filter_text(where)) == shape(where)


def key(**values):
    return tuple(KeyPart(name, lit(value)) for name, value in values.items())


RESOURCES = [
    (Resource("Customers"), "Customers"),
    (Resource("Me", navigation="Friends"), "Me/Friends"),
    (Resource("Set", key(Id="a")), "Set('a')"),
    (Resource("Set", (KeyPart("Id", lit(5637144576, "Edm.Int64")),)), "Set(5637144576)"),
    (
        Resource("CustomersV3", key(dataAreaId="usmf", CustomerAccount="US-001")),
        "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')",
    ),
    (
        Resource("Set", key(Id="O'Neil & Sons/2 (é)")),
        "Set('O''Neil%20%26%20Sons%2F2%20%28%C3%A9%29')",
    ),
    (Resource("Set", key(A="", B="100%")), "Set(A='',B='100%25')"),
    (
        Resource("Leave", (KeyPart("Day", lit("2019-10-04T12:00:00Z", "Edm.DateTimeOffset")),)),
        "Leave(2019-10-04T12:00:00Z)",
    ),
    (Resource("Set", (KeyPart("K", lit("Yes", ENUM)),)), f"Set({ENUM}'Yes')"),
    (Resource("Set", key(Id="a"), navigation="Lines"), "Set('a')/Lines"),
    (Resource("Set", navigation="Ns.Derived/Lines"), "Set/Ns.Derived/Lines"),
    (Resource("Größen", key(Id="a")), "Gr%C3%B6%C3%9Fen('a')"),
    (Resource(call=Call("GetNearest")), "GetNearest()"),
    (
        Resource(call=Call("Nearest", (KeyPart("a", lit(1, "Edm.Int32")), *key(b="x y")))),
        "Nearest(a=1,b='x%20y')",
    ),
    (Resource("Set", key(Id="a"), call=Call("Ns.Total")), "Set('a')/Ns.Total()"),
    (Resource("Set", count=True), "Set/$count"),
    (Resource("Set", key(Id="a"), navigation="Lines", count=True), "Set('a')/Lines/$count"),
]


@pytest.mark.parametrize(("resource", "url"), RESOURCES)
def test_a_resource_is_a_path(resource, url):
    assert render(Query(resource=resource)).url == url


def test_query_options_come_in_one_order():
    query = Query(
        resource=Resource("CustomersV3"),
        select=("dataAreaId", "Name"),
        expand=(Expand(navigation="Group"), Expand(navigation="Lines", select=("A", "B"))),
        where=compare("Name", "eq", "x"),
        order=(Order(path("Group/Name"), descending=True), Order(path("Id"))),
        top=10,
        skip=0,
        count=True,
    )

    request = render(query, options=FINOPS.options)

    assert request.method == "GET"
    assert request.body is None
    assert request.url == (
        "CustomersV3?$select=dataAreaId,Name&$expand=Group,Lines($select=A,B)"
        "&$filter=Name%20eq%20'x'&$orderby=Group/Name%20desc,Id&$top=10&$skip=0&$count=true"
        "&cross-company=true"
    )
    assert url_length(request) == len(request.url)


def test_expand_takes_every_option_inside_its_parentheses():
    expand = Expand(
        navigation="Ns.Flight/Airline",
        select=("Name",),
        expand=(Expand(navigation="Owner", top=0),),
        where=compare("Name", "eq", "a;b"),
        order=(Order(path("Name")),),
        top=2,
        skip=1,
        count=True,
    )

    request = render(Query(resource=Resource("Trips"), expand=(expand,)))

    assert readable_url(request) == (
        "Trips?$expand=Ns.Flight/Airline($select=Name;$expand=Owner($top=0);"
        "$filter=Name eq 'a;b';$orderby=Name;$top=2;$skip=1;$count=true)"
    )


def test_rows_are_requested_as_json_and_counts_as_text():
    rows, count = (render(Query(resource=Resource("Set", count=c))) for c in (False, True))

    assert dict(rows.headers) == {
        "Accept": "application/json;odata.metadata=minimal",
        "OData-MaxVersion": "4.0",
    }
    assert dict(count.headers) == {"Accept": "text/plain", "OData-MaxVersion": "4.0"}


@given(CLEAN_TEXT)
def test_no_text_can_leave_its_place_in_the_url(text):
    where = compare("Name", "eq", text)
    url = render(
        Query(resource=Resource("Set", key(Id=text)), where=where), options=(("o", text),)
    ).url
    spelled = text.replace("'", "''")

    url_path, _, options = url.partition("?")

    assert url.isascii()
    assert url_path.count("/") == 0
    assert not set('+#? \\"<>') & set(url_path + options)
    assert unquote(url_path) == f"Set('{spelled}')"
    assert [unquote(o) for o in options.split("&")] == [f"$filter=Name eq '{spelled}'", f"o={text}"]
