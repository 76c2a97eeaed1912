"""GraphiQL in a browser: opened, filled, run."""

from __future__ import annotations

import json
import time
from typing import Any

from playwright.sync_api import TimeoutError as NotInTime

from gateway.graphiql import examples
from tests.support.node import ROOT, missing
from tests.support.requirements import need

SECONDS = 90_000
"""Milliseconds for anything that a page must show."""
WINDOW = {"width": 1400, "height": 850}
_CLIENTS = ROOT / "tests" / "clients"
_AXE = _CLIENTS / "node_modules" / "axe-core" / "axe.min.js"
_DEBOUNCE = 150
"""Milliseconds after which GraphiQL's tabs have the texts of the editors: 100, and some."""
_PRESET = {"X-D365-Company": "usmf"}
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_KNOWN = {"nested-interactive", "label-content-name-mismatch"}
"""GraphiQL's own: its tabs hold buttons (graphql/graphiql#3470), its history labels them all "Set active"."""
_VIOLATIONS = """async tags => (await axe.run(document, { runOnly: tags, resultTypes: ["violations"] })).violations
  .map(({ id, nodes }) => [
    id, nodes.slice(0, 5).map(node => `${node.target}: ${node.failureSummary}`),
  ])"""
_MODEL = "__MONACO.editor.getModels().find(m => m.uri.path.endsWith('{}')).{}"


def open_graphiql(watched: Any, gateway: str, path: str = "/graphiql") -> float:
    """Open the page and wait for the editor; gives the seconds that it took."""
    start = time.perf_counter()
    watched.page.goto(f"{gateway}{path}")
    watched.page.wait_for_selector(".graphiql-query-editor .view-line", timeout=SECONDS)
    return time.perf_counter() - start


def reset(page: Any) -> None:
    """Bring an open page back to how it was opened: window, theme, panels, tabs, and the texts of the first one."""
    page.unroute_all()
    page.set_viewport_size(WINDOW)
    page.emulate_media(color_scheme="light")
    page.keyboard.press("Escape")
    for panel in page.locator(".graphiql-sidebar [aria-label^=Hide]").all():
        panel.click()
    page.wait_for_timeout(_DEBOUNCE)  # or the text would become another tab's
    tabs, example = examples(), examples()[0]
    while page.locator(".graphiql-tab").count() > len(tabs):
        page.locator(".graphiql-tab-close").last.click()
    page.locator(".graphiql-tab-button").first.click()
    write(page, example.query)
    write(page, json.dumps(example.variables), "variables.json")
    write(page, json.dumps(_PRESET), "request-headers.json")
    write(page, "", "response.json")
    page.wait_for_timeout(_DEBOUNCE)


def is_run(request: Any) -> bool:
    """Return whether a request runs an operation."""
    is_api = request.url.endswith("/graphql")
    return is_api and request.method == "POST" and "__schema" not in request.post_data


def write(page: Any, query: str, file: str = "operation.graphql") -> None:
    """Put a text into an editor: ``operation.graphql``, ``variables.json`` or ``request-headers.json``."""
    page.evaluate(f"text => {_MODEL.format(file, 'setValue(text)')}", query)


def text_of(page: Any, file: str) -> str:
    """Return the text of an editor."""
    found: str = page.evaluate(f"() => {_MODEL.format(file, 'getValue()')}")
    return found


def result_of(page: Any) -> str:
    """Return the result pane's whole text: its lines on the screen are only the visible ones."""
    return text_of(page, "response.json")


def run(page: Any) -> str:
    """Run what is in the editor and give the result."""
    page.get_by_label("Execute query").click()
    model = _MODEL.format("response.json", """getValue().includes('"data"')""")
    page.wait_for_function(f"() => {model}", timeout=SECONDS)
    return result_of(page)


def type_until_suggested(page: Any, text: str, name: str) -> None:
    """Type the text, its last letter again and again until a suggestion has this name.

    What is typed before the editor's worker has loaded the language and the schema is not completed.
    """
    page.keyboard.type(text)
    suggestion = page.locator(".suggest-widget.visible .monaco-list-row", has_text=name).first
    deadline = time.monotonic() + SECONDS / 1_000
    while True:
        try:
            suggestion.wait_for(timeout=2_000)
        except NotInTime:
            assert time.monotonic() < deadline, f"{name} is not suggested"
            page.keyboard.press("Backspace")
            page.keyboard.type(text[-1])
        else:
            return


def all_is_valid(page: Any) -> None:
    """Wait until the editors have validated their texts, and find nothing to mark."""
    page.wait_for_timeout(600)  # they do when nobody types for a while
    page.wait_for_function("() => __MONACO.editor.getModelMarkers({}).length === 0")


def violations(page: Any) -> list[tuple[str, list[str]]]:
    """Return what cannot be read by axe-core's rules for WCAG 2.1 A and AA, but for what is GraphiQL's own."""
    trouble = missing(_CLIENTS)
    need(not trouble, trouble)
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE.read_text("utf-8"))
    return [
        (rule, nodes) for rule, nodes in page.evaluate(_VIOLATIONS, _RULES) if rule not in _KNOWN
    ]
