"""What is healthy passes: status, headers and body bytes as received, plus X-Request-Id, at any size."""

import asyncio
import gzip
from typing import Any

import pytest

from postel.misbehave import End, Step, answer, chunk
from tests.wire.harness import Client, head, memory_below, post, request, rig, says, wired

CHAT = post()
COMPLETION = (
    b'{ "id":"chatcmpl-1",\n"choices":[{"index":0,"message":{"content":"H\xc3\xa9"},"finish_reason":"stop"}] }\n'
)


@wired
async def test_a_completion_passes_byte_for_byte_with_one_header_more() -> None:
    sent = [
        ("Server", "uvicorn"),
        ("x-ODD-case", "1"),
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("Cache-Control", "max-age=5"),
        ("X-Latin", "caf\xe9"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("retry-after-ms", "20"),
        ("Content-Length", str(len(COMPLETION))),
    ]
    opening = head("200 All Fine", *(f"{name}: {value}" for name, value in sent))
    async with rig(says(opening, COMPLETION)) as wire:
        got = await wire.ask(post(x_request_id="mine-1"))

    assert (200, "All Fine", COMPLETION) == (got.status, got.reason, got.body)
    assert [*sent, ("x-request-id", "mine-1")] == list(got.headers)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("204 No Content", ["X-A: b"]),
        ("304 Not Modified", ['ETag: "x"', "X-A: b"]),
        ("301 Moved Permanently", ["Location: https://other.test/x", "Content-Length: 0"]),
        ("307 Temporary Redirect", ["Location: /y", "Content-Length: 0"]),
        ("201 Created", ["Content-Length: 0"]),
        ("205 Reset Content", ["Content-Length: 0"]),
    ],
)
@wired
async def test_an_answer_without_a_body_passes_and_the_connection_goes_on(status: str, fields: list[str]) -> None:
    async with rig(says(head(status, *fields))) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            got = await client.answer()
            assert status == f"{got.status} {got.reason}"
            assert fields == [f"{name}: {value}" for name, value in got.headers if name != "x-request-id"]

    assert 1 == wire.engine.connections


@wired
async def test_a_redirect_with_an_error_page_is_no_error() -> None:
    async with rig(says(answer("302 Found", "<h1>Error</h1>", "text/html", "Location: /x"))) as wire:
        got = await wire.ask(CHAT)

    assert (302, b"<h1>Error</h1>", "/x") == (got.status, got.body, got.get("location"))


@wired
async def test_head_on_a_healthy_path_passes_its_headers() -> None:
    scripts = {
        "/length": says(head("200 OK", "Content-Type: application/json", "Content-Length: 5000")),
        "/chunked": says(head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked")),
    }
    async with rig(scripts) as wire:
        client = await wire.connect()
        for path, name, value in (("/length", "content-length", "5000"), ("/chunked", "transfer-encoding", "chunked")):
            await client.send(request("HEAD", path))
            got = await client.answer(head=True)
            assert (200, value) == (got.status, got.get(name))


@pytest.mark.parametrize("content_type", ["application/json", "audio/mpeg", "text/event-stream", None])
@pytest.mark.parametrize("framing", ["length", "chunked", "until closed", "HTTP/1.0"])
@wired
async def test_every_framing_ends_properly(framing: str, content_type: str | None) -> None:
    finished = b'{"choices":[{"index":0,"finish_reason":"stop"}]}'
    body = b"data: %s\n\n" % finished if content_type == "text/event-stream" else finished
    typed = [f"Content-Type: {content_type}"] if content_type else []
    steps: dict[str, list[Step]] = {
        "length": [head("200 OK", *typed, f"Content-Length: {len(body)}"), body],
        "chunked": [
            head("200 OK", *typed, "Transfer-Encoding: chunked"),
            chunk(body[:5]),
            chunk(body[5:]),
            b"0\r\n\r\n",
        ],
        "until closed": [head("200 OK", *typed), body, End.FIN],
        "HTTP/1.0": [head("200 OK", *typed).replace(b"HTTP/1.1", b"HTTP/1.0"), body, End.FIN],
    }
    async with rig(says(*steps[framing])) as wire:
        got = await wire.ask(CHAT)

    assert (200, body, True) == (got.status, got.body, got.clean)


@pytest.mark.parametrize("after", [0, End.FIN])
@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream"])
@wired
async def test_trailers_are_dropped_and_the_answer_arrives_whole(content_type: str, after: Step) -> None:
    opening = head("200 OK", f"Content-Type: {content_type}", "Transfer-Encoding: chunked", "Trailer: X-Checksum")
    trailers = b"0\r\nX-Checksum: abc\r\ngrpc-status: 0\r\n\r\n"
    async with rig(says(opening, chunk(b'{"a":1}'), trailers, after)) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            got = await client.answer()
            assert (b'{"a":1}', True) == (got.body, got.clean)
            assert got.seconds < 2


@wired
async def test_a_compressed_body_passes_as_it_is() -> None:
    packed = gzip.compress(COMPLETION)
    async with rig(says(answer("200 OK", packed, "application/json", "Content-Encoding: gzip"))) as wire:
        got = await wire.ask(post(accept_encoding="gzip, br"))

    assert (packed, "gzip") == (got.body, got.get("content-encoding"))
    assert ["gzip, br"] == wire.engine.received[0].get("accept-encoding")


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "text/plain"])
@pytest.mark.parametrize("chunked", [True, False])
@wired
async def test_ten_megabytes_pass_without_being_kept(content_type: str, chunked: bool) -> None:
    block = bytes(range(256)) * 256
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(block) * 160}"
    blocks = [chunk(block)] * 160 if chunked else [block] * 160
    opening = head("200 OK", f"Content-Type: {content_type}", framing, "Connection: close")
    async with rig(says(opening, *blocks, b"0\r\n\r\n" if chunked else b"", End.FIN)) as wire:
        client = await wire.connect()
        received = 0
        with memory_below(6_000_000):
            await client.send(CHAT)
            await client.reader.readuntil(b"\r\n\r\n")
            while data := await client.reader.read(65_536):
                received += len(data)

    assert received >= len(block) * 160


