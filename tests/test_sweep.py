"""The stream guard over whole streams: each canonical one cut at every byte and in every way, and any bytes at all.

What is expected is computed from the table in tests/streams.py alone: how many events are whole at the cut, which of
them is the first with output, and which completes the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.core.evidence import End
from postel.core.stream.guard import Stage
from postel.core.stream.policy import REPAIRS, StreamPolicy
from tests.core.stream.playing import Play, play, settled
from tests.streams import (
    CHATTING,
    REQUEST_ID,
    RESPONSES,
    STREAMS,
    Expected,
    Stream,
    client_sees,
    count_told,
    error_told,
)

OUTCOMES = {
    End.BROKEN: (502, "stream_interrupted"),
    End.CLOSED: (502, "stream_interrupted"),
    End.STALLED: (504, "stream_stalled"),
}
IMPATIENT = StreamPolicy(first_output_timeout=20)
"""No output is waited for longer than the head is held, so that a stall before it is still a status."""

every_stream = pytest.mark.parametrize("stream", STREAMS, ids=str)


def check_cut(stream: Stream, cut: int, how: End, size: int | None, policy: StreamPolicy | None = None) -> None:
    expected = Expected(stream, cut, closed=how is End.CLOSED)
    made = Play(path=stream.path, lines=stream.lines, policy=policy)
    data = stream.raw[:cut]
    begun = 0 if size is None else stream.ends[max(0, stream.whole(cut) - 1)]
    made.receive(data[:begun])
    made.receive(data[begun:], size)
    made.until_ended() if how is End.STALLED else made.end(how)
    settled(made)

    if expected.refused and (how is not End.STALLED or policy is IMPATIENT):
        assert Stage.REFUSED is made.stage
    else:
        assert Stage.ENDED is made.stage
        error = expected.told(made.sent)
        assert (error is None) is (made.guard.reply is None)
        if error is None:
            return
        assert expected.events == made.guard.delivered
    assert OUTCOMES[how] == (made.reply.status, made.reply.streamed["code"])


def check_error(stream: Stream, tail: bytes, count: int) -> None:
    count_told(error_told(tail, stream.tail), count)


@every_stream
@pytest.mark.parametrize("how", list(OUTCOMES))
def test_cut_at_any_byte_a_client_gets_whole_events_and_one_error_or_none(stream: Stream, how: End) -> None:
    for cut in range(len(stream.raw) + 1):
        check_cut(stream, cut, how, None)


@every_stream
@pytest.mark.parametrize("how", list(OUTCOMES))
@pytest.mark.parametrize("size", [1, 7])
def test_it_does_not_matter_in_which_pieces_the_bytes_came(stream: Stream, how: End, size: int) -> None:
    # Every cut about the end of an event, where a reader decides; of the others a share, another one for each way.
    near = {end + away for end in stream.ends for away in range(-6, 7)}
    share = 23 if size == 1 else 7
    for cut in range(len(stream.raw) + 1):
        if cut in near or cut % share == len(how) % share:
            check_cut(stream, cut, how, size)


@every_stream
def test_silence_before_any_output_is_a_status_while_the_head_is_held(stream: Stream) -> None:
    for cut in range(stream.ends[stream.output + 1] + 1):
        check_cut(stream, cut, End.STALLED, None, IMPATIENT)


@every_stream
@pytest.mark.parametrize("size", [1, 7, None])
def test_a_healthy_stream_passes_byte_for_byte(stream: Stream, size: int | None) -> None:
    for how in (End.CLOSED, End.BROKEN, End.STALLED) if not stream.plain else (End.CLOSED,):
        got = play(stream, stream.raw, how, size=size)

        assert (Stage.ENDED, None) == (got.stage, got.guard.reply)
        assert got.sent in (stream.raw, stream.raw.removesuffix(b"\n") if stream.crlf else stream.raw)
        assert not got.guard.repaired
        settled(got)


# An error among the events --------------------------------------------------------------------------------------------

PAGE = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n"
TRACE = 'Traceback (most recent call last):\n  File "/srv/app/engine.py", line 88, in step\nRuntimeError: no kernel\n'

ERRORS = {
    "nested": b'data: {"error":{"message":"KV cache is gone","type":"InternalServerError","code":500}}\n\n',
    "nested, spaced": b'data: { "id": "x", "error": { "message": "no kernel image" } }\n\n',
    "nested beside choices": b'data: {"id":"gen-1","choices":[],"error":{"code":502,"message":"Provider gone"}}\n\n',
    "flat": b'data: {"object":"error","message":"EngineCore died","type":"InternalServerError","code":500}\n\n',
    "text": b'data: {"error":"Request failed during generation: no kernel","error_type":"generation"}\n\n',
    "named, nested": b'event: error\ndata: {"error":{"message":"overloaded","type":"overloaded_error"}}\n\n',
    "named, flat": b'event: error\ndata: {"message":"the engine is gone","code":"internal"}\n\n',
    "named, typed": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n',
    "field error": b'error: {"code":500,"message":"failed to decode","type":"server_error"}\n\n',
    "error_code": b'data: {"text":"**NETWORK ERROR DUE TO HIGH TRAFFIC.**","error_code":50004}\n\n',
    "detail": b'data: {"detail":"Internal Server Error: no kernel"}\n\n',
    "bare JSON": b'{"error":{"message":"backend is gone","type":"server_error"}}\n',
    "bare JSON, apart": b'{"error_code": 10402, "text": "Failed to get response after a period of time"}\n\n',
    "multi-line": b'data: {"error":\ndata: {"message":"two lines",\ndata: "code":500}}\n\n',
    "CRLF": b'data: {"error":{"message":"no kernel","code":500}}\r\n\r\n',
    "UTF-8": 'data: {"error":{"message":"\u9519\u8bef: kernel","code":500}}\n\n'.encode(),
}
LINE_ERRORS = {
    "nested": b'{"error":{"message":"backend is gone","code":500}}\n',
    "text": b'{"error":"llama runner process has terminated: exit status 2"}\n',
    "flat": b'{"object":"error","message":"EngineCore died","type":"InternalServerError","code":500}\n',
    "code and text": b'{"error_code": 10402, "text": "Failed to get response after a period of time"}\n',
    "CRLF": b'{"error":"llama runner process has terminated"}\r\n',
}
UNREADABLE = {
    "cut JSON": b'data: {"id":"chatcmpl-7d","choi\n\n',
    "words": b"data: the engine hiccupped\n\n",
    "half of two": b'data: {"a":1}{"b"\n\n',
}

with_every_error = pytest.mark.parametrize(
    ("stream", "error"),
    [
        pytest.param(stream, error, id=f"{stream}, {name}")
        for stream in STREAMS
        for name, error in (LINE_ERRORS if stream.lines else ERRORS).items()
    ],
)


def places(stream: Stream) -> Iterator[tuple[int, bytes, bytes]]:
    for index in range(len(stream.events) + 1):
        yield index, b"".join(stream.events[:index]), b"".join(stream.events[index:])


@with_every_error
def test_an_error_at_any_place_is_the_last_thing_a_client_sees(stream: Stream, error: bytes) -> None:
    for index, before, after in places(stream):
        for size, how in ((None, End.CLOSED), (None, End.BROKEN), (23, End.STALLED)):
            got = play(stream, before + error + after, how, size=size)
            settled(got)

            if index >= stream.completes:
                assert Stage.ENDED is got.stage
                assert got.sent.startswith(before.removesuffix(b"\n"))
            elif index <= stream.output:
                assert Stage.REFUSED is got.stage
                assert 400 <= got.reply.status < 600
                assert "stream_malformed" != got.reply.fault
            else:
                assert Stage.ENDED is got.stage
                begins = before if got.sent.startswith(before) else before.removesuffix(b"\n")
                assert begins == got.sent[: len(begins)]
                check_error(stream, got.sent[len(begins) :], len(client_sees(before, lines=stream.lines)))
                assert "stream_interrupted" != got.reply.fault
                assert len(client_sees(before, lines=stream.lines)) == got.guard.delivered


def unreadable(stream: Stream, bad: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Where an event that is no JSON may stand so that it is unreadable: elsewhere it makes the stream opaque text."""
    for index, before, after in places(stream):
        if index < stream.completes and ((stream.tail == "chat" and not stream.plain) or client_sees(before)):
            yield index, before + bad, after


