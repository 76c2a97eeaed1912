"""``make audit`` says what is known of each lock, and that nothing is known where no service answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GOOD = {"name": "httpx", "version": "0.28.1", "vulns": []}
BAD = {
    "name": "idna",
    "version": "3.6",
    "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"], "aliases": ["CVE-2024-3651"]}],
}
SKIPPED = {"name": "sniffio", "skip_reason": "Dependency not found on PyPI"}
NONE_BAD = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 4}}}
ONE_BAD = {
    "vulnerabilities": {
        "graphql": {"range": "<16.8", "severity": "moderate", "via": [{"title": "Slow documents"}]}
    },
    "metadata": {"dependencies": {"total": 4}},
}


def load() -> Any:
    spec = spec_from_file_location("audit_script", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Records need it while their class is made.
    sys.modules["audit_script"] = module
    spec.loader.exec_module(module)
    return module


script = load()


@pytest.mark.parametrize(
    ("python", "npm", "code", "said"),
    [
        ({"dependencies": [GOOD]}, NONE_BAD, 0, "1 packages, none with known"),
        (
            {"dependencies": [GOOD, BAD]},
            NONE_BAD,
            1,
            "idna 3.6: PYSEC-2024-60; fixed in 3.7",
        ),
        ({"dependencies": [GOOD]}, ONE_BAD, 1, "graphql <16.8 (moderate): Slow documents"),
        ({"dependencies": [GOOD, SKIPPED]}, NONE_BAD, 3, "NOT AUDITED: 1 packages, sniffio among"),
        ({"dependencies": [SKIPPED]}, NONE_BAD, 3, "NOT AUDITED: the service knows none of its"),
        ("", NONE_BAD, 3, "NOT AUDITED: it has failed"),
        ({"dependencies": [GOOD]}, {"statusCode": 405, "error": {"summary": ""}}, 3, "answers 405"),
        ({"dependencies": [GOOD]}, "", 3, "package-lock.json: NOT AUDITED: it has failed"),
    ],
)
def test_what_is_known_of_locks_is_said(python: Any, npm: Any, code: int, said: str) -> None:
    def run(command: Sequence[str], folder: Path) -> tuple[str, str]:
        content = npm if command[0] == "npm" else python
        assert folder.is_dir()
        return (json.dumps(content), "") if content else ("", "Traceback\nit has failed\n")

    audits, found = script.audit(ROOT, run)
    text = "\n".join(line for each in audits for line in each.lines())

    assert found == code
    assert said in text
    assert len(audits) == len(script.PYTHON) + len(script.NPM)


def test_all_locks_are_audited() -> None:
    patterns = ("*.lock", "*/*.lock", "clients/*/*.lock")
    python = {
        path
        for pattern in patterns
        for path in ROOT.glob(pattern)
        # Environments have stamps of that name.
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    }
    npm = {
        path
        for pattern in ("*/*/package-lock.json", "gateway/*/*/package-lock.json")
        for path in ROOT.glob(pattern)
        if "node_modules" not in path.parts
    }

    # What is installed is part of what developers install.
    assert {str(path.relative_to(ROOT)) for path in python} - {"requirements.lock"} == set(
        script.PYTHON
    )
    assert {str(path.parent.relative_to(ROOT)) for path in npm} == set(script.NPM)


def test_a_missing_program_is_told(tmp_path: Path) -> None:
    assert script.run_command(["no-such-program"], tmp_path) == (
        "",
        "no-such-program is not installed",
    )
