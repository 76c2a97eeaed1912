"""Attacks on the link page: each leaves the session as it was, and links nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.linking.flow import LinkFlow, Visitor
from gateway.linking.session import MAX_TRIES, LinkSession
from gateway.sandbox.tenants.cloud import STRANGERS, Cloud
from gateway.sandbox.tenants.login_host import KEY_ID
from tests.support.linking import (
    CLIENT,
    RETURN,
    Deployment,
    Link,
    customer,
    deployment,
    environments,
    expire,
    query_of,
)

pytestmark = pytest.mark.slow
XSS = '<img src=x onerror="alert(1)">'
STEPS = ("address", "sign-in", "check", "finish")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with customer() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(cloud, tmp_path_factory.mktemp("data"), audit={"sink": "file"}) as gateway:
        yield gateway


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


def test_a_state_is_of_use_once(gateway: Deployment) -> None:
    link = gateway.session().to("addressed")
    callback = link.callback(link.login_page())
    assert link.http.get(callback).status_code == 303
    assert link.state()["phase"] == "proved"
    requests = len(gateway.cloud.sandbox.state.requests)

    replayed = link.http.get(callback)

    assert replayed.headers["location"] == f"{gateway.url}{link.path}"
    assert link.state()["phase"] == "proved"
    assert len(gateway.cloud.sandbox.state.requests) == requests


def test_a_state_of_an_earlier_sign_in_is_of_no_use(gateway: Deployment) -> None:
    link = gateway.session().to("addressed")
    earlier = link.callback(link.login_page())
    link.login_page()

    link.http.get(earlier)

    assert link.state()["phase"] == "signing_in"


@pytest.mark.parametrize("phase", ["addressed", "proved", "checked", "linked"])
def test_another_browser_gets_nothing(gateway: Deployment, phase: str) -> None:
    link = gateway.session(name=f"browser-{phase}").to(phase)
    before = link.state()
    other = gateway.browser()

    assert other.get(link.path).status_code == 404
    assert code_of(other.get(f"{link.path}/state")) == "LINK_NOT_FOUND"
    for step in STEPS:
        content = {"url": gateway.cloud.root}
        assert link.post(step, content, other).status_code == 404
    assert not other.cookies
    assert {**link.state(), "expiresIn": 0} == {**before, "expiresIn": 0} | (
        {"return": link.state()["return"]} if phase == "linked" else {}
    )


def test_the_cookie_of_another_session_is_of_no_use(gateway: Deployment) -> None:
    link, own = gateway.session().to("addressed"), gateway.session().to("addressed")
    (cookie,) = own.http.cookies.jar
    stolen = gateway.browser()
    stolen.cookies.set(f"d365-link-{link.id}", str(cookie.value))

    assert stolen.get(f"{link.path}/state").status_code == 404


def test_a_way_back_in_another_browser_is_of_no_use(gateway: Deployment) -> None:
    """Who is lured to an attacker's way back does not sign in for the attacker, nor the other way round."""
    attacker, victim = gateway.session().to("addressed"), gateway.session().to("addressed")
    callback = attacker.callback(attacker.login_page())

    assert victim.http.get(callback).status_code == 404
    assert (attacker.state()["phase"], victim.state()["phase"]) == ("signing_in", "addressed")


def test_a_code_of_another_sign_in_is_of_no_use(gateway: Deployment) -> None:
    own, other = gateway.session().to("addressed"), gateway.session().to("addressed")
    state = query_of(own.login_page())["state"]
    stolen = query_of(other.callback(other.login_page()))["code"]

    own.http.get(f"/link/callback?{urlencode({'state': state, 'code': stolen})}")

    assert own.state()["phase"] == "addressed"
    assert "AADSTS70008" in own.state()["problem"]["message"]


FORGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Claims = dict[str, Any]


def forged(content: Claims) -> str:
    return jwt.encode(content, FORGER, "RS256", headers={"kid": KEY_ID})


