"""What a token says of the way to the environment, and where the way ends."""

from __future__ import annotations

import pytest

from gateway.config.settings import Settings
from gateway.errors import TokenError, UpstreamForbidden
from gateway.odata.token_facts import TokenFacts, token_facts
from gateway.runtime.upstream_chain import problem_step, token_step
from tests.support.login_host import signed

SETTINGS = Settings(url="https://x.operations.dynamics.com/data", auth="none", tenant_id="contoso")
GOOD = {"aud": "https://x.operations.dynamics.com", "tid": "t", "oid": "o", "appid": "a"}


@pytest.mark.parametrize(
    ("token", "facts"),
    [
        (signed(GOOD), TokenFacts(aud=GOOD["aud"], tid="t", oid="o", appid="a")),
        (signed({"azp": "a"}), TokenFacts(azp="a")),
        (signed({"aud": ["one", "two"]}), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.%%%.c", None),
        ("", None),
    ],
)
def test_a_token_says_what_it_is_for(token: str, facts: TokenFacts | None) -> None:
    assert token_facts(token) == facts


@pytest.mark.parametrize(
    ("claims", "status", "hint"),
    [
        (GOOD, "ok", None),
        # Entra names some services by their application's id.
        ({**GOOD, "aud": "00000015-0000-0000-c000-000000000000"}, "ok", None),
        ({**GOOD, "aud": "https://y.operations.dynamics.com"}, "warning", "Set scope"),
        ({**GOOD, "oid": None}, "problem", "tenant of the environment"),
    ],
)
def test_a_token_must_fit_the_service(
    claims: dict[str, str], status: str, hint: str | None
) -> None:
    token = signed(claims)

    _, step = token_step(SETTINGS, token, 3600.0)

    assert step.status == status
    assert (hint or "") in (step.hint or "")
    assert "valid for 60 minutes" in step.text
    assert not any(part in step.text for part in token.split("."))


def test_a_401_and_a_403_have_different_causes() -> None:
    unknown = problem_step("x", UpstreamForbidden("no", hint="h", upstream_status=401))
    without_role = problem_step("x", UpstreamForbidden("no", hint="h", upstream_status=403))

    assert "Microsoft Entra ID applications" in str(unknown.hint)
    assert without_role.hint == "h"
    assert problem_step("x", TokenError("no")).hint is None
