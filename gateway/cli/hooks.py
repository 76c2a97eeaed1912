"""`env hook`: makes, rotates and revokes the addresses at which environments report events."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.administration.actors import Actor, acting_user
from gateway.administration.hook_service import HookService
from gateway.administration.opening import RegisterHolder
from gateway.config.settings import Settings
from gateway.events import log_event
from gateway.status.durations import duration

from .tables import iso_time, print_table

_HOST = "https://GATEWAY"
"""Where the gateway is, if the settings do not say it."""


def print_new_hook(
    settings: Settings, name: str, *, rotate: bool, grace: str, as_json: bool
) -> None:
    """Make a hook, and print its address. Raises GatewayError."""
    seconds = duration(grace)
    with _service(settings) as (service, actor):
        hook = service.create(name, actor, rotate=rotate, grace=seconds)
    base = settings.linking.public_url or f"{_HOST}{settings.root_path}"
    address = f"{base.rstrip('/')}{hook.path}"
    if as_json:
        print(json.dumps({"environment": hook.environment, "path": hook.path, "url": address}))
        return
    print(address)
    if rotate:
        print(f"The address before is accepted for {grace}.", file=sys.stderr)
    print("It is a secret, and is not shown again.", file=sys.stderr)


def print_hooks(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print since when an environment has hooks. Raises GatewayError."""
    with _service(settings) as (service, _):
        hooks = service.show(name)
    rows = [(hook.created, hook.expires_at) for hook in hooks]
    if as_json:
        facts = [
            {"created": iso_time(made), "expires": None if ends is None else iso_time(ends)}
            for made, ends in rows
        ]
        print(json.dumps({"environment": name, "hooks": facts}))
        return
    texts = [(iso_time(made), "-" if ends is None else iso_time(ends)) for made, ends in rows]
    print_table([("CREATED", "EXPIRES"), *texts])


def revoke_hook(settings: Settings, name: str) -> None:
    """Remove the hooks of an environment. Raises GatewayError."""
    with _service(settings) as (service, actor):
        number = service.revoke(name, actor)
    print(f"{name}: {number} revoked", file=sys.stderr)


@contextmanager
def _service(settings: Settings) -> Iterator[tuple[HookService, Actor]]:
    holder = RegisterHolder(settings)
    try:
        with acting_user(settings, log_event) as actor:
            yield HookService(settings, holder), actor
    finally:
        holder.close()
