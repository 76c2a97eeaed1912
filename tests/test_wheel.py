"""The wheel, as somebody gets it who installs it: built, installed into an environment of its own, served, opened."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.store.layout import VERSIONS
from tests.support.requirements import need
from tests.support.wheels import (
    OF_THE_PAGE,
    ROOT,
    Environment,
    build_wheel,
    installed,
    source_tree,
)

pytestmark = pytest.mark.heavy
PAGE = "gateway/graphiql/assets/"
NO_NODE = {"PATH": "/nowhere"}
FOREIGN = 'class Schema:\n    """PyPI\'s."""\n'
MADE = "<html>made by {}</html>"


def tools(folder: Path, *, version: str = "v22.1.0", npm_ci: str = "exit 0") -> dict[str, str]:
    """Stand-ins for Node and npm: the one writes the page, the other succeeds or not."""
    folder.mkdir()
    node = f"""#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit; fi
mkdir -p ../assets && echo "{MADE.format("node")}" > ../assets/index.html"""
    for name, text in {"node": node, "npm": f"#!/bin/sh\n{npm_ci}"}.items():
        (folder / name).write_text(f"{text}\n", "utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@contextmanager
def served(environment: Environment) -> Iterator[tuple[httpx.Client, list[str]]]:
    """Serve the sandbox with the installed program; return a client and the lines that it printed."""
    lines: list[str] = []
    command = [str(environment.program), "serve", "--sandbox", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=environment.folder,
        env=environment.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if match := re.search(r"GraphiQL: (http://\S+)/graphiql", line):
                    break
            assert match, lines
            with httpx.Client(base_url=match[1], timeout=60) as client:
                yield client, lines
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def plain_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built without Node."""
    wheel, _ = build_wheel(source_tree(tmp_path_factory.mktemp("plain"), assets=False), **NO_NODE)
    return wheel


@pytest.fixture(scope="module")
def plain(plain_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel that was built without Node, installed."""
    return installed(plain_wheel, tmp_path_factory.mktemp("installed") / "env")


def test_the_installed_wheel_serves_the_full_page(
    plain_wheel: Path, plain: Environment, tmp_path: Path
) -> None:
    """The page is all that another wheel has beyond the one that is installed."""
    built = (ROOT / PAGE / "index.html").is_file()
    need(built, "the page is not built: install Node 20+, `make page`")
    wheel, _ = build_wheel(source_tree(tmp_path / "tree", assets=True))
    page = {name for name in names_in(wheel) if name.startswith(PAGE)}
    assert names_in(wheel) - page == names_in(plain_wheel)

    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(plain.packages, page)
        with served(plain) as (client, lines):
            index = client.get("/graphiql")
            script = re.search(r'src="(?P<url>[^"]+\.js)"', index.text)
            assert script is not None, index.text
            answer = client.get(f"/{script['url'].removeprefix('/')}")
            query = {"query": "{ customersV3(first: 1) { totalCount } }"}
            asked = client.post("/graphql", json=query)
    finally:
        shutil.rmtree(plain.packages / PAGE)

    assert (index.status_code, answer.status_code) == (200, 200)
    assert "plain page" not in "".join(lines)
    assert len(answer.content) > 100_000
    assert asked.json()["data"]["customersV3"]["totalCount"] > 0
    assert not [name for name in names_in(wheel) if name.startswith("gateway/graphiql/page/")]


def test_the_wheel_has_the_data_source_for_spark(plain: Environment) -> None:
    (metadata,) = plain.packages.glob("d365_graphql_gateway-*.dist-info/METADATA")

    assert (plain.packages / "d365_graphql_spark/source.py").is_file()
    assert "Provides-Extra: spark\n" in metadata.read_text("utf-8")


def test_a_wheel_built_without_node_serves_the_plain_page(
    plain: Environment,
) -> None:
    with served(plain) as (client, lines):
        index = client.get("/graphiql")

    assert index.status_code == 200
    assert "this package was built without Node" in "".join(lines)


def test_the_page_is_built_into_the_wheel_where_there_is_node(tmp_path: Path) -> None:
    tree = source_tree(tmp_path / "tree", assets=False, names=OF_THE_PAGE)

    wheel, said = build_wheel(tree, **tools(tmp_path / "bin"))

    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"{PAGE}index.html").decode().strip() == MADE.format("node")
    assert "page" not in said


def test_a_source_distribution_holds_the_page_too(tmp_path: Path) -> None:
    tree = source_tree(tmp_path / "tree", assets=False, names=OF_THE_PAGE)

    source, _ = build_wheel(tree, "sdist", **tools(tmp_path / "bin"))

    with tarfile.open(source) as archive:
        assert [name for name in archive.getnames() if name.endswith(f"/{PAGE}index.html")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"version": "v18.2.0"}, "Node 20 or newer is needed to build it (found: v18.2.0)."),
        ({"npm_ci": "echo no registry >&2; exit 1"}, "failed: no registry"),
    ],
    ids=["an old Node", "no registry"],
)
def test_a_build_that_cannot_make_the_page_says_why(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    tree = source_tree(tmp_path / "tree", assets=False, names=OF_THE_PAGE)
    wheel, output = build_wheel(tree, **tools(tmp_path / "bin", **given))

    assert "Without the full GraphiQL page, the plain one is served" in output
    assert said in output
    assert not [name for name in names_in(wheel) if name.startswith(PAGE)]


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--sandbox"), ("settings",)])
@pytest.mark.parametrize("place", ["before", "over"])
def test_another_package_called_schema_is_a_clear_error(
    plain: Environment, tmp_path: Path, place: str, arguments: tuple[str, ...]
) -> None:
    """As pip leaves it: a path before ours, as with an editable installation, or over our ``__init__``."""
    own = plain.packages / "schema/__init__.py"
    before = own.read_text("utf-8")
    path_file = plain.packages / "aaa.pth"
    try:
        if place == "over":
            own.write_text(FOREIGN, "utf-8")
        else:
            (tmp_path / "schema").mkdir()
            (tmp_path / "schema/__init__.py").write_text(FOREIGN, "utf-8")
            path_file.write_text(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n", "utf-8")
        done = plain.command(*arguments)
    finally:
        own.write_text(before, "utf-8")
        path_file.unlink(missing_ok=True)

    assert (done.returncode, done.stdout) == (2, "")
    assert "The package `schema` in " in done.stderr
    assert "is not the gateway's. The gateway needs an environment of its own" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_our_schema_is_gone_that_is_said(plain: Environment) -> None:
    """``pip uninstall schema`` takes the file that was overwritten with it."""
    own = plain.packages / "schema/__init__.py"
    before = own.read_text("utf-8")
    own.unlink()
    try:
        done = plain.command("settings")
    finally:
        own.write_text(before, "utf-8")

    assert done.returncode == 2
    assert "The package `schema` in this environment is not the gateway's." in done.stderr


def test_with_its_own_packages_it_runs(plain: Environment) -> None:
    done = plain.command("--help")

    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheel_has_the_migrations_of_the_store(plain: Environment) -> None:
    config = plain.folder / "gateway.toml"
    config.write_text(f'data_dir = "{plain.folder / "data"}"', "utf-8")

    done = plain.command("store", "migrate", "--config", str(config))

    assert (done.returncode, done.stderr) == (0, "")
    assert f"and is {VERSIONS[-1]} now" in done.stdout
