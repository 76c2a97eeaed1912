"""``d365-graphql``: reads the command line and the environment, and starts what is asked for."""

from __future__ import annotations

from gateway.cli.commands import app
from gateway.cli.installation import check_installation


def main() -> None:
    """Run the command line."""
    check_installation()
    app()


if __name__ == "__main__":
    main()
