"""The thread of the second listener, and its settings."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest

from gateway.cli.admin_listener import admin_address, admin_listener, answering
from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import log_event
from gateway.http.admin_app import AdminContext, this_process


def test_it_answers_until_the_end_of_its_context() -> None:
    settings = Settings()
    with admin_listener(settings) as listener:
        assert listener is not None
        address = admin_address(settings, listener)
        workers = this_process()
        context = AdminContext(settings=settings, workers=lambda: workers, observe=log_event)
        with answering(context, listener):
            assert httpx.get(address, timeout=10).json()["status"] == "ready"
        assert not [thread for thread in threading.enumerate() if thread.name == "admin"]
        with pytest.raises(httpx.TransportError):
            httpx.get(address, timeout=1)


def test_none_switches_it_off() -> None:
    settings = load_settings({"D365_ADMIN__PORT": "none"})

    context = AdminContext(settings=settings, workers=this_process, observe=log_event)
    with admin_listener(settings) as listener, answering(context, listener):
        assert listener is None
    assert not [thread for thread in threading.enumerate() if thread.name == "admin"]


def test_a_taken_port_is_reported_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.model_validate({"admin": {"port": port}})

        with (
            pytest.raises(SettingsError, match=r"admin\.port: Cannot listen") as caught,
            admin_listener(settings),
        ):
            pass

    assert "admin.port = none" in (caught.value.hint or "")
