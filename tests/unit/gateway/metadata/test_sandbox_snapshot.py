"""The model of the embedded sandbox is read once; later starts open its snapshot, which is apart from others."""

from __future__ import annotations

from pathlib import Path

from gateway.config.settings import Settings
from gateway.events import Event, ModelRead
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import open_model
from gateway.storage.document_cache import digest_of
from tests.support.changing_metadata import csdl


def reads_of(settings: Settings, *texts: str) -> list[str]:
    """Open the models of some documents, and return the digests of those that were read for it."""
    events: list[Event] = []
    for text in texts:
        content = text.encode()
        document = MetadataDocument(content, digest_of(content), "test")
        assert "Thing" in str(
            list(open_model(settings, document, observe=events.append).model.entity_sets)
        )
    return [event.metadata for event in events if isinstance(event, ModelRead)]


def test_the_model_of_the_sandbox_is_read_once(tmp_path: Path) -> None:
    one, two = csdl("Name"), csdl("Name", "More")

    assert len(reads_of(Settings(cache_dir=tmp_path), one, one)) == 1
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["sandbox"]
    assert reads_of(Settings(cache_dir=tmp_path), one) == []
    assert len(reads_of(Settings(cache_dir=tmp_path), two, two)) == 1
    assert len(reads_of(Settings(cache_dir=None), one, one)) == 2
