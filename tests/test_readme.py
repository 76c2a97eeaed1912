"""The README says what is true: settings and error codes are complete, the paths it names exist."""

import os
import re
from pathlib import Path

import gateway.errors
from gateway.config.rendering import settings_table
from gateway.errors import GatewayError

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SETTINGS = re.compile(r"(<!-- settings -->\n)(.*)(<!-- /settings -->)", re.DOTALL)


def settings_text() -> str:
    lines = ["| setting | environment | default | what it does |", "|---|---|---|---|"]
    lines.extend(
        f"| `{row.name}` | `{row.variable}` | {f'`{row.default}`' if row.default else ''} | {row.help} |"
        for row in settings_table()
    )
    return "\n".join(lines) + "\n"


def test_the_settings_table_is_that_of_the_code() -> None:
    text = README.read_text("utf-8")
    if os.environ.get("UPDATE_README"):
        text = SETTINGS.sub(lambda m: m[1] + settings_text() + m[3], text)
        README.write_text(text, "utf-8")

    found = SETTINGS.search(text)

    assert found is not None
    assert found[2] == settings_text(), "run the test with UPDATE_README=1 to write the table anew"


def test_every_error_code_is_explained() -> None:
    text = README.read_text("utf-8")
    abstract = {"AUTH_ERROR", "UPSTREAM_ERROR"}
    kinds = [
        k
        for k in vars(gateway.errors).values()
        if isinstance(k, type) and issubclass(k, GatewayError)
    ]

    codes = {kind.code for kind in kinds} - abstract

    assert {code for code in codes if f"`{code}`" not in text} == set()


def test_every_code_that_the_http_side_uses_is_explained() -> None:
    text = README.read_text("utf-8")
    sources = [
        (ROOT / "gateway" / name).read_text("utf-8")
        for name in (
            "http/graphql_endpoint.py",
            "http/refusals.py",
            "http/edge.py",
            "cli/bounded_http.py",
            "engine.py",
            "documents/store.py",
        )
    ]

    codes = {code for source in sources for code in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', source)}

    assert {code for code in codes if f"`{code}`" not in text} == set()


def test_every_path_of_the_table_of_places_exists() -> None:
    text = README.read_text("utf-8")
    table = text.partition("### Where do I change…?")[2].partition("## The sandbox")[0]

    paths = re.findall(r"`((?:schema|gateway)/[\w/.*]+)`", table)

    assert paths
    assert [p for p in paths if not list(ROOT.glob(p.rstrip("/")))] == []
