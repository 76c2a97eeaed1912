"""What each thing costs that a gateway does: the figures with which ``d365-graphql size`` reckons.

Measured by ``make bench ARGS=size``, which prints its figures beside these. CPU is that of the gateway's process
before an upstream that replays recorded answers without TLS; memory is resident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

Unit: TypeAlias = Literal["ms", "us", "mib", "kib"]
UNITS: Mapping[Unit, tuple[float, str]] = {
    "ms": (1e3, "ms"),
    "us": (1e6, "µs"),
    "mib": (1.0, "MiB"),
    "kib": (1024.0, "KiB"),
}
"""Units → how many of them are a second or a MiB, and how they are written."""
MEASURED_ON = "two cores of 2.8 GHz, Python 3.11, November 2026"


class Coefficients(Struct, frozen=True, kw_only=True):
    """CPU in seconds of a core, memory in MiB; ``MEANINGS`` says of what."""

    operation: float
    request: float
    value: float
    exported_row: float
    poll: float
    pushed: float
    process: float
    supervisor: float
    entity_set: float
    answer_value: float
    stream: float
    export: float
    environment: float
    caller: float


class Meaning(Struct, frozen=True):
    """What a coefficient is of, and in which unit people read it."""

    unit: Unit
    text: str

    def shown(self, value: float) -> str:
        """Return the value of a coefficient in this unit."""
        number, name = UNITS[self.unit]
        return f"{value * number:.3g} {name}"


MEANINGS: Mapping[str, Meaning] = {
    "operation": Meaning(
        "ms", "An operation by itself: HTTP, document from the cache, plan, answer."
    ),
    "request": Meaning("ms", "A request to the environment: sent, admitted, its answer decoded."),
    "value": Meaning("us", "A value of an answer: a row has as many as it has fields."),
    "exported_row": Meaning("us", "A row of 20 values of an export (NDJSON)."),
    "poll": Meaning("ms", "A poll of a watched list that finds no changes."),
    "pushed": Meaning("us", "A change that a stream gets."),
    "process": Meaning(
        "mib", "A process with a small catalogue that has answered some operations."
    ),
    "supervisor": Meaning("mib", "The process that looks after workers, if there are several."),
    "entity_set": Meaning("kib", "An entity set of the catalogue."),
    "answer_value": Meaning("kib", "A value of an answer while it is made and sent."),
    "stream": Meaning("kib", "An event stream with one subscription."),
    "export": Meaning("mib", "An export that runs."),
    "environment": Meaning(
        "mib", "A further environment in use, whose catalogue has custom fields of its own."
    ),
    "caller": Meaning("kib", "A signed-in caller whose token is remembered."),
}

MEASURED = Coefficients(
    operation=0.4e-3,
    request=0.2e-3,
    value=0.4e-6,
    exported_row=6e-6,
    poll=5e-3,
    pushed=80e-6,
    process=95.0,
    supervisor=95.0,
    entity_set=22 / 1024,
    answer_value=0.03 / 1024,
    stream=40 / 1024,
    export=25.0,
    environment=1.5,
    caller=5 / 1024,
)
"""What was measured, with some reserve. Of an entity set it is what one takes that is used: ``touch`` measures that,
as ``environments`` does for further environments and ``inbound.cache_size`` says for callers."""
