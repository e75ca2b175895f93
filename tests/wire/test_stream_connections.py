"""Streams that break, and clients that leave or are slow: what becomes of the connections on both sides."""

import asyncio
import json

import pytest

from postel.misbehave import End, Step
from postel.misbehave import chunk as framed
from tests.streams import CHATTING, DONE, ROLE, STOP, word
from tests.wire.harness import Client, head, listening, post, rig, says, wired
from tests.wire.streaming import BEGUN, CHAT, CHUNKED, END, ERROR, OK, broken, ended, faults, stream, tail_of, told

FAULTS = {"silent": "stream_stalled", "an error event": "engine_crashed"}
"""What the ways to break are told as; all others are interrupted."""


# Failures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(broken()))
@wired
async def test_a_stream_that_breaks_after_its_beginning_ends_in_one_error_event(how: str) -> None:
    before, failed = faults(), ended("failed")
    scripts = {"/v1/chat/completions": says(*broken(*BEGUN)[how]), "/ok": says(OK)}
    async with rig(scripts, idle_timeout=0.4) as wire:
        client = await wire.connect()
        await client.send(post(x_request_id="mine-1"))
        got = await client.answer()
        error = tail_of(got, *BEGUN)
        await client.send(post("/ok"))
        assert 200 == (await client.answer()).status

    assert FAULTS.get(how, "stream_interrupted") == error["fault"]
    assert "request id mine-1" in error["message"]
    assert (before + 1, failed + 1) == (faults(), ended("failed"))


@pytest.mark.parametrize("how", list(broken()))
@wired
async def test_a_stream_that_breaks_before_its_first_word_is_a_real_status(how: str) -> None:
    before, refused = faults(), ended("refused")
    scripts = {"/v1/chat/completions": says(*broken(ROLE)[how]), "/ok": says(OK)}
    async with rig(scripts, idle_timeout=0.4, first_byte_timeout=0.4) as wire:
        client = await wire.connect()
        await client.send(post(x_request_id="mine-1"))
        got = await client.answer()
        await client.send(post("/ok"))
        assert 200 == (await client.answer()).status

    fault = FAULTS.get(how, "stream_interrupted")
    assert ({"stream_stalled": 504, "engine_crashed": 500}.get(fault, 502), fault) == got.told
    assert "mine-1" == got.get("x-request-id")
    assert (before + 1, refused + 1) == (faults(), ended("refused"))


@pytest.mark.parametrize("events", [[ROLE, ERROR], [*BEGUN, ERROR]])
@wired
async def test_an_error_event_ends_the_upstreams_connection_at_once(events: list[bytes]) -> None:
    left = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"".join(map(framed, events)))
        while await reader.read(1000):
            pass
        left.set()

    async with listening(upstream) as port, rig(upstream=f"http://127.0.0.1:{port}") as wire:
        got = await wire.ask(CHAT)
        async with asyncio.timeout(0.05):
            await left.wait()

    assert got.clean


@wired
async def test_a_complete_stream_is_complete_whatever_becomes_of_its_connection() -> None:
    complete = [*BEGUN, STOP]
    before = ended("complete")
    for steps in broken(*complete).values():
        if framed(ERROR) in steps:
            continue
        async with rig(says(*steps), idle_timeout=0.4) as wire:
            client = await wire.connect()
            await client.send(CHAT)
            got = await client.answer()
            assert (b"".join(complete), True) == (got.body, got.clean)

    assert before + 8 == ended("complete")


@wired
async def test_an_event_too_large_to_be_held_that_breaks_is_left_without_an_end() -> None:
    before, unfinished = faults(), ended("unfinished")
    large = b'data: {"choices":[{"delta":{"content":"' + b"x" * 9_000_000
    async with rig(stream(*BEGUN, large, end=End.FIN)) as wire:
        got = await wire.ask(CHAT)

    assert b"".join(BEGUN) + large == got.body
    assert not got.clean
    assert (before, unfinished + 1) == (faults(), ended("unfinished"))


@pytest.mark.parametrize("events", [[], BEGUN])
@wired
async def test_a_stream_that_fails_during_the_upload_ends_it_at_once(events: list[bytes]) -> None:
    steps: list[Step] = [CHUNKED, *map(framed, events), *([END] if not events else [framed(ERROR)]), End.STALL]
    async with rig(says(*steps, early=True)) as wire:
        client = await wire.connect()
        await client.send(post(body=b"x" * 3_000_000)[:2_000_000])
        got = await client.answer()
        await asyncio.sleep(0.1)

        assert (got.clean, "close") == (True, got.get("connection"))
        assert 1 == wire.engine.gone


