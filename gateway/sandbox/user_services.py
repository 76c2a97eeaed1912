"""The service as each user sees it: the rows of its companies, the sets of its security roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

from .exchange import Incoming, Outgoing
from .refusal import Refusal, styled_body
from .service import Service
from .settings import SandboxSettings
from .sign_in import SignIn, User
from .store import Store
from .urls import split_path
from .world import World


class UserServices:
    """A service for each user who has signed in, on the same rows."""

    def __init__(self, settings: SandboxSettings, world: World, store: Store) -> None:
        assert settings.sign_in is not None
        self.sign_in = SignIn(settings.sign_in, store, settings.auth_body)
        self._settings = settings
        self._world = world
        self._store = store
        self._services: dict[User, Service] = {}

    def answer(self, incoming: Incoming) -> Outgoing:
        """Return the answer for the user of a request. Raises Refusal, 403 if the user may not use a set."""
        user = incoming.user
        assert user is not None
        if not all(map(user.may_use, self._sets_of(incoming))):
            body = styled_body(self._settings.auth_body, 403, "Forbidden")
            raise Refusal(403, "Forbidden", body=body)
        return self._service_of(user).answer(incoming)

    def _service_of(self, user: User) -> Service:
        service = self._services.get(user)
        if service is None:
            settings = replace(
                self._settings,
                default_company=user.company,
                accessible_companies=user.companies,
            )
            service = self._services[user] = Service(settings, self._world, self._store)
        return service

    def _sets_of(self, incoming: Incoming) -> Iterator[str]:
        """Yield the sets that a request reads or writes: that of its path, of navigations, and of ``$expand``."""
        segments = split_path(incoming.path)[1:]
        if not segments or segments[0].startswith("$"):
            return
        name = segments[0].partition("(")[0]
        if name not in self._world.model.entity_sets:
            return
        yield name
        options = dict(parse_qsl(incoming.query))
        steps = [segment.partition("(")[0] for segment in segments[1:]]
        expanded = [
            item.partition("(")[0].strip() for item in options.get("$expand", "").split(",")
        ]
        owner = self._world.type_of(name)
        navigations = self._world.navigations_of(owner)
        for step in (*steps, *expanded):
            if step in navigations:
                target = self._world.set_of_navigation(owner, name, navigations[step])
                if target is not None:
                    yield target
