"""Streams however they are framed, packed and called: healthy ones arrive byte for byte, on any connection."""

import asyncio
import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from postel.misbehave import End
from postel.misbehave import chunk as framed
from tests.streams import CHATTING, DONE, ROLE, SSE, STOP, STREAMS, Stream, error_told
from tests.wire.harness import head, post, rig, says, wired
from tests.wire.streaming import BEGUN, CHAT, CHUNKED, END, ERROR, FRAMINGS, OK, REST, ended, framing, stream, tail_of

# Framing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMINGS)
@wired
async def test_however_a_stream_is_framed_its_client_gets_chunks_and_keeps_its_connection(name: str) -> None:
    async with rig({"/v1/chat/completions": says(*framing(name, CHATTING.raw)), "/ok": says(OK)}) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            got = await client.answer()
            assert (200, CHATTING.raw, True) == (got.status, got.body, got.clean)
            assert (None, "chunked", None) == tuple(map(got.get, ("content-length", "transfer-encoding", "connection")))
            await client.send(post("/ok"))
            assert 200 == (await client.answer()).status


@pytest.mark.parametrize("name", FRAMINGS)
@wired
async def test_a_client_of_http_1_0_gets_a_stream_without_chunks(name: str) -> None:
    async with rig(says(*framing(name, CHATTING.raw))) as wire:
        client = await wire.connect()
        await client.send(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))
        got = await client.answer()

    assert (200, CHATTING.raw) == (got.status, got.body)
    assert (None, None, "close") == tuple(map(got.get, ("content-length", "transfer-encoding", "connection")))


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@wired
async def test_a_client_of_http_1_0_gets_no_chunks_of_what_is_not_guarded_either(connection: str) -> None:
    body = b"x" * 100_000
    opening = head("200 OK", "Content-Type: application/octet-stream", "Transfer-Encoding: chunked")
    async with rig(says(opening, framed(body), END)) as wire:
        client = await wire.connect()
        await client.send(post(connection=connection).replace(b"HTTP/1.1", b"HTTP/1.0"))
        got = await client.answer()

    assert (body, None, "close") == (got.body, got.get("transfer-encoding"), got.get("connection"))


@wired
async def test_a_client_of_http_1_0_gets_the_head_of_what_is_not_guarded_at_once() -> None:
    opening = head("200 OK", "Content-Type: audio/mpeg", "Transfer-Encoding: chunked")
    async with rig(says(opening, 1.0, framed(b"x"), END)) as wire:
        client = await wire.connect()
        await client.send(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))
        async with asyncio.timeout(0.7):
            await client.reader.readuntil(b"\r\n\r\n")
        assert b"x" == await client.reader.read()


@pytest.mark.parametrize("given", STREAMS, ids=str)
@wired
async def test_a_healthy_stream_passes_byte_for_byte_however_it_is_cut_into_writes(given: Stream) -> None:
    opening = head("200 OK", f"Content-Type: {given.content_type}", "X-Odd-CASE: 1", "Transfer-Encoding: chunked")
    pieces = [given.raw[at : at + 37] for at in range(0, len(given.raw), 37)]
    steps = [step for piece in pieces for step in (framed(piece), 0.001)]
    async with rig(says(opening, *steps, END)) as wire:
        got = await wire.ask(post(given.path, x_request_id="mine-1"))

    assert (200, given.raw, True) == (got.status, got.body, got.clean)
    assert [
        ("Content-Type", given.content_type),
        ("X-Odd-CASE", "1"),
        ("x-request-id", "mine-1"),
        ("transfer-encoding", "chunked"),
    ] == list(got.headers)


@wired
async def test_trailers_of_a_stream_are_dropped_and_it_arrives_whole() -> None:
    async with rig(stream(*CHATTING.events, end=b"0\r\nX-Checksum: abc\r\n\r\n")) as wire:
        got = await wire.ask(CHAT)

    assert (CHATTING.raw, True) == (got.body, got.clean)


