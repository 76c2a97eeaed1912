"""`make audit`: known vulnerabilities in the packages of all locks, as the advisory services of the registries say.

Exit codes: 0 none is known; 1 some are; 3 a service did not answer for some packages, so that nobody knows. Mirrors of
registries often have no such service. pip-audit then skips packages and finds nothing, which would look like good news.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (
    "requirements-dev.lock",  # which holds requirements.lock
    "clients/spark/requirements.lock",
    "scripts/installer.lock",
)
NPM = ("gateway/graphiql/page", "clients/typescript", "tests/clients")
FOUND, UNKNOWN = 1, 3
SECONDS = 300
Run = Callable[[Sequence[str], Path], tuple[str, str]]
"""Runs a command in a folder, and returns what it prints to both outputs."""


@dataclass(frozen=True)
class Audit:
    """What is known of one lock."""

    lock: str
    packages: int = 0
    vulnerable: tuple[str, ...] = ()
    """A line each: package, advisories, versions that have none."""
    unknown: str | None = None
    """Why it is not known of some packages."""
    skipped: tuple[str, ...] = field(default=())

    def lines(self) -> Iterable[str]:
        """Yield what people read."""
        if self.unknown is not None:
            yield f"{self.lock}: NOT AUDITED: {self.unknown}"
            return
        known = self.packages - len(self.skipped)
        yield f"{self.lock}: {known} packages, {len(self.vulnerable) or 'none'} with known vulnerabilities"
        yield from (f"  {line}" for line in self.vulnerable)
        if self.skipped:
            yield f"  NOT AUDITED: {len(self.skipped)} packages, {self.skipped[0]} among them"


def audit_python(root: Path, lock: str, run: Run) -> Audit:
    """Ask pip-audit about a lock with hashes; nothing is installed."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip"]
    output, errors = run([*command, "--progress-spinner", "off", "--format", "json"], root)
    try:
        found = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(lock, unknown=_last(errors or output))
    skipped = tuple(each["name"] for each in found if "skip_reason" in each)
    if len(skipped) == len(found):
        reason = next((each["skip_reason"] for each in found), "there are no packages")
        return Audit(lock, unknown=f"the service knows none of its packages ({reason})")
    bad = [each for each in found if each.get("vulns")]
    return Audit(lock, len(found), tuple(map(_python_line, bad)), skipped=skipped)


def _python_line(package: Mapping[str, Any]) -> str:
    vulnerabilities = package["vulns"]
    fixed = sorted({version for v in vulnerabilities for version in v.get("fix_versions", ())})
    names = ", ".join(v["id"] for v in vulnerabilities)
    return f"{package['name']} {package['version']}: {names}; fixed in {', '.join(fixed) or 'none'}"


def audit_npm(root: Path, folder: str, run: Run) -> Audit:
    """Ask npm about a lock; nothing is installed."""
    lock = f"{folder}/package-lock.json"
    if not (root / lock).is_file():
        return Audit(lock, unknown="there is no such file")
    output, errors = run(["npm", "audit", "--json", "--package-lock-only"], root / folder)
    try:
        found = json.loads(output)
        vulnerable = found["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        return Audit(lock, unknown=_npm_problem(output) or _last(errors or output))
    packages = found["metadata"]["dependencies"]["total"]
    return Audit(lock, packages, tuple(_npm_line(*pair) for pair in sorted(vulnerable.items())))


def _npm_line(name: str, facts: Mapping[str, Any]) -> str:
    titles = [via["title"] for via in facts["via"] if isinstance(via, dict)]
    return (
        f"{name} {facts['range']} ({facts['severity']}): {'; '.join(titles) or 'by its packages'}"
    )


def _npm_problem(output: str) -> str | None:
    try:
        found = json.loads(output)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    status, error = found.get("statusCode"), found.get("error")
    summary = error.get("summary") if isinstance(error, dict) else None
    return summary or found.get("message") or (f"the service answers {status}" if status else None)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no answer"


def run_command(command: Sequence[str], folder: Path) -> tuple[str, str]:
    """Run a command; one that is missing or takes too long has said so."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except FileNotFoundError:
        return "", f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} has not answered within {SECONDS} seconds"
    return done.stdout, done.stderr


def audit(root: Path, run: Run = run_command) -> tuple[list[Audit], int]:
    """Return what is known of all locks, and the exit code."""
    audits = [audit_python(root, lock, run) for lock in PYTHON]
    audits += [audit_npm(root, folder, run) for folder in NPM]
    if any(each.vulnerable for each in audits):
        return audits, FOUND
    return audits, UNKNOWN if any(each.unknown or each.skipped for each in audits) else 0


def main() -> int:
    """Print what is known."""
    audits, code = audit(ROOT)
    for each in audits:
        for line in each.lines():
            print(line)
    if code == UNKNOWN:
        print(
            "Some packages were not audited: nothing is known of them. Run it where"
            " the public registries of Python and npm are reachable."
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
