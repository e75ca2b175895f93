"""Streams on real sockets, cut anywhere and in any way: whole events and one error, a clean end, or a status.

The sample runs through one proxy, all its exchanges at once; each cause that needs more than a cut has its own test.
"""

import asyncio
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import brotli
import pytest
import zstandard

from postel.core import normalise
from postel.misbehave import End, Received, Script, Step, answer, chunk
from tests.streams import (
    CHATTING,
    DONE,
    JSON_LINES,
    MESSAGES,
    OLLAMA,
    REQUEST_ID,
    RESPONSES,
    ROLE,
    SSE,
    STOP,
    STREAMS,
    Expected,
    Stream,
    client_sees,
    count_told,
    error_told,
    sse,
    word,
)
from tests.wire.harness import Answer, NoAnswer, head, post, request, rig, says, wired

HI = word('"Hi"')
CHUNKED = "Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
ASK = post(x_request_id=REQUEST_ID)


def opening(*headers: str, content_type: str = SSE) -> bytes:
    return head("200 OK", f"Content-Type: {content_type}", *headers)


def streaming(*steps: Step, content_type: str = SSE) -> Script:
    """An engine that streams these bytes, a chunk each; waits and ends, LAST among them, as they are."""
    said: list[Step] = [chunk(step) if isinstance(step, bytes) and step is not LAST else step for step in steps]
    return says(opening(CHUNKED, content_type=content_type), *said)


def check_framing(got: Answer, content_type: str = SSE) -> None:
    """A head that fits its body, and a body that ends as the head says."""
    assert (200, content_type, REQUEST_ID) == (got.status, got.get("content-type"), got.get("x-request-id"))
    assert (None, "chunked") == (got.get("content-length"), got.get("transfer-encoding"))
    assert None is got.get("content-encoding")
    assert got.clean


def only_error(got: Answer, before: bytes, form: str = "chat") -> dict[str, Any]:
    """The error that came after these bytes, and nothing else."""
    check_framing(got)
    assert before == got.body[: len(before)]
    error = error_told(got.body[len(before) :], form)
    count_told(error, len(client_sees(before)))
    return error


