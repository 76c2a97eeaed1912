"""How workers start: by the fork server where it can have its socket."""

import signal
import tempfile
from pathlib import Path

import pytest

from gateway.cli.fork_server import (
    LONGEST_FOLDER,
    accept_signals,
    open_in_fork_server,
    open_model,
    start_method,
)
from gateway.config.settings import Settings
from gateway.metadata import model_builder
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import dialect_of, find_model, make_model, snapshot_place
from gateway.metadata.shared_catalogs import catalog_of
from gateway.storage.document_cache import digest_of
from tests.support.changing_metadata import csdl


@pytest.mark.parametrize(
    ("length", "method"), [(LONGEST_FOLDER, "forkserver"), (LONGEST_FOLDER + 1, "spawn")]
)
def test_the_path_of_the_socket_must_fit(
    length: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/".ljust(length, "t"))

    assert start_method().get_start_method() == method


def test_workers_start_by_themselves_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", missing)

    assert start_method().get_start_method() == "spawn"


def test_a_forked_worker_accepts_the_signals_that_were_blocked() -> None:
    blocked = {signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        accept_signals()

        assert blocked.isdisjoint(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_workers_share_the_names_of_a_model_that_was_opened_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_builder, "_INHERITED", {})
    content = csdl("Name", sets=("Things", "Parts")).encode()
    document = MetadataDocument(content, digest_of(content), "test")
    settings = Settings(url="https://one.example/data", auth="none", cache_dir=tmp_path)
    own = make_model(settings, document)

    open_in_fork_server(snapshot_place(settings, document.digest))
    open_model()
    inherited = find_model(settings, document.digest)
    again = find_model(settings, document.digest)

    assert inherited is not None
    assert again is not None
    assert inherited.naming is again.naming
    assert inherited.model is not again.model
    dialect = dialect_of(settings, inherited.model)
    served = catalog_of(settings, inherited, dialect, {}, document.digest)
    expected = catalog_of(settings, own, dialect, {}, document.digest)
    assert served.name_tables.families is inherited.tables.families
    assert served.naming() == expected.naming()
    assert [served.roots[name] for name in served.roots] == list(expected.roots.values())


def test_a_model_that_cannot_be_opened_before_is_left_to_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_builder, "_INHERITED", {})
    settings = Settings(url="https://one.example/data", auth="none", cache_dir=tmp_path)

    for place in (snapshot_place(settings, "0" * 64), None):
        open_in_fork_server(place)
        open_model()

        assert find_model(settings, "0" * 64) is None
