"""Which operation the page means to run: the text in the editor decides."""

import pytest

from gateway.graphiql import PLAIN
from tests.support.node import call_exported, missing
from tests.support.requirements import need

PAGE = PLAIN.parent / "page"
TWO = "query A { a } subscription B { b }"
MEANT = [
    ("{ a }", None, {"kind": "query"}),
    ("query A { a }", "A", {"kind": "query", "name": "A"}),
    ("query A { a }", "OfTheLastTab", {"kind": "query", "name": "A"}),
    ("subscription A { a }", "OfTheLastTab", {"kind": "subscription", "name": "A"}),
    ("{ a }", "OfTheLastTab", {"kind": "query"}),
    (TWO, "B", {"kind": "subscription", "name": "B"}),
    (TWO, "C", {"name": "C"}),
    (TWO, None, {}),
    ("query A { a", "A", {"name": "A"}),
    ("", None, {}),
]


@pytest.mark.parametrize(("query", "name", "wanted"), MEANT)
def test_the_operation_that_is_run_is_one_of_the_text(query, name, wanted):
    trouble = missing(PAGE)
    need(not trouble, trouble)

    found = call_exported(
        PAGE / "src" / "operation.js", "meant", {"query": query, "operationName": name}
    )

    assert found == wanted