@wired
async def test_a_stream_of_nothing_is_no_answer() -> None:
    async with rig(says(head("200 OK", f"Content-Type: {SSE}", "Content-Length: 0"))) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert (502, "stream_interrupted") == (await client.answer()).told


@wired
async def test_head_of_a_stream_has_no_body_and_keeps_the_connection() -> None:
    async with rig(says(CHUNKED)) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT.replace(b"POST", b"HEAD"))
            assert 200 == (await client.answer(head=True)).status


@wired
async def test_a_stream_that_ends_before_its_request_is_whole_and_the_connections_last() -> None:
    async with rig(says(*stream(*CHATTING.events).steps, End.STALL, early=True)) as wire:
        client = await wire.connect()
        sent = post(body=b"x" * 3_000_000)
        await client.send(sent[:2_000_000])
        got = await client.answer()
        await client.send(sent[2_000_000:])

        assert (CHATTING.raw, True, "close") == (got.body, got.clean, got.get("connection"))
        assert await client.closed(2)


# Codings --------------------------------------------------------------------------------------------------------------


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", deflated),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
    ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
]


@pytest.mark.parametrize(("coding", "pack"), PACKERS)
@wired
async def test_a_compressed_stream_is_unpacked_for_its_client(coding: str, pack: Callable[[bytes], bytes]) -> None:
    steps = framing("chunked", pack(CHATTING.raw), SSE, f"Content-Encoding: {coding}")
    async with rig(says(*steps)) as wire:
        got = await wire.ask(post(accept_encoding="gzip, br"))

    assert (200, CHATTING.raw, True) == (got.status, got.body, got.clean)
    assert None is got.get("content-encoding")


@wired
async def test_a_compressed_stream_arrives_event_by_event() -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    events = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in CHATTING.events]
    opening = head("200 OK", f"Content-Type: {SSE}", "Content-Encoding: gzip", "Transfer-Encoding: chunked")
    async with rig(says(opening, *map(framed, events[:2]), End.STALL)) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        async with asyncio.timeout(2):
            await client.reader.readuntil(CHATTING.events[1])


@wired
async def test_a_compressed_stream_that_is_cut_ends_in_an_error_after_what_could_be_unpacked() -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    packed = packer.compress(b"".join(BEGUN)) + packer.flush(zlib.Z_SYNC_FLUSH)
    opening = head("200 OK", f"Content-Type: {SSE}", "Content-Encoding: gzip", "Transfer-Encoding: chunked")
    async with rig(says(opening, framed(packed), End.FIN)) as wire:
        got = await wire.ask(CHAT)

    assert "stream_interrupted" == tail_of(got, *BEGUN)["fault"]


@wired
async def test_a_stream_whose_coding_breaks_ends_in_an_error() -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    packed = packer.compress(b"".join(BEGUN)) + packer.flush(zlib.Z_SYNC_FLUSH)
    opening = head("200 OK", f"Content-Type: {SSE}", "Content-Encoding: gzip", "Transfer-Encoding: chunked")
    async with rig(says(opening, framed(packed), 0.05, framed(b"\xff" * 200), End.STALL)) as wire:
        got = await wire.ask(CHAT)

        assert "stream_interrupted" == tail_of(got, *BEGUN)["fault"]
        assert got.seconds < 2


@wired
async def test_text_that_calls_itself_gzip_passes_as_text() -> None:
    async with rig(says(*framing("chunked", CHATTING.raw, SSE, "Content-Encoding: gzip"))) as wire:
        got = await wire.ask(CHAT)

    assert (CHATTING.raw, True) == (got.body, got.clean)


@wired
async def test_a_stream_in_a_coding_that_nobody_knows_passes_as_it_is_and_is_counted() -> None:
    before = ended("unguarded")
    async with rig(says(*framing("chunked", b"\x00\x01packed", SSE, "Content-Encoding: made-up"))) as wire:
        got = await wire.ask(CHAT)

    assert (b"\x00\x01packed", "made-up", True) == (got.body, got.get("content-encoding"), got.clean)
    assert before + 1 == ended("unguarded")


# Streams under another name -------------------------------------------------------------------------------------------


