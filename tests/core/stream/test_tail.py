"""The very bytes of the one error event, protocol by protocol.

Each key is where it is for a client that breaks otherwise: the first key of a chat error, the missing `event:` line,
the flat fields beside the nested ones of Responses. The bytes are those that a guard sends: no client gets others.
"""

from __future__ import annotations

import json

import pytest

from postel.core.evidence import End, Evidence
from postel.core.render import Reply
from postel.core.rules import Verdict
from postel.core.stream.guard import Stage
from postel.core.stream.policy import StreamPolicy
from postel.core.subject import Subject
from tests.core.stream.playing import Judge, Play, library
from tests.streams import (
    CHATTING,
    COMPLETIONS,
    JSON_LINES,
    MESSAGES,
    OLLAMA,
    REQUEST_ID,
    RESPONSES,
    TGI,
    Stream,
    client_sees,
    sse,
)

WORDS = 'Gone: \u00e9\u4e16 "it" said\\so.'


def always(fault: str, words: str = "It broke.", param: str | None = None, *, provenance: bool = False) -> Judge:
    """A judge who says this of everything it is asked."""

    def judge(evidence: Evidence) -> Reply | None:
        verdict = Verdict(fault=fault, rule="made-up", message=words, param=param, retry_after=None, details={})
        return library(provenance=provenance).tell(
            Subject(evidence), verdict, request_id=REQUEST_ID, now=0.0, jitter=0.0
        )

    return judge


def tail(stream: Stream, count: int, judge: Judge, *, path: str | None = None) -> bytes:
    """What is sent when a stream breaks after so many of its events; the head is out in any case."""
    made = Play(path=path or stream.path, lines=stream.lines, judge=judge, policy=StreamPolicy(hold_time=0.5))
    begun = b"".join(stream.events[:count])
    made.receive(begun)
    made.wait(1)
    made.end(End.BROKEN)
    assert Stage.ENDED is made.stage
    assert begun == made.sent[: len(begun)]
    return made.sent[len(begun) :]


TOLD = "It broke. (3 events delivered, request id req-7f)"
BROKEN = f'"message":"{TOLD}","type":"server_error","param":null,"code":"stream_interrupted"'


@pytest.mark.parametrize(
    ("stream", "sent"),
    [
        (CHATTING, f'data: {{"error":{{{BROKEN}}}}}\n\n'),
        (COMPLETIONS, f'data: {{"error":{{{BROKEN}}}}}\n\n'),
        (TGI, f'data: {{"error":{{{BROKEN}}}}}\n\n'),
        (
            RESPONSES,
            (
                f'event: error\ndata: {{"error":{{{BROKEN}}},"type":"error","sequence_number":3,'
                f'"code":"stream_interrupted","message":"{TOLD}","param":null}}\n\n'
            ),
        ),
        (
            MESSAGES,
            (
                f'event: error\ndata: {{"type":"error","error":{{"type":"api_error","message":"{TOLD}","param":null,'
                '"code":"stream_interrupted"},"request_id":"req-7f"}\n\n'
            ),
        ),
        (JSON_LINES, f'{{"error":{{{BROKEN}}}}}\n'),
        (OLLAMA, f'{{"error":"{TOLD}"}}\n'),
    ],
    ids=str,
)
def test_each_protocol_has_its_one_form(stream: Stream, sent: str) -> None:
    assert sent.encode() == tail(stream, 3, always("stream_interrupted"))


@pytest.mark.parametrize(
    ("path", "lines", "begins"),
    [
        ("/v1/chat/completions", False, b'data: {"error":{"message":'),
        ("/v1/completions", False, b'data: {"error":{"message":'),
        ("/generate_stream", False, b'data: {"error":{"message":'),
        ("/v1/responses", False, b'event: error\ndata: {"error":{"message":'),
        ("/openai/v1/responses", False, b'event: error\ndata: {"error":{"message":'),
        ("/v1/messages", False, b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":'),
        ("/anthropic/v1/messages", False, b'event: error\ndata: {"type":"error","error":{"type":"api_error",'),
        ("/predict", True, b'{"error":{"message":'),
        ("/api/generate", True, b'{"error":"It broke. (no events delivered, request id req-7f)"}\n'),
    ],
)
def test_where_no_event_was_seen_the_path_says_the_form(path: str, lines: bool, begins: bytes) -> None:
    stream = OLLAMA if lines else CHATTING

    assert begins == tail(stream, 0, always("stream_interrupted"), path=path)[: len(begins)]


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        (CHATTING, "/v1/responses"),
        (CHATTING, "/v1/messages"),
        (RESPONSES, "/v1/chat/completions"),
        (RESPONSES, "/odd"),
        (MESSAGES, "/v1/chat/completions"),
        (MESSAGES, "/v1/responses"),
    ],
)
def test_what_is_on_the_wire_counts_more_than_the_path(stream: Stream, path: str) -> None:
    judge = always("stream_interrupted")

    assert tail(stream, 3, judge) == tail(stream, 3, judge, path=path)


@pytest.mark.parametrize(
    ("count", "says"),
    [(0, "no events delivered"), (1, "1 event delivered"), (2, "2 events delivered"), (4, "4 events delivered")],
)
def test_the_message_says_what_came_before_and_where_to_ask(count: int, says: str) -> None:
    (event,) = client_sees(tail(CHATTING, count, always("internal", "It broke.")))

    assert f"It broke. ({says}, request id {REQUEST_ID})" == event.json["error"]["message"]


