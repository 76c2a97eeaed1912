"""Display values as parts: the main account and the dimensions by name, or another account as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.errors import BadArgument, UpstreamMalformed

from .display_values import AmbiguousError, join, split, unescaped
from .formats import MAIN_ACCOUNT, Formats

LEDGER_TYPE = "Ledger"
"""Member of the enums of account types that stands for an account of the ledger."""
_MASKED = re.compile(r"\*{4}.*|[0-9a-f]{16}", re.DOTALL)
"""What roles show of texts that they mask: see ``planning.cells``."""
_NO_DIMENSIONS = "a customer, vendor, bank … has no dimensions in its account"


class Dimension(Struct, frozen=True):
    """A dimension with its value."""

    name: str
    value: str


class Parts(Struct, frozen=True):
    """The parts of a display value."""

    main_account: str | None = None
    dimensions: tuple[Dimension, ...] = ()
    """Those that have a value, in the order of the format."""
    account: str | None = None
    """The whole value, if it is not an account of the ledger."""


def divide(
    text: str, kind: str, formats: Formats, *, of_ledger: bool = True, may_be_masked: bool = False
) -> Parts | None:
    """Return the parts of a display value; None if it is empty. Raises UpstreamMalformed.

    ``kind``: the format, ``ledger`` or ``default``. ``of_ledger`` False: it is another account. ``may_be_masked``: a
    role may have masked it, and then it is shown as a whole.
    """
    if not text:
        return None
    if may_be_masked and _MASKED.fullmatch(text):
        return Parts(account=text)
    if not of_ledger:
        return Parts(account=unescaped(text, formats.delimiter))
    try:
        segments = split(text, formats.delimiter)
    except AmbiguousError as error:
        raise _not_divided(str(error)) from error
    return _named(segments, formats.of(kind))


def _named(segments: list[str], names: Sequence[str]) -> Parts | None:
    missing = len(names) - len(segments)
    # Blank segments at the end may be left out; then the first one must be what values always have.
    if missing < 0 or (missing and MAIN_ACCOUNT in names[1:]):
        raise _not_divided(
            f"it has {len(segments)} segments, and the active format has {len(names)}:"
            f" {', '.join(names)}"
        )
    values = dict(zip(names, segments, strict=False))
    if not any(segments):
        return None
    main_account = values.pop(MAIN_ACCOUNT, None)
    dimensions = tuple(Dimension(name, value) for name, value in values.items() if value)
    return Parts(main_account or None, dimensions)


def _not_divided(why: str) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"This display value cannot be divided: {why}.",
        hint="The field with the display value has it as the environment wrote it.",
    )


def compose(
    values: Mapping[str, Any], kind: str, formats: Formats, what: str, *, of_ledger: bool | None
) -> str:
    """Return the display value of parts as a caller sends them. Raises BadArgument, UpstreamMalformed.

    ``what`` names them in messages. ``of_ledger``: whether the account type beside them says so; None: it is not known.
    """
    main_account, dimensions = values.get("mainAccount"), values.get("dimensions")
    account = values.get("account")
    if account is not None:
        if main_account is not None or dimensions:
            raise BadArgument(f"{what} has an account as a whole, and parts: {_NO_DIMENSIONS}.")
        if kind == "default" or of_ledger is True:
            raise BadArgument(
                f"{what}.account cannot be set here: it is no customer, vendor, bank …",
                hint="Set mainAccount and dimensions.",
            )
        return _joined((str(account),), formats, f"{what}.account")
    if of_ledger is False:
        raise BadArgument(
            f"{what} belongs to another account than one of the ledger: {_NO_DIMENSIONS}.",
            hint="Set account, or the account type Ledger.",
        )
    if kind == "default" and main_account is not None:
        raise BadArgument(f"{what}.mainAccount cannot be set: these are default dimensions.")
    if kind == "ledger" and not main_account:
        raise BadArgument(f"{what}.mainAccount is required.")
    segments = _segments(main_account, dimensions or (), formats.of(kind), what)
    return _joined(segments, formats, what) if any(segments) else ""


def _segments(
    main_account: str | None,
    dimensions: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    what: str,
) -> list[str]:
    """Return the segments in order. Raises BadArgument for a dimension that the format lacks."""
    by_name = {name.casefold(): name for name in names if name != MAIN_ACCOUNT}
    values: dict[str, str] = {MAIN_ACCOUNT: main_account or ""}
    for number, item in enumerate(dimensions):
        name = by_name.get(str(item["name"]).casefold())
        at = f"{what}.dimensions[{number}]"
        if name is None:
            raise BadArgument(
                f"{at}: the environment has no dimension {item['name']} in these values.",
                hint=f"Its dimensions are {', '.join(by_name.values())}.",
            )
        if name in values:
            raise BadArgument(f"{at}: the dimension {name} is there twice.")
        values[name] = item.get("value") or ""
    return [values.get(name, "") for name in names]


def _joined(segments: Sequence[str], formats: Formats, what: str) -> str:
    try:
        return join(segments, formats.delimiter)
    except AmbiguousError as error:
        raise BadArgument(f"{what} cannot be written clearly: {error}.") from error
