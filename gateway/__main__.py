"""The entry point of ``d365-graphql`` and ``python -m gateway``: runs the command line."""

from __future__ import annotations

from gateway.cli.commands import app
from gateway.cli.installation import check_installation


def main() -> None:
    """Run the command line."""
    check_installation()
    app()


if __name__ == "__main__":
    main()
