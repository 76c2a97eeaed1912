"""Without the moment for which admission sends nothing after a refusal: random failures would take minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.admission import slots


@contextmanager
def without_holds() -> Iterator[None]:
    """Send at once after a refusal, within the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "FIRST_HOLD", 0.0)
        yield
