"""Signing in on the page, as a user of the sandbox: the badge, a role's view, renewal, signing out."""

import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from tests.browser.conftest import WatchedPage, profile
from tests.support.graphiql import SECONDS, result_of, run, violations, write
from tests.support.threaded import threaded

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("built_page")]
PROFILES = {"ap": {"title": "Accounts payable", "include": ["Vend*"], "roles": ["ap-clerk"]}}
VENDORS = "{ vendorsV2(first: 50) { nodes { vendorGroupId dataAreaId } } }"
THEMES = ("light", "dark")
SUBSCRIPTION = 'subscription { entityChanged(set: "VendorInvoiceHeaders") { kind } }'


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The URL of a sandbox with roles."""
    settings = {
        "data_dir": tmp_path_factory.mktemp("data"),
        "sandbox": {"roles": True},
        "subscriptions": {"interval": 0.2},
        "profiles": PROFILES,
        "language": None,
    }
    with threaded(create_app(Settings.model_validate(settings)), sockets=True) as url:
        yield url


@pytest.fixture
def watched(context, url, foreign):
    return WatchedPage(context, url, foreign)


@pytest.fixture(scope="module")
def alices(browser, foreign, url):
    """A page that Alice has signed in to, for tests that only look at it."""
    with profile(browser, foreign) as context:
        watched = WatchedPage(context, url, foreign)
        sign_in(watched.page, f"{url}/graphiql", "Alice Payable")
        yield watched


@pytest.fixture
def signed_in(alices):
    return alices.begin()


def sign_in(page, address, user):
    page.goto(address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=user).click()
    page.wait_for_selector(".graphiql-query-editor .view-line", timeout=SECONDS)
    assert page.url == address


def storage_of(page):
    return page.evaluate("() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")


def violations_by_theme(page):
    found = {}
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        found[theme] = violations(page)
    return found


def test_a_user_signs_in_sees_its_view_and_signs_out(watched, url, screenshot):
    page = watched.page
    page.goto(f"{url}/graphiql/ap")
    page.get_by_role("button", name="Sign in").wait_for()
    screenshot(page, "graphiql-gate")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Alice Payable").wait_for()
    screenshot(page, "sandbox-users")
    page.get_by_role("link", name="Alice Payable").click()
    picker = page.get_by_label("API", exact=True)
    assert picker.input_value() == "/graphiql/ap"
    assert page.url == f"{url}/graphiql/ap"

    # another page does not ask again
    picker.select_option("All")
    page.wait_for_url(f"{url}/graphiql")
    badge = page.get_by_role("group", name="Signed in")
    assert badge.inner_text().split("\n")[:2] == ["Alice Payable", "ap-clerk"]
    assert page.locator(".environment").inner_text().startswith("Sandbox")
    page.wait_for_selector(".graphiql-query-editor .view-line", timeout=SECONDS)
    write(page, VENDORS)
    rows = json.loads(run(page))["data"]["vendorsV2"]["nodes"]
    assert rows
    assert {(row["vendorGroupId"], row["dataAreaId"]) for row in rows} == {("10", "usmf")}
    screenshot(page, "graphiql-signed-in")
    assert "eyJ" not in storage_of(page)
    assert "sign-in" not in storage_of(page)

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.locator(".graphiql-container").count() == 0
    watched.assert_clean()


def test_panels_send_the_token_too(signed_in):
    page = signed_in.page
    write(page, VENDORS)

    page.get_by_label("Show Explain").click()
    page.locator(".explain-requests").wait_for()
    page.get_by_label("Show Search").click()
    page.locator(".search-input").fill("vendor group")
    page.locator(".search-hits li").first.wait_for()
    page.locator(".search-input").fill("customersV3")
    page.get_by_text("No name matches.").wait_for()
    signed_in.assert_clean()


def test_a_profile_of_other_roles_is_no_page(context, url):
    page = context.new_page()
    texts = []
    for name in ("ap", "nothing"):
        page.goto(f"{url}/graphiql/{name}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Vera Viewer").click()
        page.get_by_role("button", name="Sign out").wait_for()
        texts.append(page.locator("main").inner_text())

    assert texts[0] == texts[1]
    assert "There is no such page." in texts[0]


def test_a_token_is_renewed_until_that_is_refused(watched, url):
    page = watched.page
    sent = []
    page.on("websocket", lambda s: s.on("framesent", lambda text: sent.append(json.loads(text))))

    def answer(route):
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), "expires_in": 2})

    # Each token says that it ends soon.
    page.route("**/sandbox/token", answer)
    sign_in(page, f"{url}/graphiql", "Alice Payable")
    write(page, SUBSCRIPTION)
    with page.expect_websocket() as opened:
        page.get_by_label("Execute query").click()
    deadline = time.monotonic() + 60
    while "ping" not in [message["type"] for message in sent] and time.monotonic() < deadline:
        page.wait_for_timeout(100)

    ping = next(message for message in sent if message["type"] == "ping")
    (init,) = [message for message in sent if message["type"] == "connection_init"]
    assert init["payload"]["Authorization"].startswith("Bearer ")
    assert ping["payload"]["Authorization"].startswith("Bearer ")
    assert not opened.value.is_closed()
    assert "errors" not in result_of(page)
    page.get_by_label("Stop query").click()
    page.get_by_label("Execute query").wait_for(timeout=SECONDS)
    watched.assert_clean()

    # The next token lasts, and the one after it is refused.
    with page.expect_response("**/sandbox/token"):
        page.unroute("**/sandbox/token")
    page.route(
        "**/sandbox/token", lambda route: route.fulfill(status=400, json={"error": "invalid_grant"})
    )
    page.route("**/graphql", lambda route: route.fulfill(status=401, json={"errors": []}))
    write(page, VENDORS)
    page.get_by_label("Execute query").click()
    page.get_by_role("button", name="Sign in again").wait_for()


def test_an_answer_that_was_not_asked_for_signs_nobody_in(context, url):
    page = context.new_page()
    page.goto(f"{url}/graphiql")
    for answer in ("code=x&state=forged", "error=access_denied&state=STATE"):
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Ada Admin").wait_for()
        state = parse_qs(urlsplit(page.url).query)["state"][0]
        page.goto(f"{url}/graphiql/callback?{answer.replace('STATE', state)}")

        page.get_by_role("alert").wait_for()
        assert "Signing in failed" in page.get_by_role("alert").inner_text()
        assert page.url == f"{url}/graphiql"
        assert page.get_by_role("button", name="Sign in").count() == 1


def test_the_badge_fits_a_narrow_window(signed_in, screenshot):
    page, width = signed_in.page, 420
    page.set_viewport_size({"width": width, "height": 800})
    box = page.get_by_role("button", name="Sign out").bounding_box()

    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    screenshot(page, "graphiql-signed-in-narrow")


def test_all_text_of_signing_in_can_be_read(context, signed_in, url):
    page = context.new_page()
    page.goto(f"{url}/graphiql")
    page.get_by_role("button", name="Sign in").wait_for()
    unexpected = {"gate": violations_by_theme(page)}
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Alice Payable").wait_for()
    unexpected["users"] = violations_by_theme(page)
    unexpected["badge"] = violations_by_theme(signed_in.page)

    nothing: dict[str, list[object]] = {"light": [], "dark": []}
    assert unexpected == {"gate": nothing, "users": nothing, "badge": nothing}
