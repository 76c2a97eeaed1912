"""Values of unified fields that one column does not give as it is: days, texts, highest values, items without repeats.

Both ways of completion use them: the compiled functions and the fallback resolvers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from schema.catalog.records import ValueType

from .value_conversion import in_utc

Form = Literal["plain", "text", "day", "instant", "printed", "member"]


def form_of(kind: ValueType, type_name: str) -> Form:
    """Return how a value of a column becomes one of a field's type.

    ``text``: an empty text is null. ``day``: the day of a date and time. ``instant``: a date and time that the metadata
    takes for a day. ``printed``: a number or UUID as text.
    ``member``: the member of an enum as the service names it.
    """
    if type_name == "Date" and kind.scalar == "DateTime":
        return "day"
    if type_name == "DateTime" and kind.scalar == "Date":
        return "instant"
    if type_name in ("String", "ID"):
        if kind.enum is not None:
            return "member"
        return "text" if kind.scalar == "String" else "printed"
    return "plain"


def day_of(value: str | None) -> str | None:
    """Return the day of a date and time."""
    return None if value is None else value[:10]


def instant_of(raw: str | None) -> str | None:
    """Return a date and time in UTC, as the service sent it; null for 1900-01-01."""
    if raw is None or (text := in_utc(raw))[:10] == "1900-01-01":
        return None
    return text


def printed(value: object) -> str | None:
    """Return a value as text."""
    return None if value is None else str(value)


def converted(convert: Callable[[str], str], text: str | None) -> str | None:
    """Return a converted text; null for an empty one."""
    return convert(text) if text else None


def each_once(items: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the items whose first part is not null, and is not that of an item before, whatever its case."""
    seen: set[Any] = set()
    result: list[tuple[Any, ...]] = []
    for item in items:
        first = item[0]
        if first is None:
            continue
        form = first.casefold() if isinstance(first, str) else first
        if form not in seen:
            seen.add(form)
            result.append(item)
    return result


def highest_of(order: Sequence[str], values: Iterable[Any]) -> list[Any]:
    """Return the highest of some values; those that the order does not list stay beside it."""
    distinct = dict.fromkeys(value for value in values if value is not None)
    listed = [value for value in order if value in distinct]
    return [*listed[-1:], *(value for value in distinct if value not in order)]


def difference(one: Any, other: Any) -> Decimal | None:
    """Return one amount less another, which may be text; null if there is neither."""
    if one is None and other is None:
        return None
    return Decimal(one or 0) - Decimal(other or 0)


def sum_of(values: Iterable[Any]) -> Decimal:
    """Return the sum of amounts, which may be text."""
    return sum((Decimal(value) for value in values if value is not None), Decimal())


VIEW_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "day_of": day_of,
    "instant_of": instant_of,
    "printed": printed,
    "converted": converted,
    "each_once": each_once,
    "highest_of": highest_of,
    "difference": difference,
    "sum_of": sum_of,
}
