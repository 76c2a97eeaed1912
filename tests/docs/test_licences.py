"""The page of licences is that of the locks, and nobody has agreed to a licence by updating one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import pytest

from tests.support.licences import Package, npm_packages, python_packages
from tests.support.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "licences.md"
PYTHON = {"Python": "requirements.lock"}
NPM = {
    "GraphiQL page": "gateway/graphiql/page/package-lock.json",
    "TypeScript client": "clients/typescript/package-lock.json",
}
ACCEPTED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"),
    "Unlicense",
    # They ask for changes of their own files only, of which there are none.
    *("MPL-2.0", "LGPL-3.0-only"),
}
BEGIN, END = "<!-- Written by the tests, with UPDATE_DOCS=1. -->\n\n", "<!-- End of the tables. -->"


def packages() -> dict[str, list[Package]]:
    found = {title: sorted(set(python_packages(ROOT / lock))) for title, lock in PYTHON.items()}
    return found | {title: sorted(set(npm_packages(ROOT / lock))) for title, lock in NPM.items()}


def tables() -> Iterable[str]:
    for title, found in packages().items():
        yield f"## {title}\n\n| package | version | licence |\n|---|---|---|\n"
        yield from (f"| `{p.name}` | {p.version} | {p.licence} |\n" for p in found)
        yield "\n"


def test_the_page_has_the_licences_of_the_locks() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    expected = f"{before}{BEGIN}{''.join(tables())}{END}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(expected, "utf-8")

    assert PAGE.read_text("utf-8") == expected


def test_every_licence_is_accepted() -> None:
    unknown = {
        package.name: package.licence
        for found in packages().values()
        for package in found
        if not set(re.split(r" AND | OR |[()]", package.licence)) - {""} <= ACCEPTED
    }

    assert unknown == {}


@pytest.mark.parametrize("name", ["graphql-core", "react", "graphql"])
def test_the_tables_have_what_everybody_gets(name: str) -> None:
    assert f"| `{name}` |" in PAGE.read_text("utf-8")
