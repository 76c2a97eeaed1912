"""The secret of the settings, or one of our own that processes share."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.storage.sealing import NotSealed
from gateway.store.secret_key import open_sealer

KEY, NEXT = SecretStr("k" * 43), SecretStr("n" * 43)


def test_replicas_with_one_secret_open_each_others_texts() -> None:
    sealed = open_sealer(Settings(secret_key=KEY)).seal(b"x", b"a")

    assert open_sealer(Settings(secret_key=KEY)).open(sealed, b"a") == b"x"
    rotated = Settings(secret_key=NEXT, secret_key_old=(KEY,))
    assert open_sealer(rotated).open(sealed, b"a") == b"x"
    with pytest.raises(NotSealed):
        open_sealer(Settings(secret_key=NEXT)).open(sealed, b"a")


def test_our_own_secret_is_made_once_and_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    with ThreadPoolExecutor(8) as threads:
        sealers = list(threads.map(open_sealer, [settings] * 16))

    assert len({s.seal(b"x", b"a") for s in sealers}) == 1
    path = tmp_path / "data" / "keys" / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["secret_key"]


def test_without_a_folder_each_process_has_its_own() -> None:
    first, second = (open_sealer(Settings()) for _ in range(2))

    assert first.seal(b"x", b"a") != second.seal(b"x", b"a")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_not_used(tmp_path: Path, content: bytes) -> None:
    open_sealer(Settings(data_dir=tmp_path))
    (tmp_path / "keys" / "secret_key").write_bytes(content)

    with pytest.raises(SettingsError, match="32 bytes"):
        open_sealer(Settings(data_dir=tmp_path))


def test_a_secret_that_others_could_write_is_not_used(tmp_path: Path) -> None:
    open_sealer(Settings(data_dir=tmp_path))
    (tmp_path / "keys" / "secret_key").chmod(0o622)

    with pytest.raises(SettingsError, match="writable by other users") as caught:
        open_sealer(Settings(data_dir=tmp_path))

    assert "chmod go-w" in (caught.value.hint or "")


@pytest.mark.parametrize(("folder", "used"), [(0o755, False), (0o700, True)])
def test_a_secret_that_others_could_read_is_not_used(
    tmp_path: Path, folder: int, used: bool
) -> None:
    open_sealer(Settings(data_dir=tmp_path))
    (tmp_path / "keys" / "secret_key").chmod(0o644)
    (tmp_path / "keys").chmod(folder)

    if used:
        open_sealer(Settings(data_dir=tmp_path))
        return
    with pytest.raises(SettingsError, match="can be read by other users"):
        open_sealer(Settings(data_dir=tmp_path))
