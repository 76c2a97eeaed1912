"""``gateway.errors``: what clients see of errors."""

from __future__ import annotations

import base64

from gateway.errors import Unauthenticated
from gateway.identity.caller import Assertion, Caller

CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


def test_a_claims_challenge_is_told_in_header_and_extensions() -> None:
    error = Unauthenticated("Sign in again.", claims=CLAIMS)

    encoded = base64.b64encode(CLAIMS.encode()).decode()
    assert error.challenge == (
        'Bearer realm="d365-graphql", error="insufficient_claims", '
        f'error_description="Sign in again.", claims="{encoded}"'
    )
    assert error.status == 401
    assert error.extensions()["claims"] == encoded


def test_without_claims_the_token_is_invalid() -> None:
    error = Unauthenticated("Sign in again.")

    assert error.challenge == (
        'Bearer realm="d365-graphql", error="invalid_token", error_description="Sign in again."'
    )
    assert "claims" not in error.extensions()


def test_without_credentials_the_challenge_names_no_error() -> None:
    error = Unauthenticated("Sign in.", error=None)

    assert (error.status, error.challenge) == (401, 'Bearer realm="d365-graphql"')


def test_a_malformed_request_is_status_400() -> None:
    error = Unauthenticated('Two "tokens" \\ in\r\none request.', error="invalid_request")

    assert error.status == 400
    assert error.challenge.endswith("error_description=\"Two 'tokens' ' in''one request.\"")


def test_a_copied_error_has_its_own_id() -> None:
    error = Unauthenticated("Sign in again.", claims=CLAIMS)
    copy = error.fresh_copy()

    assert copy.error_id != error.error_id
    assert copy.challenge == error.challenge


def test_a_caller_does_not_print_its_token() -> None:
    assert "secret" not in repr(Caller(kind="token", assertion=Assertion("secret")))
