"""Printing the table of a hostile run."""

from __future__ import annotations

import pytest

from tests.support.tally import TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print inputs and findings; workers of pytest-xdist, which have no terminal, print nothing."""
    lines = list(TALLY.lines())
    if lines:
        terminalreporter.section("hostile")
        for line in lines:
            terminalreporter.write_line(line)
