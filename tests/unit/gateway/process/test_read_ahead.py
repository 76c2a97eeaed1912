"""Reading ahead in a thread."""

from collections.abc import Iterator

import pytest

from gateway.process.read_ahead import read_ahead


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50])
def test_all_pieces_come_in_their_order(count: int) -> None:
    pieces = [b"%d" % n for n in range(count)]

    assert list(read_ahead(pieces, count=3)) == pieces


def test_an_empty_piece_is_not_the_end() -> None:
    assert list(read_ahead([b"a", b"", b"b"])) == [b"a", b"", b"b"]


def test_an_error_comes_after_the_pieces_before_it() -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        yield b"b"
        raise ValueError("cut off")

    read = read_ahead(broken())

    assert [next(read), next(read)] == [b"a", b"b"]
    with pytest.raises(ValueError, match="cut off"):
        next(read)


def test_reading_ahead_is_bounded_and_ends_with_its_reader() -> None:
    taken: list[int] = []

    def counted() -> Iterator[bytes]:
        for number in range(100):
            taken.append(number)
            yield b"x"

    read = read_ahead(counted(), count=3)
    next(read)
    read.close()  # type: ignore[attr-defined] # it is a generator

    assert len(taken) <= 4