@wired
async def test_the_first_bytes_of_a_stream_do_not_wait_for_the_last() -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    opening = head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    ending = event.replace(b"}}]", b'},"finish_reason":"stop"}]') + b"data: [DONE]\n\n"
    async with rig(says(opening, chunk(event), 0.5, chunk(ending), b"0\r\n\r\n")) as wire:
        client = await wire.connect()
        start = asyncio.get_running_loop().time()
        await client.send(CHAT)
        await client.reader.readuntil(b'"a"')
        first = asyncio.get_running_loop().time() - start
        await client.reader.readuntil(b"[DONE]")

    assert first < 0.4


@wired
async def test_one_client_connection_uses_one_upstream_connection() -> None:
    async with rig(says(answer("200 OK", "{}"))) as wire:
        client = await wire.connect()
        for _ in range(20):
            await client.send(CHAT)
            assert 200 == (await client.answer()).status

    assert 1 == wire.engine.connections


# WebSocket ------------------------------------------------------------------------------------------------------------

UPGRADE: dict[str, Any] = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SWITCH = head(
    "101 Switching Protocols",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
)


def upgrade() -> bytes:
    return request("GET", "/v1/realtime", **UPGRADE).replace(b"content-length: 0\r\n", b"")


def masked(text: bytes) -> bytes:
    """A client's text frame; the mask is zero, which is legal and readable."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


async def realtime(client: Client) -> None:
    await client.send(upgrade())
    got = await client.answer()
    assert (101, "websocket") == (got.status, got.get("upgrade"))
    assert got.get("x-request-id")


@wired
async def test_a_websocket_is_opened_and_carries_frames_both_ways() -> None:
    frames = [b"\x81\x05hello", b"\x81\x05again"]
    async with rig(says(SWITCH, frames[0], 0.05, frames[1], End.STALL)) as wire:
        client = await wire.connect()
        await realtime(client)
        await client.send(masked(b"ping?"))
        assert frames[0] == await client.reader.readexactly(7)
        assert frames[1] == await client.reader.readexactly(7)


@wired
async def test_a_quiet_websocket_outlives_every_timer(caplog: pytest.LogCaptureFixture) -> None:
    timers: dict[str, Any] = {"first_byte_timeout": 0.3, "idle_timeout": 0.3, "connect_timeout": 0.3}
    async with rig(says(SWITCH, 1.1, b"\x81\x04late", End.STALL), **timers) as wire:
        client = await wire.connect()
        await realtime(client)
        await client.send(masked(b"ping?"))
        assert b"\x81\x04late" == await client.reader.readexactly(6)

    assert [] == [record.getMessage() for record in caplog.records if "crashed" in record.getMessage()]


@wired
async def test_a_refused_upgrade_gets_the_envelope() -> None:
    async with rig(says(answer("403 Forbidden", "no realtime here", "text/plain"))) as wire:
        client = await wire.connect()
        await client.send(upgrade())
        got = await client.answer()

    assert (403, "permission_denied") == got.told


@wired
async def test_the_end_of_a_websocket_reaches_the_other_side() -> None:
    async with rig(says(SWITCH, 0.05, b"\x88\x02\x03\xe8", End.FIN)) as wire:
        client = await wire.connect()
        await realtime(client)
        assert b"\x88\x02\x03\xe8" == await client.reader.readexactly(4)
        await client.send(bytes([0x88, 0x82]) + bytes(4) + b"\x03\xe8")
        assert await client.closed(2)