STRAY = {"page": PAGE.encode(), "page, apart": b"\n" + PAGE.encode() + b"\n"}
STRAY |= {"trace": TRACE.encode(), "trace, apart": b"\n" + TRACE.encode() + b"\n"}


with_everything_stray = pytest.mark.parametrize(
    ("stream", "stray"),
    [
        pytest.param(stream, stray, id=f"{stream}, {name}")
        for stream in STREAMS
        if not stream.lines
        for name, stray in STRAY.items()
    ],
)


@with_everything_stray
def test_a_page_or_a_trace_between_events_costs_no_event(stream: Stream, stray: bytes) -> None:
    for _, before, after in places(stream):
        for size in (None, 29):
            got = play(stream, before + stray + after, End.CLOSED, size=size)
            settled(got)

            assert (Stage.ENDED, None) == (got.stage, got.guard.reply)
            assert client_sees(stream.raw) == client_sees(got.sent)


@with_everything_stray
@pytest.mark.parametrize("how", list(OUTCOMES))
def test_a_page_or_a_trace_where_events_should_come_is_the_last_of_an_answer(
    stream: Stream, stray: bytes, how: End
) -> None:
    for index, before, _ in places(stream):
        got = play(stream, before + stray, how, policy=IMPATIENT)
        settled(got)

        if index >= stream.completes or (stream.plain and index and how is End.CLOSED):
            assert Stage.ENDED is got.stage
            continue
        assert (Stage.REFUSED if index <= stream.output else Stage.ENDED) is got.stage
        assert b"<html" not in got.sent
        assert b"/srv/app" not in got.sent + got.reply.body
        if index > stream.output:
            begins = before if got.sent.startswith(before) else before.removesuffix(b"\n")
            check_error(stream, got.sent[len(begins) :].lstrip(b"\n"), len(client_sees(before)))


