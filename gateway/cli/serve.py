"""``serve`` and ``sandbox``: the programs that stay."""

from __future__ import annotations

import multiprocessing
import os
import socket
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from gateway.app import API, PAGE, create_app
from gateway.assemble import Gateway
from gateway.errors import SettingsError
from gateway.graphiql import BUILT
from gateway.sandbox import SandboxSettings
from gateway.sandbox.serve import run
from gateway.settings import Settings

from .options import Config, Sandbox, err, errors_to_exit, out, settings_of

Workers = Annotated[int, typer.Option(min=1, help="Processes that share the port.")]


def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Interface to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 lets the system choose one.")] = None,
    workers: Workers = 1,
    sandbox: Sandbox = False,
) -> None:
    """Serve the GraphQL API: on the configured environment (D365_URL), else on the embedded sandbox."""
    with errors_to_exit():
        settings = settings_of(config, sandbox=sandbox, host=host, port=port)
        listener = listen(settings.host, settings.port)
        with listener:
            address = f"http://{_shown(settings.host)}:{listener.getsockname()[1]}"
            if workers > 1:
                _serve_many(settings, listener, address, workers)
            else:
                _serve_one(settings, listener, address)


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything slow, so that a port in use is known at once. Raises SettingsError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        hint = "Stop what listens there, or give another --port (0: any free one)."
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {error.strerror}.", hint=hint
        ) from error
    listener.set_inheritable(True)
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """Keeps what made the start fail, so that the command can say it."""

    failure: BaseException | None = None


def _config(app: object, *, factory: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        factory=factory,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
    )


def _serve_one(settings: Settings, listener: socket.socket, address: str) -> None:
    failure: list[BaseException] = []
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=err, transient=True
    )
    task = bar.add_task("Reading the metadata", total=None, visible=False)

    def progress(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=total, visible=True)

    def ready(gateway: Gateway) -> None:
        bar.stop()
        announce(gateway, address)

    app = create_app(settings, progress=progress, on_ready=ready)
    with bar:
        uvicorn.Server(_config(_Remembering(app, failure), factory=False)).run(sockets=[listener])
    if failure:
        raise failure[0]


class _Remembering:
    """Passes everything on, and keeps the exception that ended the application's start."""

    def __init__(self, app: Starlette, failure: list[BaseException]) -> None:
        self._app = app
        self._failure = failure

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def quiet(message):  # type: ignore[no-untyped-def]
            await send({**message, "message": ""} if "message" in message else message)

        try:
            await self._app(scope, receive, quiet)
        except Exception as error:
            self._failure.append(error)


def _serve_many(settings: Settings, listener: socket.socket, address: str, workers: int) -> None:
    multiprocessing.allow_connection_pickling()
    app = partial(_worker_app, settings, address)
    config = _config(app, factory=True)
    config.workers = workers
    server = uvicorn.Server(config)
    Multiprocess(config, target=server.run, sockets=[listener]).run()


def _worker_app(settings: Settings, address: str) -> Starlette:
    return create_app(
        settings, on_ready=lambda gateway: announce(gateway, f"{address} (process {os.getpid()})")
    )


def announce(gateway: Gateway, address: str) -> None:
    """Print where it serves and what."""
    model = gateway.catalog.model
    if gateway.is_sandbox:
        out.print(
            "[bold]This is the embedded sandbox:[/] generated data, no Dynamics 365 environment."
        )
        out.print(
            "Set D365_URL, D365_TENANT_ID, D365_CLIENT_ID and D365_CLIENT_SECRET for a real one."
        )
    else:
        out.print(f"Upstream: {gateway.settings.url} ({gateway.dialect.title})")
    types = len(gateway.catalog.known_names())
    out.print(f"{len(model.entity_sets):,} entity sets, {types:,} GraphQL types.")
    out.print(f"GraphQL:  {address}{API}")
    if gateway.settings.graphiql:
        hint = (
            ""
            if (BUILT / "index.html").is_file()
            else " (plain page; `make page` builds the full one)"
        )
        out.print(f"GraphiQL: {address}{PAGE}{hint}")


def sandbox(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    port: Annotated[int, typer.Option(help="Port; 0 lets the system choose one.")] = 8765,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    metadata: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Serve this $metadata document (.xml, .xml.gz)."
        ),
    ] = None,
    scale: Annotated[float, typer.Option(min=0.01, help="Factor on the number of rows.")] = 1.0,
    latency: Annotated[
        float, typer.Option(min=0, metavar="MS", help="Milliseconds added to every answer.")
    ] = 0.0,
    throttle: Annotated[
        str | None,
        typer.Option(metavar="every=N[,retry-after=S]", help="Answer every Nth request with 429."),
    ] = None,
    page_limit: Annotated[int, typer.Option(min=1, help="Rows of one page.")] = 10_000,
    next_link: Annotated[
        str, typer.Option(metavar="skip|skiptoken", help="How a next link continues.")
    ] = "skip",
    database: Annotated[str, typer.Option(help="SQLite file that keeps the rows.")] = ":memory:",
) -> None:
    """Serve the Finance & Operations look-alike by itself, as OData under /data."""
    with errors_to_exit():
        if next_link not in ("skip", "skiptoken"):
            raise SettingsError(f"--next-link is {next_link!r}.", hint="Accepted: skip, skiptoken.")
        chosen = SandboxSettings(
            metadata=metadata,
            scale=scale,
            latency_ms=latency,
            throttle=throttle,
            page_limit=page_limit,
            next_link="skip" if next_link == "skip" else "skiptoken",
            database=database,
        )
        run(chosen, host, port)
