"""``env show --status`` and ``env drift``: what the store says of an environment, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config.settings import Settings
from tests.support.process import Finished, invoke
from tests.support.stored_status import DIGESTS, tell

pytestmark = pytest.mark.slow
ENVIRONMENTS = json.dumps({"acme": {"sandbox": {}}, "quiet": {"sandbox": {}}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tell(Settings(data_dir=tmp_path / "data"))
    return tmp_path


def env(folder: Path, *arguments: str) -> Finished:
    variables = {"D365_ENVIRONMENTS": ENVIRONMENTS, "D365_DATA_DIR": str(folder / "data")}
    return invoke(folder, "env", *arguments, **variables)


def test_status_is_printed(folder: Path) -> None:
    text = env(folder, "show", "acme", "--status").stdout
    quiet = env(folder, "show", "quiet", "--status").stdout
    own = json.loads(env(folder, "show", "default", "--status", "--json").stdout)

    lines = text.splitlines()
    assert lines[0] == "acme is open."
    assert lines[1].startswith(f"Metadata {DIGESTS[1][:12]}, served since ")
    assert lines[2].startswith("Last throttled at ")
    assert "UPSTREAM_TIMEOUT  Too slow." in lines[-1]
    assert [line.split() for line in lines if line.startswith("p95_ms")] == [["p95_ms", "-", "-"]]
    assert quiet.startswith("quiet is closed.\n")
    assert (own["environment"], own["scope"]) == ("default", "deployment")


def test_drift_is_printed(folder: Path) -> None:
    text = env(folder, "drift", "acme", "--since", "2h").stdout
    quiet = env(folder, "drift", "quiet").stdout
    content = json.loads(env(folder, "drift", "acme", "--json").stdout)

    head, change, more, operation = text.splitlines()
    assert head.endswith(f"{DIGESTS[0][:12]} → {DIGESTS[1][:12]}  2 breaking, 0 dangerous, 0 safe")
    assert change == "  breaking   Field Thing.old was removed."
    assert more == "  and 1 more"
    assert operation == "  operation bad breaks: No field old."
    assert quiet.startswith("The metadata of quiet did not change since ")
    assert len(content["documents"]) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("show", "nobody", "--status"), "There is no environment nobody."),
        (("drift", "nobody"), "There is no environment nobody."),
        (("drift", "acme", "--since", "1y"), "since: expected 90m, 24h or 7d"),
    ],
)
def test_what_cannot_be_shown_is_an_error(
    folder: Path, arguments: tuple[str, ...], text: str
) -> None:
    result = env(folder, *arguments)

    assert result.returncode == 2
    assert text in result.stderr


def test_without_a_store_there_is_no_status(tmp_path: Path) -> None:
    result = invoke(tmp_path, "env", "show", "default", "--status", D365_STORE="none")

    assert result.returncode == 2
    assert "share no store" in result.stderr
