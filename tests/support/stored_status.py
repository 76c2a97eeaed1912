"""Status in a store, as a process that serves would write it."""

from __future__ import annotations

import time

import msgspec

from gateway.config.settings import Settings
from gateway.status.comparison import BrokenOperation, SchemaDrift, StoredChange
from gateway.status.process_status import ProcessStatus
from gateway.status.status_store import StatusStore

DIGESTS = ("a" * 64, "b" * 64)


def tell(settings: Settings, name: str = "acme", at: float | None = None) -> None:
    """Write what a process that serves an environment would."""
    now = time.time() if at is None else at
    status = ProcessStatus(lambda: now)
    counters = status.counters(name)
    counters.enter("open")
    counters.facts.metadata, counters.facts.served_since = DIGESTS[1], now
    counters.facts.fetched = counters.facts.checked = counters.facts.throttled = now
    counters.note("operation", "UPSTREAM_TIMEOUT", "Too slow.")
    row = status.status_row(name)
    assert row is not None
    store = StatusStore(settings)
    store.write([row], status.calls_rows(name))
    store.begin(name, None, DIGESTS[0], now - 1, now)
    entry = store.begin(name, DIGESTS[0], DIGESTS[1], now, now)
    assert entry is not None
    changes = (StoredChange("breaking", "FIELD_REMOVED", "Thing", "Field Thing.old was removed."),)
    drift = SchemaDrift(
        breaking=2,
        dangerous=0,
        safe=0,
        changes=changes,
        operations=(BrokenOperation("bad", ("No field old.",)),),
    )
    store.finish(entry, msgspec.json.encode(drift).decode())
    store.close()
