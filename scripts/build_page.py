"""Hatch's hook: the GraphiQL page goes into wheels and source distributions.

It is built where that is needed and possible: Node 20 or newer, and npm's registry. Everything else must not fail for
want of a page, so the distribution is then made with the plain page alone. ``pip -v`` shows what is said here; the
gateway says at its start which page it has. https://hatch.pypa.io/latest/plugins/build-hook/custom/
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "gateway/graphiql/page"
INDEX = "gateway/graphiql/assets/index.html"
OLDEST_NODE = 20


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page before a distribution is made; an editable installation leaves that to ``make page``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if version == "editable":
            return
        root = Path(self.root)
        if is_current(root):
            return
        trouble = missing_tool() or build(root / PAGE)
        if trouble and not (root / INDEX).is_file():
            self.app.display_warning(
                f"Without the full GraphiQL page, the plain one is served: {trouble}"
            )
        elif trouble:
            self.app.display_warning(f"With the GraphiQL page as it was built before: {trouble}")


def is_current(root: Path) -> bool:
    """Return whether the page was built and none of its sources is newer."""
    index, page = root / INDEX, root / PAGE
    sources = [*page.glob("*.mjs"), *page.glob("*.json"), *page.glob("src/*")]
    return index.is_file() and all(s.stat().st_mtime <= index.stat().st_mtime for s in sources)


def missing_tool() -> str | None:
    """Return what the build needs and this machine lacks."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return f"Node {OLDEST_NODE} or newer and npm are needed to build it."
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", said)
    if found is None or int(found[1]) < OLDEST_NODE:
        return f"Node {OLDEST_NODE} or newer is needed to build it (found: {said.strip()})."
    return None


def build(page: Path) -> str | None:
    """Build the page; return the last words of the step that failed."""
    npm, node = shutil.which("npm"), shutil.which("node")
    for step in ([npm, "ci", "--no-fund", "--no-audit", "--loglevel=error"], [node, "build.mjs"]):
        done = subprocess.run(step, cwd=page, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            return f"{' '.join(map(str, step[1:]))} failed: {said[-300:]}"
    return None
