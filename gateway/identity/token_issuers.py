"""The issuers of the settings with their keys: verifies tokens, and keeps the keys fresh while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

import httpx

from gateway.config.inbound_models import Issuer
from gateway.errors import SettingsError
from gateway.events import Observer

from .accepted_issuers import accepted_issuers, discovery_of, name_of
from .caller import Caller
from .key_documents import (
    LONGEST,
    DiscoveredKeys,
    FileKeys,
    InlineKeys,
    KeyDocument,
    KeysError,
    KeySource,
    PublishedKeys,
    keys_of,
)
from .keys import KeyRing, Keys, SharedSecret, read_keys
from .tokens import TokenVerifier


class TokenIssuers:
    """The issuers whose tokens are accepted."""

    def __init__(
        self,
        options: Iterable[Issuer],
        *,
        observe: Observer,
        on_change: Callable[[], None],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raise SettingsError if keys of the settings or of a file cannot be used."""
        self._observe = observe
        self._on_change = on_change
        self._transport = transport
        self._rings: list[KeyRing] = []
        accepted = accepted_issuers(options)
        keys_by_name = {}
        for issuer in accepted.values():
            name = name_of(issuer.options)
            if name not in keys_by_name:
                keys_by_name[name] = self._keys(issuer.options)
        keys = {iss: keys_by_name[name_of(issuer.options)] for iss, issuer in accepted.items()}
        self._verifier = TokenVerifier(accepted, keys)

    async def verify(self, token: str) -> Caller:
        """Return the caller with a token. Raises CredentialsRefused, IssuerUnavailable."""
        return await self._verifier.verify(token)

    async def load_keys(self) -> None:
        """Load all keys once, and close the connections."""
        try:
            await asyncio.gather(*(ring.load() for ring in self._rings))
        finally:
            if "_http" in self.__dict__:
                await self._http.aclose()

    def _keys(self, option: Issuer) -> Keys:
        if option.secret is not None:
            return SharedSecret(option.secret.get_secret_value())
        ring = KeyRing(
            name_of(option),
            self._source(option),
            option.algorithms,
            observe=self._observe,
            on_change=self._on_change,
        )
        self._rings.append(ring)
        return ring

    def _source(self, option: Issuer) -> KeySource:
        try:
            if option.jwks is not None:
                read_keys(KeyDocument(keys_of(option.jwks)), option.algorithms)
                return InlineKeys(option.jwks)
            if option.jwks_file is not None:
                file = FileKeys(option.jwks_file)
                read_keys(file.read(), option.algorithms)
                return file
        except KeysError as error:
            raise SettingsError(
                f"inbound.issuers: keys of {name_of(option)}: {error}",
                hint='A JWK set is {"keys": […]} with public keys for signatures.',
            ) from error
        if option.jwks_url is not None:
            return PublishedKeys(self._http, option.jwks_url)
        return DiscoveredKeys(self._http, *discovery_of(option))

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._transport, timeout=LONGEST, follow_redirects=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the keys in the background, and close the connections at the end."""
        async with AsyncExitStack() as stack:
            if "_http" in self.__dict__:
                stack.push_async_callback(self._http.aclose)
            tasks = [asyncio.create_task(ring.keep_fresh()) for ring in self._rings]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for ring in self._rings:
                    await ring.close()
