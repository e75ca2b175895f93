import gzip
from functools import cache

import pytest

from postel.core.evidence import BODY_LIMIT, End, Phase, Request
from postel.core.normalise import Normaliser
from postel.explain import CaptureError, capture, explain
from postel.run import normaliser
from postel.settings import load

CURL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 7\r\n\r\n"
BODY = b'{"detail":"queue is full"}'


def test_what_curl_prints_is_read_as_it_came() -> None:
    got = capture(CURL + BODY, Request())

    assert (Phase.RESPONSE, 503, "Service Unavailable", BODY) == (got.phase, got.status, got.reason, got.body)
    assert ("7", "application/json") == (got.headers.get("retry-after"), got.headers.content_type)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (CURL.replace(b"\r\n", b"\n") + BODY, 503),
        (b"HTTP/2 503 \nretry-after: 7\n\n" + BODY, 503),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + CURL + BODY, 503),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n" + CURL + BODY, 503),
        (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest\r\n\r\n" + CURL + BODY, 503),
        (b"HTTP/1.1 407 X\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + CURL + BODY, 503),
        (b"HTTP/1.1 103 Early Hints\n\n" + CURL.replace(b"\r\n", b"\n") + b"a\r\n\r\nb", 503),
        (b"HTTP/1.1 503\r\n\r\n", 503),
        (b"HTTP/1.1 503 X\r\nA: b", 503),
    ],
)
def test_other_spellings_of_a_capture_are_read_too(raw: bytes, status: int) -> None:
    assert status == capture(raw, Request()).status


@pytest.mark.parametrize("body", [b"HTTP/1.1 is not supported by the backend", b"HTTP/1.1 200 OK\r\n\r\nfine"])
def test_after_a_final_head_comes_a_body_however_it_begins(body: bytes) -> None:
    got = capture(b"HTTP/1.1 500 X\r\n\r\n" + body, Request())

    assert (500, body) == (got.status, got.body)


def test_a_redirect_may_have_a_body_that_is_no_further_head() -> None:
    got = capture(b"HTTP/1.1 302 Found\r\n\r\nHTTP/1.1 is too old", Request())

    assert (302, b"HTTP/1.1 is too old") == (got.status, got.body)


def test_a_body_alone_may_begin_like_a_head() -> None:
    body = b"HTTP/1.1 is not supported by the backend"

    assert (500, body) == ((got := capture(body, Request(), 500)).status, got.body)


def test_a_compressed_capture_is_unpacked() -> None:
    raw = CURL.replace(b"Retry-After", b"Content-Encoding: gzip\r\nRetry-After") + gzip.compress(BODY)

    assert BODY == capture(raw, Request()).body


def test_a_body_alone_needs_a_status() -> None:
    assert (503, BODY) == ((got := capture(BODY, Request(), 503)).status, got.body)
    assert BODY_LIMIT == len(capture(b"x" * 100_000, Request(), 500).body)
    with pytest.raises(CaptureError, match="--status"):
        capture(BODY, Request())


