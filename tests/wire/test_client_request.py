"""What a client may send. What cannot be served is an envelope; what can be served reaches the upstream as it was."""

import asyncio
import json

import pytest

from postel.misbehave import End, Received, Script, Step, answer
from tests.wire.harness import Client, listening, memory_below, post, request, rig, says, wired

OK = says(answer("200 OK", '{"ok":1}'))
TLS_HELLO = bytes.fromhex("160301007a010000760303") + bytes(range(111))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"nonsense\r\n\r\n", id="one word"),
        pytest.param(b"GET /\r\n\r\n", id="no version"),
        pytest.param(b"GET / HTTP/3.0\r\nhost: a\r\n\r\n", id="an unknown version"),
        pytest.param(b"GET / HTTP/1.1 and more\r\nhost: a\r\n\r\n", id="too many words"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", id="a line without a colon"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nbad name: x\r\n\r\n", id="a bad header name"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", id="a length that is no number"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", id="a negative length"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: snappy\r\n\r\n", id="an unknown coding"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
            id="chunked with a length",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", id="two lengths"
        ),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), id="an HTTP/2 preface"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            id="an illegal chunk",
        ),
    ],
)
@wired
async def test_what_is_no_request_is_a_malformed_one_and_the_connection_ends(sent: bytes) -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        await client.send(sent)
        got = await client.answer()
        ended = await client.closed(4)

    assert (400, "malformed_request") == got.told
    assert "close" == got.get("connection")
    assert "false" == got.get("x-should-retry")
    assert ended
    assert [] == wire.engine.received


@pytest.mark.parametrize("sent", [TLS_HELLO, b"\x00\x01\x02\x03", b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"])
@wired
async def test_bytes_that_cannot_become_http_are_answered_without_waiting_for_a_line_end(sent: bytes) -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        await client.send(sent)
        got = await client.answer()

    assert (400, "malformed_request") == got.told
    assert got.seconds < 2


@wired
async def test_connect_is_not_allowed_and_reaches_nobody() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        await client.send(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\nx-request-id: mine-1\r\n\r\n")
        got = await client.answer()

    assert (405, "method_not_allowed") == got.told
    assert "mine-1" == got.get("x-request-id")
    assert [] == wire.engine.received


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://169.254.169.254/latest/meta?a=b", "/latest/meta?a=b"),
        ("http://client.test/v1/models", "/v1/models"),
        ("https://other.test:8443/v1/models", "/v1/models"),
        ("http://client.test", "/"),
        ("/v1/models?q=http://x.test/y", "/v1/models?q=http://x.test/y"),
        ("//double//slash", "//double//slash"),
        ("/sp%20ace/%2F?%zz", "/sp%20ace/%2F?%zz"),
    ],
)
@wired
async def test_every_target_goes_to_the_upstream_alone_and_in_origin_form(target: str, path: str) -> None:
    async with rig(OK) as wire:
        got = await wire.ask(request("GET", target))

    (received,) = wire.engine.received
    assert 200 == got.status
    assert f"GET {path} HTTP/1.1" == received.line
    assert [f"127.0.0.1:{wire.engine_port}"] == received.get("host")


@wired
async def test_options_asterisk_reaches_the_upstream() -> None:
    async with rig(lambda _: says(answer("200 OK", "", None, "Allow: POST"))) as wire:
        got = await wire.ask(request("OPTIONS", "*"))

    assert (200, "POST") == (got.status, got.get("allow"))
    assert "OPTIONS * HTTP/1.1" == wire.engine.received[0].line


@wired
async def test_the_onboarding_page_of_mitmproxy_is_not_there() -> None:
    async with rig(OK, keep_host=True) as wire:
        got = await wire.ask(b"GET / HTTP/1.1\r\nhost: mitm.it\r\n\r\n")

    assert b'{"ok":1}' == got.body
    assert ["mitm.it"] == wire.engine.received[0].get("host")


@wired
async def test_a_refused_request_keeps_a_usable_request_id() -> None:
    async with rig(OK) as wire:
        for line in (b"GET / HTTP/1.1\r\nno colon\r\n", b"GET / HTTP/1.1\r\nhost: a\r\nbad name: x\r\n"):
            client = await wire.connect()
            await client.send(line + b"X-Request-ID:  mine-1 \r\n\r\n")
            got = await client.answer()
            assert (400, "mine-1") == (got.status, got.get("x-request-id"))


# Heads ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"x-big: " + b"x" * 200_000 + b"\r\n", id="one big line"),
        pytest.param(b"".join(b"x-%d: yyyyyyyyyyyyyyyy\r\n" % n for n in range(5000)), id="many small lines"),
    ],
)
@wired
async def test_a_request_head_over_the_limit_is_refused_and_the_answer_can_be_read(fields: bytes) -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n" + fields + b"\r\n")
        got = await client.answer()
        ended = await client.closed(4)

    assert (400, "malformed_request") == got.told
    assert ended
    assert [] == wire.engine.received


