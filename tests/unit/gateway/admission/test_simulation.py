"""Against a simulated service whose capacity moves: how much of it is used, how much refused, and who waits.

The capacity is 8, then 3, then 8 workers for a minute each; callers want more than that all the time. It reproduces the
ranking of controllers for mixed work: fixed limits are too low or refused, a gradient of latencies is refused most.
"""

from __future__ import annotations

import pytest

from tests.support.capacity import Result, Sender, World, simulate
from tests.support.senders import EXPORT, URGENT, Fixed, Gradient2, Ours


def ours(**world: float) -> Result:
    return simulate(World(**world), Ours(lane=URGENT))  # type: ignore[arg-type]


@pytest.mark.parametrize("refuses_above", [3.0, 1.5])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_capacity_is_used_and_rarely_exceeded(refuses_above: float, seed: int) -> None:
    result = ours(refuses_above=refuses_above, seed=seed)

    assert result.share >= 0.97
    assert result.refusals <= 0.03


@pytest.mark.parametrize("refuses_above", [3.0, 1.5])
def test_refusals_that_name_a_wait_are_not_provoked_again_soon(refuses_above: float) -> None:
    result = ours(refuses_above=refuses_above, retry_after=1.0)

    assert result.share >= 0.97
    assert result.refused <= 12


@pytest.mark.parametrize("refuses_above", [3.0, 1.5])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_long_waits_are_rarely_provoked(refuses_above: float, spread: float) -> None:
    """One, when the capacity falls, which nobody can know before; a controller that takes no care provokes four."""
    worlds = [
        World(refuses_above=refuses_above, retry_after=5.0, spread=spread, seed=seed)
        for seed in (1, 2, 3)
    ]
    results = [simulate(world, Ours(lane=URGENT)) for world in worlds]

    assert sum(r.share / r.share_of_informed for r in results) / len(results) >= 0.97
    assert max(result.refusals for result in results) <= 0.001


def test_small_capacities_are_used_as_well() -> None:
    result = simulate(World(capacity=(2, 1, 3), saturating=20), Ours(lane=URGENT))

    assert result.share >= 0.95
    assert result.refusals <= 0.05


def test_work_that_takes_all_kinds_of_times_does_not_lower_the_limit() -> None:
    assert ours(spread=0.5).share >= 0.97


@pytest.mark.parametrize(
    ("sender", "share", "refusals"),
    [(Fixed(4), 0.6, 0.0), (Fixed(16), 1.0, 0.9), (Gradient2(), 1.0, 0.99)],
    ids=["fixed 4", "fixed 16", "Gradient2"],
)
def test_others_use_less_or_are_refused_more(sender: Sender, share: float, refusals: float) -> None:
    result = simulate(World(), sender)

    assert share - 0.1 <= result.share <= share
    assert refusals - 0.1 <= result.refusals <= refusals


@pytest.mark.parametrize("refuses_above", [3.0, 1.5])
def test_people_hardly_notice_an_export(refuses_above: float) -> None:
    alone = simulate(World(saturating=0, urgent_every=0.1), Ours())
    beside = simulate(
        World(pages=1.0, urgent_every=0.1, refuses_above=refuses_above), Ours(lane=EXPORT)
    )

    assert beside.percentile(0.95) <= 1.3 * alone.percentile(0.95)
    assert beside.share >= 0.35


def test_an_export_has_the_environment_for_itself_when_nobody_else_comes() -> None:
    result = simulate(World(pages=1.0), Ours(lane=EXPORT))

    assert result.share >= 0.95


def test_with_one_queue_for_all_people_wait_for_the_export() -> None:
    result = simulate(World(pages=1.0, urgent_every=0.1), Fixed(16))

    assert result.percentile(0.95) > 10.0
