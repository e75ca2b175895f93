"""Any bytes from either side, on real sockets: an HTTP answer, and nothing of ours crashes.

That any evidence has a valid reply is held without sockets, in tests/core/test_normalise.py.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postel.misbehave import SCRIPTS, End, answer, chunk
from tests.wire.harness import Answer, NoAnswer, head, post, rig, run, says

SOME = settings(max_examples=max(120, settings().max_examples // 5), suppress_health_check=[HealthCheck.too_slow])

BEGINNINGS = [
    *(script.steps[0] for script in SCRIPTS.values() if isinstance(script.steps[0], bytes)),
    answer("200 OK", '{"error":{"message":"no"}}'),
    answer("429 Too Many Requests", "slow down", "text/plain", "Retry-After: 5"),
    head("200 OK", "Transfer-Encoding: chunked") + chunk("{}") + b"0\r\n\r\n",
    head("100 Continue") + answer("500 Internal Server Error", ""),
    head("200 OK", "Content-Type: text/event-stream") + b"data: {}\n\n",
]
PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(BEGINNINGS),
    st.sampled_from(
        [b"\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 ", b"Content-Length: 5\r\n", b"0\r\n\r\n", b": \r\n"]
    ),
    st.sampled_from(
        [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 99999\r\n", b"HTTP/1.0 503 \r\n", b"X: y\r\n", b"zz\r\n"]
    ),
    st.builds(lambda whole, cut: whole[:cut], st.sampled_from(BEGINNINGS), st.integers(0, 300)),
)
BYTES = st.lists(PIECES, max_size=5).map(b"".join)


async def through(sent: bytes, end: End) -> Answer:
    async with rig(says(sent, end), first_byte_timeout=2, idle_timeout=2) as wire:
        return await wire.ask(post(x_request_id="mine"))


@SOME
@given(BYTES, st.sampled_from([End.FIN, End.RST]))
def test_whatever_an_upstream_sends_the_client_gets_an_http_answer_with_its_id(sent: bytes, end: End) -> None:
    got = run(through(sent, end))

    assert "mine" == got.get("x-request-id")
    assert 200 <= got.status < 600
    if got.status >= 400:
        assert got.error
    assert got.seconds < 1.5


REQUESTS = st.one_of(
    BYTES,
    st.lists(
        st.sampled_from(
            [
                post(),
                post()[:40],
                b"GET / HTTP/1.1\r\n",
                b"host: a\r\n",
                b"\r\n",
                b"0\r\n\r\n",
                b"PUT /x HTTP/1.0\r\n",
                b"transfer-encoding: chunked\r\n",
                b"content-length: 3\r\n",
                b"expect: 100-continue\r\n",
                b"upgrade: h2c\r\n",
                b"connection: close\r\n",
                b"5\r\nabcde\r\n",
                b"CONNECT a:1 HTTP/1.1\r\n",
                b"OPTIONS * HTTP/1.1\r\n",
                b"\x16\x03\x01",
            ]
        ),
        max_size=6,
    ).map(b"".join),
)


async def between(sent: bytes) -> None:
    """Send these bytes, then a blank line; the rig fails if anything crashes. Afterwards the proxy still serves."""
    async with rig(says(answer("200 OK", "{}")), first_byte_timeout=2) as wire:
        client = await wire.connect()
        await client.send(sent + b"\r\n\r\n")
        try:
            async with asyncio.timeout(0.02):
                await client.answer()
        except (NoAnswer, TimeoutError):
            pass  # an unfinished request is waited for
        client.writer.close()
        assert 200 == (await wire.ask(post())).status


@SOME
@given(REQUESTS)
def test_whatever_a_client_sends_nothing_crashes_and_the_next_one_is_served(sent: bytes) -> None:
    run(between(sent))


@pytest.mark.parametrize("cut", range(0, 140, 7))
def test_an_answer_cut_anywhere_is_an_envelope(cut: int) -> None:
    whole = answer("200 OK", '{"object":"chat.completion","choices":[]}')

    assert 502 == run(through(whole[: min(cut, len(whole) - 1)], End.FIN)).status