@pytest.mark.parametrize("raw", [b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n"])
def test_a_head_without_a_status_is_refused(raw: bytes) -> None:
    with pytest.raises(CaptureError, match="no status line"):
        capture(raw, Request())


@cache
def judge() -> Normaliser:
    return normaliser(load({"upstream": "http://localhost:1"}, {}))[0]


def lines(raw: bytes) -> list[str]:
    return list(explain(judge(), capture(raw, Request()), now=0.0))


def test_an_explanation_says_what_was_read_what_was_asked_and_what_is_told() -> None:
    text = "\n".join(lines(CURL + BODY))

    assert "503 application/json, 26 bytes" in text
    assert "queue is full" in text
    assert "reply      503" in text
    assert "retry-after: 7" in text
    assert '{"error":{' in text


def asked(told: list[str]) -> list[str]:
    """The lines between what was read and what is told."""
    inner = told[told.index("") + 1 :]
    return inner[: inner.index("")]


def test_the_winner_is_shown_with_what_it_asked_for_and_found() -> None:
    told = lines(CURL + BODY)
    (fault,) = [line for line in told if line.startswith("fault ")]
    (winner,) = [line for line in told if line.startswith("> ")]

    assert f"(rule {winner.split()[1]})" in fault
    held = asked(told)[asked(told).index(winner) + 1 :]
    assert "    status is 503" in held
    assert any(line.startswith("    message has [") for line in held)


def test_rules_that_came_near_are_shown_with_the_reason_why_not_and_the_others_are_counted() -> None:
    near = asked(lines(b'HTTP/1.1 503 X\r\nServer: nginx\r\n\r\n{"error":{"type":"server_error","message":"?!"}}'))
    reasons = [line for line in near if line.startswith("  ") and not line.startswith(("   ", "  ("))]

    assert 0 < len(reasons) <= 8
    assert [] == [line for line in reasons if len(line.split(None, 1)) < 2]
    assert any("more were asked and have nothing in common with it)" in line for line in near)


def test_all_rules_that_were_asked_are_shown_on_demand() -> None:
    told = list(explain(judge(), capture(CURL + BODY, Request()), now=0.0, everything=True))

    assert len(asked(told)) > len(asked(lines(CURL + BODY)))
    assert not any("nothing in common" in line for line in told)


def test_nothing_an_upstream_sends_steers_the_terminal() -> None:
    steering = "\x1b[31m red \x1b]0;title\x07 \x9b2J \x7f \u202e \r\n next"
    head = b"HTTP/1.1 500 \x1b[2J\r\nContent-Type: text/\x1b[0m\r\n\r\n"
    told = lines(head + steering.encode())

    assert [] == [line for line in told if not line.isprintable()]
    assert r"\u001b[31m red \u001b]0;title\u0007 \u009b2J \u007f \u202e" in "\n".join(told)


def test_a_healthy_answer_is_explained_as_one_that_passes() -> None:
    assert "none" in lines(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"choices":[]}')[-1]


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
HEL = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def told_of(body: bytes, end: End = End.CLOSED) -> list[str]:
    return list(explain(judge(), capture(STREAM + body, Request()), now=0, end=end))


def test_a_captured_stream_goes_through_the_guard() -> None:
    lines = told_of(HEL + b'data: {"error":{"message":"CUDA out of memory"}}\n\n')

    assert f"upstream   200 text/event-stream, {len(HEL) + 50} bytes, then closed" == lines[0]
    assert "delivered  1 events" == lines[1]
    assert 'judged     phase event: data: {"error":{"message":"CUDA out of memory"}}' == lines[2]
    assert any(line.startswith("> messages-breakdown-memory") for line in lines)
    assert "fault      out_of_memory (rule messages-breakdown-memory)" in lines
    assert lines[-1].startswith('  data: {"error":{"message":"CUDA out of memory (1 event delivered, request id ')


def test_a_complete_stream_passes_whatever_its_end() -> None:
    for end in (End.CLOSED, End.BROKEN, End.STALLED):
        assert "reply      none: the stream is complete, and passes as it is" == told_of(HEL + STOP, end)[-1]


def test_what_was_mended_in_a_stream_is_said() -> None:
    lines = told_of(HEL + b"data:\n\ndata:\n\n" + STOP)

    assert ["mended     empty_data, 2 times", "reply      none: the stream is complete"] == lines[2:]


@pytest.mark.parametrize(("end", "fault"), [(End.CLOSED, "stream_interrupted"), (End.STALLED, "stream_stalled")])
def test_how_a_captured_stream_ended_is_for_the_user_to_say(end: End, fault: str) -> None:
    lines = told_of(HEL, end)

    assert "judged     phase end: (no bytes)" in lines
    assert f"fault      {fault} (rule none)" in lines


def test_a_stream_that_failed_before_any_output_is_a_whole_answer() -> None:
    lines = told_of(b'data: {"error":{"message":"Model is overloaded"}}\n\n')

    assert "reply      503" in lines
    assert "  content-type: application/json" in lines


def test_all_of_a_captured_stream_is_read() -> None:
    assert "delivered  1501 events" in told_of(HEL * 1500 + STOP)
