"""``d365-graphql``: reads the command line and the environment, and starts what is asked for."""

from __future__ import annotations

from gateway.cli.commands import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
