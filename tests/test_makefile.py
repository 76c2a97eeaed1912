"""The Makefile: it says what it does, and the documentation says how long that takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.pages import page

ROOT = Path(__file__).parent.parent


def plan(tmp_path: Path, target: str) -> str:
    """Return the commands that make would run where nothing is set up."""
    command = ["make", "--dry-run", "--silent", f"VENV={tmp_path / 'venv'}", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_setup_says_what_it_does_before_each_step(tmp_path: Path) -> None:
    lines = [line.strip() for line in plan(tmp_path, "setup").splitlines()]
    slow = [i for i, line in enumerate(lines) if re.search(r"(-m venv|install-locked) ", line)]

    assert len(slow) == 2
    assert all(lines[i - 1].startswith("echo ") for i in slow)
    assert lines[-1].startswith('echo "Set up:')


def test_the_documentation_says_how_long_each_command_takes() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    table = page("start").partition("| command | first time | later |")[2].partition("\n\n")[0]

    assert targets
    assert set(targets) - set(re.findall(r"`make ([a-z-]+)", table)) == set()
