"""The steps of linking an environment, as the page requests them one after the other.

    address ──▶ sign_in ──▶ (login host) ──▶ returned ──▶ check ──▶ finish

Each step reads the session, does its work, and stores one transition. So it can be killed anywhere: what is stored is
the state before or after a step, and the same browser goes on from there. The environment and the end of its session
are stored in one transaction, and nothing serves an environment that is not linked.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from gateway.administration.environment_service import check_environment
from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.errors import GatewayError, IssuerUnavailable, SettingsError, TokenError
from gateway.events import ErrorRaised, Observer
from gateway.identity.refusals import CredentialsRefused
from gateway.runtime.upstream_chain import Status, Step
from gateway.store.stored_environment import Linked

from .budget import Budget
from .discovery import Discovery
from .login import Login, SignInSecrets, login_address, login_of, sign_in
from .options import LinkInput, environment_settings, link_input, own_application
from .problems import LinkError, no_session, problem_of
from .proof import NotProved, prove
from .sealing import LinkSecrets, Unsealable, digest_of, is_digest_of, new_secret, seal, unseal
from .session import (
    Addressed,
    AddressRefused,
    Checked,
    CheckStep,
    LinkSession,
    Phase,
    Problem,
    Proved,
    Returned,
    SignInBegun,
    SignInRefused,
    Target,
    Tried,
)
from .sessions import LinkSessions
from .storing import LinkStore
from .tenants import Unreachable

_DECLINED = Problem(
    "LINK_DECLINED",
    "You did not sign in, or did not consent to what the application needs.",
    "Sign in again, and accept the permissions.",
)
_FOREIGN = Problem(
    "LINK_SIGN_IN",
    "The sign-in could not be verified: it is not one of this environment's tenant.",
    "Sign in again as an administrator of this environment.",
)


class Visitor(Struct, frozen=True, kw_only=True):
    """Who requests a step: the token in the address, and the secrets in the cookies of the browser."""

    token: str
    secrets: Mapping[str, str]
    """Id of a session → secret of the browser that has begun it."""

    def __repr__(self) -> str:
        return "Visitor(********)"


class Back(Struct, frozen=True, kw_only=True):
    """A browser that has come back from the login page."""

    token: str
    """Of the session whose page it goes on with."""
    session: LinkSession

    def __repr__(self) -> str:
        return "Back(********)"


class Ended(Struct, frozen=True, kw_only=True):
    """A linked environment."""

    session: LinkSession
    is_new: bool
    """False: it was linked by an earlier request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFlow:
    """The steps of one deployment. All raise LinkError, and StoreUnavailable."""

    settings: Settings
    public_url: str
    """Origin and root path at which browsers reach the gateway."""
    sessions: LinkSessions
    store: LinkStore
    observe: Observer
    budget: Budget = field(default_factory=Budget)

    def close(self) -> None:
        """Close the connections to the store."""
        self.store.close()

    async def session_of(self, visitor: Visitor) -> LinkSession:
        """Return the session of a visitor: one that no browser has begun, or that this one has."""
        session = await self.sessions.by_token(visitor.token)
        if session.browser is not None:
            _secret_of(session, visitor.secrets)
        return session

    async def address(self, visitor: Visitor, entered: LinkInput) -> tuple[LinkSession, str]:
        """Take the address of an environment; return the session with the secret of its browser's cookie."""
        session = await self.session_of(visitor)
        values = link_input(self.settings, session, entered)
        secret = visitor.secrets[session.id] if session.browser else new_secret()
        browser = digest_of(secret)
        with self.budget.step():
            session = await self.sessions.apply(session, Tried())
            try:
                tenant = await Discovery(self.settings).tenant(values)
            except Unreachable as error:
                after = await self.sessions.apply(session, AddressRefused(browser, error.problem))
                return after, secret
        target = Target(values.url, tenant)
        # What was typed may use options that this tenant makes wrong.
        environment_settings(self.settings, session, target, values.own)
        hidden = LinkSecrets(
            token=visitor.token, client_secret=None if values.own is None else values.own[1]
        )
        event = Addressed(
            browser=browser,
            target=target,
            sealed=seal(hidden, secret, session.id),
            client_id=None if values.own is None else values.own[0],
        )
        return await self.sessions.apply(session, event), secret

    async def sign_in(self, visitor: Visitor) -> str:
        """Begin a sign-in; return the address of the login page."""
        session, hidden, secret = await self._begun(visitor)
        if session.target is None:
            raise LinkError(
                409, Problem("LINK_STEP", "Enter the address first.", "Reload the page.")
            )
        # The id finds the session when the browser comes back; the rest is the proof that it is this sign-in.
        state = f"{session.id}.{new_secret()}"
        secrets = SignInSecrets(state=state, verifier=new_secret(), nonce=new_secret())
        login = self._login(session, session.target, hidden)
        sealed = replace(hidden, verifier=secrets.verifier, nonce=secrets.nonce)
        event = SignInBegun(digest_of(state), seal(sealed, secret, session.id))
        await self.sessions.apply(session, event)
        return login_address(login, secrets)

    async def returned(self, state: str, code: str | None, secrets: Mapping[str, str]) -> Back:
        """Take a browser with these secrets back from the login page.

        What else the login page says (``error``, ``admin_consent``, ``tenant``) proves nothing, and is not read.
        """
        session = await self.sessions.by_id(state.partition(".")[0])
        secret = _secret_of(session, secrets)
        hidden = self._unsealed(session, secret)
        if not is_digest_of(session.state, state):
            # An address of an earlier sign-in, reloaded: nothing happens, and the page shows how far it is.
            return Back(token=hidden.token, session=session)
        with self.budget.step():
            session = await self.sessions.apply(session, Returned(digest_of(state)))
            event = await self._proved(session, hidden, code, secret)
        return Back(token=hidden.token, session=await self.sessions.apply(session, event))

    async def check(self, visitor: Visitor) -> AsyncGenerator[CheckStep]:
        """Check the environment with the credentials of its application; yield the steps, and store them at the end."""
        session, hidden, _ = await self._begun(visitor)
        if session.phase not in {Phase.PROVED, Phase.CHECKED} or session.target is None:
            raise LinkError(409, Problem("LINK_STEP", "Sign in first.", "Reload the page."))
        settings = self._environment(session, session.target, hidden)
        with self.budget.step():
            session = await self.sessions.apply(session, Tried())
            steps: list[CheckStep] = []
            async for step in check_environment(settings, self.observe):
                shown = _shown(step)
                steps.append(shown)
                yield shown
        is_good = all(step.status != Status.PROBLEM for step in steps)
        await self.sessions.apply(session, Checked(tuple(steps), is_good=is_good))

    async def finish(self, visitor: Visitor) -> Ended:
        """Link the environment. A second request gets the answer of the first."""
        session = await self.session_of(visitor)
        if session.phase is Phase.LINKED:
            return Ended(session=session, is_new=False)
        try:
            session, hidden, _ = await self._begun(visitor)
        except LinkError:
            session = await self.session_of(visitor)
            if session.phase is not Phase.LINKED:
                raise
            # Another request has ended it meanwhile, and its secrets with it.
            return Ended(session=session, is_new=False)
        if session.phase is not Phase.CHECKED or session.target is None:
            raise LinkError(
                409, Problem("LINK_STEP", "Check the environment first.", "Reload the page.")
            )
        linked = await self.store.link(
            self.sessions, session, own_application(session, hidden.client_secret)
        )
        return Ended(session=linked, is_new=linked.phase is Phase.LINKED)

    async def _begun(self, visitor: Visitor) -> tuple[LinkSession, LinkSecrets, str]:
        """Return the session that this browser has begun, and its secrets."""
        session = await self.sessions.by_token(visitor.token)
        secret = _secret_of(session, visitor.secrets)
        return session, self._unsealed(session, secret), secret

    async def _proved(
        self, session: LinkSession, hidden: LinkSecrets, code: str | None, secret: str
    ) -> Proved | SignInRefused:
        """Return whether a visitor who has come back with a code administers the environment."""
        if not code:
            return SignInRefused(_DECLINED)
        assert session.target is not None  # of a session that signs in
        secrets = SignInSecrets(state="", verifier=hidden.verifier or "", nonce=hidden.nonce or "")
        try:
            login = self._login(session, session.target, hidden)
            user, token = await sign_in(login, secrets, code, self.observe)
            await prove(
                self._environment(session, session.target, hidden), user, token, self.observe
            )
        except NotProved as error:
            return SignInRefused(error.problem)
        except CredentialsRefused as error:
            self._report(GatewayError(_FOREIGN.message, detail=error.reason), _FOREIGN.code)
            return SignInRefused(_FOREIGN)
        except (TokenError, SettingsError, IssuerUnavailable) as error:
            self._report(error, error.code)
            return SignInRefused(problem_of(error))
        sealed = replace(hidden, verifier=None, nonce=None)
        linked = Linked(
            tenant=user.tenant, subject=user.subject, name=user.sign_in or user.name, at=time.time()
        )
        return Proved(linked, seal(sealed, secret, session.id))

    def _report(self, error: GatewayError, code: str) -> None:
        """Log why a sign-in could not be verified: it may be a wrong setting of the deployment."""
        self.observe(
            ErrorRaised(
                error_id=error.error_id, code=code, message=error.message, detail=error.detail
            )
        )

    def _login(self, session: LinkSession, target: Target, hidden: LinkSecrets) -> Login:
        return login_of(
            self.settings,
            public_url=self.public_url,
            tenant=target.tenant,
            url=target.url,
            own=own_application(session, hidden.client_secret),
        )

    def _environment(
        self, session: LinkSession, target: Target, hidden: LinkSecrets
    ) -> EnvironmentSettings:
        own = own_application(session, hidden.client_secret)
        return environment_settings(self.settings, session, target, own)

    @staticmethod
    def _unsealed(session: LinkSession, secret: str) -> LinkSecrets:
        """Return the secrets of a session. Raises LinkError if it has none any more."""
        try:
            return unseal(session.sealed or "", secret, session.id)
        except Unsealable:
            raise no_session() from None


def _secret_of(session: LinkSession, secrets: Mapping[str, str]) -> str:
    """Return the secret of the browser that has begun a session. Raises LinkError if it is another one."""
    secret = secrets.get(session.id)
    if secret is None or not is_digest_of(session.browser, secret):
        raise no_session()
    return secret


def _shown(step: Step) -> CheckStep:
    return CheckStep(step.name, str(step.status), step.text, step.hint)
