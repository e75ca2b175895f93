"""What a client may do to the proxy's memory and time, and what it may not."""

import asyncio
import contextlib
import resource

import brotli
import pytest

from postel.misbehave import End, answer, chunk
from tests.wire.harness import head, post, rig, says, wired

OK = answer("200 OK", '{"id":"x"}')
MIB = 1024 * 1024


def peak() -> float:
    """The most memory this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("size", [64, 4 * MIB])
@wired
async def test_a_client_that_stops_in_the_middle_of_its_upload_is_told_so(size: int) -> None:
    async with rig(says(OK), idle_timeout=0.4) as wire:
        client = await wire.connect()
        await client.send(post(body=b"{" * size)[: -size // 2])
        got = await client.answer()

    assert (408, "request_timeout") == got.told


@wired
async def test_an_upload_that_keeps_coming_has_all_the_time_it_needs() -> None:
    async with rig(says(OK), idle_timeout=0.6, first_byte_timeout=0.6) as wire:
        client = await wire.connect()
        whole = post(body=b"x" * 2 * MIB)
        for at in range(0, len(whole), len(whole) // 6 + 1):
            await client.send(whole[at : at + len(whole) // 6 + 1])
            await asyncio.sleep(0.25)
        got = await client.answer()

    assert 200 == got.status


@wired
async def test_prompts_of_open_streams_do_not_stop_the_judging_of_answers() -> None:
    stream = [head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"), chunk("data: {}\n\n")]
    failed = says(answer("200 OK", '{"error":{"message":"broken","type":"server_error"}}'))
    async with rig({"/v1/stream": says(*stream, End.STALL), "/v1/chat/completions": failed}) as wire:
        for _ in range(70):
            client = await wire.connect()
            await client.send(post("/v1/stream", b"x" * MIB))
            await client.reader.readuntil(b"data: {}")
        got = await wire.ask(post())

    assert 500 == got.status


@wired
async def test_bytes_after_a_request_are_not_kept_without_bound() -> None:
    async with rig(says(End.STALL)) as wire:
        client = await wire.connect()
        before = peak()
        await client.send(post())
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                await client.send(b"GET / HTTP/1.1\r\nx: " + b"a" * MIB)

        assert await client.closed()
        assert peak() - before < 24


@wired
async def test_the_size_of_a_chunk_is_not_kept_without_bound() -> None:
    async with rig(says(OK)) as wire:
        client = await wire.connect()
        await client.send(b"POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"a" * 200_000)
        got = await client.answer()

    assert (400, "malformed_request") == got.told


@wired
async def test_a_small_body_that_unpacks_to_gigabytes_costs_neither_memory_nor_time() -> None:
    packer = brotli.Compressor(quality=1)
    bomb = b"".join(packer.process(b"\0" * 16 * MIB) for _ in range(16)) + packer.finish()
    async with rig(says(answer("500 Internal Server Error", bomb, "application/json", "Content-Encoding: br"))) as wire:
        before = peak()
        got = await wire.ask(post(body=bomb[:MIB], content_encoding="br"))

        assert 500 == got.status
        assert peak() - before < 16
        assert got.seconds < 2


@wired
async def test_one_bad_request_does_not_keep_the_others_waiting() -> None:
    async with rig(says(OK)) as wire:
        bad = await wire.connect()
        await bad.send(b"GET / HTTP/1.1\r\nx-request-id: " + b"\t " * 30_000 + b"\x01\r\nfoo\r\n\r\n")
        got = await wire.ask(post())

    assert 200 == got.status
    assert got.seconds < 1


@wired
async def test_an_answer_while_the_request_goes_on_ends_the_connection_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postel.proxy.layer.http1.LINGER_UPLOAD", 0.3)
    async with rig(says(answer("413 Too Large", "no"), End.STALL, early=True)) as wire:
        client = await wire.connect()
        await client.send(post(body=b"x" * 3 * MIB)[: 2 * MIB])
        got = await client.answer()

        assert (413, "payload_too_large") == got.told
        assert "close" == got.get("connection")
        assert await client.closed(2)


@wired
async def test_a_head_that_never_ends_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postel.proxy.layer.http1.HEAD_PATIENCE", 0.3)
    async with rig(says(OK)) as wire:
        client = await wire.connect()
        await client.send(b"POST /v1/x HTTP/1.1\r\nhost: a\r\n")
        got = await client.answer()

    assert (408, "request_timeout") == got.told


@wired
async def test_a_slow_head_that_ends_is_served_and_so_is_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postel.proxy.layer.http1.HEAD_PATIENCE", 0.4)
    async with rig(says(OK)) as wire:
        client = await wire.connect()
        for _ in range(3):
            whole = post()
            await client.send(whole[:20])
            await asyncio.sleep(0.25)
            await client.send(whole[20:])
            assert 200 == (await client.answer()).status


@wired
async def test_a_broken_request_body_keeps_the_clients_request_id() -> None:
    async with rig(says(OK)) as wire:
        got = await wire.ask(
            b"POST /v1/x HTTP/1.1\r\nhost: a\r\nx-request-id: client-7\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
        )

    assert (400, "malformed_request") == got.told
    assert "client-7" == got.get("x-request-id")


@wired
async def test_a_bare_cr_of_the_upstream_reaches_nobody() -> None:
    smuggled = b"HTTP/1.1 200 O\rSet-Cookie: evil=1\r\nX-A: b\rX-B: c\r\nContent-Length: 2\r\n\r\n{}"
    async with rig(says(smuggled)) as wire:
        client = await wire.connect()
        await client.send(post())
        raw = await client.reader.readuntil(b"\r\n\r\n")

    assert b"\r" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("value", [b"a\0b", b"a\rb", b"a\r\n b", b"a\x1bb", b"a\x7fb"])
@wired
async def test_a_kept_header_with_controls_does_not_spoil_the_answer(value: bytes) -> None:
    raw = b"HTTP/1.1 500 X\r\nSet-Cookie: " + value + b"\r\nX-Request-Id: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    async with rig(says(raw)) as wire:
        got = await wire.ask(post())

    assert 500 == got.status
    assert "a b" == got.get("set-cookie") == got.get("x-upstream-request-id")


@pytest.mark.parametrize("line", [b"x: a\rb", b"x: a\0b", b"x: a\r\n folded"])
@wired
async def test_a_head_that_others_may_read_otherwise_is_refused(line: bytes) -> None:
    async with rig(says(OK)) as wire:
        got = await wire.ask(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n" + line + b"\r\n\r\n")

        assert (400, "malformed_request") == got.told
        assert [] == wire.engine.received
