"""What replicas together make of a capacity that moves: on a simulated clock, with the script of a real Redis."""

from __future__ import annotations

import pytest

from tests.support.capacity import Result, World, simulate
from tests.support.redis_server import RedisServer
from tests.support.replica_senders import ReplicaSenders
from tests.support.senders import Ours
from tests.support.virtual_replicas import attained

HIGHEST = 52


def of_replicas(redis: RedisServer, number: int, world: World) -> Result:
    with redis.client() as client:
        sender = ReplicaSenders(client, number, highest=HIGHEST)
        result = simulate(world, sender)
    assert sender.most <= HIGHEST
    return result


@pytest.mark.parametrize(
    ("above", "wait", "every"),
    # Each pause stops everything for a second, which short phases do not make up for.
    [(3.0, 0.0, 40.0), (1.5, 0.0, 40.0), (1.5, 1.0, 60.0)],
    ids=["roomy", "tight", "pauses"],
)
def test_four_do_as_much_as_one(
    redis: RedisServer, above: float, wait: float, every: float
) -> None:
    world = World(refuses_above=above, retry_after=wait, every=every, tick=0.1)

    one, four = of_replicas(redis, 1, world), of_replicas(redis, 4, world)

    assert one.share >= 0.97
    assert four.share >= 0.97
    assert abs(four.done - one.done) <= 0.05 * one.done
    assert max(one.refusals, four.refusals) <= 0.03


def test_one_of_several_is_as_good_as_a_gateway_alone(redis: RedisServer) -> None:
    world = World(refuses_above=3.0, every=20.0, tick=0.1)

    assert of_replicas(redis, 1, world).done >= 0.97 * simulate(world, Ours()).done


@pytest.mark.parametrize("refuses_above", [3.0, 1.5])
def test_the_replicas_themselves_lose_nothing_when_capacity_falls(
    redis: RedisServer, refuses_above: float
) -> None:
    """Not only the rules of the shares: how often they agree, who pauses for whom, who is woken when."""
    with redis.client() as client:
        four = attained(client, 4, refuses_above=refuses_above, every=6.0)

    # With phases of a minute it is 99 %.
    assert four.share >= 0.96
    assert four.refusals <= 0.04
