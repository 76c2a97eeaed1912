"""Running JavaScript programs with Node, and what they need."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds after which a program is stopped."""


def missing(folder: Path) -> str:
    """Return what must be installed before the programs of a folder run; empty if nothing is missing."""
    if subprocess.run([ROOT / "scripts" / "has-node"], check=False).returncode != 0:
        return "install Node 20 or newer with npm, then: make page clients"
    if not (folder / "node_modules" / ".package-lock.json").is_file():
        return "the npm packages are not installed: make page clients"
    return ""


def call_exported(module: Path, name: str, *arguments: Any) -> Any:
    """Return the result of a function that a module of the page exports; arguments and result are JSON."""
    return call_each(module, name, [arguments])[0]


def call_each(module: Path, name: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the results of several calls of such a function, in one process."""
    program = (
        f"import {{ {name} }} from {json.dumps(module.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(calls)}.map((each) => {name}(...each) ?? null)));"
    )
    command = ["node", "--input-type=module", "--no-warnings", "--eval", program]
    completed = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert completed.returncode == 0, completed.stderr
    results: list[Any] = json.loads(completed.stdout)
    return results


@dataclass(frozen=True)
class Tools:
    """The programs of a folder whose npm packages are installed."""

    folder: Path

    def run(self, program: str, *arguments: str) -> Any:
        """Run a program and return the JSON that it prints."""
        return json.loads(self.call(program, *arguments))

    def call(self, program: str, *arguments: str) -> str:
        """Run a program and return what it prints. Raises AssertionError if it fails."""
        completed = subprocess.run(
            ["node", program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def command(self, name: str, *arguments: str) -> str:
        """Run a command of an installed package and return what it prints."""
        return self.call(f"node_modules/.bin/{name}", *arguments)

    def copy(self, name: str, to: Path) -> Tools:
        """Copy the project of a folder below to where it may generate, with the same packages."""
        shutil.copytree(self.folder / name, to, dirs_exist_ok=True)
        (to / "node_modules").symlink_to(self.folder / "node_modules", target_is_directory=True)
        return Tools(to)