FORGERIES: dict[str, dict[str, Any]] = {
    "of another tenant": {"tid": STRANGERS.id},
    "of another issuer": {"iss": "https://login.microsoftonline.com/x/v2.0"},
    "for another application": {"aud": "22222222-0000-4000-8000-000000000002"},
    "for several applications": {"aud": [CLIENT, "other"]},
    "of another sign-in": {"nonce": "0" * 64},
    "without a nonce": {"nonce": None},
    "expired": {"exp": int(time.time()) - 3_600},
    "without an object": {"oid": None},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_an_id_token_proves_this_sign_in_alone(
    gateway: Deployment, monkeypatch: pytest.MonkeyPatch, changes: Claims
) -> None:
    link = gateway.session().to("addressed")
    host = gateway.cloud.host
    real: Callable[..., str] = host.signed

    def signed(tenant: Any, audience: str, **claims: Any) -> str:
        token = real(tenant, audience, **claims)
        if audience != CLIENT:
            return token
        content = {**jwt.decode(token, options={"verify_signature": False}), **changes}
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, host._key, "RS256", headers={"kid": KEY_ID})

    monkeypatch.setattr(host, "signed", signed)
    link.sign_in()

    assert link.state()["phase"] == "addressed"
    assert link.state()["problem"]["code"] in {"LINK_SIGN_IN", "AUTH_TOKEN_FAILED"}


