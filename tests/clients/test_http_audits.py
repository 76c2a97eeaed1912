"""GraphQL over HTTP as the reference implementation's audit suite sees it, over a socket.

https://github.com/graphql/graphql-http: 13 audits of what a server must do, 23 of what it should, 25 of what it may.
"""

from __future__ import annotations

from collections import Counter

from tests.support.node import Tools

AUDITS = {"MUST": 13, "SHOULD": 23, "MAY": 25}


def test_every_audit_of_graphql_http_passes(tools: Tools, endpoint: str) -> None:
    results = tools.run("audits.mjs", endpoint)

    assert Counter(r["name"].split()[0] for r in results) == AUDITS
    assert [f"{r['id']} {r['name']}: {r['reason']}" for r in results if r["status"] != "ok"] == []
