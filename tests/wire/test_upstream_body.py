"""What an upstream may do to a body, and what is held of it to tell it honestly."""

import asyncio
import gzip
import json
import zlib

import brotli
import pytest
import zstandard

from postel.misbehave import End, Step, answer, chunk
from tests.wire.harness import head, post, rig, says, wired

CHAT = post()
CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")


def with_length(size: int, status: str = "200 OK", content_type: str = "application/json") -> bytes:
    return head(status, f"Content-Type: {content_type}", f"Content-Length: {size}")


def error_body(message: str = "the engine said so") -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@pytest.mark.parametrize("end", [End.FIN, End.RST])
@pytest.mark.parametrize(
    "begun",
    [
        pytest.param([with_length(100), b'{"id":"chatcmpl-1",'], id="length"),
        pytest.param([with_length(100)], id="length, no byte"),
        pytest.param([head("200 OK", *CHUNKED), chunk('{"id":')], id="chunked"),
        pytest.param([head("200 OK", *CHUNKED), b"40\r\n{"], id="inside a chunk"),
        pytest.param([head("200 OK", *CHUNKED), chunk("{}"), b"0\r\n"], id="before the last line"),
        pytest.param([head("200 OK", "Transfer-Encoding: chunked"), chunk("{")], id="untyped"),
        pytest.param([with_length(100, content_type="text/html"), b"<html>"], id="html"),
    ],
)
@wired
async def test_a_held_answer_that_is_cut_is_a_bad_gateway(begun: list[Step], end: End) -> None:
    async with rig(says(*begun, 0.02, end)) as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert "true" == got.get("x-should-retry")


@pytest.mark.parametrize("line", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n\r\n", b"2 2\r\n{}\r\n", b"2\r\n{}xx\r\n0\r\n\r\n"])
@wired
async def test_an_illegal_chunk_is_a_bad_gateway(line: bytes) -> None:
    async with rig(says(head("200 OK", *CHUNKED), line, End.STALL)) as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert got.seconds < 2


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param([with_length(100), b'{"id":'], id="length"),
        pytest.param([head("200 OK", *CHUNKED), chunk('{"id":')], id="chunked"),
        pytest.param([head("200 OK", "Content-Type: application/json"), b"{}"], id="until closed"),
    ],
)
@wired
async def test_a_held_answer_that_stops_coming_is_a_timeout(begun: list[Step]) -> None:
    async with rig(says(*begun, End.STALL), idle_timeout=0.4) as wire:
        got = await wire.ask(CHAT)

    assert (504, "timeout") == got.told
    assert 0.4 <= got.seconds < 1.5


@wired
async def test_an_answer_that_trickles_does_not_stall() -> None:
    pieces = [step for letter in '{"a": "slow"}' for step in (chunk(letter), 0.06)]
    async with rig(says(head("200 OK", *CHUNKED), *pieces, b"0\r\n\r\n"), idle_timeout=0.4) as wire:
        got = await wire.ask(CHAT)

    assert (200, b'{"a": "slow"}') == (got.status, got.body)
    assert got.seconds > 0.7


@pytest.mark.parametrize("end", [End.FIN, End.RST, End.STALL])
@wired
async def test_an_error_answer_that_is_cut_is_judged_by_what_came(end: End) -> None:
    partial = [with_length(500, "503 Service Unavailable"), b'{"detail": "the que']
    async with rig(says(*partial, end), idle_timeout=0.3) as wire:
        assert (503, "unavailable") == (await wire.ask(CHAT)).told


# Errors of any size and coding ----------------------------------------------------------------------------------------


@wired
async def test_an_error_answer_without_an_end_is_cut_off_and_its_connection_closed() -> None:
    endless = [chunk(b"x" * 16_384)] * 400
    async with rig(says(head("500 Internal Server Error", *CHUNKED), *endless, End.STALL)) as wire:
        got = await wire.ask(CHAT)
        again = await wire.ask(CHAT)
        await asyncio.sleep(0.05)
        assert 2 == wire.engine.gone

    assert (500, "internal") == got.told == again.told
    assert got.seconds < 2


@wired
async def test_a_large_error_answer_is_judged_by_its_beginning_and_the_client_goes_on() -> None:
    big = error_body("shown to the client. " + "filler " * 30_000)
    scripts = {"/big": says(answer("429 Too Many Requests", big)), "/ok": says(answer("200 OK", "{}"))}
    async with rig(scripts) as wire:
        client = await wire.connect()
        await client.send(post("/big"))
        got = await client.answer()
        await client.send(post("/ok"))
        after = await client.answer()

    assert (429, "rate_limited") == got.told
    assert len(got.body) < 2_000
    assert 200 == after.status


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(error_body())),
        ("x-gzip", gzip.compress(error_body())),
        ("br", brotli.compress(error_body())),
        ("zstd", zstandard.compress(error_body())),
        ("deflate", zlib.compress(error_body())),
        ("deflate", raw_deflate(error_body())),
        ("gzip, br", brotli.compress(gzip.compress(error_body()))),
        ("identity", error_body()),
        ("gzip", error_body()),
        ("made-up", error_body()),
    ],
)
@wired
async def test_an_error_is_read_through_its_coding_and_told_without_one(coding: str, packed: bytes) -> None:
    async with rig(says(answer("503 Service Unavailable", packed, None, f"Content-Encoding: {coding}"))) as wire:
        got = await wire.ask(CHAT)

    assert (503, "unavailable") == got.told
    assert "the engine said so" in got.error["message"]
    assert got.get("content-encoding") is None


