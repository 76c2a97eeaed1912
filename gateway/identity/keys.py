"""The keys that verify an issuer's tokens, and their rotation without a restart.

    in the background      loaded every ten minutes, sooner after a failure
    an unknown key id      loaded at once, but once in ``COOL_DOWN`` seconds, by one request for all that wait
    the issuer is away     the previous keys stay
    a key is gone          what it has signed is refused from then on (``on_change``)

Only asymmetric keys for signatures are taken, each bound to the algorithms that fit it: a public key can never be used
as the secret of HS256 (RFC 8725, section 2.1). Addresses in the header of a token (``jku``, ``x5u``) are never read.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.errors import IssuerUnavailable
from gateway.events import KeysLoaded, KeysUnavailable, Observer

from .key_documents import KeyDocument, KeysError, KeySource

COOL_DOWN = 30.0
"""Minimum seconds between two requests for keys because of unknown key ids."""
AFTER_FAILURE = 5.0
"""The same after a request that failed."""
REFRESH = 600.0
"""Seconds between two loads in the background, ±10 %."""
FIRST_RETRY = 10.0
"""Seconds until the next load after a failed one; twice as many after each further failure, up to ``REFRESH``."""
REMEMBERED = 300.0
"""Seconds for which an id that the issuer does not know is not asked for again."""
MAX_UNKNOWN = 1_000
"""Maximum unknown ids in memory: clients choose them."""
MAX_KEYS = 200
"""Maximum keys of a set; the rest is ignored."""
MIN_RSA_BITS = 2_048
"""Minimum size of an RSA key (RFC 7518, section 3.3)."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_FITTING: Mapping[tuple[str, str | None], Sequence[str]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""Algorithms by type and curve of a key."""

KeyMaterial: TypeAlias = jwt.PyJWK | bytes
"""A public key, bound to its algorithm, or a shared secret."""


class VerificationKey:
    """One public key of an issuer."""

    def __init__(self, jwk: Mapping[str, Any], algorithms: Sequence[str]) -> None:
        """Take the key for those of the algorithms that fit it. Raises ValueError if it is of no use."""
        self.jwk = dict(jwk)
        kid, issuer = jwk.get("kid"), jwk.get("issuer")
        self.kid = kid if isinstance(kid, str) else None
        self.issuer = issuer if isinstance(issuer, str) else None
        """Issuer for which it signs: Entra's keys for several tenants name it, with ``{tenantid}`` in it."""
        curve = None if jwk.get("kty") == "RSA" else jwk.get("crv")
        fitting = _FITTING.get((str(jwk.get("kty")), curve), ())
        named = jwk.get("alg")
        self.algorithms = frozenset(
            a for a in fitting if (not algorithms or a in algorithms) and named in (None, a)
        )
        if not self.algorithms or not _is_for_signatures(jwk):
            raise ValueError("no key for signatures with an accepted algorithm")
        self._bound: dict[str, jwt.PyJWK] = {}
        key = self.bound_to(min(self.algorithms)).key
        if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
            raise ValueError("an RSA key that is too short")

    def bound_to(self, algorithm: str) -> jwt.PyJWK:
        """Return the key for one of its algorithms."""
        bound = self._bound.get(algorithm)
        if bound is None:
            bound = self._bound[algorithm] = jwt.PyJWK(self.jwk, algorithm)
        return bound


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops")
    verifies = operations is None or (isinstance(operations, list) and "verify" in operations)
    # A private key that somebody has published is nobody's proof of anything.
    return jwk.get("use") in (None, "sig") and verifies and "d" not in jwk


def read_keys(document: KeyDocument, accepted: Sequence[str]) -> tuple[VerificationKey, ...]:
    """Return the keys of a document that can be used; ``accepted`` are algorithms, empty: as the document says.

    Raises KeysError if there are none.
    """
    keys: list[VerificationKey] = []
    for jwk in document.keys[:MAX_KEYS]:
        try:
            keys.append(VerificationKey(jwk, accepted or document.algorithms))
        # PyJWT and cryptography raise whatever a malformed key makes them.
        except Exception:  # noqa: S112 - a key set may hold keys of other kinds
            continue
    if not keys:
        raise KeysError("there is no key for signatures with an accepted algorithm")
    return tuple(keys)


class Keys(Protocol):
    """Finds the key that a token names."""

    async def find(self, kid: str | None, algorithm: str) -> tuple[KeyMaterial, str | None] | None:
        """Return the key and the issuer that it is limited to; None if there is none for the algorithm.

        Raises IssuerUnavailable if no keys could be loaded yet.
        """
        ...


