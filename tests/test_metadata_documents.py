"""``tests.support.metadata_documents``: what is there in a bare clone, and what is found besides."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.metadata_documents import (
    CSDL,
    ESSENTIAL,
    PROCUREMENT,
    RELATIONSHIPS,
    SMALL,
    content_of,
    folder_beside,
    model_of,
    path_of,
    real_file,
)

PLACE = Path("shared", "metadata")


def test_a_named_folder_goes_before_one_beside_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "one/two/repository"
    beside, above = tmp_path / "one/two" / PLACE, tmp_path / "one" / PLACE
    assert folder_beside(root, None) is None
    above.mkdir(parents=True)
    assert folder_beside(root, None) == above
    beside.mkdir(parents=True)
    assert folder_beside(root, None) == beside
    assert folder_beside(root, "/elsewhere") == Path("/elsewhere")


@pytest.mark.parametrize("ask", [real_file, path_of])
def test_what_is_not_there_skips_and_says_what_to_do(ask: object) -> None:
    with pytest.raises(
        pytest.skip.Exception, match=r"put no-such-document.* name it in TEST_METADATA"
    ):
        ask("no-such-document")  # type: ignore[operator]


@pytest.mark.parametrize("name", [*SMALL, RELATIONSHIPS])
def test_documents_of_the_repository_are_always_there(name: str) -> None:
    model = model_of(name)

    assert model.entity_sets
    assert set(model.sets_of_type) <= set(model.entity_types)


def test_a_generated_document_is_written_once() -> None:
    path = path_of(ESSENTIAL)
    written = path.stat().st_mtime_ns

    assert path_of(ESSENTIAL).stat().st_mtime_ns == written
    assert gzip.decompress(path.read_bytes()) == content_of(ESSENTIAL)
    assert path.parent == path_of(PROCUREMENT).parent
    assert not path.is_relative_to(CSDL)
