"""Programs in JavaScript: what they need, and how they are run."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds after which a program is given up."""


def missing(folder: Path) -> str:
    """Say what the programs of a folder lack; nothing where they can run."""
    if subprocess.run([ROOT / "scripts" / "has-node"], check=False).returncode != 0:
        return "no Node 20 or newer, or no npm"
    if not (folder / "node_modules" / ".package-lock.json").is_file():
        return f"the npm packages are not installed: make clients"
    return ""


@dataclass(frozen=True)
class Tools:
    """The programs of a folder whose packages are installed."""

    folder: Path

    def run(self, program: str, *arguments: str) -> Any:
        """Run a program to its end, and give the JSON that it prints."""
        found = subprocess.run(
            ["node", program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)
