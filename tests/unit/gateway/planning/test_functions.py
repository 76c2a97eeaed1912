"""Functions: their parameters on the wire, lists as parameter aliases, and results of every type."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.roots import FUNCTIONS, Service, codes

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("query", "url", "sent", "expected"),
    [
        ("total(months: 3)", "Total(Months=3)", {"value": 1.5}, "1.5"),
        (
            'total(months: 3, since: "2024-01-31")',
            "Total(Months=3,Since=2024-01-31)",
            {"value": 5},
            "5",
        ),
        ("total(months: 3, since: null)", "Total(Months=3)", {"value": None}, None),
        ("names", "Names()", {"value": ["a", "b"]}, ["a", "b"]),
        ("moods", "Moods()", {"value": ["Good", "Bad"]}, ["GOOD", "BAD"]),
        ("ratio", "Ratio()", {"value": 1.25}, 1.25),
        ("ratio", "Ratio()", {"value": 3}, 3),
        ("ratio", "Ratio()", {"value": 1e-300}, 1e-300),
        ("share", "Share()", {"value": 0.5}, 0.5),
        ("ratios", "Ratios()", {"value": [1.25, 2]}, [1.25, 2]),
        ("right", "Right()", {"value": "Read, Write"}, ["READ", "WRITE"]),
        ("right", "Right()", {"value": "0"}, []),
        ("rights", "Rights()", {"value": ["Read,Write", "Read"]}, ["Read,Write", "Read"]),
        (
            "outline",
            "Outline()",
            {"value": {"type": "Point", "coordinates": [1.5, 2.25]}},
            {"type": "Point", "coordinates": [1.5, 2.25]},
        ),
        (
            'rank(pString: ["a", "it\'s \\"b\\" & c", "Ж"])',
            'Rank(PString=@p1)?@p1=["a","it\'s \\"b\\" & c","Ж"]',
            {"value": 1},
            1,
        ),
        ("rank(pString: [])", "Rank(PString=@p1)?@p1=[]", {"value": 1}, 1),
        (
            'rank(pInt32: [1, 2], pInt64: ["9007199254740993"], pDecimal: ["1.10"], pDouble: [1.5])',
            (
                "Rank(PInt32=@p1,PInt64=@p2,PDecimal=@p3,PDouble=@p4)"
                "?@p1=[1,2]&@p2=[9007199254740993]&@p3=[1.10]&@p4=[1.5]"
            ),
            {"value": 1},
            1,
        ),
        (
            """rank(pDate: ["2024-01-31"], pBoolean: [true, false],
              pGuid: ["3FA85F64-5717-4562-B3FC-2C963F66AFA6"])""",
            (
                'Rank(PDate=@p1,PGuid=@p2,PBoolean=@p3)?@p1=["2024-01-31"]'
                '&@p2=["3fa85f64-5717-4562-b3fc-2c963f66afa6"]&@p3=[true,false]'
            ),
            {"value": 1},
            1,
        ),
        (
            'rank(moods: [GOOD, BAD], rights: ["Read,Write", "Read"], right: [READ, WRITE])',
            (
                "Rank(Moods=@p1,Rights=@p2,Right=R.Right'Read,Write')"
                '?@p1=["Good","Bad"]&@p2=["Read,Write","Read"]'
            ),
            {"value": 1},
            1,
        ),
        ("best { name }", "Best()?$select=Name", {"Name": "x"}, {"name": "x"}),
        (
            "near(months: 1) { name }",
            "Near(Months=1)?$select=Name",
            {"value": [{"Name": "x"}]},
            [{"name": "x"}],
        ),
        ("where { city }", "Where()?$select=City", {"City": "Ulm"}, {"city": "Ulm"}),
    ],
)
async def test_functions(query: str, url: str, sent: Any, expected: Any) -> None:
    service = Service(answers={url.partition("?")[0]: sent})

    assert await service.ask(f"{{ f: {query} }}") == {"data": {"f": expected}}
    assert service.asked == [url]


@pytest.mark.parametrize(
    ("query", "sent", "code"),
    [
        ("total(months: 3)", {"value": "x"}, "UPSTREAM_MALFORMED"),
        ("total(months: 3)", [], "UPSTREAM_MALFORMED"),
        *(("ratio", {"value": text}, "NOT_FINITE") for text in ("INF", "-INF", "NaN")),
        ("ratios", {"value": [1.5, "INF"]}, "NOT_FINITE"),
        ("total(months: 3)", {"value": "INF"}, "NOT_FINITE"),
        ("ratio", {"value": "1.5"}, "UPSTREAM_MALFORMED"),
        ("ratio", {"value": True}, "UPSTREAM_MALFORMED"),
        ("rights", {"value": "Read"}, "UPSTREAM_MALFORMED"),
        ('rank(rights: ["Read or"])', {"value": 1}, "BAD_ARGUMENT"),
        ("rank(rights: [5])", {"value": 1}, "BAD_ARGUMENT"),
        ("names", {"value": "x"}, "UPSTREAM_MALFORMED"),
        ("moods", {"value": ["Odd"]}, "UNKNOWN_ENUM_VALUE"),
        ("best { name }", {"value": []}, "UPSTREAM_MALFORMED"),
        ("near(months: 1) { name }", {"Name": "x"}, "UPSTREAM_MALFORMED"),
    ],
)
async def test_functions_that_answer_nonsense(query: str, sent: Any, code: str) -> None:
    service = Service(answers=dict.fromkeys((f.name.removeprefix("R.") for f in FUNCTIONS), sent))

    answer = await service.ask(f"{{ f: {query} }}")

    assert {c for _, c in codes(answer)} == {code}
