"""Proof that a visitor administers an environment: it answers their own token, and says that the role is theirs.

    ID token: tid is the tenant of the environment (``login``)
    service root with the delegated token ──▶ 401: no user of it
    its own row among the users ──▶ enabled? ──▶ the role of system administrators (``linking.require_administrator``)

What cannot be read proves nothing: administrators can read users and their roles.
"""

from __future__ import annotations

from gateway.config.settings import Settings
from gateway.errors import AuthError, GatewayError
from gateway.events import Observer
from gateway.identity.id_tokens import SignedIn
from gateway.odata.account import AccountSets
from gateway.odata.brought_token import BroughtToken
from gateway.odata.client import ODataClient
from gateway.odata.dialect import Dialect
from gateway.odata.dialects import dialect_for
from gateway.odata.query import Request
from gateway.odata.rows_of import equals, rows_of

from .problems import problem_of
from .session import Problem

_NOT_ADMINISTRATOR = "LINK_NOT_ADMINISTRATOR"
_ROLE_HINT = "Sign in as somebody with the security role System administrator."


class NotProved(Exception):
    """A visitor who has signed in does not administer the environment, as far as it says."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


async def prove(settings: Settings, user: SignedIn, token: str, observe: Observer) -> None:
    """Raise NotProved unless a user administers the environment of these settings."""
    # The visitor waits, and can try again.
    impatient = settings.model_copy(update={"retries": 0})
    async with ODataClient(impatient, auth=BroughtToken(token), observe=observe) as client:
        try:
            await client.send(Request("GET", "", {}))
        except AuthError as error:
            raise NotProved(
                Problem(
                    "LINK_NO_USER",
                    f"The environment does not accept the sign-in of {_name(user)}.",
                    "Sign in as an enabled user of this environment.",
                )
            ) from error
        except GatewayError as error:
            raise NotProved(problem_of(error)) from error
        if settings.linking.require_administrator:
            dialect = dialect_for(settings.dialect, client.root)
            await _require_administrator(client, dialect, user)


async def _require_administrator(client: ODataClient, dialect: Dialect, user: SignedIn) -> None:
    sets = dialect.account
    if sets is None or user.sign_in is None:
        raise NotProved(
            Problem(
                _NOT_ADMINISTRATOR,
                "Who administers this kind of environment cannot be read.",
                "Operators of the gateway may set linking.require_administrator = false.",
            )
        )
    try:
        is_administrator = await _administers(client, dialect, sets, user.sign_in)
    except GatewayError as error:
        # Those who may not read roles do not have this one.
        message = f"The environment does not let {_name(user)} read users and their roles."
        raise NotProved(Problem(_NOT_ADMINISTRATOR, message, _ROLE_HINT)) from error
    if not is_administrator:
        message = f"{_name(user)} is no system administrator of this environment."
        raise NotProved(Problem(_NOT_ADMINISTRATOR, message, _ROLE_HINT))


async def _administers(
    client: ODataClient, dialect: Dialect, sets: AccountSets, sign_in: str
) -> bool:
    """Return whether a user of the environment has the role of administrators. Raises GatewayError."""
    users = sets.users
    rows = await rows_of(
        client,
        dialect,
        users.entity_set,
        (users.id, users.sign_in, users.enabled),
        equals(users.sign_in, sign_in),
        top=2,
    )
    # The service compares without case and blanks at the end: it must be this very name, and one user's.
    same = [row for row in rows if str(row.get(users.sign_in, "")).casefold() == sign_in.casefold()]
    if len(rows) != 1 or len(same) != 1 or same[0].get(users.enabled) is not True:
        return False
    role = sets.administrator
    assignments = await rows_of(
        client,
        dialect,
        role.entity_set,
        (role.key, role.value),
        equals(role.key, str(same[0][users.id])),
    )
    return any(row.get(role.value) == sets.administrator_role for row in assignments)


def _name(user: SignedIn) -> str:
    return user.sign_in or user.name
