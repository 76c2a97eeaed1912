"""Periods as people write them: ``90m``, ``24h``, ``7d``."""

from __future__ import annotations

import re

from gateway.errors import BadArgument

from .records import KEPT

UNITS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}
DURATION = re.compile(r"([1-9]\d{0,4})([mhd])")
SINCE = "24h"
"""The period of drift, if nobody says another one."""


def duration(text: str) -> float:
    """``24h`` → 86,400 seconds. Raises BadArgument."""
    match = DURATION.fullmatch(text)
    seconds = 0.0 if match is None else int(match[1]) * UNITS[match[2]]
    if not 0 < seconds <= KEPT:
        days = round(KEPT / UNITS["d"])
        raise BadArgument(f"since: expected 90m, 24h or 7d, and at most {days}d.")
    return seconds
