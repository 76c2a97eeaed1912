"""`make record`: what this version leaves behind (store, cache, cursors, ids), for the tests of the versions after it.

It is written to ``tests/releases/VERSION`` once, at a release; see docs/operating/upgrades.md.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gateway.config.version import gateway_version  # noqa: E402 - the repository, not what is installed
from tests.support.releases import record  # noqa: E402


def main() -> int:
    """Record this version, unless it is recorded."""
    target = ROOT / "tests" / "releases" / gateway_version()
    if target.exists() and "--again" not in sys.argv[1:]:
        name = target.relative_to(ROOT)
        print(f"{name} exists; --again replaces it if it was not released yet.", file=sys.stderr)
        return 1
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), target)
    print(f"Recorded: {target.relative_to(ROOT)}. Commit it with the release.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