@wired
async def test_a_request_head_that_never_ends_is_refused() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        await client.send(b"GET /" + b"a" * 100_000)
        assert (400, "malformed_request") == (await client.answer()).told


@wired
async def test_a_large_head_under_the_limit_is_served() -> None:
    async with rig(OK) as wire:
        got = await wire.ask(post(x_big="x" * 60_000))

    assert 200 == got.status
    assert ["x" * 60_000] == wire.engine.received[0].get("x-big")


@wired
async def test_a_request_may_come_byte_by_byte() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        for byte in post("/v1/models"):
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        got = await client.answer()

    assert 200 == got.status
    assert b'{"model":"m"}' == wire.engine.received[0].body


@wired
async def test_blank_lines_before_a_request_are_ignored() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(b"\r\n\r\n" + post())
            assert 200 == (await client.answer()).status


@wired
async def test_header_order_case_and_duplicates_reach_the_upstream() -> None:
    head = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nX-Odd-CASE: 1\r\naccept: b\r\nX-Twice: 1\r\nx-twice: 2\r\n"
    async with rig(OK) as wire:
        await wire.ask(head + b"Authorization: Bearer sk-test\r\nX-Request-ID: mine\r\nContent-Length: 0\r\n\r\n")

    assert [
        ("Host", f"127.0.0.1:{wire.engine_port}"),
        ("X-Odd-CASE", "1"),
        ("accept", "b"),
        ("X-Twice", "1"),
        ("x-twice", "2"),
        ("Authorization", "Bearer sk-test"),
        ("X-Request-ID", "mine"),
        ("Content-Length", "0"),
    ] == wire.engine.received[0].headers


@wired
async def test_an_http_1_0_client_gets_an_answer_and_an_end() -> None:
    scripts = {"/ok": OK, "/bad": says(answer("502 Bad Gateway", "<html>", "text/html"))}
    async with rig(scripts) as wire:
        for path, status in (("/ok", 200), ("/bad", 502)):
            client = await wire.connect()
            await client.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            got = await client.answer()
            assert (status, True) == (got.status, got.clean)
            assert got.get("transfer-encoding") is None
            assert await client.closed(2)


@wired
async def test_pipelined_requests_are_answered_in_order() -> None:
    scripts = {
        "/slow": says(0.1, answer("200 OK", '{"n":1}')),
        "/bad": says(End.FIN),
        "/ok": says(answer("200 OK", '{"n":3}')),
    }
    async with rig(scripts) as wire:
        client = await wire.connect()
        await client.send(post("/slow") + post("/bad") + post("/ok"))
        first, second, third = [await client.answer() for _ in range(3)]

    assert (b'{"n":1}', b'{"n":3}') == (first.body, third.body)
    assert (502, "bad_gateway") == second.told


