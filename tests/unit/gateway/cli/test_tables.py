"""What others wrote does nothing to the terminal that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.environments import print_list, show
from gateway.cli.tables import plain, print_table
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.store.stored_environment import Linked
from tests.support.stored_environments import URL

CLEAR = "\x1b[2J"
REVERSED = "\u202e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë → 1,000 €", "Zoë → 1,000 €"),
        (f"a{CLEAR}b", "a\ufffd[2Jb"),
        ("one\r\ntwo\x9b", "one\ufffd\ufffdtwo\ufffd"),
        (f"{REVERSED}moc", "\ufffdmoc"),
    ],
)
def test_only_what_can_be_printed_is_shown(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_cell_cannot_begin_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("NAME", "TITLE"), ("a", "x\nb  y")])
    assert capsys.readouterr().out == "NAME  TITLE\na     x\ufffdb  y\n"


def test_names_of_customers_are_shown_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=tmp_path, stored_environments=True)
    register = open_environment_register(settings)
    linked = Linked(tenant="t", subject="s", name=f"Eve{CLEAR}{REVERSED}", at=0.0)
    register.create("acme", EnvironmentOptions(url=URL), linked=linked)
    register.close()
    print_list(settings, as_json=False)
    show(settings, "acme", as_json=False)
    output = capsys.readouterr().out
    assert output.count("Eve") == 2
    assert CLEAR not in output
    assert REVERSED not in output