with_every_unreadable = pytest.mark.parametrize(
    ("stream", "bad"),
    [
        pytest.param(stream, bad, id=f"{stream}, {name}")
        for stream in STREAMS
        if not stream.lines
        for name, bad in UNREADABLE.items()
    ],
)


@with_every_unreadable
def test_an_unreadable_event_before_a_healthy_one_is_dropped_and_counted(stream: Stream, bad: bytes) -> None:
    for _, before, after in unreadable(stream, bad):
        for size in (None, 29):
            got = play(stream, before + after, End.CLOSED, size=size)
            settled(got)

            assert (Stage.ENDED, None) == (got.stage, got.guard.reply)
            assert stream.raw == got.sent
            assert {"malformed": 1} == got.guard.repaired


@with_every_unreadable
def test_an_unreadable_event_that_is_the_last_one_is_told(stream: Stream, bad: bytes) -> None:
    for index, before, _ in unreadable(stream, bad):
        for how in (End.CLOSED, End.BROKEN, End.STALLED):
            for data in (before, before + bad):
                got = play(stream, data, how, policy=IMPATIENT)
                settled(got)

                assert "stream_malformed" == got.reply.fault
                assert (Stage.REFUSED if index <= stream.output else Stage.ENDED) is got.stage
                if index > stream.output:
                    whole = b"".join(stream.events[:index])
                    begins = whole if got.sent.startswith(whole) else whole.removesuffix(b"\n")
                    check_error(stream, got.sent[len(begins) :], len(client_sees(whole)))


@with_every_unreadable
def test_two_unreadable_events_in_a_row_are_an_error_whatever_follows(stream: Stream, bad: bytes) -> None:
    for index, before, after in unreadable(stream, bad):
        got = play(stream, before + bad + after, End.CLOSED)
        settled(got)

        assert "stream_malformed" == got.reply.fault
        assert (Stage.REFUSED if index <= stream.output else Stage.ENDED) is got.stage