@wired
async def test_an_upgrade_to_h2c_is_not_offered_to_the_upstream() -> None:
    def choose(received: Received) -> Script:
        if received.get("upgrade"):
            return says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        return OK

    async with rig(choose) as wire:
        got = await wire.ask(
            post(connection="Upgrade, HTTP2-Settings", upgrade="h2c", http2_settings="AAMAAABkAAQCAAAAAAIAAAAA")
        )

    assert (200, b'{"ok":1}') == (got.status, got.body)
    assert [] == wire.engine.received[0].get("http2-settings")


# Bodies ---------------------------------------------------------------------------------------------------------------

CHUNKED_POST = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


@wired
async def test_a_chunked_request_arrives_whole_with_or_without_trailers() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        for trailers in (b"", b"x-checksum: abc\r\nx-more: d\r\n"):
            await client.send(CHUNKED_POST + b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n" + trailers + b"\r\n")
            assert 200 == (await client.answer()).status

    assert [b"abcdefg", b"abcdefg"] == [received.body for received in wire.engine.received]


@wired
async def test_expect_100_continue_is_answered_and_the_body_arrives() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        head, _, body = post(expect="100-continue").partition(b"\r\n\r\n")
        await client.send(head + b"\r\n\r\n")
        interim = await client.answer()
        await client.send(body)
        final = await client.answer()

    assert [100, 200] == [interim.status, final.status]
    assert [] == wire.engine.received[0].get("expect")
    assert body == wire.engine.received[0].body


@wired
async def test_expect_100_continue_for_a_body_over_the_limit_gets_the_413_instead() -> None:
    async with rig(OK, max_body="1k") as wire:
        client = await wire.connect()
        await client.send(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5000\r\n\r\n")
        assert (413, "payload_too_large") == (await client.answer()).told


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(body=b"x" * 5000), id="announced"),
        pytest.param(CHUNKED_POST + b"1000\r\n" + b"x" * 4096 + b"\r\n0\r\n\r\n", id="chunked"),
    ],
)
@wired
async def test_a_request_over_max_body_is_too_large(sent: bytes) -> None:
    async with rig(OK, max_body="2k") as wire:
        got = await wire.ask(sent.replace(b"\r\n", b"\r\nx-request-id: mine-1\r\n", 1))

    assert (413, "payload_too_large") == got.told
    assert "mine-1" == got.get("x-request-id")
    assert "false" == got.get("x-should-retry")
    assert [] == wire.engine.received


@wired
async def test_a_large_upload_over_max_body_ends_with_an_answer_that_can_be_read() -> None:
    async with rig(OK, max_body="2m") as wire:
        for sent in (post(body=b"x" * 8_000_000), CHUNKED_POST + b"7a1200\r\n" + b"x" * 8_000_000 + b"\r\n0\r\n\r\n"):
            client = await wire.connect()
            await upload(client, sent)
            assert (413, "payload_too_large") == (await client.answer()).told


async def upload(client: Client, data: bytes) -> None:
    """Send everything before reading anything, as a simple client does; the other side may close meanwhile."""
    for start in range(0, len(data), 65_536):
        try:
            await client.send(data[start : start + 65_536])
        except ConnectionError:
            return


@pytest.mark.parametrize("after", [[End.STALL], [0.3, End.FIN]])
@wired
async def test_an_early_413_reaches_a_client_that_is_still_uploading(after: list[Step]) -> None:
    page = answer("413 Request Entity Too Large", "<h1>413 Request Entity Too Large</h1>", "text/html")
    async with rig(says(page, *after, early=True)) as wire:
        client = await wire.connect()
        await upload(client, post(body=b"x" * 5_000_000))
        got = await client.answer()

    assert (413, "payload_too_large") == got.told
    assert "close" == got.get("connection")


