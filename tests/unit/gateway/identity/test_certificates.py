"""Client certificates in ``X-Forwarded-Client-Cert``: its grammar, what matches, and whose header counts."""

from __future__ import annotations

import datetime
import time
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from starlette.types import Scope

from gateway.config.inbound_models import ClientCertificate
from gateway.config.settings import Settings
from gateway.http.edge import Edge
from gateway.identity.caller import Caller
from gateway.identity.certificates import MAX_HEADER, certificate_caller, read_header
from gateway.identity.refusals import CredentialsRefused
from tests.support.issuer import ec_key

HASH = "ab" * 32
ELEMENT = f'By=spiffe://mesh/gw;Hash={HASH};Subject="CN=erp-sync,O=Contoso";URI=spiffe://c/erp;URI=spiffe://c/b'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            ELEMENT,
            {"subject": ("CN=erp-sync,O=Contoso",), "uri": ("spiffe://c/erp", "spiffe://c/b")},
        ),
        (f"Hash=00,{ELEMENT}", {"hash": (HASH,)}),
        (f"{ELEMENT}, Hash=11", {"hash": ("11",)}),
        (r'Subject="CN=a\"b;c,d"', {"subject": ('CN=a"b;c,d',)}),
        ("Hash=1;Hash=2", {"hash": ("1", "2")}),
        ('Subject=""', {"subject": ("",)}),
    ],
)
def test_the_last_element_is_read(header: str, expected: dict[str, tuple[str, ...]]) -> None:
    facts = read_header(header)

    assert {name: facts[name] for name in expected} == expected


@pytest.mark.parametrize(
    "header",
    [
        'Subject="CN=a',
        "nothing",
        "Hash=1;x",
        'Hash="1"2',
        f"{ELEMENT},",
        "=1",
        "x" * (MAX_HEADER + 1),
    ],
)
def test_a_malformed_header_is_refused(header: str) -> None:
    with pytest.raises(CredentialsRefused):
        certificate_caller(header, [ClientCertificate(subject="*")], 0)


def caller(header: str, *accepted: dict[str, Any], now: float = 0) -> Caller | None:
    return certificate_caller(header, map(ClientCertificate.model_validate, accepted), now)


@pytest.mark.parametrize(
    ("accepted", "matches"),
    [
        ({"subject": "CN=erp-*,O=Contoso"}, True),
        ({"subject": "CN=ERP-*"}, False),
        ({"uri": "spiffe://c/b"}, True),
        ({"uri": "spiffe://other/*"}, False),
        ({"fingerprint": HASH}, True),
        ({"fingerprint": ":".join([HASH[:2].upper()] * 32)}, True),
        ({"fingerprint": "00" * 32}, False),
        ({"subject": "CN=erp-*", "fingerprint": "00" * 32}, False),
        ({"subject": "*", "issuer": "*"}, False),
    ],
)
def test_all_patterns_of_a_setting_must_match(accepted: dict[str, Any], matches: bool) -> None:
    if not matches:
        with pytest.raises(CredentialsRefused):
            caller(ELEMENT, accepted)
        return
    found = caller(ELEMENT, {**accepted, "roles": ["sync"]})
    assert found is not None
    assert (found.kind, found.roles) == ("certificate", ("sync",))


def test_roles_of_all_matching_settings_unite() -> None:
    found = caller(
        ELEMENT,
        {"subject": "CN=erp-*", "roles": "b, a", "name": "Sync"},
        {"uri": "spiffe://c/*", "roles": "c"},
        {"fingerprint": "00" * 32, "roles": "admin"},
    )

    assert found is not None
    assert (found.name, found.roles, found.subject) == (
        "Sync",
        ("a", "b", "c"),
        "CN=erp-sync,O=Contoso",
    )


def test_a_request_may_have_no_certificate() -> None:
    assert caller("By=spiffe://mesh/gw", {"subject": "*"}) is None
    assert caller("", {"subject": "*"}) is None


def certificate(days: float = 1) -> tuple[str, str]:
    """Return a certificate as Envoy passes it on, and its fingerprint."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "real")])
    ca = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Contoso CA")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca)
        .public_key(ec_key("client").public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(ec_key("ca"), SHA256())
    )
    pem = quote(made.public_bytes(Encoding.PEM).decode(), safe="")
    return f'Subject="CN=fake";Hash={HASH};Cert="{pem}"', made.fingerprint(SHA256()).hex()


def test_the_certificate_itself_decides() -> None:
    header, fingerprint = certificate()

    found = caller(header, {"issuer": "CN=Contoso*", "fingerprint": fingerprint}, now=time.time())

    assert found is not None
    assert (found.subject, found.issuer) == ("CN=real", "CN=Contoso CA")
    assert found.expires_at is not None
    with pytest.raises(CredentialsRefused):
        caller(header, {"subject": "CN=fake"})


def test_an_expired_certificate_is_refused() -> None:
    with pytest.raises(CredentialsRefused, match="expired"):
        caller(certificate(-1)[0], {"subject": "CN=real"}, now=time.time())


def test_a_certificate_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(CredentialsRefused):
        caller(f'Hash={HASH};Cert="x"', {"fingerprint": HASH})


SETTINGS: dict[str, Any] = {
    "trusted_proxies": ["10.0.0.0/8"],
    "inbound": {"client_certificates": [{"subject": "*"}]},
}


@pytest.mark.parametrize(
    ("client", "stays"), [("10.1.2.3", True), ("203.0.113.7", False), (None, False)]
)
def test_only_trusted_proxies_may_send_a_certificate(client: str | None, stays: bool) -> None:
    edge = Edge(Settings.model_validate(SETTINGS), lambda _: None)
    scope: Scope = {
        "type": "http",
        "path": "/graphql",
        "scheme": "http",
        "client": client and (client, 1),
        "headers": [
            (b"host", b"localhost"),
            (b"x-forwarded-client-cert", b"Subject=CN=a"),
            # After which the client is another: what matters is who has sent the request.
            (b"x-forwarded-for", b"10.9.9.9"),
        ],
    }

    assert edge.admit(scope) is None
    assert (b"x-forwarded-client-cert" in dict(scope["headers"])) is stays


@pytest.mark.parametrize("proxies", [[], ["*"], ["10.0.0.1", "*"]])
def test_certificates_need_proxies_with_addresses(proxies: list[str]) -> None:
    with pytest.raises(ValidationError, match="needs trusted_proxies"):
        Settings.model_validate({**SETTINGS, "trusted_proxies": proxies})
