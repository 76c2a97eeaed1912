"""Dataclasses whose methods are compiled with their first call behave like any other."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest

from gateway.process.late_methods import late_methods


def made() -> tuple[Any, Any]:
    @dataclasses.dataclass(frozen=True, order=True, slots=True)
    class Point:
        x: int
        y: int = 0

    @dataclasses.dataclass(unsafe_hash=True)
    class Named:
        name: str

    class Special(Named):
        pass

    return Point, Special


def test_they_behave_alike() -> None:
    with late_methods():
        late = made()
    for point, special in (made(), late):
        assert [point(1) == point(1), point(1) == point(2), point(1) == 1] == [True, False, False]
        assert [point(1) < point(1, 1), point(2) >= point(3), hash(point(1)) == hash((1, 0))] == [
            True,
            False,
            True,
        ]
        assert repr(point(1)) == "made.<locals>.Point(x=1, y=0)"
        with pytest.raises(dataclasses.FrozenInstanceError):
            point(1).x = 2
        with pytest.raises(dataclasses.FrozenInstanceError):
            del point(1).x
        with pytest.raises(TypeError):
            point(1) < 1  # noqa: B015 - it is refused
        assert {special("a"): 1}[special("a")] == 1
        assert repr(special("a")) == "made.<locals>.Special(name='a')"
        assert point.__eq__.__qualname__ == "made.<locals>.Point.__eq__"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python compiles them together")
def test_they_are_compiled_with_the_first_call() -> None:
    with late_methods():
        point, _ = made()
    before = point.__hash__.__code__
    assert hash(point(1)) == hash(point(1))
    assert point.__hash__.__code__ is not before
    assert made()[0].__hash__.__code__.co_filename == "<string>"  # at once, after the block
