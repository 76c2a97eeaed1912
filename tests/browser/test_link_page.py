"""Linking an environment in a browser: address, sign-in, check, linked, and the first query."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.support.graphiql import violations
from tests.support.linking import (
    OWN_CLIENT,
    OWN_SECRET,
    UNKNOWN_CLIENT,
    customer,
    deployment,
)

pytestmark = pytest.mark.browser
XSS = '<img src=x onerror="document.title=1">'
QUERY = {"query": "{ legalEntities(first: 1) { nodes { legalEntityId } } }"}
NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def cloud():
    with customer() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud, tmp_path_factory):
    with deployment(cloud, tmp_path_factory.mktemp("data")) as gateway:
        yield gateway


@pytest.fixture
def watched(context, gateway, foreign, watching):
    # The login host of the sandbox is at another port of this machine.
    return watching(context, gateway.url, foreign)


def errors_of(watched):
    """Return what the console reports, but for answers that refuse an input."""
    found = [text for kind, text in watched.console if kind in {"error", "warning"}]
    return [text for text in found if "status of 400" not in text]


def sign_in(page, name="Administrator"):
    page.get_by_role("button", name="Sign in with Microsoft").click()
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("link", name="Accept").click()


def test_an_environment_is_linked_by_clicks(watched, gateway, screenshot):
    page = watched.page
    link = gateway.session(name="clicks", title="Contoso production")
    page.goto(f"{gateway.url}{link.path}")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Link the environment “Contoso production”"
    )
    screenshot(page, "link-address")
    assert violations(page) == []
    started = time.monotonic()
    page.get_by_label("Address of your environment").fill(gateway.cloud.root)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Sign in as an administrator")).to_be_focused()
    screenshot(page, "link-sign-in")
    assert violations(page) == []
    page.get_by_role("button", name="Sign in with Microsoft").click()
    page.get_by_role("link", name="Administrator").first.wait_for()
    screenshot(page, "link-login-host")
    assert violations(page) == []
    page.get_by_role("link", name="Administrator").first.click()
    page.get_by_role("link", name="Accept").wait_for()
    screenshot(page, "link-consent")
    page.get_by_role("link", name="Accept").click()
    finish = page.get_by_role("button", name="Link this environment")
    finish.wait_for()
    expect(page.get_by_text("admin@contoso.com administers it.")).to_be_visible()
    screenshot(page, "link-checked")
    assert violations(page) == []
    finish.click()
    expect(page.get_by_role("heading", name="The environment is linked")).to_be_focused()
    answer = page.request.post(f"{gateway.url}/e/clicks/graphql", data=QUERY)
    while answer.status == 404 and time.monotonic() < started + 60:
        time.sleep(0.1)
        answer = page.request.post(f"{gateway.url}/e/clicks/graphql", data=QUERY)

    assert answer.json()["data"]["legalEntities"]["nodes"]
    print(f"from the address to the first answer: {time.monotonic() - started:.1f} s")
    screenshot(page, "link-linked")
    assert violations(page) == []
    assert errors_of(watched) == []
    own = (gateway.url, gateway.cloud.address, "data:")
    assert [r for r in watched.requests if not r.startswith(own)] == []


def test_a_failed_check_shows_what_to_do_and_is_repeated(watched, gateway, screenshot):
    page = watched.page
    link = gateway.session(name="repeated", application="own", title=XSS)
    page.goto(f"{gateway.url}{link.path}")
    page.get_by_label("Address of your environment").fill(gateway.cloud.root)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter the application (client) id.")
    expect(page.get_by_label("Application (client) id")).to_be_focused()
    page.get_by_label("Application (client) id").fill(UNKNOWN_CLIENT)
    page.get_by_label("Value of a client secret").fill(OWN_SECRET)
    screenshot(page, "link-own-application")
    assert violations(page) == []
    page.keyboard.press("Enter")
    sign_in(page)
    expect(page.get_by_text("Not everything works yet.")).to_be_visible()
    expect(page.get_by_text("Microsoft Entra ID applications").last).to_be_visible()
    screenshot(page, "link-failed")
    assert violations(page) == []
    rows = [{"AADClientId": UNKNOWN_CLIENT, "Name": "Own", "UserId": "Admin"}]
    gateway.cloud.sandbox.state.store.insert("SysAADClients", rows)
    try:
        page.get_by_role("button", name="Check again").click()
        page.get_by_role("button", name="Link this environment").click()
        page.get_by_role("heading", name="The environment is linked").wait_for()
    finally:
        gateway.cloud.sandbox.state.store.delete("SysAADClients", AADClientId=UNKNOWN_CLIENT)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Link the environment “{XSS}”")
    assert page.title() != "1"
    assert errors_of(watched) == []


def test_problems_are_said_and_steps_can_be_repeated(watched, gateway, screenshot):
    page = watched.page
    link = gateway.session(name="problems")
    page.goto(f"{gateway.url}{link.path}")
    page.get_by_label("Address of your environment").fill("https://contoso.example.com")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("is not allowed")
    screenshot(page, "link-wrong-address")
    assert violations(page) == []
    page.get_by_label("Address of your environment").fill(gateway.cloud.root)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Sign in with Microsoft").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("You did not sign in")
    people = gateway.cloud.tenant.people
    sign_in(page, people[1].name)
    expect(page.get_by_role("alert")).to_contain_text("does not let user01@contoso.com read users")
    screenshot(page, "link-no-administrator")
    page.get_by_role("button", name="Another address").click()
    expect(page.get_by_label("Address of your environment")).to_have_value(gateway.cloud.root)
    page.reload()
    sign_in(page)
    page.get_by_role("button", name="Link this environment").wait_for()
    assert errors_of(watched) == []


def test_it_works_by_keyboard_in_dark_and_narrow(browser, foreign, gateway, watching, screenshot):
    options = {"viewport": NARROW, "color_scheme": "dark"}
    with browser.new_context(**options) as context:
        page = context.new_page()
        link = gateway.session(
            name="narrow", title="A very long name of an environment, for Ltd & Co KG"
        )
        page.goto(f"{gateway.url}{link.path}")
        page.get_by_label("Address of your environment").focus()
        page.keyboard.type(gateway.cloud.root)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Sign in as an administrator").wait_for()
        screenshot(page, "link-narrow-sign-in")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Sign in with Microsoft")).to_be_focused()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Administrator").first.press("Enter")
        page.get_by_role("link", name="Accept").press("Enter")
        page.get_by_role("button", name="Link this environment").wait_for()
        screenshot(page, "link-narrow-checked")
        assert violations(page) == []
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= NARROW["width"]
        page.get_by_role("button", name="Link this environment").press("Enter")
        page.get_by_role("heading", name="The environment is linked").wait_for()
        screenshot(page, "link-narrow-linked")
        assert violations(page) == []


def test_a_link_in_another_browser_is_of_no_use(watched, gateway, screenshot):
    link = gateway.session(application="own")
    link.address(client_id=OWN_CLIENT, client_secret=OWN_SECRET)
    page = watched.page

    page.goto(f"{gateway.url}{link.path}")

    expect(page.get_by_role("alert")).to_contain_text("This link is not valid")
    screenshot(page, "link-not-valid")
    assert violations(page) == []
