"""A gateway with its page, and Debian's chromium to open it.

Requests of a page or its workers to any other host go to a proxy that records them and answers nothing.
"""

import os
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.graphiql import BUILT, Page, asset_routes, page_routes
from tests.support.graphiql import SECONDS, WINDOW, open_graphiql, reset
from tests.support.process import PATIENCE
from tests.support.requirements import need
from tests.support.threaded import free_port, threaded

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=AutofillServerCommunication",
)
PASSWORD = "0123456789abcdef"
PROFILES = {
    "ap": {"title": "Accounts payable", "include": ["Vend*", "Purchase*"]},
    "shop": {"sets": ["CustomersV3", "SalesOrderHeadersV2", "SalesOrderLines"]},
}


@pytest.fixture(scope="session")
def built_page():
    need((BUILT / "index.html").is_file(), "the page is not built: install Node 20+, `make page`")


@pytest.fixture(scope="session")
def chromium_path():
    path = shutil.which("chromium")
    need(path, "no chromium: sudo apt-get install chromium")
    return path


class Foreign:
    """Records requests to other hosts."""

    def __init__(self):
        self.asked = []

    def __enter__(self):
        asked = self.asked

        class Note(socketserver.StreamRequestHandler):
            def handle(self):
                asked.append(self.rfile.readline(2000).decode("latin-1").strip())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Note)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.proxy = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="session")
def foreign():
    with Foreign() as seen:
        yield seen


@pytest.fixture(scope="module")
def browser(chromium_path):
    """A browser of a module: playwright's event loop runs as long as its browser, and other tests need their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(FLAGS))
        with closing(browser):
            yield browser


@contextmanager
def profile(browser, foreign, **more):
    """Yield a fresh browser profile whose requests to other hosts are recorded."""
    proxy = {"server": foreign.proxy, "bypass": "127.0.0.1"}
    with closing(browser.new_context(viewport=WINDOW, proxy=proxy, **more)) as context:
        context.set_default_timeout(SECONDS)
        yield context


@pytest.fixture
def context(browser, foreign):
    with profile(browser, foreign) as context:
        yield context


class WatchedPage:
    """A page, its requests and its console messages; of a shared page also the requests that opened it."""

    def __init__(self, context, url, foreign):
        self.opening: list[str] = []
        self.requests: list[str] = []
        self.console: list[tuple[str, str]] = []
        self._url = url
        self._foreign = foreign
        self._asked_before = len(foreign.asked)
        context.on("request", lambda request: self.requests.append(request.url))
        self.page = context.new_page()
        self.page.on("console", lambda m: self.console.append((m.type, m.text)))
        self.page.on("pageerror", lambda error: self.console.append(("error", str(error))))
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " e => console.error('CSP', e.violatedDirective, e.blockedURI, e.sourceFile))"
        )

    def begin(self):
        """Forget the requests and messages of an earlier test, and bring GraphiQL back to how it was opened."""
        reset(self.page)
        self.requests.clear()
        self.console.clear()
        self._asked_before = len(self._foreign.asked)
        return self

    def assert_clean(self):
        own = (f"{self._url}/", "data:", f"blob:{self._url}/")

        assert [r for r in self.requests if not r.startswith(own)] == []
        assert self._foreign.asked[self._asked_before :] == []
        assert [text for kind, text in self.console if kind in {"error", "warning"}] == []


@contextmanager
def opened(browser, foreign, url):
    """Yield a GraphiQL page for several tests, which opened cleanly: opening takes seconds of computing."""
    with profile(browser, foreign) as context:
        watched = WatchedPage(context, url, foreign)
        open_graphiql(watched, url)
        watched.assert_clean()
        watched.opening = list(watched.requests)
        yield watched


@pytest.fixture(scope="module")
def opened_page(browser, foreign, gateway):
    with opened(browser, foreign, gateway) as watched:
        yield watched


@pytest.fixture
def shared(opened_page):
    """The page that the tests of a module share, as it was opened."""
    return opened_page.begin()


@pytest.fixture
def admitted(browser, foreign, profiled):
    """A page of a gateway with profiles, opened with its admin token."""
    me = {"username": "me", "password": PASSWORD}
    with profile(browser, foreign, http_credentials=me) as context:
        yield WatchedPage(context, profiled, foreign)


@pytest.fixture
def watched(context, gateway, foreign):
    return WatchedPage(context, gateway, foreign)


@pytest.fixture
def watching():
    """Return what makes a watched page, for modules with gateways of their own."""
    return WatchedPage


@pytest.fixture
def watched_plain(context, plain_gateway, foreign):
    return WatchedPage(context, plain_gateway, foreign)


@pytest.fixture
def screenshot(tmp_path):
    """Return a function that saves a screenshot, in the folder that PAGE_SCREENSHOTS names if it is set."""
    folder = Path(os.environ.get("PAGE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"{name}.png")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    """The URL of the real gateway on its sandbox."""
    with real(tmp_path_factory.mktemp("gateway")) as url:
        yield url


@pytest.fixture(scope="session")
def plain_gateway(tmp_path_factory):
    """The URL of the plain page over a stub instead of a gateway."""
    absent = tmp_path_factory.mktemp("not-built")
    with stub([*page_routes(Page(), absent), *asset_routes(absent)]) as url:
        yield url


@pytest.fixture(scope="module")
def profiled():
    """The URL of a gateway with profiles, whose pages require the admin token."""
    settings = {"profiles": PROFILES, "graphiql": "admin", "admin_token": PASSWORD}
    with threaded(create_app(Settings.model_validate({"language": None, **settings}))) as url:
        yield url


@contextmanager
def real(folder):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        str(Path(sys.executable).with_name("d365-graphql")),
        "serve",
        "--sandbox",
        "--port",
        str(port),
    ]
    log = folder / "gateway.log"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("D365_")}
    clean["D365_SUBSCRIPTIONS__INTERVAL"] = "0.1"
    clean["D365_DATA_DIR"] = str(folder / "data")
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=folder, env=clean, stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()


def wait_until_ready(url, process, log):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the gateway did not start:\n{log.read_text()}")


@contextmanager
def stub(routes):
    """Serve the routes with a ``/graphql`` of one small schema; yield the URL."""
    with threaded(Starlette(routes=[*routes, Route("/graphql", answer, methods=["POST"])])) as url:
        yield url


async def answer(request):
    body = await request.json()
    if "__schema" in body["query"]:
        from graphql import build_schema, introspection_from_schema

        schema = build_schema("type Query { customersV3(first: Int): [String!] company: String }")
        return JSONResponse({"data": introspection_from_schema(schema)})
    company = request.headers.get("x-d365-company")
    return JSONResponse({"data": {"customersV3": ["US-001"], "company": company}})
