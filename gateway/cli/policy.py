"""`policy …`: checks, shows, tests and compares roles over the metadata that the settings name."""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.config.loading import read_roles
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.role_policy import load_policy
from gateway.runtime.assembly import Gateway, require_sound
from schema.errors import did_you_mean
from schema.policy.records import Policy
from schema.policy.view import RoleView

from .policy_diff import RoleChanges, changes_of
from .policy_expectations import Expectation, failures
from .policy_report import describe_set, describe_view, text_of_set, text_of_view
from .schema_commands import known_roles, with_gateway

T = TypeVar("T")


def print_check(settings: Settings) -> None:
    """Print that the roles are sound. Raises SettingsError with all problems."""

    async def check(gateway: Gateway) -> int:
        return len((await _policy(gateway, settings)).roles)

    count = _over_metadata(settings, check)
    print(f"{count} role{'' if count == 1 else 's'}, no problem.")


def print_view(settings: Settings, roles: str, set_name: str | None, *, as_json: bool) -> None:
    """Print what callers with these roles see of a set, or an overview. Raises SettingsError."""

    async def view(gateway: Gateway) -> tuple[Any, str]:
        policy = await _policy(gateway, settings)
        seen = RoleView(policy, known_roles(policy, roles))
        if set_name is None:
            overview = describe_view(seen, gateway)
            return overview, text_of_view(overview)
        model = gateway.catalog.model
        names = (*model.entity_sets, *model.singletons)
        if set_name not in names:
            raise SettingsError(
                f"There is no entity set or singleton {set_name}.{did_you_mean(set_name, names)}"
            )
        described = describe_set(seen, gateway, set_name)
        return described, text_of_set(described)

    as_data, text = _over_metadata(settings, view)
    print(_json(as_data) if as_json else text)


def run_expectations(settings: Settings, file: Path) -> bool:
    """Print the expectations that fail, and return whether there are none. Raises SettingsError."""
    expectations = read_expectations(file)

    async def run(gateway: Gateway) -> list[str]:
        return list(failures(expectations, await _policy(gateway, settings), gateway))

    failed = _over_metadata(settings, run)
    for line in failed:
        print(line)
    count = len(expectations)
    print(f"{count} expectation{'' if count == 1 else 's'}, {len(failed)} failed.")
    return not failed


def print_diff(settings: Settings, old: Path, new: Path, *, as_json: bool) -> None:
    """Print what each role gains and loses between two files of roles. Raises SettingsError."""
    before, after = (_with_roles(settings, file) for file in (old, new))

    async def compare(gateway: Gateway) -> list[RoleChanges]:
        old_policy, new_policy = await _policy(gateway, before), await _policy(gateway, after)
        return list(changes_of(old_policy, new_policy, gateway))

    changes = _over_metadata(settings, compare)
    if as_json:
        print(_json([change.to_json() for change in changes]))
    else:
        print("\n".join(line for change in changes for line in change.lines()) or "No change.")


def read_expectations(file: Path) -> list[Expectation]:
    """Return the tables ``[[expect]]`` of a file. Raises SettingsError."""
    try:
        tables = tomllib.loads(file.read_text("utf-8-sig"))
        return msgspec.convert(tables, _Expectations).expect
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{file}: {error}", hint="See the page about roles and rules for what is expected."
        ) from error


class _Expectations(msgspec.Struct, forbid_unknown_fields=True):
    expect: list[Expectation]


def _with_roles(settings: Settings, file: Path) -> Settings:
    values = {"roles": read_roles(file, others=True)}
    try:
        roles = Settings.model_validate(values).roles
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from error
    return settings.model_copy(update={"roles": roles})


def _over_metadata(settings: Settings, use: Callable[[Gateway], Awaitable[T]]) -> T:
    """Return what ``use`` returns for a gateway without roles: these are read by ``use``."""
    bare = settings.model_copy(update={"roles": {}, "profiles": {}})
    return with_gateway(bare, use, profile=None)


async def _policy(gateway: Gateway, settings: Settings) -> Policy:
    """Return the sound policy of the settings. Raises SettingsError."""
    policy = await load_policy(
        settings, gateway.client, gateway.dialect, gateway.metadata.digest, gateway.observe
    )
    if policy is None:
        raise SettingsError(
            "There are no roles.",
            hint="Declare them in the settings roles, or in roles_file; --config names the file of settings.",
        )
    require_sound(policy, gateway)
    return policy


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()
