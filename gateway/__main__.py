"""The entry point of ``d365-graphql`` and ``python -m gateway``: runs the command line."""

from __future__ import annotations

import sys

from gateway.cli.commands import app
from gateway.cli.installation import check_installation
from gateway.cli.named_command import only_named


def main() -> None:
    """Run the command line."""
    check_installation()
    only_named(app, sys.argv[1:])()


if __name__ == "__main__":
    main()
