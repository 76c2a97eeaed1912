"""What other processes get of the settings of an environment: its own, and no credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from gateway.config.environments import environment_settings
from gateway.config.profiles import settings_from_json, tag_in
from gateway.config.settings import Settings
from gateway.introspection.writer_process import IntrospectionWorker
from gateway.metadata.model_identity import model_identity


def test_another_process_gets_one_environment_only(tmp_path: Path) -> None:
    """Without the others and their credentials, and without profiles of roles that do not exist in it."""
    values: dict[str, Any] = {
        "url": "https://home.example/data",
        "cache_dir": tmp_path,
        "environments": {
            "acme": {"url": "https://acme.example/data", "auth": "none"},
            "beta": {"url": "https://beta.example/data", "client_secret": "hush-hush"},
        },
        "roles": {"a": {"environments": ["acme"]}, "b": {"environments": ["default"]}},
        "profiles": {"bound": {"roles": ["b"]}},
    }
    whole = Settings.model_validate(values)
    own = environment_settings(whole, "acme")

    given = IntrospectionWorker(own, "digest", {}).task((), tmp_path)
    received = settings_from_json(msgspec.msgpack.decode(given)["settings"])

    assert b"beta" not in given
    assert b"***" not in given
    assert received.url == own.url
    assert tag_in(received) == own.tag
    assert model_identity(received, "digest") == model_identity(own, "digest")