@wired
async def test_an_upload_that_goes_on_does_not_hide_a_stream_that_has_stopped() -> None:
    async with rig(says(CHUNKED, *map(framed, BEGUN), End.STALL, early=True), idle_timeout=0.4) as wire:
        client = await wire.connect()
        whole = post(body=b"x" * 4_000_000)
        await client.send(whole[:2_000_000])
        reading = asyncio.create_task(client.answer())
        for at in range(2_000_000, 3_500_000, 100_000):
            await client.send(whole[at : at + 100_000])
            await asyncio.sleep(0.1)
            if reading.done():
                break
        got = await reading

    assert "stream_stalled" == tail_of(got, *BEGUN)["fault"]
    assert got.seconds < 1.3


# Clients --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([], id="before the head"),
        pytest.param([CHUNKED], id="after the head"),
        pytest.param([CHUNKED, framed(ROLE)], id="before the first word"),
        pytest.param([CHUNKED, *map(framed, BEGUN)], id="in the stream"),
        pytest.param([head("200 OK", "Content-Type: application/json", "Content-Length: 100"), b"{"], id="in a body"),
    ],
)
@wired
async def test_a_client_that_leaves_ends_the_upstreams_work_within_50_ms_and_is_counted(sent: list[bytes]) -> None:
    loop = asyncio.get_running_loop()
    left: list[float] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"".join(sent))
        while await reader.read(1000):
            pass
        left.append(loop.time())

    before = faults()
    streamed = len(sent) > 0 and sent[0] is CHUNKED
    closed, streams = told("client_closed", "none", "none"), ended("client_closed")
    async with listening(upstream) as port, rig(upstream=f"http://127.0.0.1:{port}") as wire:
        client = await wire.connect()
        await client.send(CHAT)
        await asyncio.sleep(0.15)
        assert [] == left
        went = loop.time()
        client.writer.close()
        await asyncio.sleep(0.1)

    (when,) = left
    assert when - went < 0.05
    assert (before + 1, closed + 1) == (faults(), told("client_closed", "none", "none"))
    assert streams + streamed == ended("client_closed")


@wired
async def test_a_client_that_leaves_while_many_events_come_is_counted_once() -> None:
    closed, streams = told("client_closed", "none", "none"), ended("client_closed")
    events = [step for event in [*BEGUN, *[word('"x"')] * 2000] for step in (framed(event), 0.0005)]
    async with rig(says(CHUNKED, *events, END)) as wire:
        clients = [await wire.connect() for _ in range(5)]
        for client in clients:
            await client.send(CHAT)
        await asyncio.sleep(0.3)
        for client in clients:
            client.writer.transport.abort()
        await asyncio.sleep(0.2)
        assert 5 == wire.engine.gone

    assert (closed + 5, streams + 5) == (told("client_closed", "none", "none"), ended("client_closed"))


@wired
async def test_a_client_that_leaves_after_its_answer_has_left_nothing() -> None:
    before = faults()
    async with rig(stream(*CHATTING.events)) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        assert (await client.answer()).clean
        client.writer.close()
        await asyncio.sleep(0.1)

    assert before == faults()


@wired
async def test_a_client_that_is_slow_to_read_does_not_make_its_upstream_look_silent() -> None:
    event = word(json.dumps("x" * 20_000))
    complete = [*[event] * 800, STOP, DONE]
    async with rig(stream(*complete), idle_timeout=0.4) as wire:
        reader, writer = await asyncio.open_connection(wire.host, wire.port, limit=4096)
        client = Client(reader, writer)
        await client.send(CHAT)
        await asyncio.sleep(1.6)
        got = await client.answer()
        writer.close()

    assert (b"".join(complete), True) == (got.body, got.clean)


@wired
async def test_a_quiet_stream_is_kept_alive_for_its_client() -> None:
    async with rig(stream(*BEGUN, end=End.STALL), keepalive=0.3) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        await client.reader.readuntil(BEGUN[-1])
        async with asyncio.timeout(2):
            await client.reader.readuntil(b": keep-alive\n\n")
            await client.reader.readuntil(b": keep-alive\n\n")


@wired
async def test_requests_that_were_sent_ahead_are_answered_after_a_stream() -> None:
    async with rig(
        {"/v1/chat/completions": says(*broken(*BEGUN)["silent"]), "/ok": says(OK)}, idle_timeout=0.3
    ) as wire:
        client = await wire.connect()
        await client.send(CHAT + post("/ok"))
        tail_of(await client.answer(), *BEGUN)
        assert 200 == (await client.answer()).status
