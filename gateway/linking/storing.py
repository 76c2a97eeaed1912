"""Stores a linked environment: together with the end of its session, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.administration.option_checks import check_name
from gateway.config.settings import Settings
from gateway.errors import EnvironmentExists

from .names import names_for
from .options import environment_options
from .session import EnvironmentLinked, LinkRefused, LinkSession, Problem
from .sessions import LinkSessions

if TYPE_CHECKING:
    from gateway.store.environment_register import EnvironmentRegister

LONGEST = 60.0
"""Seconds for storing an environment: a vault may have to wrap the key of its secrets."""
_TAKEN = Problem(
    "LINK_NAME_TAKEN",
    "An environment of this name is linked already.",
    "Tell those who have sent you this link: the name is their choice.",
)
_AGAIN = Problem("LINK_ALREADY", "This environment is linked already.", "There is nothing to do.")


class LinkStore:
    """Where linked environments go."""

    def __init__(self, settings: Settings, register: EnvironmentRegister) -> None:
        self._settings = settings
        self._register = register

    def close(self) -> None:
        """Close the connections."""
        self._register.close()

    async def link(
        self, sessions: LinkSessions, session: LinkSession, own: tuple[str, str] | None
    ) -> LinkSession:
        """Return the session as it is afterwards: linked, or with the problem. Raises LinkError."""
        after = await sessions.call(lambda: self._link(sessions, session, own), LONGEST)
        return after or await sessions.apply(session, LinkRefused(self._refusal(session)))

    def _link(
        self, sessions: LinkSessions, session: LinkSession, own: tuple[str, str] | None
    ) -> LinkSession | None:
        """Return the linked session; None if there is such an environment."""
        assert session.target is not None
        assert session.linked is not None
        options = environment_options(self._settings, session, session.target, own)
        if session.name is None and self._is_linked(session.target.url):
            return None
        for name in self._names(session, session.target.url):
            try:
                check_name(self._settings, name)
                new = self._register.prepare(name, options, session.linked)
                after = sessions.after(session, EnvironmentLinked(name))
                with sessions.storing(after) as connection:
                    self._register.insert(connection, new)
            except EnvironmentExists:
                continue
            return after
        return None

    def _is_linked(self, url: str) -> bool:
        return any(environment.options.url == url for environment in self._register.list())

    def _names(self, session: LinkSession, url: str) -> Iterator[str]:
        if session.name is None:
            yield from names_for(url)
        else:
            yield session.name

    @staticmethod
    def _refusal(session: LinkSession) -> Problem:
        return _AGAIN if session.name is None else _TAKEN
