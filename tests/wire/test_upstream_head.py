"""What an upstream may do instead of sending one proper response head."""

import asyncio

import pytest

from postel.misbehave import End, answer, chunk
from tests.wire.harness import head, listening, post, request, rig, says, wired

CHAT = post()
OK = answer("200 OK", '{"ok":1}')


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([End.FIN], id="closed"),
        pytest.param([End.RST], id="reset"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", End.FIN], id="part of a head, closed"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Ty", End.RST], id="part of a head, reset"),
        pytest.param([b"HT", End.FIN], id="part of a word, closed"),
        pytest.param([b"\r\n\r\n", End.FIN], id="blank lines, closed"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n", End.FIN], id="an interim answer, closed"),
        pytest.param([b"\x15\x03\x01\x00\x02\x02\x46 no http\r\n\r\n"], id="a TLS alert and a blank line"),
        pytest.param([b"<html>no head</html>\r\n", End.FIN], id="a body without a head, closed"),
        pytest.param([b"hello world\r\n\r\n"], id="no status line"),
        pytest.param([b"HTTP/1.1 abc OK\r\n\r\n"], id="a status that is no number"),
        pytest.param([b"HTTP/1.1\r\n\r\n"], id="no status"),
        pytest.param([b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n"], id="a line without a colon"),
        pytest.param([b"HTTP/1.1 200 OK\r\nbad name: x\r\nContent-Length: 0\r\n\r\n"], id="a bad header name"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}"], id="a length that is no number"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"], id="a negative length"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"], id="two lengths"),
        pytest.param(
            [head("200 OK", "Transfer-Encoding: chunked", "Content-Length: 2"), chunk("{}"), b"0\r\n\r\n"],
            id="chunked with a length",
        ),
        pytest.param([head("200 OK", "Transfer-Encoding: snappy"), b"{}"], id="an unknown transfer coding"),
        pytest.param([head("200 OK", "X-Big: " + "x" * 200_000), OK], id="one big header"),
        pytest.param([head("200 OK", *(f"X-{n}: {'y' * 50}" for n in range(3000))), OK], id="many small headers"),
    ],
)
@wired
async def test_what_is_no_head_is_a_bad_gateway_at_once(steps: list[bytes | End]) -> None:
    async with rig(says(*steps)) as wire:
        got = await wire.ask(post(x_request_id="mine-1"))

    assert (502, "bad_gateway") == got.told
    assert "mine-1" == got.get("x-request-id")
    assert got.seconds < 2


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x00\xff\xfe garbage without a line end", id="garbage"),
        pytest.param(b"garbage with a line end\r\n", id="a line of garbage"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", id="an SSH banner"),
        pytest.param(b"220 mail.test ESMTP\r\n", id="an SMTP banner"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="an HTTP/2 preface"),
        pytest.param(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", id="an HTTP/2 settings frame"),
        pytest.param(b"HTTP/2 200\r\nserver: x\r\n\r\n", id="HTTP/2 as text"),
    ],
)
@wired
async def test_garbage_and_then_silence_need_no_timer(garbage: bytes) -> None:
    async with rig(says(garbage, End.STALL)) as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert got.seconds < 2


@wired
async def test_an_upstream_that_speaks_first_does_not_spoil_the_answer() -> None:
    async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        await reader.read()

    async with listening(banner) as port, rig(upstream=f"http://127.0.0.1:{port}", first_byte_timeout=1) as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert got.seconds < 2


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: app", id="part of a head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="an interim answer"),
        pytest.param(b"\r\n", id="a blank line"),
    ],
)
@wired
async def test_no_head_in_time_is_a_timeout(begun: bytes) -> None:
    async with rig(says(begun, End.STALL), first_byte_timeout=0.4) as wire:
        got = await wire.ask(CHAT)
        await asyncio.sleep(0.05)
        assert 1 == wire.engine.gone  # so that the engine stops generating

    assert (504, "timeout") == got.told
    assert "retry-after" not in dict(got.headers)
    assert 0.4 <= got.seconds < 1.5


