"""The criteria of account structures: which values of a segment a rule allows, as the product writes them.

    *    600000..699999    60*    001;003    ""

A range, a list, a beginning, any value; a blank is allowed only where it is written as two quotation marks.
"""

from __future__ import annotations

import re

BLANK = ('""', '" "')
_KNOWN = re.compile(r'"\s*"|[^"<>!(){}\[\]|&,%?*;]*\*?')
"""An item of which something is known; what else there may be is not documented."""


def allows(criteria: str, value: str) -> bool | None:
    """Return whether criteria allow a value, which may be blank; None if that is not known."""
    answers = [_item(item.strip(), value) for item in criteria.split(";")]
    if True in answers:
        return True
    return None if None in answers else False


def _item(item: str, value: str) -> bool | None:
    if not item or item in BLANK:
        return not value
    if not _KNOWN.fullmatch(item):
        return None
    if not value:
        return False
    own, first = value.casefold(), item.casefold()
    if ".." in first:
        low, _, high = first.partition("..")
        if "*" in item or ".." in high:
            return None
        return (not low or low.strip() <= own) and (not high or own <= high.strip())
    return own.startswith(first[:-1]) if first.endswith("*") else own == first
