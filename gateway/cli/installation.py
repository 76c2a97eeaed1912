"""Checks that the package ``schema`` is the gateway's own.

PyPI has a distribution ``schema`` with a package of that name. In one environment with the gateway, it precedes ours on
the path or overwrites ``schema/__init__.py``, and pip does not warn.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

MARK = "d365-graphql-gateway"
HERE = Path(__file__).resolve().parents[2]
ADVICE = (
    "The gateway needs an environment of its own: install it with pipx, or with pip in a fresh `python3 -m venv`. "
    "To use this one, uninstall the other distribution (`pip uninstall schema`) and reinstall the gateway."
)


def foreign_package() -> str | None:
    """Return what is wrong with the package ``schema`` and what to do about it; None if it is ours."""
    try:
        package = import_module("schema")
    except ImportError as error:
        return f"The package `schema` of the gateway cannot be imported ({error}). {ADVICE}"
    path = Path(package.__file__).resolve() if package.__file__ else None
    if path is not None and path.parent.parent == HERE and getattr(package, "MARK", None) == MARK:
        return None
    return f"The package `schema` in {path or 'this environment'} is not the gateway's. {ADVICE}"


def check_installation() -> None:
    """Exit with 2 if the package ``schema`` is another distribution's."""
    if problem := foreign_package():
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(2)
