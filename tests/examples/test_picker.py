"""The picker of accounts and dimensions, bundled and opened in Debian's chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Page, Response, expect, sync_playwright

from tests.support.graphiql import violations
from tests.support.node import Tools, missing
from tests.support.pages import ROOT
from tests.support.requirements import need

SOURCE = ROOT / "examples" / "browser"
PACKAGES = ROOT / "gateway" / "graphiql" / "page"


@pytest.fixture(scope="module")
def script(typescript: Tools, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bundled page, whose types were checked; React and esbuild are those of GraphiQL."""
    need(not (lacking := missing(PACKAGES)), lacking)
    target = tmp_path_factory.mktemp("picker") / "picker.js"
    command = [
        str(PACKAGES / "node_modules" / ".bin" / "esbuild"), "dist/picker.js", "--bundle", "--format=esm",
        f"--outfile={target}", "--log-level=warning", '--define:process.env.NODE_ENV="production"',
    ]  # fmt: skip
    environment = {
        "NODE_PATH": str(PACKAGES / "node_modules"),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    subprocess.run(command, check=True, env=environment, timeout=60, cwd=typescript.folder)
    return target.read_text("utf-8")


@pytest.fixture(scope="module")
def page(address: str, script: str) -> Iterator[Page]:
    """The page, at the address of the gateway, as behind a proxy that serves both."""
    need(path := shutil.which("chromium"), "no chromium: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        with closing(browser):
            page = browser.new_page(viewport={"width": 560, "height": 620})
            html = (SOURCE / "picker.html").read_text("utf-8")
            page.route("**/picker", lambda r: r.fulfill(body=html, content_type="text/html"))
            page.route(
                "**/picker.js",
                lambda r: r.fulfill(body=script, content_type="text/javascript"),
            )
            page.set_default_timeout(15_000)
            # Answers that come while a test loads the page anew would have no body.
            page.goto(f"{address}/picker", wait_until="networkidle")
            yield page


def box_of(page: Page, css: str) -> FloatRect:
    box = page.locator(css).bounding_box()
    assert box
    return box


def test_an_account_is_picked_with_its_dimensions(page: Page, spent, tmp_path: Path) -> None:
    operations: list[Response] = []
    pictures = Path(os.environ.get("PAGE_SCREENSHOTS", tmp_path))

    def record(response: Response) -> None:
        operations.append(response)

    page.on("response", record)
    page.set_extra_http_headers({"X-D365-Trace": "true"})
    page.reload()

    page.get_by_role("combobox", name="Account").fill("rent")
    options = page.get_by_role("option", name="605120 Rent expense")
    expect(options).to_have_count(1)
    page.screenshot(path=pictures / "picker-options.png")
    field, below = box_of(page, "input"), box_of(page, "#accounts")
    assert (field["x"], field["width"]) == (below["x"], below["width"])
    assert 0 <= below["y"] - field["y"] - field["height"] < 8
    assert violations(page) == []
    options.click()
    page.get_by_label("BusinessUnit").select_option("001")
    page.get_by_label("Department").select_option("022")

    expect(page.get_by_role("status")).to_have_text("605120-001-022 may be posted")
    page.screenshot(path=pictures / "picker-picked.png")
    assert violations(page) == []
    page.get_by_role("button", name="Use it").click()
    expect(page).to_have_title("605120-001-022")
    answers = [each.json() for each in operations if each.url.endswith("/graphql")]
    spent.operations = len(answers)
    spent.requests = sum(each["extensions"]["d365"]["spent"]["requests"] for each in answers)
    spent.check_row("browser/picker.tsx")


def test_what_the_ledger_does_not_allow_cannot_be_picked(page: Page) -> None:
    page.reload()
    page.get_by_role("combobox", name="Account").fill("110110")
    page.locator("#accounts li").first.click()
    page.get_by_label("Department").select_option("022")
    expect(page.get_by_role("button", name="Use it")).to_be_enabled()

    page.get_by_role("combobox", name="Account").fill("605120")
    page.locator("#accounts li").first.click()
    expect(page.get_by_role("status")).to_have_text("605120--022 may be posted")
    page.get_by_role("combobox", name="Account").fill("401100")
    page.locator("#accounts li").first.press("Enter")

    expect(page.get_by_role("status")).to_have_text("not allowed together")
    expect(page.get_by_role("button", name="Use it")).to_be_disabled()
