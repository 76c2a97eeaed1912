"""``size``: name, options and help of the command."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import Config, Json


def size(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    operations: Annotated[
        float | None, typer.Option(min=0, help="Operations a second at the peak.")
    ] = None,
    rows: Annotated[float | None, typer.Option(min=0, help="Rows of an operation.")] = None,
    fields: Annotated[float | None, typer.Option(min=1, help="Fields of a row.")] = None,
    requests: Annotated[
        float | None, typer.Option(min=0, help="Upstream requests of an operation.")
    ] = None,
    cached: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Part of those that the cache answers, 0 to 1."),
    ] = None,
    upstream_ms: Annotated[
        float | None, typer.Option(min=0, metavar="MS", help="Time of an upstream request.")
    ] = None,
    export_rows: Annotated[
        float | None, typer.Option(min=0, help="Rows a second of exports, all together.")
    ] = None,
    exports: Annotated[float | None, typer.Option(min=0, help="Exports at a time.")] = None,
    watches: Annotated[
        float | None,
        typer.Option(min=0, help="Lists with subscribers; each filter counts as one."),
    ] = None,
    streams: Annotated[
        float | None, typer.Option(min=0, help="Open event streams and WebSockets.")
    ] = None,
    pushed: Annotated[
        float | None,
        typer.Option(min=0, help="Changes a second that streams get, each stream by itself."),
    ] = None,
    callers: Annotated[
        float | None, typer.Option(min=0, help="Callers that are signed in.")
    ] = None,
    environments: Annotated[
        float | None, typer.Option(min=0, help="Further environments in use.")
    ] = None,
    entity_sets: Annotated[
        float | None, typer.Option(min=0, help="Entity sets of the catalogue.")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Metadata document whose entity sets count, as include and exclude choose them.",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Take the load from /metrics of a replica, or from a file of it; repeat it for each replica."
            " Other options override it.",
        ),
    ] = None,
    over: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Read the metrics twice, so far apart, in place of means since the start.",
        ),
    ] = 0.0,
    peak: Annotated[
        float, typer.Option(min=1, help="The busiest time, to what the metrics say on average.")
    ] = 3.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes of a replica.")] = 2,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Estimate replicas, CPU, memory and upstream requests for a load, and say why.

    The load is that of the options, or of a deployment that runs (--metrics). The settings say whether replicas share
    polls, who calls the environment, and what is cached.
    """
    from .options import errors_to_exit, read_settings
    from .size import Sources, print_size

    options = {
        "operations": operations,
        "rows": rows,
        "fields": fields,
        "requests": requests,
        "cached": cached,
        "upstream_seconds": None if upstream_ms is None else upstream_ms / 1_000,
        "exported_rows": export_rows,
        "exports": exports,
        "watches": watches,
        "streams": streams,
        "pushed": pushed,
        "callers": callers,
        "environments": environments,
        "entity_sets": entity_sets,
    }
    with errors_to_exit():
        settings = read_settings(config)
        print_size(
            settings,
            {name: value for name, value in options.items() if value is not None},
            Sources(metadata=metadata, metrics=metrics or (), over=over, peak=peak),
            workers=workers,
            as_json=as_json,
        )