@with_every_unreadable
def test_a_strict_guard_ends_at_the_first_unreadable_event(stream: Stream, bad: bytes) -> None:
    for index, before, after in unreadable(stream, bad):
        got = play(stream, before + after, End.CLOSED, policy=StreamPolicy(strict=True))
        settled(got)

        assert "stream_malformed" == got.reply.fault
        assert (Stage.REFUSED if index <= stream.output else Stage.ENDED) is got.stage


# Any bytes in any pieces ----------------------------------------------------------------------------------------------

MANY = settings(max_examples=max(300, settings().max_examples), derandomize=settings().max_examples < 1000)
"""The same examples each time but under `make fuzz`: what chance finds should not stop a change it has no part in."""

CUTS = st.lists(st.integers(0, 1300), max_size=12).map(sorted)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def blocks(data: bytes) -> list[bytes]:
    """The smallest parts that a guard may send or drop: an event up to its first blank line, or a blank line more."""
    mark = data[: 3 * data.startswith(b"\xef\xbb\xbf")]
    found = [mark]
    begun = b""
    for line in re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", data.removeprefix(mark)):
        begun += line
        if not line.strip(b"\r\n"):
            found.append(begun)
            begun = b""
    return [*found, begun] if begun else found


@MANY
@given(st.sampled_from(STREAMS), CUTS)
def test_pieces_never_change_the_bytes_of_a_healthy_stream(stream: Stream, cuts: list[int]) -> None:
    made = Play(path=stream.path, lines=stream.lines)
    for piece in pieces(stream.raw, cuts):
        made.receive(piece)
    made.end()

    assert (stream.raw, None) == (made.sent, made.guard.reply)
    settled(made)


@MANY
@given(st.sampled_from(STREAMS), CUTS)
def test_once_the_head_is_out_no_whole_event_waits_for_the_next(stream: Stream, cuts: list[int]) -> None:
    made = Play(path=stream.path, lines=stream.lines)
    received = 0
    for piece in pieces(stream.raw, cuts):
        made.receive(piece)
        received += len(piece)
        count = stream.whole(received)
        whole = stream.raw[: min(received, stream.ends[count])] if count > stream.output else b""
        assert made.sent in (whole, whole.removesuffix(b"\n") if stream.crlf else whole)
        assert made.guard.held == received - len(made.sent)


SCRAPS = st.one_of(
    st.sampled_from([event for stream in STREAMS for event in stream.events]),
    st.sampled_from([*ERRORS.values(), *LINE_ERRORS.values(), *UNREADABLE.values(), *STRAY.values()]),
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"\n\n", b":", b"data", b"data:", b"event: ", b"{", b'{"error":', b"[DONE]"]
    ),
    st.sampled_from(
        [b"\xef\xbb\xbf", b"\xff", b"\x00", b"\x1e", b"null", b"data: null\n\n", b"data: 1e999\n\n", b"[" * 999]
    ),
    st.sampled_from([b'{"choices":[0]}\n\n', b'data: {"choices":null}\n\n', b'data: {"choices":[{"index":{}}]}\n\n']),
    st.sampled_from(
        [b'data: {"type":5}\n\n', b'data: {"choices":[{"delta":7,"finish_reason":[]}]}\n\n', b"data: []\n\n"]
    ),
    st.binary(max_size=40),
    st.builds(lambda event, cut: event[:cut], st.sampled_from(CHATTING.events + RESPONSES.events), st.integers(0, 150)),
)
PATHS = st.sampled_from(["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat", "/generate"])
ENDS = st.sampled_from([End.CLOSED, End.BROKEN, End.STALLED])
POLICIES = st.builds(
    StreamPolicy,
    hold_bytes=st.sampled_from([100, 65536]),
    event_bytes=st.sampled_from([300, 8 << 20]),
    strict=st.booleans(),
    repairs=st.sampled_from([frozenset[str](), REPAIRS]),
    keepalive=st.sampled_from([None, 15.0]),
)