# The sample -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """One stream cut at one byte. `clean` is a proper end of the framing after these bytes."""

    stream: Stream
    cut: int
    framing: str
    end: str

    def script(self) -> Script:
        data = self.stream.raw[: self.cut]
        halves = [part for part in (data[: self.cut // 2], data[self.cut // 2 :]) if part]
        clean = self.end == "clean"
        stops: dict[str, list[Step]] = {"FIN": [End.FIN], "RST": [0.05, End.RST], "stall": [End.STALL]}
        framed: dict[str, tuple[list[str], list[Step]]] = {
            "chunked": ([CHUNKED], [*map(chunk, halves), *([LAST] if clean else [])]),
            "length": ([f"Content-Length: {self.cut if clean else len(self.stream.raw) + 1}"], [*halves]),
            "until closed": ([], [*halves, *([End.FIN] if clean else [])]),
        }
        headers, body = framed[self.framing]
        return says(opening(*headers, content_type=self.stream.content_type), *body, *stops.get(self.end, []))

    @property
    def closed(self) -> tuple[bool, ...]:
        """Whether the end looks like a proper one. Without framing that of any connection does, and a reset may."""
        if self.end == "clean" or (self.framing, self.end) == ("until closed", "FIN"):
            return (True,)
        return (False, True) if (self.framing, self.end) == ("until closed", "RST") else (False,)

    def check(self, got: Answer) -> str:
        """What the client was told: `refused`, `error` or nothing."""
        wanted = [Expected(self.stream, self.cut, closed=closed) for closed in self.closed]
        outcome = (504, "stream_stalled") if self.end == "stall" else (502, "stream_interrupted")
        if got.status != 200:
            assert any(expected.refused for expected in wanted)
            assert outcome == got.told
            assert REQUEST_ID == got.get("x-request-id")
            return "refused"
        check_framing(got, self.stream.content_type)
        refusals: list[AssertionError] = []
        for expected in wanted:
            try:
                assert not expected.refused
                error = expected.told(got.body)
                break
            except AssertionError as refusal:
                refusals.append(refusal)
        else:
            raise refusals[0]
        if error is not None and self.stream.tail != "ollama":
            assert outcome[1] == error["fault"] == error["code"]
        return "error" if error else ""


def samples() -> Iterator[Sample]:
    """Every stream, framing and end: a cut in each third, and one near the end; no two rows have the same."""
    for number, (stream, framing, end) in enumerate(
        product(STREAMS, ("chunked", "length", "until closed"), ("clean", "FIN", "RST", "stall"))
    ):
        size = len(stream.raw)
        for third in range(3):
            yield Sample(stream, size * third // 3 + (number + third) * 97 % (size // 3), framing, end)
        yield Sample(stream, size - number * 7 % 60, framing, end)


SAMPLES = list(samples())


def by_number(received: Received) -> Script:
    return SAMPLES[int(parse_qs(urlsplit(received.path).query)["n"][0])].script()


@wired
async def test_any_stream_in_any_framing_cut_anywhere_and_in_any_way() -> None:
    at_once = asyncio.Semaphore(60)
    failures: list[str] = []
    told: Counter[str] = Counter()
    async with rig(by_number, idle_timeout=1.5, first_byte_timeout=2.5) as wire:

        async def one(number: int, sample: Sample) -> None:
            async with at_once:
                try:
                    got = await wire.ask(post(f"{sample.stream.path}?n={number}", x_request_id=REQUEST_ID))
                except NoAnswer as error:
                    failures.append(f"{sample}: {error}")
                    return
            try:
                told[sample.check(got)] += 1
            except AssertionError as error:
                failures.append(f"{sample.stream} {sample.cut} {sample.framing} {sample.end}: {error}\n{got}")

        await asyncio.gather(*(one(number, sample) for number, sample in enumerate(SAMPLES)))

    assert not failures, f"{len(failures)} of {len(SAMPLES)}:\n" + "\n\n".join(failures[:5])
    assert min(told["refused"], told["error"], told[""]) > 40
    assert told.total() > 500


@pytest.mark.parametrize("stream", STREAMS, ids=str)
@wired
async def test_a_healthy_stream_passes_byte_for_byte_in_any_framing(stream: Stream) -> None:
    pieces = [stream.raw[start : start + 61] for start in range(0, len(stream.raw), 61)]
    typed = stream.content_type
    scripts = {
        "/chunked": says(opening(CHUNKED, content_type=typed), *map(chunk, pieces), LAST),
        "/length": says(opening(f"Content-Length: {len(stream.raw)}", content_type=typed), *pieces),
        "/closed": says(opening(content_type=typed), *pieces, End.FIN),
        "/old": says(opening(content_type=typed).replace(b"HTTP/1.1", b"HTTP/1.0"), *pieces, End.FIN),
    }
    async with rig(lambda received: scripts[f"/{received.path.rpartition('?')[2]}"]) as wire:
        client = await wire.connect()
        for name in scripts:
            await client.send(post(f"{stream.path}?{name[1:]}", x_request_id=REQUEST_ID))
            got = await client.answer()
            check_framing(got, typed)
            assert stream.raw == got.body


# Heads ----------------------------------------------------------------------------------------------------------------


@wired
async def test_the_head_waits_for_the_first_output_and_each_event_passes_at_once() -> None:
    async with rig(streaming(ROLE, 0.3, HI, 0.3, STOP + DONE, LAST)) as wire:
        client = await wire.connect()
        clock = asyncio.get_running_loop().time
        start = clock()
        await client.send(ASK)
        await client.reader.readuntil(b"\r\n\r\n")
        began = clock() - start
        await client.reader.readuntil(b'"Hi"')
        first = clock() - start
        await client.reader.readuntil(b"[DONE]")

    assert 0.28 < began < 0.5
    assert first < 0.5


@wired
async def test_the_head_goes_after_hold_time_and_a_later_failure_is_told_in_the_stream() -> None:
    async with rig(streaming(ROLE, End.STALL), hold_time=0.2, first_byte_timeout=0.8) as wire:
        got = await wire.ask(ASK)

    assert "stream_stalled" == only_error(got, ROLE)["code"]
    assert 0.5 < got.seconds < 2


@pytest.mark.parametrize("body", [b"", b": ping\n\n", DONE])
@pytest.mark.parametrize("framing", ["length", "chunked", "until closed"])
@wired
async def test_a_stream_of_nothing_is_a_status(framing: str, body: bytes) -> None:
    steps: dict[str, list[Step]] = {
        "length": [opening(f"Content-Length: {len(body)}"), body],
        "chunked": [opening(CHUNKED), *([chunk(body)] if body else []), LAST],
        "until closed": [opening(), body, End.FIN],
    }
    async with rig(says(*steps[framing])) as wire:
        assert (502, "stream_interrupted") == (await wire.ask(ASK)).told


REFUSAL = sse('{"error":{"message":"Too many requests","type":"rate_limit_error","code":429}}')


@pytest.mark.parametrize("before", [b"", ROLE, b": ping\n\n" + ROLE])
@wired
async def test_an_error_before_output_is_its_status_with_what_the_head_said(before: bytes) -> None:
    opened = opening(CHUNKED, "Retry-After: 7", "Server: engine")
    async with rig(says(opened, chunk(before + REFUSAL + DONE), End.STALL)) as wire:
        got = await wire.ask(ASK)

    assert (429, "rate_limited") == got.told
    assert ("7", "true", None) == (got.get("retry-after"), got.get("x-should-retry"), got.get("server"))
    assert got.seconds < 1


@wired
async def test_after_an_error_the_client_goes_on_with_its_connection() -> None:
    async with rig(streaming(HI, REFUSAL, End.STALL)) as wire:
        client = await wire.connect()
        for _ in range(3):
            await client.send(ASK)
            got = await client.answer()
            assert "rate_limit_exceeded" == only_error(got, HI)["code"]
            assert got.seconds < 1

    assert 3 == wire.engine.connections


# Ends -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [STOP + DONE, STOP])
@pytest.mark.parametrize("end", [End.FIN, End.RST])
@wired
async def test_a_complete_answer_whose_connection_breaks_ends_cleanly(tail: bytes, end: End) -> None:
    async with rig(streaming(HI + tail, 0.05, end)) as wire:
        got = await wire.ask(ASK)

    check_framing(got)
    assert HI + tail == got.body


@wired
async def test_an_upstream_that_does_not_end_after_done_is_ended() -> None:
    async with rig(streaming(HI + STOP + DONE, End.STALL)) as wire:
        got = await wire.ask(ASK)
        await asyncio.sleep(0.1)
        assert 1 == wire.engine.gone

    check_framing(got)
    assert HI + STOP + DONE == got.body
    assert 4 < got.seconds < 6.5


@wired
async def test_a_stall_is_told_in_time_and_the_upstream_let_go() -> None:
    async with rig(streaming(HI, End.STALL), idle_timeout=0.4) as wire:
        got = await wire.ask(ASK)
        await asyncio.sleep(0.1)
        assert 1 == wire.engine.gone

    assert "stream_stalled" == only_error(got, HI)["code"]
    assert 0.3 < got.seconds < 1.5


@wired
async def test_a_trickle_does_not_stall() -> None:
    pieces: list[Step] = [step for letter in HI for step in (bytes([letter]), 0.005)]
    async with rig(streaming(HI, *pieces, STOP, LAST), idle_timeout=0.4) as wire:
        got = await wire.ask(ASK)

    check_framing(got)
    assert HI + HI + STOP == got.body
    assert got.seconds > 0.5


@wired
async def test_a_client_that_reads_slowly_is_no_stalled_upstream() -> None:
    large = word('"' + "x" * 60_000 + '"')
    async with rig(streaming(HI, *[large] * 200, STOP + DONE, LAST), idle_timeout=0.4) as wire:
        client = await wire.connect()
        transport = client.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        await client.send(ASK)
        await asyncio.sleep(1.5)
        transport.resume_reading()
        got = await client.answer()

    check_framing(got)
    assert HI + large * 200 + STOP + DONE == got.body


@wired
async def test_an_error_frees_the_upstream_at_once() -> None:
    async with rig(streaming(HI, REFUSAL, End.STALL)) as wire:
        await wire.ask(ASK)
        await asyncio.sleep(0.1)
        assert 1 == wire.engine.gone


@pytest.mark.parametrize("begun", [ROLE, HI])
@wired
async def test_a_client_that_leaves_frees_the_upstream_at_once(begun: bytes) -> None:
    async with rig(streaming(begun, End.STALL)) as wire:
        client = await wire.connect()
        await client.send(ASK)
        await asyncio.sleep(0.2)
        assert 0 == wire.engine.gone
        client.writer.close()
        await asyncio.sleep(0.2)
        assert 1 == wire.engine.gone


@wired
async def test_the_whole_answer_may_have_a_limit() -> None:
    several: list[Step] = [HI, 0.1] * 30
    async with rig(streaming(*several), total_timeout=0.75) as wire:
        got = await wire.ask(ASK)

    count = got.body.count(HI)
    assert 3 <= count <= 12
    assert "timeout" == only_error(got, HI * count)["fault"]


@wired
async def test_quiet_times_are_filled_with_comments_where_that_is_wanted() -> None:
    async with rig(streaming(HI, 1.6, STOP + DONE, LAST), keepalive=0.3) as wire:
        got = await wire.ask(ASK)

    check_framing(got)
    assert HI + STOP + DONE == got.body.replace(b": keep-alive\n\n", b"")
    assert 2 <= got.body.count(b": keep-alive\n\n") <= 5


@wired
async def test_done_after_an_error_is_a_setting() -> None:
    async with rig(streaming(HI, REFUSAL, End.STALL), done="after-error") as wire:
        got = await wire.ask(ASK)

    check_framing(got)
    assert got.body.endswith(b"}}\n\n" + DONE)
    error_told(got.body.removeprefix(HI).removesuffix(DONE), "chat")


# Causes ---------------------------------------------------------------------------------------------------------------

PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n"
TRACE = b'Traceback (most recent call last):\n  File "/srv/app/engine.py", line 88, in step\nRuntimeError: no kernel\n'


@pytest.mark.parametrize(
    "words", [b"activator request timeout", b"request timeout", b"upstream connect error", PAGE, TRACE]
)
@pytest.mark.parametrize("end", [LAST, End.FIN])
@wired
async def test_words_appended_to_a_stream_are_an_error_and_not_shown(words: bytes, end: Step) -> None:
    scripts = says(opening(CHUNKED), chunk(HI), 0.02, chunk(words), end)
    async with rig(scripts) as wire:
        got = await wire.ask(ASK)

    assert "server_error" == only_error(got, HI)["type"]
    assert b"<h1>" not in got.body
    assert b"/srv/app" not in got.body


@wired
async def test_knative_s_words_after_an_opening_are_the_status_they_mean() -> None:
    async with rig(says(opening(CHUNKED), chunk(ROLE), chunk(b"activator request timeout"), LAST)) as wire:
        assert (504, "timeout") == (await wire.ask(ASK)).told


@pytest.mark.parametrize(("page", "status"), [(PAGE, 502), (TRACE, 500)])
@wired
async def test_a_page_or_a_trace_instead_of_events_is_a_status(page: bytes, status: int) -> None:
    async with rig(streaming(page, LAST)) as wire:
        got = await wire.ask(ASK)

    assert got.told[0] in (status, 502)
    assert b"/srv/app" not in got.body
    assert b"<h1>" not in got.body


def packed(coding: str, *events: bytes) -> list[bytes]:
    """Each event in a block of its own that can be unpacked when it is there."""
    if coding == "br":
        brotli_ = brotli.Compressor()
        blocks = [brotli_.process(event) + brotli_.flush() for event in events]
        return [*blocks, brotli_.finish()]
    if coding == "zstd":
        zstd = zstandard.ZstdCompressor().compressobj()
        blocks = [zstd.compress(event) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for event in events]
        return [*blocks, zstd.flush()]
    wbits = {"gzip": 31, "x-gzip": 31, "deflate": 15}[coding]
    packer = zlib.compressobj(wbits=wbits)
    blocks = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    return [*blocks, packer.flush()]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd"])
@wired
async def test_a_packed_stream_is_unpacked_and_guarded(coding: str) -> None:
    blocks = packed(coding, *CHATTING.events)
    typed = opening(CHUNKED, f"Content-Encoding: {coding}")
    scripts = {
        "/whole": says(typed, *map(chunk, blocks), LAST),
        "/cut": says(typed, *map(chunk, blocks[:3]), End.FIN),
        "/stalled": says(typed, *map(chunk, blocks[:3]), End.STALL),
        "/early": says(typed, chunk(blocks[0]), LAST),
    }
    async with rig(scripts, idle_timeout=0.4) as wire:
        whole, cut, stalled, early = [await wire.ask(post(path, x_request_id=REQUEST_ID)) for path in scripts]

    check_framing(whole)
    assert CHATTING.raw == whole.body
    begun = b"".join(CHATTING.events[:3])
    assert "stream_interrupted" == only_error(cut, begun)["fault"]
    assert "stream_stalled" == only_error(stalled, begun)["fault"]
    assert (502, "stream_interrupted") == early.told


@wired
async def test_an_event_leaves_a_packed_stream_as_soon_as_it_is_whole() -> None:
    blocks = packed("gzip", *CHATTING.events)
    typed = opening(CHUNKED, "Content-Encoding: gzip")
    steps: list[Step] = [typed, *map(chunk, blocks[:2]), 0.5, *map(chunk, blocks[2:]), LAST]
    async with rig(says(*steps)) as wire:
        client = await wire.connect()
        start = asyncio.get_running_loop().time()
        await client.send(ASK)
        await client.reader.readuntil(CHATTING.events[1])
        assert asyncio.get_running_loop().time() - start < 0.4
        await client.reader.readuntil(DONE)


@wired
async def test_a_stream_that_cannot_be_unpacked_is_an_error() -> None:
    broken = gzip.compress(CHATTING.raw)[:40] + b"\xff" * 60
    async with rig(says(opening(CHUNKED, "Content-Encoding: gzip"), chunk(broken), LAST)) as wire:
        got = await wire.ask(ASK)

    assert 502 == got.told[0]


@pytest.mark.parametrize("end", [End.FIN, End.STALL])
@wired
async def test_an_http_1_0_upstream_is_guarded(end: End) -> None:
    old = opening("Connection: close").replace(b"HTTP/1.1", b"HTTP/1.0")
    async with rig(says(old, ROLE + HI, end), idle_timeout=0.4) as wire:
        got = await wire.ask(ASK)

    assert ("stream_stalled" if end is End.STALL else "stream_interrupted") == only_error(got, ROLE + HI)["fault"]


@pytest.mark.parametrize("broken", [True, False])
@wired
async def test_an_http_1_0_client_gets_its_stream_until_the_connection_closes(broken: bool) -> None:
    body = HI if broken else HI + STOP + DONE
    async with rig(streaming(body, End.FIN if broken else LAST)) as wire:
        client = await wire.connect()
        await client.send(ASK.replace(b"HTTP/1.1", b"HTTP/1.0"))
        got = await client.answer()

    assert (200, None, None) == (got.status, got.get("content-length"), got.get("transfer-encoding"))
    assert "close" == got.get("connection")
    assert body == got.body[: len(body)]
    if broken:
        count_told(error_told(got.body[len(body) :], "chat"), 1)
    else:
        assert body == got.body


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
@pytest.mark.parametrize("stream", [CHATTING, RESPONSES, MESSAGES], ids=str)
@wired
async def test_a_stream_under_another_type_is_guarded(stream: Stream, content_type: str | None) -> None:
    typed = head("200 OK", CHUNKED, *([f"Content-Type: {content_type}"] if content_type else []))
    begun = b"".join(stream.events[:4])
    scripts = {
        "whole": says(typed, *map(chunk, stream.events), LAST),
        "cut": says(typed, chunk(begun), End.FIN),
        "early": says(typed, chunk(stream.events[0]), LAST),
    }
    async with rig(lambda received: scripts[received.path.rpartition("?")[2]]) as wire:
        whole, cut, early = [await wire.ask(post(f"{stream.path}?{name}", x_request_id=REQUEST_ID)) for name in scripts]

    assert (200, stream.raw, True) == (whole.status, whole.body, whole.clean)
    assert begun == cut.body[: len(begun)]
    assert cut.clean
    count_told(error_told(cut.body[len(begun) :], stream.tail), 4)
    assert (502, "stream_interrupted") == early.told


@pytest.mark.parametrize("stream", [OLLAMA, JSON_LINES], ids=str)
@pytest.mark.parametrize("media", ["application/x-ndjson", "application/jsonl", "application/stream+json"])
@wired
async def test_lines_of_json_are_guarded_under_each_of_their_types(stream: Stream, media: str) -> None:
    begun = b"".join(stream.events[:2])
    async with rig(streaming(begun, End.FIN, content_type=media)) as wire:
        got = await wire.ask(post(stream.path, x_request_id=REQUEST_ID))

    check_framing(got, media)
    assert begun == got.body[: len(begun)]
    count_told(error_told(got.body[len(begun) :], stream.tail), 2)


@wired
async def test_a_large_event_passes_and_the_stream_is_guarded_after_it() -> None:
    large = word('"' + "x" * 3_000_000 + '"')
    pieces = [large[start : start + 60_000] for start in range(0, len(large), 60_000)]
    async with rig(streaming(HI, *pieces, HI, End.FIN)) as wire:
        got = await wire.ask(ASK)

    assert "stream_interrupted" == only_error(got, HI + large + HI)["fault"]


# Where Postel keeps out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "settings"),
    [
        ("/v1/chat/completions", [f"Content-Type: {SSE}"], {"mode": "observe"}),
        ("/metrics", [f"Content-Type: {SSE}"], {}),
        ("/v1/chat/completions", [f"Content-Type: {SSE}", "Content-Encoding: made-up"], {}),
        ("/v1/chat/completions", ["Content-Type: application/vnd.amazon.eventstream"], {}),
    ],
)
@wired
async def test_a_cut_that_cannot_or_should_not_be_told_stays_a_cut(
    path: str, headers: list[str], settings: dict[str, Any]
) -> None:
    async with rig(says(head("200 OK", CHUNKED, *headers), chunk(HI), 0.05, End.FIN), **settings) as wire:
        got = await wire.ask(post(path))

    assert (200, HI, False) == (got.status, got.body, got.clean)


@wired
async def test_observing_neither_holds_nor_changes_nor_ends_a_stream() -> None:
    sent: list[Step] = [ROLE, 0.3, b"data:\n\n" + REFUSAL, 0.6, HI + DONE, LAST]
    async with rig(streaming(*sent), mode="observe", idle_timeout=0.4) as wire:
        client = await wire.connect()
        start = asyncio.get_running_loop().time()
        await client.send(ASK)
        await client.reader.readuntil(ROLE)
        assert asyncio.get_running_loop().time() - start < 0.25
        rest = await client.reader.readuntil(LAST)

    assert b"data:\n\n" + REFUSAL in rest
    assert HI + DONE in rest


@wired
async def test_head_of_a_stream_has_no_body_to_guard() -> None:
    async with rig(says(opening(CHUNKED))) as wire:
        got = await wire.ask(request("HEAD", "/v1/chat/completions"))

    assert (200, SSE, b"") == (got.status, got.get("content-type"), got.body)


def explode(*_args: object, **_kwargs: object) -> None:
    raise RuntimeError("a bug in Postel")


@pytest.mark.parametrize("begun", [b"", HI])
@wired
async def test_a_failure_of_ours_never_takes_an_event_away(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(normalise.Normaliser, "answer", explode)
    sent = begun + REFUSAL + HI + STOP + DONE
    async with rig(streaming(sent, LAST), crashing=True) as wire:
        got = await wire.ask(ASK)

    assert (200, sent, True) == (got.status, got.body, got.clean)


@wired
async def test_a_healthy_answer_in_json_is_no_stream() -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"data: x"},"finish_reason":"stop"}]}\n'
    async with rig(says(answer("200 OK", body))) as wire:
        got = await wire.ask(ASK)

    assert (200, body, str(len(body))) == (got.status, got.body, got.get("content-length"))
