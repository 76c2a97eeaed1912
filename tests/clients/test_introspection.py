"""The reference implementation reads the schema."""

from __future__ import annotations

from pathlib import Path

from tests.support.node import Tools


def test_introspection_and_sdl_are_one_schema_to_graphql_js(
    tools: Tools, endpoint: str, sdl: Path
) -> None:
    read = tools.run("introspection.mjs", endpoint, str(sdl))

    assert read["types"] > 800
    assert set(read["routers"]) == {"_Any", "_Entity", "_Service"}
    assert read["errors"] == []
    assert read["differences"] == []
    assert read["lines"][0] == read["lines"][1]
