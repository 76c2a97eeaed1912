"""When an environment has reported that rows of a set have changed: then they are looked for at once."""

from __future__ import annotations

from collections.abc import Iterable


class Wakes:
    """The last report of each entity set of one environment, as this process has heard it."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def note(self, entity_sets: Iterable[str], at: float) -> None:
        """Note a report. ``at``: seconds since the epoch."""
        for entity_set in entity_sets:
            self._at[entity_set] = max(at, self._at.get(entity_set, 0.0))

    def last(self, entity_set: str) -> float:
        """Return when rows of a set were last reported to have changed; 0 if never."""
        return self._at.get(entity_set, 0.0)
