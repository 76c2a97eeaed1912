"""``gateway.telemetry.operation_scope``: the time in which any request waits counts once."""

from __future__ import annotations

import pytest

from gateway.telemetry.operation_scope import current_scope, operation_scope


def test_overlapping_waits_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Read at the first begin and at the last end of each overlapping group only.
    moments = iter((1.0, 5.0, 9.0, 9.5))
    monkeypatch.setattr(
        "gateway.telemetry.operation_scope.time.perf_counter", lambda: next(moments)
    )
    with operation_scope() as scope:
        assert current_scope() is scope
        for step in (1, 1, -1, -1, 1, -1):
            (scope.begin_wait if step > 0 else scope.end_wait)()

    assert scope.upstream_seconds == 4.5
    assert current_scope() is None
