"""The recipe of README for many customers runs as it is written there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import ROOT
from tests.support.process import PATIENCE, environment
from tests.support.threaded import free_port

pytestmark = pytest.mark.slow
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_many_customers_are_served_administered_and_linked(tmp_path: Path) -> None:
    (recipe,) = (block for block in BLOCKS if "--demo-environments" in block)
    port, admin = free_port(), free_port()
    script = (
        recipe.replace(".venv/bin/d365-graphql", f"{sys.executable} -m gateway")
        .replace("8000", str(port))
        .replace("8001", str(admin))
    )
    # What the recipe starts ends with it.
    script = f"trap 'kill $(jobs -p); wait' EXIT\nset -eu\n{script}"
    variables = environment(tmp_path, {"D365_PORT": str(port), "PYTHONPATH": str(ROOT)})
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    answers = run.stdout[run.stdout.index('{"data"') :]
    (rows, listed, disabled, link) = _documents(answers)
    (row,) = rows["data"]["vendorsV3"]["nodes"]
    assert row["tailspinRating"] in {"A", "B", "C"}
    assert [e["name"] for e in listed["environments"]] == ["demo-1", "demo-2", "demo-3"]
    assert (disabled["name"], disabled["state"]) == ("demo-2", "disabled")
    assert link["url"].startswith(f"http://127.0.0.1:{port}/link/")


def _documents(text: str) -> list[Any]:
    decoder, documents = json.JSONDecoder(), []
    while text.strip():
        document, end = decoder.raw_decode(text.strip())
        documents.append(document)
        text = text.strip()[end:]
    return documents
