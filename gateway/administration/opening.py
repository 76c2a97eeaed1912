"""Opens what the administration needs, with its first use: a process that only watches others needs none of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gateway.config.settings import Settings

if TYPE_CHECKING:  # it imports SQLAlchemy, which takes 0.4 s
    from gateway.store.environment_register import EnvironmentRegister


class RegisterHolder:
    """The register of a process, for several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._register: EnvironmentRegister | None = None

    def get(self) -> EnvironmentRegister:
        """Return the register. Raises SettingsError if there is no store."""
        with self._lock:
            if self._register is None:
                # It imports msal and cryptography, which take 0.2 s.
                from gateway.environments.environment_store import (  # noqa: PLC0415 - see above
                    open_environment_register,
                )

                self._register = open_environment_register(self._settings)
            return self._register

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            register, self._register = self._register, None
        if register is not None:
            register.close()
