"""What the page may leave in the browser's storage: of the headers of the history only the gateway's own."""

import json
import subprocess

import pytest

from gateway.graphiql import PLAIN
from tests.support.node import ROOT, call_exported
from tests.support.requirements import need

MODULE = PLAIN.parent / "page" / "src" / "kept.js"
COMPANY = '{\n  "X-D365-Company": "usmf"\n}'
HEADERS = [
    (COMPANY, COMPANY),
    ('{"X-D365-Company": "usmf", "Authorization": "Bearer secret"}', COMPANY),
    ('{"x-d365-timeout": 5, "cookie": "a=secret"}', '{\n  "x-d365-timeout": 5\n}'),
    ('{"Authorization": "Bearer secret"}', None),
    ('{"X-My-Own": "secret"}', None),
    ('{"X-D365-Company": "usmf" /* secret */}', None),
    ('["secret"]', None),
    ("secret", None),
    ("null", None),
    ("", None),
]


@pytest.fixture(scope="module")
def storable():
    need(
        subprocess.run([ROOT / "scripts" / "has-node"], check=False).returncode == 0,
        "install Node 20 or newer",
    )
    return lambda key, value: call_exported(MODULE, "storable", key, value)


@pytest.mark.parametrize("key", ["graphiql:queries", "ap/graphiql:favorites"])
def test_the_history_keeps_the_gateways_headers_and_no_others(storable, key):
    name = key.partition(":")[2]
    items = [{"query": "{ a }", "headers": headers, "label": "L"} for headers, _ in HEADERS]

    body = json.loads(storable(key, json.dumps({name: items})))

    assert body == {
        name: [
            {"query": "{ a }", "label": "L"} | ({} if kept is None else {"headers": kept})
            for _, kept in HEADERS
        ]
    }


def test_tabs_keep_the_gateways_headers_and_no_others(storable):
    tabs = [
        {"id": "1", "query": "{ a }", "headers": '{"Authorization": "Bearer secret"}'},
        {"id": "2", "query": "{ a }", "headers": COMPANY},
        {"id": "3", "query": "{ a }", "headers": None},
    ]

    stored = json.loads(storable("graphiql:tabState", json.dumps({"tabs": tabs})))

    assert [tab["headers"] for tab in stored["tabs"]] == [None, COMPANY, None]


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("graphiql:headers", '{"Authorization": "Bearer secret"}', ""),
        ("ap/graphiql:headers", '{"X-D365-Company": "usmf"}', ""),
        ("graphiql:shouldPersistHeaders", "true", "false"),
        ("graphiql:queries", "cut off in the mid", ""),
        ("graphiql:query", "{ headers }", "{ headers }"),
        ("graphiql:theme", "dark", "dark"),
    ],
)
def test_what_is_no_history_is_as_it_was(storable, key, value, wanted):
    assert storable(key, value) == wanted
