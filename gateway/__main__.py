"""``d365-graphql``: reads the command line and the environment, and starts what is asked for."""

from __future__ import annotations

import typer

from gateway.cli import inspect, serve

app = typer.Typer(
    name="d365-graphql",
    help="A typed GraphQL API over Microsoft Dynamics 365 Finance & Operations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(serve.sandbox)
app.command()(inspect.explain)
app.add_typer(inspect.schema_commands, name="schema")
app.add_typer(inspect.metadata_commands, name="metadata")
app.command()(inspect.settings)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
