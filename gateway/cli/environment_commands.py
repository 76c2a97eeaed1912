"""`env …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from .option_types import Config, Json

environment_commands = typer.Typer(
    help="Add, check, change and remove environments of the store.", no_args_is_help=True
)

Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="Name of the environment.")]
Title: TypeAlias = Annotated[str | None, typer.Option(help="Name for people.")]
Tenant: TypeAlias = Annotated[
    str | None, typer.Option("--tenant-id", metavar="TENANT", help="Microsoft Entra tenant.")
]
Client: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        metavar="ID",
        help="Its own application; without it the gateway signs in as its own one.",
    ),
]
SecretFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--client-secret-file",
        metavar="FILE",
        help="File with the client secret of that application; - reads standard input.",
    ),
]
PromptSecret: TypeAlias = Annotated[
    bool,
    typer.Option("--prompt-client-secret", help="Ask for the client secret at the terminal."),
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="OPTION=VALUE",
        help="Any other option of [environments.NAME]: companies=usmf,dat, read_only=true. Repeatable.",
    ),
]


@environment_commands.command("add")
def add_environment(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    name: Name,
    url: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Its address: https://contoso.operations.dynamics.com/data."
        ),
    ],
    title: Title = None,
    tenant_id: Tenant = None,
    client_id: Client = None,
    client_secret_file: SecretFile = None,
    prompt_client_secret: PromptSecret = False,
    options: Set = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Add an environment to the store. Every process of the gateway serves it within two seconds.

    It may be repeated: an environment of this name with equal options stays as it is.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import add, option_values

        plain = {"url": url, "title": title, "tenant_id": tenant_id, "client_id": client_id}
        values = option_values(
            plain, options or [], client_secret_file, prompt=prompt_client_secret
        )
        add(read_settings(config), name, values, as_json=as_json)


@environment_commands.command("list")
def list_environments(as_json: Json = False, config: Config = None) -> None:
    """List the environments of the store: name, title, state, address, and when each was changed."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import print_list

        print_list(read_settings(config), as_json=as_json)


@environment_commands.command("show")
def show_environment(
    name: Name,
    status: Annotated[
        bool,
        typer.Option(
            "--status", help="Print how it does instead: calls, errors, throttling, metadata."
        ),
    ] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Print an environment: its options, the names of its secrets, and who has linked it.

    With --status also one of the settings, or `default`, that of the settings themselves.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        if status:
            from .environment_status import print_status

            print_status(read_settings(config), name, as_json=as_json)
            return
        from .environments import show

        show(read_settings(config), name, as_json=as_json)


@environment_commands.command("drift")
def show_drift(
    name: Name,
    since: Annotated[
        str, typer.Option(metavar="PERIOD", help="90m, 24h or 7d; at most 30d.")
    ] = "24h",
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Print how the metadata of an environment changed, and what that means for clients."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environment_status import print_drift

        print_drift(read_settings(config), name, since, as_json=as_json)


@environment_commands.command("update")
def update_environment(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    name: Name,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Its new address.")] = None,
    title: Title = None,
    tenant_id: Tenant = None,
    client_id: Client = None,
    client_secret_file: SecretFile = None,
    prompt_client_secret: PromptSecret = False,
    options: Set = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="OPTION", help="Option to remove. Repeatable."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Change options of an environment. Those that are not named stay as they are, secrets too."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import option_values, update

        plain = {"url": url, "title": title, "tenant_id": tenant_id, "client_id": client_id}
        values = option_values(
            plain, options or [], client_secret_file, unset or [], prompt=prompt_client_secret
        )
        update(read_settings(config), name, values, as_json=as_json)


@environment_commands.command("disable")
def disable_environment(name: Name, as_json: Json = False, config: Config = None) -> None:
    """Stop serving an environment within two seconds. It stays in the store."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import set_state

        set_state(read_settings(config), name, "disabled", as_json=as_json)


@environment_commands.command("enable")
def enable_environment(name: Name, as_json: Json = False, config: Config = None) -> None:
    """Serve a disabled environment again."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import set_state

        set_state(read_settings(config), name, "active", as_json=as_json)


@environment_commands.command("remove")
def remove_environment(name: Name, as_json: Json = False, config: Config = None) -> None:
    """Remove an environment, and the key of its secrets, which nobody can read afterwards."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import remove

        remove(read_settings(config), name, as_json=as_json)


@environment_commands.command("check")
def check_environment(name: Name, as_json: Json = False, config: Config = None) -> None:
    """Test the way to an environment step by step: sign-in, user, roles, companies, metadata.

    Exit code 1 if one of them is a problem.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import check

        check(read_settings(config), name, as_json=as_json)


@environment_commands.command("hook")
def make_hook(
    name: Name,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make another one in the place of that which is there.")
    ] = False,
    grace: Annotated[
        str,
        typer.Option(metavar="PERIOD", help="How long the one before is accepted: 90m, 24h or 7d."),
    ] = "24h",
    revoke: Annotated[bool, typer.Option("--revoke", help="Remove the hook instead.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print since when there is one instead.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Make the address at which an environment reports events, and print it, this once.

    Also for an environment of the settings, or `default`, that of the settings themselves.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .hooks import print_hooks, print_new_hook, revoke_hook

        settings = read_settings(config)
        if revoke:
            revoke_hook(settings, name)
        elif show:
            print_hooks(settings, name, as_json=as_json)
        else:
            print_new_hook(settings, name, rotate=rotate, grace=grace, as_json=as_json)


@environment_commands.command("reload")
def reload_environment(name: Name, as_json: Json = False, config: Config = None) -> None:
    """Make all processes look for new metadata of an environment."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .environments import reload

        reload(read_settings(config), name, as_json=as_json)