def test_a_forged_id_token_proves_nothing(
    gateway: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = gateway.session().to("addressed")
    host = gateway.cloud.host
    real: Callable[..., str] = host.signed

    def signed(tenant: Any, audience: str, **claims: Any) -> str:
        token = real(tenant, audience, **claims)
        content = jwt.decode(token, options={"verify_signature": False})
        return forged(content) if audience == CLIENT else token

    monkeypatch.setattr(host, "signed", signed)
    link.sign_in()

    assert link.state()["problem"]["code"] == "LINK_SIGN_IN"


def test_a_token_that_the_environment_refuses_proves_nothing(
    gateway: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign-in is one of the tenant, but its user is none of the environment."""
    link = gateway.session().to("addressed")
    host = gateway.cloud.host
    real: Callable[..., str] = host.signed

    def signed(tenant: Any, audience: str, **claims: Any) -> str:
        return real(tenant, audience, **{**claims, "upn": "stranger@contoso.com"})

    monkeypatch.setattr(host, "signed", signed)
    link.sign_in()

    assert link.state()["problem"]["code"] == "LINK_NO_USER"


@pytest.mark.parametrize(
    "answer",
    [
        {"admin_consent": "True", "tenant": STRANGERS.id},
        {"admin_consent": "True", "tenant": STRANGERS.id, "error": ""},
        {"code": "", "id_token": "x.y.z"},
        {"error": XSS, "error_description": XSS},
    ],
    ids=str,
)
def test_what_the_way_back_says_proves_nothing(gateway: Deployment, answer: dict[str, str]) -> None:
    link = gateway.session().to("addressed")
    state = query_of(link.login_page())["state"]

    back = link.http.get(f"/link/callback?{urlencode({**answer, 'state': state})}")

    assert (back.status_code, link.state()["phase"]) == (303, "addressed")
    assert link.state()["problem"]["code"] == "LINK_DECLINED"
    assert "img" not in str(link.state())


@pytest.mark.parametrize(
    "state", ["", "x", ".", "0" * 24, "0" * 24 + ".x", "../../link", "%00", "'" * 24, "x" * 5_000]
)
def test_an_unknown_state_leads_nowhere(gateway: Deployment, state: str) -> None:
    link = gateway.session().to("addressed")

    answer = link.http.get(f"/link/callback?{urlencode({'state': state, 'code': 'c'})}")

    assert answer.status_code == 404
    assert "This link is not valid" in answer.text


def test_a_guessed_state_is_of_no_use(gateway: Deployment) -> None:
    link = gateway.session().to("addressed")
    link.login_page()

    link.http.get(f"/link/callback?state={link.id}.{'x' * 43}&code=c")

    assert link.state()["phase"] == "signing_in"


@pytest.mark.parametrize("guess", ["id", "x" * 43, "callback2", "..%2fadmin", "%00" * 43, "'--"])
def test_guessed_addresses_are_all_alike(gateway: Deployment, guess: str) -> None:
    link = gateway.session().to("addressed")
    token = link.id if guess == "id" else guess
    browser = gateway.browser()

    page, state = browser.get(f"/link/{token}"), browser.get(f"/link/{token}/state")

    if "%2f" not in guess:
        assert (page.status_code, code_of(state)) == (404, "LINK_NOT_FOUND")
        assert page.text == browser.get(link.path).text
    assert page.status_code == 404


@pytest.mark.parametrize("phase", ["addressed", "proved", "checked", "linked"])
def test_an_expired_session_is_gone(gateway: Deployment, phase: str) -> None:
    link = gateway.session(name=f"expired-{phase}").to(phase)
    linked = len(environments(gateway.settings))
    callback = link.callback(link.login_page()) if phase == "addressed" else "/link/callback"
    expire(link)

    assert link.http.get(link.path).status_code == 404
    assert link.http.get(callback).status_code == 404
    for step in STEPS:
        assert link.post(step, {"url": gateway.cloud.root}).status_code == 404
    assert len(environments(gateway.settings)) == linked


def test_a_link_is_of_use_once(gateway: Deployment) -> None:
    link = gateway.session(name="once").to("linked")

    assert gateway.browser().get(link.path).status_code == 404
    for step in ("address", "sign-in", "check"):
        assert link.post(step, {"url": gateway.cloud.root}).status_code in {404, 409}
    assert link.state()["phase"] == "linked"


def test_two_submits_at_once_link_once(gateway: Deployment) -> None:
    link = gateway.session(name="double").to("checked")
    cookies = dict(link.http.cookies)

    def finish(_: int) -> httpx.Response:
        with httpx.Client(base_url=gateway.url, cookies=cookies, timeout=30) as http:
            return link.post("finish", http=http)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(finish, range(4)))

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert any(answer.status_code == 200 for answer in answers)
    assert [e.name for e in environments(gateway.settings)].count("double") == 1
    assert link.state()["phase"] == "linked"


def test_a_submit_during_another_gets_its_answer(
    gateway: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = gateway.session(name="during").to("checked")
    read = LinkFlow.session_of

    async def overtaken(self: LinkFlow, visitor: Visitor) -> LinkSession:
        session = await read(self, visitor)
        monkeypatch.setattr(LinkFlow, "session_of", read)
        await self.finish(visitor)
        return session

    monkeypatch.setattr(LinkFlow, "session_of", overtaken)
    answer = link.post("finish")

    assert answer.status_code == 200
    assert link.state()["phase"] == "linked"
    assert [e.name for e in environments(gateway.settings)].count("during") == 1


CSRF: dict[str, dict[str, str]] = {
    "another origin": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "no origin": {"Origin": ""},
    "an opaque origin": {"Origin": "null"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "plain text": {"Content-Type": "text/plain"},
    "no type": {"Content-Type": ""},
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("headers", CSRF.values(), ids=CSRF)
def test_other_sites_can_request_no_step(
    gateway: Deployment, checked: Link, step: str, headers: dict[str, str]
) -> None:
    before = checked.state()["phase"]

    refused = checked.post(step, {"url": gateway.cloud.root}, headers=headers)

    assert (refused.status_code, code_of(refused)) == (403, "LINK_ORIGIN")
    assert checked.state()["phase"] == before == "checked"
    assert checked.http.get(f"{checked.path}/{step}").status_code == 405


@pytest.fixture(scope="module")
def checked(gateway: Deployment) -> Link:
    return gateway.session(name="csrf").to("checked")


def test_every_answer_is_closed_to_other_sites(gateway: Deployment) -> None:
    link = gateway.session(title=XSS).to("addressed")
    answers = {
        "page": link.http.get(link.path),
        "gone": gateway.browser().get(link.path),
        "state": link.http.get(f"{link.path}/state"),
        "refused": link.post("check"),
        "asset": link.http.get("/link/assets/link.js"),
        "no asset": link.http.get("/link/assets/link.html"),
        "way back": link.http.get(f"/link/callback?state={link.id}.x"),
    }

    for name, answer in answers.items():
        headers = answer.headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], name
        assert "'unsafe-inline'" not in headers["content-security-policy"], name
        assert headers["x-frame-options"] == "DENY", name
        assert headers["referrer-policy"] == "no-referrer", name
        assert headers["x-content-type-options"] == "nosniff", name
        assert "access-control-allow-origin" not in headers, name
        if "asset" not in name:
            assert headers["cache-control"] == "no-store", name
    assert XSS not in answers["page"].text
    assert answers["state"].headers["content-type"].startswith("application/json")
    assert answers["no asset"].status_code == 404


def test_the_cookie_is_read_by_no_script_and_sent_by_no_other_site(gateway: Deployment) -> None:
    link = gateway.session()
    cookie = link.address().headers["set-cookie"].lower()

    assert cookie.startswith(f"d365-link-{link.id}=")
    for attribute in ("httponly", "samesite=lax", "path=/", "max-age="):
        assert attribute in cookie


def test_the_way_back_goes_to_the_public_address_only(gateway: Deployment) -> None:
    link = gateway.session().to("addressed")
    callback = link.callback(link.login_page())
    forwarded = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}

    assert query_of(link.login_page())["redirect_uri"] == f"{gateway.url}/link/callback"
    assert link.http.get(callback, headers=forwarded).headers["location"].startswith(gateway.url)
    assert link.http.get(link.path, headers={"Host": "evil.example"}).status_code == 421


def test_a_return_address_that_is_no_more_allowed_is_not_used(
    gateway: Deployment, cloud: Cloud
) -> None:
    link = gateway.session(name="returned", return_url="https://evil.example/").to("linked")

    assert link.state()["return"] is None
    assert RETURN in gateway.settings.linking.return_urls


def test_tries_of_a_session_are_bounded(gateway: Deployment) -> None:
    link = gateway.session()
    for _ in range(MAX_TRIES):
        link.address()
    requests = len(gateway.cloud.sandbox.state.requests)

    refused = link.address()

    assert (refused.status_code, code_of(refused)) == (429, "LINK_TRIES")
    assert len(gateway.cloud.sandbox.state.requests) == requests


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"url": 1}', 400),
        (b'{"url": "\xff"}', 400),
        (b'{"url": "' + b"x" * 20_000 + b'"}', 413),
        (b"[" * 10_000, 400),
    ],
    ids=["empty", "list", "number", "no text", "long", "deep"],
)
def test_malformed_bodies_are_refused(gateway: Deployment, content: bytes, status: int) -> None:
    link = gateway.session()
    headers = {"Origin": gateway.url, "Content-Type": "application/json"}

    answer = link.http.post(f"{link.path}/address", content=content, headers=headers)

    assert (answer.status_code, code_of(answer)) == (status, "LINK_INPUT")


def test_no_secret_is_stored_logged_or_audited(gateway: Deployment) -> None:
    link = gateway.session(name="secrets").to("linked")
    link.http.get(link.path, headers={"Host": "evil.example"})  # which is audited
    (cookie,) = link.http.cookies.jar
    folder = gateway.settings.data_dir
    assert folder is not None
    texts = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    texts.append(repr(gateway.events).encode())

    for text in texts:
        assert link.token.encode() not in text
        assert str(cookie.value).encode() not in text
        assert b"eyJhbGciOi" not in text, "a token of the login host"


def test_who_links_is_audited(gateway: Deployment) -> None:
    link = gateway.session(name="audited").to("addressed")
    link.sign_in(person=1)
    link.to("linked")
    folder = gateway.settings.data_dir
    assert folder is not None

    def lines() -> str:
        return "".join(file.read_text() for file in (folder / "audit").iterdir())

    until = time.monotonic() + 60
    while '"environment.linked"' not in lines() and time.monotonic() < until:
        time.sleep(0.05)
    text = lines()
    assert gateway.cloud.tenant.people[0].oid in text
    assert "LINK_NOT_ADMINISTRATOR" in text
