"""What other people's clients do on the wire: codings that they can read, persisted queries that they give up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node import Tools


def test_clients_get_codings_that_they_can_read(tools: Tools, endpoint: str) -> None:
    results = tools.run("codings.mjs", endpoint)
    del results["canZstd"]

    assert {name: found["rows"] for name, found in results.items()} == dict.fromkeys(results, 100)
    assert {found["coding"] for found in results.values()} <= {"gzip", "br"}


@pytest.mark.parametrize("method", ["post", "get"])
def test_apollos_persisted_queries_send_a_document_once(
    tools: Tools, endpoint: str, method: str
) -> None:
    found = tools.run("persisted.mjs", endpoint, method)

    assert found["sizes"] == [1, 2]
    first, second, third = found["sent"]
    assert (first["method"].lower(), first["hash"], first["query"]) == (method, True, False)
    assert first["codes"] == ["PERSISTED_QUERY_NOT_SUPPORTED"]
    for sent in (second, third):
        assert (sent["query"], sent["status"], sent["codes"]) == (True, 200, [])
    assert third["hash"] is False


def test_the_code_generator_reads_the_schema_from_the_gateway(
    tools: Tools, endpoint: str, tmp_path: Path
) -> None:
    project = tools.copy("typed", tmp_path / "typed")
    config = project.folder / "codegen.ts"
    text = config.read_text("utf-8")
    assert '"schema.graphql"' in text
    assert "strictScalars: true" in text
    # The API as a subgraph has scalars of Federation, too.
    text = text.replace("strictScalars: true", "strictScalars: false")
    config.write_text(text.replace('"schema.graphql"', f'"{endpoint}"', 1), "utf-8")

    project.command("graphql-codegen")

    made = (project.folder / "src" / "gql" / "graphql.ts").read_text("utf-8")
    assert "CustomersDocument" in made
