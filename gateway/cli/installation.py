"""Whether the two top-level packages of the gateway are its own.

PyPI has a distribution ``schema`` with a package of that name. In one environment with the gateway it lies before ours
on the path or overwrites ``schema/__init__.py``, and pip says nothing: the gateway must say so itself.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

MARK = "d365-graphql-gateway"
HERE = Path(__file__).resolve().parents[2]
ADVICE = (
    "The gateway needs an environment of its own: install it with pipx, or with pip in a fresh `python3 -m venv`. "
    "In this one, uninstall the other distribution (`pip uninstall schema`) and install the gateway anew."
)


def foreign_package() -> str | None:
    """Return what is wrong with the package ``schema`` and what to do about it; None where it is ours."""
    try:
        found = import_module("schema")
    except ImportError as error:
        return f"The package `schema` of the gateway cannot be imported ({error}). {ADVICE}"
    path = Path(found.__file__).resolve() if found.__file__ else None
    if path is not None and path.parent.parent == HERE and getattr(found, "MARK", None) == MARK:
        return None
    return f"The package `schema` in {path or 'this environment'} is not the gateway's. {ADVICE}"


def check_installation() -> None:
    """End the process with exit code 2 where another distribution's ``schema`` would be imported."""
    if trouble := foreign_package():
        sys.stderr.write(f"{trouble}\n")
        raise SystemExit(2)