def test_comments_are_no_delivered_events() -> None:
    made = Play(judge=always("internal"))
    made.receive(b": x\n\n" * 3 + CHATTING.events[1] + b": x\n\n")
    made.end(End.BROKEN)

    assert b"(1 event delivered, request id req-7f)" in made.sent


def test_a_real_status_has_just_the_words() -> None:
    made = Play(judge=always("stream_interrupted", WORDS))
    made.receive(CHATTING.events[0])
    made.end(End.BROKEN)

    assert Stage.REFUSED is made.stage
    assert WORDS == made.reply.message
    assert WORDS == json.loads(made.reply.body)["error"]["message"]
    assert ("content-type", "application/json") in made.reply.headers


@pytest.mark.parametrize("stream", [CHATTING, RESPONSES, MESSAGES, JSON_LINES, OLLAMA], ids=str)
def test_any_words_stand_on_one_line_as_they_are(stream: Stream) -> None:
    sent = tail(stream, 3, always("internal", WORDS + "\r\nnext\u2028line\x85"))

    last = client_sees(sent, lines=stream.lines)[-1]
    error = last.json["error"]
    message = error if isinstance(error, str) else error["message"]
    assert message.startswith(WORDS)
    assert "Gone: \u00e9\u4e16".encode() in sent
    assert [] == [
        line for line in sent.decode().split("\n") if line and not line.startswith(("data: {", "event: ", "{"))
    ]


@pytest.mark.parametrize("stream", [CHATTING, RESPONSES, MESSAGES, JSON_LINES, OLLAMA], ids=str)
def test_an_overflow_is_told_in_the_words_that_clients_look_for_inside_a_stream(stream: Stream) -> None:
    (event,) = client_sees(tail(stream, 3, always("context_length_exceeded", "Too long.")), lines=stream.lines)

    error = event.json["error"]
    assert (
        "Too long. This model's maximum context length is smaller than this input."
        " The input exceeds the context window. (3 events delivered, request id req-7f)"
    ) == (error if stream is OLLAMA else error["message"])


@pytest.mark.parametrize("fault", ["context_length_exceeded", "invalid_parameter"])
@pytest.mark.parametrize("stream", [CHATTING, RESPONSES, MESSAGES], ids=str)
def test_param_and_code_are_told_where_there_are_any(stream: Stream, fault: str) -> None:
    (event,) = client_sees(tail(stream, 3, always(fault, param="messages")))

    assert ("messages", fault) == (event.json["error"]["param"], event.json["error"]["code"])
    if stream is RESPONSES:
        assert ("messages", fault) == (event.json["param"], event.json["code"])


@pytest.mark.parametrize("stream", [CHATTING, TGI, RESPONSES, MESSAGES, JSON_LINES], ids=str)
def test_fault_and_rule_are_told_only_with_provenance(stream: Stream) -> None:
    (plain,) = client_sees(tail(stream, 3, always("internal")), lines=stream.lines)
    (told,) = client_sees(tail(stream, 3, always("internal", provenance=True)), lines=stream.lines)

    assert {"fault": "internal", "rule": "made-up"} == {
        key: value for key, value in told.json["error"].items() if key not in plain.json["error"]
    }
    assert ["fault", "rule"] == list(told.json["error"])[-2:]
    assert list(plain.json) == list(told.json)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("malformed_request", "invalid_request_error"),
        ("invalid_parameter", "invalid_request_error"),
        ("authentication_failed", "authentication_error"),
        ("payment_required", "billing_error"),
        ("permission_denied", "permission_error"),
        ("model_not_found", "not_found_error"),
        ("method_not_allowed", "invalid_request_error"),
        ("payload_too_large", "request_too_large"),
        ("conflict", "conflict_error"),
        ("rate_limited", "rate_limit_error"),
        ("quota_exhausted", "rate_limit_error"),
        ("internal", "api_error"),
        ("not_implemented", "api_error"),
        ("bad_gateway", "api_error"),
        ("overloaded", "overloaded_error"),
        ("unavailable", "overloaded_error"),
        ("timeout", "timeout_error"),
        ("stream_stalled", "timeout_error"),
    ],
)
def test_messages_have_the_words_of_anthropic(fault: str, word: str) -> None:
    (event,) = client_sees(tail(MESSAGES, 3, always(fault)))

    assert word == event.json["error"]["type"]


@pytest.mark.parametrize(
    ("numbers", "next_one"),
    [((), 0), ((0,), 1), ((0, 1, 7), 8), ((5, 2), 3), ((0, None), 1), (("3",), 0)],
)
def test_the_sequence_goes_on_where_it_stopped(numbers: tuple[object, ...], next_one: int) -> None:
    made = Play(path="/v1/responses", judge=always("internal"))
    for number in numbers or (None,):
        count = {} if number is None else {"sequence_number": number}
        made.receive(sse(json.dumps({"type": "response.output_text.delta", "delta": "a"} | count)))
    made.end(End.BROKEN)

    assert next_one == client_sees(made.sent)[-1].json["sequence_number"]


def test_done_follows_only_where_the_policy_says_so() -> None:
    made = Play(judge=always("internal"), policy=StreamPolicy(done_after_error=True))
    made.receive(CHATTING.events[1])
    made.end(End.BROKEN)

    assert made.sent.endswith(b'"code":"internal_error"}}\n\ndata: [DONE]\n\n')
