"""Secrets of environments in files: ``client_secret_file`` in ``[environments.NAME]``, as at the top of settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .secret_files import read_secret_files

ENVIRONMENT = re.compile(r"environments\.[^.]+\.")
"""How the paths of the settings of an environment begin."""
SECRETS = {"client_secret": True, "credentials.certificate_password": True}
"""Options of an environment that are secrets; True: each is a single one."""


def read_environment_secrets(values: dict[str, Any], problems: list[str]) -> None:
    """Replace the names of files in the tables of environments by what the files hold."""
    declared = values.get("environments")
    if isinstance(declared, str):  # a variable
        with suppress(json.JSONDecodeError):
            declared = json.loads(declared)
    if not isinstance(declared, Mapping):
        return  # absent, or an error that is reported with the others
    values["environments"] = {
        name: read_secret_files(table, SECRETS, f"environments.{name}", problems)
        if isinstance(table, Mapping)
        else table
        for name, table in declared.items()
    }