class SharedSecret:
    """The secret of an issuer that signs with HMAC."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        # A key shorter than the digest weakens it (RFC 7518, section 3.2).
        sizes = {"HS256": 32, "HS384": 48, "HS512": 64}
        self._algorithms = frozenset(a for a, size in sizes.items() if len(self._secret) >= size)

    async def find(self, _kid: str | None, algorithm: str) -> tuple[KeyMaterial, str | None] | None:
        """Return the secret if the algorithm is one of HMAC."""
        return (self._secret, None) if algorithm in self._algorithms else None


class KeyRing:
    """The public keys of one issuer, which come from a source that may change them.

    Tests replace ``now``, a monotonic clock in seconds.
    """

    def __init__(
        self,
        name: str,
        source: KeySource,
        algorithms: Sequence[str] = (),
        *,
        observe: Observer,
        on_change: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._source = source
        self._algorithms = algorithms
        self._observe = observe
        self._on_change = on_change
        self._now = now
        self._keys: tuple[VerificationKey, ...] = ()
        self._loading: asyncio.Task[bool] | None = None
        self._askable_at = float("-inf")
        self._unknown: OrderedDict[str, float] = OrderedDict()

    async def find(self, kid: str | None, algorithm: str) -> tuple[KeyMaterial, str | None] | None:
        """Return the key, and load the keys if its id is unknown. Raises IssuerUnavailable."""
        key = self._pick(kid, algorithm)
        if key is None and self._loading is not None:
            await self.load()
            key = self._pick(kid, algorithm)
        if key is None and self._may_ask(kid):
            # The first load asks for no id, and a key that is new since then must not wait.
            if self._keys:
                self._askable_at = self._now() + COOL_DOWN
            if not await self.load():
                self._askable_at = self._now() + AFTER_FAILURE
            elif kid is not None and not self._has(kid):
                self._remember(kid)
            key = self._pick(kid, algorithm)
        if not self._keys:
            raise IssuerUnavailable(
                "The keys of the token's issuer are not available.", hint="Try again soon."
            )
        return None if key is None else (key.bound_to(algorithm), key.issuer)

    def _pick(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        if kid is not None:
            return next((key for key in fitting if key.kid == kid), None)
        # A token may omit the id if there is no choice.
        return fitting[0] if len(fitting) == 1 else None

    def _has(self, kid: str) -> bool:
        return any(key.kid == kid for key in self._keys)

    def _may_ask(self, kid: str | None) -> bool:
        if not self._keys:
            return self._now() >= self._askable_at
        # Of a known id, the issuer has another key than the token claims.
        if kid is None or self._has(kid) or self._unknown.get(kid, 0.0) > self._now():
            return False
        return self._now() >= self._askable_at

    def _remember(self, kid: str) -> None:
        self._unknown[kid] = self._now() + REMEMBERED
        while len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)

    async def load(self) -> bool:
        """Load the keys, together with all that wait for them; return whether that succeeded."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
            self._loading.add_done_callback(self._end)
        # One that is cancelled must not cancel it for the others.
        return await asyncio.shield(self._loading)

    def _end(self, _loading: asyncio.Task[bool]) -> None:
        self._loading = None

    async def _load(self) -> bool:
        started = time.perf_counter()
        try:
            keys = read_keys(await self._source.load(), self._algorithms)
        # Any other error, too: the task that loads keys in the background must not end.
        except Exception as error:
            reason = str(error) if isinstance(error, KeysError) else type(error).__name__
            self._observe(
                KeysUnavailable(issuer=self._name, reason=reason, previous=len(self._keys))
            )
            return False
        self._replace(keys, time.perf_counter() - started)
        return True

    def _replace(self, keys: tuple[VerificationKey, ...], seconds: float) -> None:
        before, after = ([(key.jwk, key.algorithms) for key in some] for some in (self._keys, keys))
        if before == after:
            return
        self._keys = keys
        for key in keys:
            self._unknown.pop(key.kid or "", None)
        if any(key not in after for key in before):
            self._on_change()
        kids = tuple(key.kid or "" for key in keys)
        self._observe(KeysLoaded(issuer=self._name, kids=kids, seconds=seconds))

    async def keep_fresh(self) -> None:
        """Load the keys again and again, until this is cancelled."""
        failures = 0
        while True:
            failures = 0 if await self.load() else failures + 1
            pause = min(FIRST_RETRY * 2 ** (failures - 1), REFRESH) if failures else REFRESH
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret

    async def close(self) -> None:
        """End a load that is under way."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