@wired
async def test_a_bomb_of_an_error_is_unpacked_only_as_far_as_it_is_read() -> None:
    bomb = gzip.compress(b'{"error":{"message":"' + b"A" * 50_000_000)
    async with rig(says(answer("500 Internal Server Error", bomb, None, "Content-Encoding: gzip"))) as wire:
        got = await wire.ask(CHAT)

    assert 500 == got.told[0]
    assert len(got.body) < 2_000
    assert got.seconds < 2


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff\xfe\x80", b"null", b"[]", b"{", b'"', b"\xef\xbb\xbf{}", b"<", b"[" * 9000]
)
@wired
async def test_no_error_body_is_too_odd_for_an_envelope(body: bytes) -> None:
    async with rig(says(answer("500 Internal Server Error", body))) as wire:
        assert 500 == (await wire.ask(CHAT)).told[0]


# Errors inside HTTP 200 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json", "text/plain", None])
@wired
async def test_an_error_inside_a_held_200_becomes_a_real_status(content_type: str | None) -> None:
    async with rig(says(answer("200 OK", error_body(), content_type))) as wire:
        got = await wire.ask(CHAT)

    assert got.told[0] >= 400
    assert "the engine said so" in got.error["message"]


@wired
async def test_an_error_inside_a_compressed_200_becomes_a_real_status() -> None:
    packed = gzip.compress(error_body())
    async with rig(says(answer("200 OK", packed, "application/json", "Content-Encoding: gzip"))) as wire:
        assert (await wire.ask(CHAT)).told[0] >= 400


@pytest.mark.parametrize("framing", ["Content-Length: %d", "Transfer-Encoding: chunked"])
@wired
async def test_a_200_over_64_kib_passes_from_there_on_whatever_it_says(framing: str) -> None:
    body = json.dumps({"error": {"message": "x"}, "filler": "y" * 70_000}).encode()
    sent = [chunk(body[:40_000]), chunk(body[40_000:]), b"0\r\n\r\n"] if "chunked" in framing else [body]
    opening = head("200 OK", "Content-Type: application/json", framing.replace("%d", str(len(body))))
    async with rig(says(opening, *sent)) as wire:
        got = await wire.ask(CHAT)

    assert (200, body, True) == (got.status, got.body, got.clean)


@wired
async def test_a_200_of_exactly_64_kib_is_still_held() -> None:
    body = json.dumps({"error": {"message": "x"}, "filler": ""}).encode()
    body = body[:-2] + b"y" * (64 * 1024 - len(body)) + b'"}'
    assert 64 * 1024 == len(body)
    async with rig(says(answer("200 OK", body))) as wire:
        assert (await wire.ask(CHAT)).told[0] >= 400


@pytest.mark.parametrize("content_type", ["audio/mpeg", "image/png", "application/octet-stream", "multipart/form-data"])
@wired
async def test_media_are_never_held_and_a_cut_one_is_seen_as_cut(content_type: str) -> None:
    opening = with_length(100, content_type=content_type)
    async with rig(says(opening, b"first", 0.4, b"second", End.FIN)) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        assert b"HTTP/1.1 200 OK\r\n" == await client.reader.readline()
        await client.reader.readuntil(b"\r\n\r\n")
        first = await client.reader.readexactly(5)
        rest = await client.reader.read()

    assert (b"first", b"second") == (first, rest)


@wired
async def test_a_json_body_with_an_error_word_but_no_error_passes_byte_for_byte() -> None:
    body = b'{ "choices": [], "error": null, "note": "an error occurred" }\n'
    async with rig(says(answer("200 OK", body))) as wire:
        got = await wire.ask(CHAT)

    assert (200, body) == (got.status, got.body)


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([answer("200 OK", b"x" * 5000, "application/octet-stream")], id="announced"),
        pytest.param([head("200 OK", *CHUNKED), *[chunk(b"x" * 500)] * 10, b"0\r\n\r\n"], id="chunked"),
        pytest.param([head("200 OK", "Content-Type: text/plain"), b"x" * 5000, End.FIN], id="until closed"),
    ],
)
@wired
async def test_an_answer_over_max_body_is_a_bad_gateway(steps: list[Step]) -> None:
    async with rig(says(*steps), max_body="2k") as wire:
        assert (502, "bad_gateway") == (await wire.ask(CHAT)).told


@wired
async def test_an_answer_of_max_body_passes() -> None:
    async with rig(says(answer("200 OK", b'{"a":"%s"}' % (b"x" * 2040))), max_body="2k") as wire:
        assert 200 == (await wire.ask(CHAT)).status
