"""Linking an environment, as a browser does it: over HTTP, with a login host and an environment on sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from gateway.config.linking_models import webhook_key
from gateway.environments.environment_store import open_environment_register
from gateway.environments.webhook_events import open_webhook_queue
from gateway.linking.return_address import signature_of
from gateway.sandbox.tenants.cloud import Cloud
from tests.support.linking import (
    CLIENT,
    OWN_CLIENT,
    OWN_SECRET,
    RETURN,
    UNKNOWN_CLIENT,
    Deployment,
    Link,
    customer,
    deployment,
)
from tests.support.postgresql import Postgres
from tests.support.stored_environments import KEY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with customer() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(cloud, tmp_path_factory.mktemp("data")) as gateway:
        yield gateway


def stored(gateway: Deployment, name: str) -> Any:
    register = open_environment_register(gateway.settings)
    try:
        return register.get(name)
    finally:
        register.close()


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


def test_an_environment_is_linked_and_answers(gateway: Deployment) -> None:
    started = time.monotonic()
    link = gateway.session(name="acme", title="Acme Ltd", return_url=RETURN)
    page = link.http.get(link.path)
    assert (page.status_code, "assets/link.js" in page.text) == (200, True)
    assert link.state()["title"] == "Acme Ltd"

    addressed = link.address().json()
    assert (addressed["phase"], addressed["tenant"]) == ("addressed", gateway.cloud.tenant.id)
    back = link.sign_in()
    assert (back.status_code, back.headers["location"]) == (303, f"{gateway.url}{link.path}")
    proved = link.state()
    assert (proved["phase"], proved["signedIn"]) == ("proved", "admin@contoso.com")
    lines = link.check()
    names = [line["step"]["name"] for line in lines[:-1]]
    assert names == [
        *("environment", "sign-in", "service", "user", "roles", "companies", "rights", "$metadata"),
    ]
    assert lines[-1]["state"]["phase"] == "checked"
    linked = link.finish().json()

    assert (linked["phase"], linked["environment"]) == ("linked", "acme")
    query = {"query": "{ customersV3(first: 1, crossCompany: true) { nodes { customerAccount } } }"}
    query = {"query": "{ legalEntities(first: 2) { nodes { legalEntityId } } }"}
    answer = link.http.post("/e/acme/graphql", json=query)
    while answer.status_code == 404 and time.monotonic() < started + 30:
        time.sleep(0.1)
        answer = link.http.post("/e/acme/graphql", json=query)
    assert len(answer.json()["data"]["legalEntities"]["nodes"]) == 2, answer.text
    environment = stored(gateway, "acme")
    assert environment.options.tenant_id == gateway.cloud.tenant.id
    assert environment.options.title == "Acme Ltd"
    assert environment.secrets == frozenset()
    assert environment.linked.subject == gateway.cloud.tenant.people[0].oid
    print(f"linked and answered in {time.monotonic() - started:.1f} s")


def test_the_way_back_is_signed(gateway: Deployment) -> None:
    link = gateway.session(name="signed", return_url=RETURN).to("linked")

    address = link.state()["return"]
    query = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(f"{RETURN}&")
    assert (query["session"], query["environment"]) == (link.id, "signed")
    secret = gateway.settings.linking.webhook_secret
    assert secret is not None
    stamp = int(query["timestamp"])
    assert query["signature"] == signature_of(webhook_key(secret), link.id, "signed", stamp)


def test_an_environment_is_linked_in_postgresql(
    cloud: Cloud, tmp_path: Path, postgresql: Postgres
) -> None:
    store: dict[str, Any] = {"store": postgresql.new_database(), "encryption_key": KEY}
    with deployment(cloud, tmp_path, **store) as gateway:
        link = gateway.session(name="pg", application="own")
        link.address(client_id=OWN_CLIENT, client_secret=OWN_SECRET)
        link.sign_in()
        link.check()
        assert link.finish().json()["environment"] == "pg"
        again = gateway.session(name="pg").to("checked")
        assert again.finish().json()["problem"]["code"] == "LINK_NAME_TAKEN"
        assert stored(gateway, "pg").secrets == {"client_secret"}


def test_the_integrator_gets_a_webhook(cloud: Cloud, tmp_path: Path) -> None:
    hook = {"webhook_url": "http://127.0.0.1:9/hook"}
    with deployment(cloud, tmp_path, linking=hook) as gateway:
        gateway.session(name="hooked").to("linked")
        queue = open_webhook_queue(gateway.settings)
        webhook = queue.claim(time.time())
        assert queue.claim(time.time()) is None
        queue.close()

    assert webhook is not None
    body = json.loads(webhook.body)
    assert body["type"] == "environment.linked"
    assert body["data"]["name"] == "hooked"
    assert body["data"]["linked"]["subject"] == cloud.tenant.people[0].oid


def test_a_customers_own_application_is_stored_encrypted(gateway: Deployment) -> None:
    link = gateway.session(name="own", application="own")
    refused = link.address()
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "client_id")

    link.address(client_id=OWN_CLIENT, client_secret=OWN_SECRET)
    assert link.state()["client"] == OWN_CLIENT
    assert OWN_SECRET not in str(link.state())
    link.sign_in()
    link.check()
    link.finish()

    environment = stored(gateway, "own")
    assert environment.options.client_id == OWN_CLIENT
    assert environment.secrets == {"client_secret"}
    assert gateway.settings.data_dir is not None
    for file in gateway.settings.data_dir.glob("**/*"):
        if file.is_file():
            assert OWN_SECRET.encode() not in file.read_bytes()


def test_a_failed_check_says_what_to_do_and_links_nothing(gateway: Deployment) -> None:
    link = gateway.session(name="failed", application="own")
    link.address(client_id=UNKNOWN_CLIENT, client_secret=OWN_SECRET)
    link.sign_in()

    lines = link.check()

    problem = lines[-2]["step"]
    assert problem["status"] == "problem"
    assert "Microsoft Entra ID applications" in problem["hint"]
    assert lines[-1]["state"]["phase"] == "proved"
    assert code_of(link.finish()) == "LINK_STEP"
    assert stored(gateway, "failed") is None
    gateway.cloud.sandbox.state.store.insert(
        "SysAADClients", [{"AADClientId": UNKNOWN_CLIENT, "Name": "Own", "UserId": "Admin"}]
    )
    try:
        assert link.check()[-1]["state"]["phase"] == "checked"
    finally:
        gateway.cloud.sandbox.state.store.delete("SysAADClients", AADClientId=UNKNOWN_CLIENT)


def test_a_wrong_secret_is_a_problem_of_the_sign_in(gateway: Deployment) -> None:
    link = gateway.session(application="own")
    link.address(client_id=OWN_CLIENT, client_secret="wrong")
    link.sign_in()

    state = link.state()
    assert state["phase"] == "addressed"
    assert "AADSTS7000215" in state["problem"]["message"]


def test_others_than_administrators_are_refused(gateway: Deployment) -> None:
    link = gateway.session().to("addressed")
    link.sign_in(person=1)

    state = link.state()
    assert (state["phase"], state["problem"]["code"]) == ("addressed", "LINK_NOT_ADMINISTRATOR")
    assert link.sign_in().status_code == 303
    assert link.state()["phase"] == "proved"


def test_who_declines_can_try_again(gateway: Deployment) -> None:
    link = gateway.session().to("addressed")
    declined = httpx.get(f"{link.login_page()}&consent=no").headers["location"]

    assert link.http.get(declined).status_code == 303
    assert link.state()["problem"]["code"] == "LINK_DECLINED"
    assert link.sign_in().status_code == 303
    assert link.state()["phase"] == "proved"


def test_names_come_from_hosts_and_are_used_once(gateway: Deployment) -> None:
    taken = gateway.session(name="taken").to("linked")
    assert taken.state()["environment"] == "taken"

    again = gateway.session(name="taken").to("checked")
    assert again.finish().json()["problem"]["code"] == "LINK_NAME_TAKEN"
    # This address is linked, under names that integrators have chosen.
    derived = gateway.session().to("checked")
    assert derived.finish().json()["problem"]["code"] == "LINK_ALREADY"


def test_a_second_request_to_link_gets_the_same_answer(gateway: Deployment) -> None:
    link = gateway.session(name="twice").to("linked")
    before = stored(gateway, "twice")

    again = link.finish()

    assert (again.status_code, again.json()["environment"]) == (200, "twice")
    assert stored(gateway, "twice") == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://contoso.example.com", "not allowed"),
        ("http://10.0.0.1/data", "Expected an https:// address"),
        ("https://10.0.0.1/data", "Expected an https:// address"),
        ("https://[::1]/data", "Expected an https:// address"),
        ("https://u:p@contoso.operations.dynamics.com", "Expected an https:// address"),
        ("javascript:alert(1)", "Expected an https:// address"),
        ("", "Expected an https:// address"),
        ("<script>alert(1)</script>", "Expected an https:// address"),
    ],
)
def test_other_addresses_are_refused(gateway: Deployment, url: str, message: str) -> None:
    link = gateway.session()
    before = len(gateway.cloud.sandbox.state.requests)

    refused = link.post("address", {"url": url})

    assert refused.status_code == 400
    assert refused.json()["error"]["field"] == "url"
    assert message in refused.json()["error"]["message"]
    assert len(gateway.cloud.sandbox.state.requests) == before
    assert link.state()["phase"] == "new"


def test_an_address_that_is_no_environment_is_a_problem(gateway: Deployment) -> None:
    link = gateway.session()

    login = link.address(f"{gateway.cloud.address}/login").json()
    assert login["problem"]["code"] == "LINK_NO_ENVIRONMENT"
    closed = link.address("http://127.0.0.1:1/data").json()
    assert closed["problem"]["code"] == "LINK_UNREACHABLE"
    assert link.address().json()["phase"] == "addressed"


def test_a_typed_tenant_must_be_that_of_the_environment(gateway: Deployment) -> None:
    from gateway.sandbox.tenants.cloud import STRANGERS

    link = gateway.session()
    assert link.address(tenant=STRANGERS.id).json()["problem"]["code"] == "LINK_TENANT"
    unknown = link.address(tenant="nowhere.example")
    assert (unknown.status_code, unknown.json()["error"]["field"]) == (400, "tenant")
    assert link.address(tenant="../../x").json()["error"]["field"] == "tenant"
    assert link.address(tenant=gateway.cloud.tenant.id).json()["phase"] == "addressed"


def test_the_application_of_the_deployment_signs_in(gateway: Deployment) -> None:
    link: Link = gateway.session().to("addressed")

    assert link.state()["client"] == CLIENT
    assert f"client_id={CLIENT}" in link.login_page()
