"""No test uses the data of who runs it: the default folder cannot be made, here and in what tests start."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gateway.config.loading import load_settings
from gateway.errors import StoreUnavailable
from gateway.store.opening import open_database
from tests.support.own_data import NOWHERE
from tests.support.process import environment

TESTS = Path(__file__).parent


def test_the_default_store_cannot_be_used() -> None:
    settings = load_settings(dict(os.environ))
    assert settings.data_dir == Path(NOWHERE) / "d365-graphql"
    database = open_database(settings)
    assert not database.exists
    with pytest.raises(StoreUnavailable, match="Not a directory"), database.writing():
        pass
    database.close()


def test_programs_that_tests_start_store_beside_the_test(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path, {}))
    assert settings.data_dir == tmp_path / "data" / "d365-graphql"


def test_no_test_removes_the_guard() -> None:
    """An environment that is made from nothing has no XDG_DATA_HOME, so that HOME decides."""
    made_of_nothing = re.compile(r"\benv=\{(?!\*\*)")
    files = [path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts]
    found = [
        f"{path.relative_to(TESTS)}: {line.strip()}"
        for path in files
        if path != Path(__file__)
        for line in path.read_text("utf-8").splitlines()
        if made_of_nothing.search(line)
    ]
    assert found == []
