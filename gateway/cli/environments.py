"""`env …`: administers the environments of the store, as the REST API does, and records that in the audit log."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.administration.actors import Actor, acting_user
from gateway.administration.environment_service import EnvironmentService
from gateway.administration.opening import RegisterHolder
from gateway.config.environment_secrets import SECRETS
from gateway.config.settings import Settings
from gateway.environments.environment_json import environment_json
from gateway.errors import BadArgument, InvalidOption
from gateway.events import log_event
from gateway.store.stored_environment import State, StoredEnvironment

from .check import print_steps
from .tables import plain, print_table

_STANDARD_INPUT = Path("-")


class _Administration(Struct, frozen=True):
    service: EnvironmentService
    actor: Actor


def option_values(
    plain: Mapping[str, str | None],
    assignments: Sequence[str],
    secret_file: Path | None,
    unset: Sequence[str] = (),
    *,
    prompt: bool,
) -> dict[str, Any]:
    """Return the options of an environment by name; None: it is removed. Raises BadArgument, InvalidOption."""
    values: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    for name in unset:
        _place(values, name, None)
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise BadArgument(f"--set {assignment}: accepted: OPTION=VALUE.")
        if name in SECRETS:
            raise InvalidOption(
                name,
                f"{name} is a secret, and arguments of a process can be read by others.",
                hint="Use --client-secret-file, or the REST API.",
            )
        _place(values, name, _value(text))
    secret = _secret(secret_file, prompt=prompt)
    if secret is not None:
        values["client_secret"] = secret
    return values


def _place(values: dict[str, Any], name: str, value: object) -> None:
    """``credentials.certificate`` is an option in a table."""
    group, _, field = name.rpartition(".")
    (values.setdefault(group, {}) if group else values)[field] = value


def _value(text: str) -> object:
    """``true`` → True, ``8`` → 8, ``usmf,dat`` → text, which options that are lists split."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _secret(file: Path | None, *, prompt: bool) -> str | None:
    if prompt:
        if not sys.stdin.isatty():
            raise BadArgument(
                "--prompt-client-secret needs a terminal.", hint="Use --client-secret-file -."
            )
        return getpass.getpass("Client secret: ")
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == _STANDARD_INPUT else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadArgument(f"--client-secret-file: {file} cannot be read.") from error
    secret = text.rstrip("\r\n")
    if not secret:
        raise BadArgument(f"--client-secret-file: {file} is empty.")
    return secret


def add(settings: Settings, name: str, values: Mapping[str, Any], *, as_json: bool) -> None:
    """Add an environment and print it. Raises GatewayError."""
    with _administration(settings) as opened:
        environment, is_new = opened.service.add(name, values, opened.actor)
    text = f"{name} is added" if is_new else f"{name} is there already, with these options"
    _print(environment, f"{text}: {environment.options.url}", as_json=as_json)


def print_list(settings: Settings, *, as_json: bool) -> None:
    """Print all environments. Raises GatewayError."""
    with _administration(settings) as opened:
        environments = opened.service.list()
    if as_json:
        print(json.dumps({"environments": [environment_json(e) for e in environments]}))
        return
    print_table(
        [("NAME", "TITLE", "STATE", "ADDRESS", "LINKED BY", "UPDATED"), *map(_row, environments)]
    )


def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print an environment. Raises GatewayError."""
    with _administration(settings) as opened:
        environment = opened.service.show(name)
    facts = environment_json(environment)
    if as_json:
        print(json.dumps(facts))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        if value not in (None, []):
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"{key.ljust(width)}  {plain(shown)}")


def update(settings: Settings, name: str, values: Mapping[str, Any], *, as_json: bool) -> None:
    """Change options. Raises GatewayError."""
    if not values:
        raise BadArgument(
            "No option to change was named.", hint="Use --set OPTION=VALUE, or --unset."
        )
    with _administration(settings) as opened:
        environment = opened.service.update(name, values, opened.actor)
    _print(environment, f"{name} has version {environment.version}.", as_json=as_json)


def set_state(settings: Settings, name: str, state: State, *, as_json: bool) -> None:
    """Enable or disable an environment. Raises GatewayError."""
    with _administration(settings) as opened:
        environment = opened.service.set_state(name, state, opened.actor)
    _print(environment, f"{name} is {environment.state}.", as_json=as_json)


def remove(settings: Settings, name: str, *, as_json: bool) -> None:
    """Remove an environment. Raises GatewayError."""
    with _administration(settings) as opened:
        environment = opened.service.remove(name, opened.actor)
    _print(environment, f"{name} is removed, with its secrets.", as_json=as_json)


def reload(settings: Settings, name: str, *, as_json: bool) -> None:
    """Make all processes look for new metadata. Raises GatewayError."""
    with _administration(settings) as opened:
        environment = opened.service.reload(name, opened.actor)
    _print(environment, f"The metadata of {name} are loaded anew.", as_json=as_json)


def check(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print each step as it ends. Exits with 1 if one of them is a problem. Raises GatewayError."""
    with _administration(settings) as opened:
        print_steps(lambda: opened.service.check(name), as_json=as_json)


@contextmanager
def _administration(settings: Settings) -> Iterator[_Administration]:
    holder = RegisterHolder(settings)
    try:
        with acting_user(settings, log_event) as actor:
            yield _Administration(EnvironmentService(settings, holder.get, log_event), actor)
    finally:
        holder.close()


def _print(environment: StoredEnvironment, text: str, *, as_json: bool) -> None:
    print(json.dumps(environment_json(environment)) if as_json else text)


def _row(environment: StoredEnvironment) -> tuple[str, ...]:
    facts = environment_json(environment)
    linked = environment.linked
    return (
        environment.name,
        environment.options.title or "",
        environment.state if environment.problem is None else "unreadable",
        "" if environment.problem is not None else environment.options.url or "sandbox",
        "" if linked is None else linked.name,
        str(facts["updated"])[:10],
    )