def errors_of_ours(sent: bytes) -> int:
    """How many events name the request, which nothing that was received does."""
    return (
        sum(REQUEST_ID in event.data for event in client_sees(sent))
        if b"data:" in sent
        else sent.count(REQUEST_ID.encode())
    )


@MANY
@given(st.lists(SCRAPS, max_size=8), PATHS, st.booleans(), ENDS, CUTS)
def test_pieces_never_change_what_is_told_of_any_bytes(
    scraps: list[bytes], path: str, lines: bool, how: End, cuts: list[int]
) -> None:
    received = b"".join(scraps)
    outcomes = []
    for parts in ([received], pieces(received, [cut for cut in cuts if cut < len(received)])):
        made = Play(path=path, lines=lines)
        for part in parts:
            made.receive(part)
        made.until_ended() if how is End.STALLED and not made.ended else made.end(how)
        # A dropped line leaves its LF behind if its CR came alone.
        ended = re.sub(rb"\r\n?", b"\n", made.sent)
        outcomes.append((made.stage, made.guard.reply, made.guard.delivered, made.guard.repaired, ended))

    assert outcomes[0] == outcomes[1]


@MANY
@given(st.lists(SCRAPS, max_size=8), PATHS, st.booleans(), ENDS, POLICIES)
def test_no_bytes_are_too_odd_and_none_bring_more_than_one_error(
    scraps: list[bytes], path: str, lines: bool, how: End, policy: StreamPolicy
) -> None:
    made = Play(path=path, lines=lines, policy=policy)
    for scrap in scraps:
        made.receive(scrap)
    made.until_ended() if how is End.STALLED and not made.ended else made.end(how)

    settled(made)
    assert errors_of_ours(made.sent) <= 1
    if made.stage is Stage.REFUSED:
        assert 400 <= made.reply.status < 600
    if made.stage is Stage.ENDED and made.guard.reply:
        assert REQUEST_ID in client_sees(made.sent, lines=lines)[-1].data


OURS = re.compile(rb"(?:event: error\n)?data: [^\n]*%s[^\n]*\n\n$" % REQUEST_ID.encode())


@MANY
@given(st.lists(SCRAPS, max_size=8), PATHS, ENDS)
def test_of_any_bytes_only_whole_blocks_are_sent_and_in_order(scraps: list[bytes], path: str, how: End) -> None:
    received = b"".join(scraps)
    made = Play(path=path, policy=StreamPolicy(repairs=frozenset({"blank_line"})))
    made.receive(received)
    made.until_ended() if how is End.STALLED and not made.ended else made.end(how)
    before = OURS.sub(b"", made.sent)

    at = 0
    for block in blocks(received):
        if before.startswith(block, at):
            at += len(block)
    assert b"" == before[at:].strip(b"\r\n")


STEPS = st.lists(
    st.one_of(
        SCRAPS.map(lambda scrap: ("receive", scrap)),
        st.sampled_from([0.0, 1.0, 4.0, 29.0, 31.0, 119.0, 121.0, 600.0]).map(lambda seconds: ("wait", seconds)),
        st.sampled_from([0.0, 5.0, 200.0]).map(lambda seconds: ("tick", seconds)),
        st.sampled_from([("release", None), ("excuse", None), ("end", End.CLOSED), ("end", End.BROKEN)]),
    ),
    max_size=12,
)


@MANY
@given(STEPS, PATHS, POLICIES)
def test_no_order_of_calls_is_too_odd(steps: list[tuple[str, Any]], path: str, policy: StreamPolicy) -> None:
    made = Play(path=path, policy=policy)
    for act, value in steps:
        before = made.stage
        if act == "tick":
            made.now += value
            made.sent += made.guard.tick(made.now)
        else:
            getattr(made, act)(*([] if value is None else [value]))
        assert made.stage >= before or made.stage is Stage.OPEN
        assert before in (Stage.HELD, Stage.OPEN) or made.stage is before
    if not made.ended:
        made.end(End.BROKEN)

    settled(made)
    assert errors_of_ours(made.sent) <= 1
