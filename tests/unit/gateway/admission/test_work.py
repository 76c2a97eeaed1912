"""For whom a task works."""

from __future__ import annotations

import asyncio

from gateway.admission.work import ORDINARY, Lane, Work, current_work, working


def test_work_is_ordinary_unless_a_door_says_more() -> None:
    assert current_work() is ORDINARY
    assert ORDINARY.lane is Lane.INTERACTIVE


def test_the_tasks_of_an_operation_have_its_work() -> None:
    async def scenario() -> tuple[Work, Work, Work]:
        export, agent = Work(lane=Lane.EXPORT, caller="a"), Work(lane=Lane.AGENT, caller="b")

        async def lane_of(work: Work) -> Work:
            with working(work):
                return await asyncio.create_task(_later())

        async def _later() -> Work:
            await asyncio.sleep(0)
            return current_work()

        return await asyncio.gather(lane_of(export), lane_of(agent), _later())

    export, agent, ordinary = asyncio.run(scenario())

    assert (export.lane, agent.lane, ordinary) == (Lane.EXPORT, Lane.AGENT, ORDINARY)


def test_lanes_end_with_the_work() -> None:
    with working(Work(lane=Lane.FEDERATION)):
        assert current_work().lane is Lane.FEDERATION

    assert current_work() is ORDINARY
