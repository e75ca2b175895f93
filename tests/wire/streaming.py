"""Streams that end in every way, and what the metrics say of them. Used by the tests of streams on sockets."""

from __future__ import annotations

from typing import Any

from postel import metrics
from postel.misbehave import End, Script, Step, answer
from postel.misbehave import chunk as framed
from tests.streams import DONE, ROLE, SSE, STOP, error_told, sse, word
from tests.wire.harness import Answer, head, post, says

CHAT = post()
OK = answer("200 OK", '{"ok":1}')
BEGUN = [ROLE, word('"The"'), word('" answer"')]
REST = [word('" is"'), STOP, DONE]
CHUNKED = head("200 OK", f"Content-Type: {SSE}", "Transfer-Encoding: chunked")
END = b"0\r\n\r\n"


def stream(*events: bytes, end: Step = END, opening: bytes = CHUNKED) -> Script:
    """An upstream that sends these events, each in a write of its own."""
    return says(opening, *map(framed, events), end)


def tail_of(got: Answer, *events: bytes) -> dict[str, Any]:
    """The one error event after `events`, as every client must find it."""
    sent = b"".join(events)
    assert (200, True) == (got.status, got.clean)
    assert got.body.startswith(sent)
    return error_told(got.body[len(sent) :], "chat")


def framing(name: str, body: bytes, content_type: str = SSE, *fields: str) -> list[Step]:
    typed = [f"Content-Type: {content_type}", *fields]
    half = len(body) // 2
    pieces: list[Step] = [body[:half], 0.01, body[half:]]
    chunks: list[Step] = [framed(body[:half]), framed(body[half:]), END]
    closing = head("200 OK", *typed, "Connection: close")
    framings: dict[str, list[Step]] = {
        "length": [head("200 OK", *typed, f"Content-Length: {len(body)}"), *pieces],
        "chunked": [head("200 OK", *typed, "Transfer-Encoding: chunked"), *chunks],
        "until closed": [closing, *pieces, End.FIN],
        "HTTP/1.0": [closing.replace(b"HTTP/1.1", b"HTTP/1.0"), *pieces, End.FIN],
    }
    return framings[name]


FRAMINGS = ["length", "chunked", "until closed", "HTTP/1.0"]


def ended(outcome: str) -> float:
    return float(metrics.STREAMS.labels(outcome)._value.get())


def told(fault: str, rule: str, status: str) -> float:
    return float(metrics.FAULTS.labels(fault, rule, status)._value.get())


def faults() -> float:
    return sum(
        sample.value for family in metrics.FAULTS.collect() for sample in family.samples if "total" in sample.name
    )


ERROR = sse('{"error":{"message":"CUDA error: device-side assert","type":"server_error","code":500}}')


def broken(*events: bytes) -> dict[str, list[Step]]:
    """Ways in which a stream fails after these events, none of which ends the upstream's connection properly."""
    raw = b"".join(events)
    sent = [CHUNKED, *map(framed, events)]
    return {
        "closed in chunks": [*sent, End.FIN],
        "reset": [*sent, 0.02, End.RST],
        "short of its length": [head("200 OK", f"Content-Type: {SSE}", "Content-Length: 9999"), raw, End.FIN],
        "closed early": [head("200 OK", f"Content-Type: {SSE}"), raw, End.FIN],
        "ended early": [*sent, END],
        "inside an event": [*sent, framed(word('"x"')[:30]), End.FIN],
        "illegal chunk": [*sent, b"zz\r\n", End.STALL],
        "silent": [*sent, End.STALL],
        "an error event": [*sent, framed(ERROR), End.STALL],
    }


def repairs(kind: str) -> float:
    return float(metrics.REPAIRS.labels(kind)._value.get())
