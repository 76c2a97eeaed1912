"""Settings of changes: `[changes]`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .value_types import Names

TWIN = re.compile(
    r"(?P<set>[^\s.,]+) by (?P<twin>[^\s.,]+)\.(?P<stamp>[^\s.,]+)"
    r" on (?P<key>[^\s,=]+(=[^\s,=]+)?( +[^\s,=]+(=[^\s,=]+)?)*)"
)
"""How a twin is written."""


def _check_twins(twins: tuple[str, ...]) -> tuple[str, ...]:
    for twin in twins:
        if not TWIN.fullmatch(twin):
            raise ValueError(f"{twin!r} is not 'Set by Twin.Stamp on Key Key=TwinKey'")
    return twins


class ChangeOptions(BaseModel):
    """Changes of lists since a cursor: how they are found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether Query.changes is served.")
    late: float = Field(
        default=60.0,
        ge=0,
        description="Seconds by which a row may appear later than its modification time says: the longest transaction,"
        " plus the difference between the clocks of the service's servers.",
    )
    twins: Annotated[Names, AfterValidator(_check_twins)] = Field(
        default=(),
        description="Sets over the same table that have the time of the last change, as"
        " 'Set by Twin.Stamp on Key Key=TwinKey', before those that are known.",
    )
