"""The site builds without a warning, works without a network, and its pictures are drawn from the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT

ELSEWHERE = re.compile(
    r"""(?:src|srcset|data)=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", f"{out}/.doctrees"]
    done = subprocess.run(
        [sys.executable, *command, str(ROOT / "docs"), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return out


@pytest.mark.heavy
def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    styles = [
        link for page in pages for link in re.findall(r"<link[^>]+>", page.read_text("utf-8"))
    ]

    assert len(pages) > 25
    assert [page.name for page in pages if ELSEWHERE.search(page.read_text("utf-8"))] == []
    assert [
        link for link in styles if re.search(r'rel="stylesheet"[^>]*href="(?:https?:)?//', link)
    ] == []


@pytest.mark.heavy
def test_the_search_finds_settings_without_a_server(site: Path) -> None:
    index = (site / "searchindex.js").read_text("utf-8")

    assert index.startswith("Search.setIndex(")
    assert "max_filtered_row" in index
    assert "searchindex.js" in (site / "search.html").read_text("utf-8")


@pytest.mark.heavy
def test_the_pictures_are_part_of_the_page(site: Path) -> None:
    text = (site / "how-it-works/architecture.html").read_text("utf-8")

    assert text.count('class="drawing"') == 3
    assert all(f">{room}</text>" in text for room in ("planning", "execution", "odata", "catalog"))


def test_the_picture_of_the_readme_is_drawn_from_the_code() -> None:
    from drawings import README_PICTURE, readme_picture

    assert README_PICTURE.read_text("utf-8") == readme_picture(), "run python docs/_ext/drawings.py"


def test_every_step_of_the_pictures_is_a_room() -> None:
    from drawings import FLOWS
    from layout import floors

    known = {room for floor in floors("gateway") for room in floor}
    known |= {f"schema/{room}" for floor in floors("schema") for room in floor}

    assert {room for steps in FLOWS.values() for room, _ in steps} - known == set()
