"""What the benchmark stands on: streams as an engine writes them, and readers that count only whole ones."""

import asyncio
import json
import resource
from collections import Counter
from unittest.mock import Mock

import pytest

from bench import chat, memory
from bench.readers import Chunked, Reader, Readings, beginnings
from bench.rounds import paired

BODY = chat.ROLE + chat.word(12.5) + chat.ending(1)


def reader_of(*pieces: bytes) -> Readings:
    """What a reader of one stream of one event has seen of these pieces."""

    async def read() -> Readings:
        seen = Readings(since=0.0, until=0.0)
        reader = Reader("events=1", 1, seen, None)
        reader.connection_made(Mock(spec=asyncio.Transport))
        reader.ask()
        for piece in pieces:
            reader.data_received(piece)
        return seen

    return asyncio.run(read())


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_body_is_the_same_in_whatever_pieces_it_comes(size: int) -> None:
    whole, chunked = Chunked().receive(BODY), Chunked()

    assert whole == b"".join(chunked.receive(BODY[at : at + size]) for at in range(0, len(BODY), size))
    assert chunked.ended


def test_a_stream_is_what_an_engine_sends() -> None:
    *events, done, rest = Chunked().receive(BODY).split(b"\n\n")
    role, word, finish, usage = (json.loads(event.removeprefix(b"data: ")) for event in events)

    assert (b"data: [DONE]", b"") == (done, rest)
    assert "assistant" == role["choices"][0]["delta"]["role"]
    assert (" 12.500000", None) == (word["choices"][0]["delta"]["content"], word["choices"][0]["finish_reason"])
    assert "stop" == finish["choices"][0]["finish_reason"]
    assert ([], 1) == (usage["choices"], usage["usage"]["completion_tokens"])
    assert 200 < len(events[1]) < 300
    assert [b"12.500000"] == chat.STAMP.findall(events[1])


@pytest.mark.parametrize("size", [1, 64, 10_000])
def test_each_event_is_counted_once(size: int) -> None:
    stream = chat.HEAD + BODY

    assert 1 == reader_of(*(stream[at : at + size] for at in range(0, len(stream), size))).events


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 12\r\n\r\n{"error":{}}',
        chat.HEAD + chat.ROLE + chat.ending(1),
        chat.HEAD + chat.ROLE + chat.word(1) + b'14\r\ndata: {"error":{}}\n\n\r\n0\r\n\r\n',
        chat.HEAD + chat.ROLE + chat.word(1) + b"0\r\n\r\n",
    ],
    ids=["refused", "an event is missing", "an error event", "no [DONE]"],
)
def test_a_stream_that_failed_is_no_fast_stream(answer: bytes) -> None:
    with pytest.raises(RuntimeError):
        reader_of(answer)


def test_readers_begin_apart_and_no_two_get_their_events_at_once() -> None:
    starts = beginnings(readers=30, seconds=2.0, length=2.0, gap=0.02)

    assert 0.4 < starts[-1] <= 0.52
    assert {1} == set(Counter(round(start % 0.02, 5) for start in starts).values())


def test_ratios_are_of_what_ran_side_by_side() -> None:
    assert 2.0 == paired([2.0, 200.0, 30.0], [1.0, 100.0, 10.0])


@pytest.mark.parametrize(("hard", "streams"), [(5_000, 1_000), (1_200, 500), (resource.RLIM_INFINITY, 1_000)])
def test_where_too_few_files_may_be_open_fewer_streams_are_and_it_is_said(
    hard: int, streams: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))

    assert streams == memory.file_limit(1_000)
    assert [(2 * streams + 200, hard)] == limits
    assert (streams < 1_000) is ("ulimit -Hn 2200" in capsys.readouterr().out)