STREAMING = post(body=b'{"model":"m","stream":true}')


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
@wired
async def test_a_stream_under_another_name_does_not_wait_for_its_end(content_type: str | None) -> None:
    typed = [f"Content-Type: {content_type}"] if content_type else []
    opening = head("200 OK", *typed, "Transfer-Encoding: chunked")
    async with rig(says(opening, *map(framed, BEGUN), 1.0, *map(framed, REST), END)) as wire:
        client = await wire.connect()
        await client.send(STREAMING)
        async with asyncio.timeout(0.8):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.reader.readuntil(b'"The"')
        await client.reader.readuntil(DONE)


@pytest.mark.parametrize("name", FRAMINGS)
@wired
async def test_a_stream_under_another_name_passes_byte_for_byte(name: str) -> None:
    async with rig(says(*framing(name, CHATTING.raw, "application/json"))) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(STREAMING)
            got = await client.answer()
            assert (CHATTING.raw, "application/json", True) == (got.body, got.get("content-type"), got.clean)


@wired
async def test_a_stream_under_another_name_may_come_byte_by_byte() -> None:
    raw = b"".join([*BEGUN, STOP, DONE])
    steps = [step for at in range(60) for step in (framed(raw[at : at + 1]), 0.001)]
    opening = head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked")
    async with rig(says(opening, *steps, framed(raw[60:]), END)) as wire:
        got = await wire.ask(STREAMING)

    assert (raw, True, "chunked") == (got.body, got.clean, got.get("transfer-encoding"))


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@wired
async def test_a_stream_under_another_name_that_breaks_ends_in_an_error(coding: str) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    begun = b"".join(BEGUN)
    if coding == "gzip":
        begun = packer.compress(begun) + packer.flush(zlib.Z_SYNC_FLUSH)
    opening = head("200 OK", "Content-Type: application/json", f"Content-Encoding: {coding}", "Content-Length: 9999")
    async with rig(says(opening, begun, 0.05, End.FIN)) as wire:
        got = await wire.ask(STREAMING)

    assert "stream_interrupted" == tail_of(got, *BEGUN)["fault"]


@wired
async def test_a_stream_under_another_name_that_fails_at_first_is_a_real_status() -> None:
    async with rig(says(*framing("length", ROLE + ERROR, "application/json"))) as wire:
        assert (await wire.ask(STREAMING)).told[0] >= 500


@wired
async def test_lines_under_the_name_of_json_are_a_stream_of_lines() -> None:
    lines = [b'{"model":"m","response":"a","done":false}\n', b'{"model":"m","response":"b","done":false}\n']
    opening = head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked")
    async with rig(says(opening, *map(framed, lines), 0.05, End.FIN)) as wire:
        got = await wire.ask(post("/api/generate", b'{"model":"m","stream":true}'))

    assert got.clean
    assert got.body.startswith(b"".join(lines))
    assert error_told(got.body[len(b"".join(lines)) :], "ollama")


LINE = b'{"model":"m","response":"%s","done":false}\n'
GENERATE = post("/api/generate", b'{"model":"m","stream":true}')
UNTYPED = head("200 OK", "Transfer-Encoding: chunked")


@wired
async def test_lines_of_which_the_first_is_more_than_may_be_held_are_a_stream_all_the_same() -> None:
    first = LINE % (b"x" * 70_000)
    async with rig(says(UNTYPED, framed(first[:50_000]), 0.05, framed(first[50_000:]), 0.05, End.FIN)) as wire:
        got = await wire.ask(GENERATE)

    assert (first, True) == (got.body[: len(first)], got.clean)
    assert error_told(got.body[len(first) :], "ollama")


@wired
async def test_a_body_that_is_seen_to_be_a_stream_only_at_its_end_is_one() -> None:
    first = LINE % b"Once upon a time"
    async with rig(says(UNTYPED, framed(first[:-1]), 0.05, framed(first[-1:]), 0.05, END)) as wire:
        got = await wire.ask(GENERATE)

    assert (first, True) == (got.body[: len(first)], got.clean)
    assert error_told(got.body[len(first) :], "ollama")