@wired
async def test_a_head_that_never_ends_is_cut_off_by_its_size() -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"z" * 1000) for n in range(100))
    async with rig(says(b"HTTP/1.1 200 OK\r\n", lines, lines, End.STALL)) as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert got.seconds < 2


@wired
async def test_a_head_just_under_the_limit_passes() -> None:
    async with rig(says(head("200 OK", "X-Big: " + "x" * 60_000, "Content-Length: 2"), b"{}")) as wire:
        got = await wire.ask(CHAT)

    assert (200, b"{}") == (got.status, got.body)
    assert 60_000 == len(got.get("x-big") or "")


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints", "199 Whatever"])
@wired
async def test_an_interim_answer_is_dropped_and_the_final_one_arrives(status: str) -> None:
    async with rig(says(head(status, "Link: </style.css>; rel=preload"), 0.05, OK)) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            got = await client.answer()
            assert (200, b'{"ok":1}') == (got.status, got.body)
            assert got.get("link") is None


@wired
async def test_several_interim_answers_in_pieces_are_dropped() -> None:
    interim = head("103 Early Hints", "Link: </a>") + head("100 Continue") + head("102 Processing")
    steps = [step for byte in interim for step in (bytes([byte]), 0.001)]
    async with rig(says(*steps, OK)) as wire:
        got = await wire.ask(CHAT)

    assert (200, b'{"ok":1}') == (got.status, got.body)


@wired
async def test_an_interim_answer_before_an_error_does_not_hide_it() -> None:
    async with rig(says(head("100 Continue") + answer("503 Service Unavailable", '{"detail":"no"}'))) as wire:
        assert (503, "unavailable") == (await wire.ask(CHAT)).told


@wired
async def test_a_switch_of_protocols_that_nobody_asked_for_is_a_bad_gateway() -> None:
    async with rig(says(head("101 Switching Protocols", "Upgrade: h2c", "Connection: Upgrade"))) as wire:
        assert (502, "bad_gateway") == (await wire.ask(CHAT)).told


@wired
async def test_a_head_may_come_byte_by_byte_and_with_bare_line_feeds() -> None:
    slow = [step for byte in OK for step in (bytes([byte]), 0.001)]
    async with rig({"/slow": says(*slow), "/lf": says(OK.replace(b"\r\n", b"\n"))}) as wire:
        for path in ("/slow", "/lf"):
            got = await wire.ask(post(path))
            assert (200, b'{"ok":1}') == (got.status, got.body)


@wired
async def test_blank_lines_before_a_head_are_ignored() -> None:
    async with rig(says(b"\r\n\r\n", 0.05, OK)) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert b'{"ok":1}' == (await client.answer()).body


@wired
async def test_bytes_after_an_answer_never_become_the_next_one() -> None:
    injected = answer("200 OK", '{"stolen":1}')

    async with rig({"/first": says(OK + injected), "/second": says(OK)}) as wire:
        client = await wire.connect()
        await client.send(post("/first"))
        first = await client.answer()
        await client.send(post("/second"))
        second = await client.answer()

    assert [b'{"ok":1}', b'{"ok":1}'] == [first.body, second.body]


@wired
async def test_an_unusual_status_keeps_its_class() -> None:
    async with rig(lambda got: says(answer(f"{got.path[1:]} Whatever", "{}"))) as wire:
        assert (400, "malformed_request") == (await wire.ask(post("/477"))).told
        assert (500, "internal") == (await wire.ask(post("/577"))).told
        assert 500 <= (await wire.ask(post("/999"))).told[0] < 600
        assert 299 == (await wire.ask(post("/299"))).status


@wired
async def test_head_on_an_error_has_the_length_of_its_envelope_and_no_body() -> None:
    async with rig(says(head("503 Service Unavailable", "Content-Length: 20"))) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(request("HEAD", "/v1/models"))
            got = await client.answer(head=True)
            assert (503, "unavailable") == (got.status, got.get("x-postel-fault"))
            assert int(got.get("content-length") or 0) > 50
            assert "application/json" == got.get("content-type")
