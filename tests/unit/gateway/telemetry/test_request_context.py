"""``gateway.telemetry.request_context``: what clients send of ids is taken only if it is well-formed."""

from __future__ import annotations

import re

import pytest

from gateway.telemetry.request_context import NO_TRACES, RequestContext, Sampling

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ALL = Sampling(ratio=1, is_on=True)


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        # A later version may have more behind.
        (f"01-{TRACE}-{PARENT}-00-what-comes", True),
        (f"ff-{TRACE}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (f"00-{TRACE}-{PARENT}", False),
        (f"00-{TRACE}-{PARENT}-01\nx: y", False),
        ("", False),
    ],
)
def test_a_traceparent_is_continued_if_it_is_one(header: str, is_taken: bool) -> None:
    context = RequestContext(None, header, ALL)

    assert (context.trace_id == TRACE, context.parent_id == PARENT) == (is_taken, is_taken)
    assert re.fullmatch("[0-9a-f]{32}", context.trace_id)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("order-7/a.b:c", "order-7/a.b:c"),
        ("x" * 128, "x" * 128),
        ("x" * 129, None),
        ("two words", None),
        ("line\nbreak", None),
        ("höflich", None),
        ("", None),
        (None, None),
    ],
)
def test_a_request_id_is_short_and_plain(header: str | None, expected: str | None) -> None:
    request_id = RequestContext(header, None, NO_TRACES).request_id

    assert request_id == expected if expected else re.fullmatch("[0-9a-f]{32}", request_id)


def test_the_trace_is_the_id_if_there_is_no_other() -> None:
    assert RequestContext(None, f"00-{TRACE}-{PARENT}-01", NO_TRACES).request_id == TRACE


@pytest.mark.parametrize(
    ("flags", "follows", "ratio", "is_sampled"),
    [
        ("01", True, 0.0, True),
        ("00", True, 1.0, False),
        ("01", False, 0.0, False),
        ("00", False, 1.0, True),
    ],
)
def test_who_decides_is_a_setting(
    flags: str, follows: bool, ratio: float, is_sampled: bool
) -> None:
    sampling = Sampling(ratio=ratio, follows_callers=follows, is_on=True)
    context = RequestContext(None, f"00-{TRACE}-{PARENT}-{flags}", sampling)

    assert context.is_sampled is is_sampled
    assert context.traceparent("ab" * 8).endswith("-01" if is_sampled else "-00")


def test_messages_of_a_connection_have_traces_of_their_own() -> None:
    connection = RequestContext("mine", None, ALL)
    first, second = connection.message(), connection.message()

    assert first.request_id == second.request_id == "mine"
    assert len({connection.trace_id, first.trace_id, second.trace_id}) == 3
    assert first.is_message