@pytest.mark.parametrize("after", [End.FIN, End.RST])
@wired
async def test_an_upstream_that_resets_an_upload_gets_the_client_an_envelope_all_the_same(after: End) -> None:
    """A close with unread bytes is a reset on the wire, and a reset may overtake the 413 before it."""
    page = answer("413 Request Entity Too Large", "<h1>413 Request Entity Too Large</h1>", "text/html")
    async with rig(says(page, after, early=True)) as wire:
        client = await wire.connect()
        await upload(client, post(body=b"x" * 5_000_000))
        assert (await client.answer()).told in {(413, "payload_too_large"), (502, "bad_gateway")}


@wired
async def test_an_early_413_does_not_wait_for_the_rest_of_the_upload() -> None:
    page = answer("413 Request Entity Too Large", "too big", "text/plain")
    async with rig(says(page, End.STALL, early=True)) as wire:
        client = await wire.connect()
        await client.send(post(body=b"x" * 5_000_000)[:2_000_000])
        got = await client.answer()

    assert (413, "payload_too_large") == got.told
    assert got.seconds < 2


@pytest.mark.parametrize("size", [100_000, 1024 * 1024, 1024 * 1024 + 1, 10_000_000])
@pytest.mark.parametrize("chunked", [False, True])
@wired
async def test_a_body_of_any_size_arrives_byte_for_byte(size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"!" * (size % 256)
    pieces = [body[start : start + 50_000] for start in range(0, size, 50_000)]
    async with rig(OK) as wire:
        if chunked:
            got = await wire.ask(CHUNKED_POST + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n")
        else:
            got = await wire.ask(post(body=body))

    assert 200 == got.status
    assert body == wire.engine.received[0].body


@wired
async def test_an_illegal_chunk_in_an_upload_under_way_is_refused_and_the_upstream_let_go() -> None:
    async with rig(OK) as wire:
        client = await wire.connect()
        await client.send(CHUNKED_POST + b"16e360\r\n" + b"x" * 1_500_000 + b"\r\n")
        await asyncio.sleep(0.05)
        assert 1 == wire.engine.connections
        await client.send(b"zz\r\nnonsense\r\n")
        got = await client.answer()
        await asyncio.sleep(0.05)
        assert 1 == wire.engine.gone

    assert (400, "malformed_request") == got.told


@wired
async def test_twenty_megabytes_are_uploaded_without_being_kept() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int((await reader.readuntil(b"\r\n\r\n")).partition(b"content-length: ")[2].split(b"\r\n")[0])
        while length > 0:
            length -= len(await reader.read(65_536))
        writer.write(answer("200 OK", "{}"))

    async with listening(swallow) as port, rig(upstream=f"http://127.0.0.1:{port}") as wire:
        client = await wire.connect()
        head, block = post(body=b"").replace(b"content-length: 0", b"content-length: 20000000"), b"x" * 100_000
        with memory_below(6_000_000):
            await client.send(head)
            for _ in range(200):
                await client.send(block)
            assert 200 == (await client.answer()).status


@wired
async def test_a_get_with_a_body_and_a_post_without_one_are_served() -> None:
    async with rig(OK) as wire:
        assert 200 == (await wire.ask(request("GET", "/v1/x", b"{}"))).status
        assert 200 == (await wire.ask(b"POST /v1/x HTTP/1.1\r\nhost: a\r\n\r\n")).status

    assert [b"{}", b""] == [received.body for received in wire.engine.received]


@wired
async def test_error_words_in_a_streamed_request_prove_nothing_either() -> None:
    """A request over 1 MiB is streamed; what was kept of it still counts for the echo check."""
    planted = "This model's maximum context length is 10 tokens"
    body = json.dumps({"messages": [{"role": "user", "content": planted}], "pad": "x" * 2_000_000}).encode()
    echo = answer("500 Internal Server Error", json.dumps({"error": {"message": f"cannot parse: {planted}"}}))
    async with rig(says(echo)) as wire:
        assert "context_length_exceeded" != (await wire.ask(post(body=body))).told[1]
