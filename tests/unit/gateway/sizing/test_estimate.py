"""``gateway.sizing``: what a load needs grows with it, and says why."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.sizing.advice import reasons, warnings
from gateway.sizing.coefficients import MEANINGS, MEASURED, Coefficients
from gateway.sizing.estimate import FEWEST, STEP, Estimate, estimate
from gateway.sizing.load import Deployment, Load

NOTHING = Load(operations=0, callers=0, entity_sets=0)
BUSY = Load(operations=1_000, rows=100, fields=20, watches=20, streams=5_000, pushed=500)


def needs(load: Load, **deployment: Any) -> Estimate:
    return estimate(load, Deployment(**deployment))


@pytest.mark.parametrize(
    ("load", "cores"),
    [
        (NOTHING, 0.0),
        (Load(operations=1_000, rows=0, requests=0), 0.4),
        (Load(operations=1_000, rows=0, requests=2), 0.4 + 0.4),
        (Load(operations=1_000, rows=0, requests=2, cached=0.5), 0.4 + 0.2),
        (Load(operations=1_000, rows=100, fields=10, requests=0), 0.4 + 0.4),
        (Load(operations=0, exported_rows=100_000), 0.6),
        (Load(operations=0, pushed=1_000), 0.08),
        # A watch without several streams is polled once.
        (Load(operations=0, watches=100, interval=10, streams=100), 0.05),
    ],
)
def test_cores_are_the_sum_of_what_is_done(load: Load, cores: float) -> None:
    assert needs(load).cores == pytest.approx(cores)


@pytest.mark.parametrize(
    ("load", "workers", "replicas"),
    [(NOTHING, 1, 2), (BUSY, 1, 3), (BUSY, 2, 2), (replace(BUSY, operations=10_000), 2, 13)],
)
def test_replicas_serve_the_peak_with_one_of_them_away(
    load: Load, workers: int, replicas: int
) -> None:
    found = needs(load, workers=workers, is_shared=True)

    assert found.replicas == replicas
    assert found.replicas >= FEWEST
    assert found.cores <= (found.replicas - 1) * workers
    assert found.cores <= found.replicas * found.request_cpu


def test_processes_poll_for_themselves_unless_they_share() -> None:
    alone, shared = needs(BUSY, is_shared=False), needs(BUSY, is_shared=True)

    assert alone.upstream.requests > shared.upstream.requests
    assert alone.cores > shared.cores


@pytest.mark.parametrize(
    "more",
    [
        {"entity_sets": 8_000},
        {"environments": 100},
        {"streams": 50_000},
        {"callers": 9_000},
        {"exports": 10},
        {"rows": 10_000, "operations": 100},
    ],
)
def test_memory_grows_with_what_is_held(more: dict[str, float]) -> None:
    before, after = needs(NOTHING, workers=1), needs(replace(NOTHING, **more), workers=1)

    assert after.memory > before.memory
    assert after.memory % STEP == 0


def test_the_cache_and_further_workers_take_memory() -> None:
    one = needs(NOTHING, workers=1)

    assert needs(NOTHING, workers=1, cache_mib=64.0).memory >= one.memory + 64
    assert needs(NOTHING, workers=2).memory > 2 * one.memory


def test_a_deployment_that_was_seen_to_need_more_gets_more() -> None:
    assert needs(BUSY, factor=2.0).cores == pytest.approx(2 * needs(BUSY).cores, rel=0.1)


def test_the_environment_gets_requests_of_people_polls_and_exports() -> None:
    load = Load(operations=10, requests=2, watches=10, interval=10, exported_rows=3_000)
    found = needs(load, is_shared=True, page=1_000).upstream

    assert found.requests == pytest.approx(300 * (20 + 1 + 3))
    assert found.at_once == pytest.approx(24 * 0.3)
    assert found.of_limit() == pytest.approx(24 * 0.3 * 300 / 1_200)
    assert needs(load, is_shared=True, by_caller=True).upstream.of_limit() < 0.02


@pytest.mark.parametrize(
    ("load", "deployment", "warned"),
    [
        (NOTHING, {"workers": 1}, ()),
        (Load(), {"workers": 2}, ("--workers 1", "throttle")),
        (BUSY, {"concurrency": 4}, ("concurrency = 4", "throttle", "replicas.address")),
        (replace(NOTHING, callers=20_000), {"workers": 1}, ("inbound.cache_size = 10,000",)),
        (
            Load(operations=0.1, exported_rows=10),
            {"workers": 1},
            ("admission.credentials",),
        ),
    ],
)
def test_it_says_why_and_what_to_set(
    load: Load, deployment: dict[str, Any], warned: tuple[str, ...]
) -> None:
    of = Deployment(**deployment)
    found = estimate(load, of)
    lines = list(warnings(load, of, found))

    assert len(lines) == len(warned)
    assert [text for text, line in zip(warned, lines, strict=True) if text not in line] == []
    assert len(list(reasons(of, found))) == 5


def test_each_coefficient_has_a_unit_and_a_value() -> None:
    assert tuple(MEANINGS) == Coefficients.__struct_fields__
    assert all(getattr(MEASURED, name) > 0 for name in MEANINGS)
    assert MEANINGS["entity_set"].shown(MEASURED.entity_set) == "22 KiB"
