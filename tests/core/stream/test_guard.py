"""The guard event by event: what is held, what completes, what fails, what is mended, and when time is up.

`tests/test_sweep.py` cuts whole streams everywhere; here each sentence of the contract has its transcript.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import pytest

from postel.core.evidence import End, Evidence, Phase
from postel.core.render import Reply
from postel.core.rules import Verdict
from postel.core.stream.guard import Stage
from postel.core.stream.policy import StreamPolicy
from postel.core.subject import Subject
from tests.core.stream.playing import Play, judged, library, play, settled
from tests.streams import (
    CHATTING,
    DONE,
    MESSAGES,
    OLLAMA,
    REQUEST_ID,
    RESPONSES,
    ROLE,
    STOP,
    STREAMS,
    USAGE,
    Stream,
    chunk,
    client_sees,
    error_told,
    sse,
    word,
)

HI = word('"Hi"')
OTHER = "/generate"
"""A path that no OpenAI API has."""
FOREVER = StreamPolicy(hold_time=1e6, first_output_timeout=1e6)


Faults = Mapping[bytes, str | None]


class Scripted:
    """Rules made up here: the first text that stands in the body decides; what nobody knows is as in the library."""

    def __init__(self, faults: Faults | None = None, ends: Faults | None = None) -> None:
        self.faults = faults or {}
        self.ends = ends or {}
        self.asked: list[Evidence] = []

    def __call__(self, evidence: Evidence) -> Reply | None:
        self.asked.append(evidence)
        faults = self.ends if evidence.phase is Phase.END else self.faults
        for text, fault in faults.items():
            if text in evidence.body:
                if fault is None:
                    return None
                verdict = Verdict(fault=fault, rule="scripted", message=None, param=None, retry_after=None, details={})
                return library().tell(Subject(evidence), verdict, request_id=REQUEST_ID, now=0.0, jitter=0.0)
        return judged(evidence)


def after(play_: Play, before: bytes, form: str = "chat") -> dict[str, object]:
    """The one error that was told after these bytes."""
    assert before == play_.sent[: len(before)]
    settled(play_)
    assert Stage.ENDED is play_.stage
    return error_told(play_.sent[len(before) :], form)


def healthy(data: bytes, path: str = "/v1/chat/completions", *, lines: bool = False, how: End = End.CLOSED) -> None:
    """Whatever the pieces, these bytes pass as they are."""
    for size in (None, 1, 5):
        made = Play(path=path, lines=lines)
        made.receive(data, size)
        made.end(how)
        assert data == made.sent
        assert (Stage.ENDED, None) == (made.stage, made.guard.reply)
        assert not made.guard.repaired
        settled(made)


# What is held ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "opening",
    [
        ROLE,
        chunk('{"role":"assistant"}'),
        chunk('{"role":"assistant","content":null,"tool_calls":null,"refusal":null}'),
        chunk("{}"),
        chunk('{"content":""}', '""'),
        sse('{"id":"","object":"","created":0,"choices":[],"prompt_filter_results":[{"prompt_index":0}]}'),
        sse('{"id":"c","choices":[{"index":0,"text":"","finish_reason":null}]}'),
        USAGE,
        b": ping\n\n",
        b"\n\n",
        b"id: 1\nretry: 300\n\n",
        *(sse(f'{{"type":"response.{kind}","response":{{}}}}') for kind in ("created", "in_progress", "queued")),
        *MESSAGES.events[:2],
    ],
)
def test_an_event_without_output_is_held_and_leaves_with_the_first_that_has_some(opening: bytes) -> None:
    made = Play()
    assert b"" == made.receive(opening * 3)
    assert (Stage.HELD, False, 0) == (made.stage, made.guard.opened, made.guard.delivered)
    assert made.guard.held >= len(opening)

    assert opening * 3 + HI == made.receive(HI)
    assert (Stage.OPEN, True, 0) == (made.stage, made.guard.opened, made.guard.held)
    assert len(client_sees(opening * 3)) + 1 == made.guard.delivered


@pytest.mark.parametrize(
    "output",
    [
        HI,
        STOP,
        chunk('{"role":"assistant","content":"H"}'),
        chunk('{"content":" "}'),
        chunk('{"reasoning_content":"Let me"}'),
        chunk('{"reasoning":"Let me"}'),
        chunk('{"refusal":"No"}'),
        chunk('{"tool_calls":[{"index":0}]}'),
        chunk('{"function_call":{"name":"f"}}'),
        chunk('{"audio":{"id":"a"}}'),
        sse('{"choices":[{"index":0,"text":"a"}]}'),
        sse('{"choices":[{"index":0,"message":{"content":"a"}}]}'),
        sse('{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"b"}}]}'),
        *RESPONSES.events[2:4],
        *MESSAGES.events[2:5],
        sse('{"type":"response.reasoning_summary_text.delta","delta":"a"}'),
        sse('{"text":"","index":0}'),
        sse("{}"),
    ],
)
def test_output_opens_the_answer_at_once(output: bytes) -> None:
    made = Play()

    assert b"" == made.receive(output[:-1])
    assert output == made.receive(output[-1:])
    assert Stage.OPEN is made.stage


@pytest.mark.parametrize("last", [HI, b"data: {", b": comment\n", b""])
def test_after_hold_time_the_head_and_the_opening_go_as_they_are(last: bytes) -> None:
    made = Play()
    made.receive(ROLE)
    assert b"" == made.wait(29.9)
    assert ROLE == made.wait(0.2)
    assert Stage.OPEN is made.stage
    assert made.receive(last) in (last, b"")


def test_without_a_byte_the_head_alone_goes_after_hold_time() -> None:
    made = Play(policy=StreamPolicy(hold_time=5))

    assert b"" == made.wait(4.9)
    assert Stage.HELD is made.stage
    assert b"" == made.wait(0.2)
    assert (Stage.OPEN, True) == (made.stage, made.guard.opened)


def test_hold_time_counts_from_the_head_and_no_byte_prolongs_it() -> None:
    made = Play(now=50.0)
    for _ in range(29):
        made.wait(1)
        assert b"" == made.receive(b": ping\n\n")
    assert Stage.HELD is made.stage
    assert b": ping\n\n" * 29 == made.wait(1)


def test_an_opening_over_hold_bytes_goes_in_order_and_the_rest_passes() -> None:
    made = Play(policy=StreamPolicy(hold_bytes=400))
    assert b"" == made.receive(ROLE + ROLE)
    made.receive(ROLE)
    made.receive(USAGE)
    assert Stage.OPEN is made.stage
    assert ROLE * 3 + USAGE == made.sent
    assert 0 == made.guard.held


@pytest.mark.parametrize("sent", [b": x\n\n" * 15_000, ROLE * 600])
def test_never_more_is_held_than_the_policy_says(sent: bytes) -> None:
    made = Play()
    for start in range(0, len(sent), 1000):
        made.receive(sent[start : start + 1000])
        assert made.guard.held <= 64 * 1024 + 1000
    assert Stage.OPEN is made.stage
    assert len(sent) - len(made.sent) < 1000


def test_released_it_holds_nothing_any_more() -> None:
    made = Play()
    made.receive(ROLE + HI[:20])
    assert ROLE + HI[:20] == made.release()
    assert (Stage.OPEN, 0) == (made.stage, made.guard.held)
    assert HI[20:] + HI + STOP + DONE == made.receive(HI[20:] + HI + STOP + DONE)
    made.end()
    assert (Stage.ENDED, None) == (made.stage, made.guard.reply)


def test_released_between_events_it_can_still_tell_an_error() -> None:
    made = Play()
    made.receive(ROLE)
    assert ROLE == made.release()
    made.end(End.BROKEN)

    assert "stream_interrupted" == after(made, ROLE)["code"]


def test_released_inside_an_event_it_cannot_tell_that_this_event_broke() -> None:
    made = Play()
    made.receive(ROLE + HI[:20])
    made.release()
    made.end(End.BROKEN)

    assert (Stage.UNFINISHED, ROLE + HI[:20]) == (made.stage, made.sent)
    settled(made)


# What completes -------------------------------------------------------------------------------------------------------

GENERATED = b'data:{"token":{"text":"."},"generated_text":"a.","details":null}\n\n'


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/chat/completions", HI + STOP),
        ("/v1/chat/completions", HI + chunk("{}", '"content_filter"')),
        ("/v1/chat/completions", HI + chunk('{"content":"."}', '"length"')),
        ("/v1/chat/completions", HI + chunk("{}", '"made_up"')),
        ("/v1/chat/completions", HI + STOP + USAGE),
        ("/v1/chat/completions", HI + word('"Ho"', 1) + STOP + chunk("{}", '"stop"', 1)),
        ("/odd", HI + STOP),
        ("/v1/completions", sse('{"choices":[{"text":"a","finish_reason":"stop"}]}')),
        ("/v1/responses", RESPONSES.events[3] + sse('{"type":"response.incomplete","response":{}}')),
        ("/v1/responses", RESPONSES.events[3] + sse('{"type":"response.cancelled","response":{}}')),
        ("/odd", b"".join(RESPONSES.events)),
        ("/odd", b"".join(MESSAGES.events)),
        ("/generate_stream", GENERATED),
        ("/generate", sse('{"text":"a","meta_info":{"id":"1","finish_reason":{"type":"stop","matched":2}}}')),
        ("/completion", sse('{"index":0,"content":"","tokens":[],"stop":true,"stop_type":"eos"}')),
        (
            "/v1beta/models/g:streamGenerateContent",
            sse('{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","index":0}]}'),
        ),
        (
            "/api/v1/services/aigc/text-generation/generation",
            sse('{"output":{"finish_reason":"stop","text":"a"},"request_id":"1"}'),
        ),
        (OTHER, sse('{"text":"a"}') + DONE),
        (OTHER, sse("words") + DONE),
    ],
)
def test_once_complete_nothing_that_happens_is_an_error(path: str, sent: bytes) -> None:
    for how in (End.CLOSED, End.BROKEN, End.STALLED):
        for cut in (b"", b"data: {", b": x\n", b"data: ["):
            made = Play(path=path)
            made.receive(sent + cut)
            made.until_ended() if how is End.STALLED else made.end(how)
            assert (Stage.ENDED, None) == (made.stage, made.guard.reply)
            assert made.sent in (sent, sent + cut if cut == b": x\n" else sent)
            settled(made)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/chat/completions", HI),
        ("/v1/chat/completions", HI + USAGE),
        ("/v1/chat/completions", HI + chunk("{}", '""')),
        ("/v1/chat/completions", HI + word('"Ho"', 1) + STOP),
        ("/v1/responses", RESPONSES.events[3] + sse('{"type":"response.output_item.done","item":{}}')),
        ("/v1/messages", b"".join(MESSAGES.events[:-1])),
        ("/odd", HI),
        ("/odd", RESPONSES.events[3]),
        ("/odd", MESSAGES.events[3]),
    ],
)
def test_a_clean_end_without_a_mark_is_an_interruption(path: str, sent: bytes) -> None:
    for extra in (b"", DONE, DONE + DONE, b"data: [DONE]"):
        made = Play(path=path)
        made.receive(sent + extra)
        made.end()
        form = "responses" if b"response." in sent else "chat"
        error = after(made, sent, "messages" if b"content_block" in sent else form)
        assert "stream_interrupted" == error["code"]
        assert b"[DONE]" not in made.sent


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/deployments/d/completions"])
def test_done_is_no_completion_on_an_openai_path_whatever_came_before(path: str) -> None:
    event = sse('{"text":"a"}')
    made = Play(path=path)
    made.receive(event + DONE)
    made.end()

    assert "stream_interrupted" == after(made, event)["code"]
    assert b"[DONE]" not in made.sent


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_done_alone_is_a_status_on_an_openai_path(path: str) -> None:
    made = Play(path=path)
    made.receive(DONE)
    made.end()

    assert (Stage.REFUSED, 502, "stream_interrupted") == (made.stage, made.reply.status, made.reply.fault)


@pytest.mark.parametrize("sent", [b"", b": ping\n\n", b"\n\n", DONE])
@pytest.mark.parametrize("path", ["/v1/chat/completions", OTHER])
def test_a_stream_without_an_event_is_a_status(path: str, sent: bytes) -> None:
    for how in (End.CLOSED, End.BROKEN):
        made = Play(path=path)
        made.receive(sent)
        made.end(how)
        assert (Stage.REFUSED, 502, "stream_interrupted") == (made.stage, made.reply.status, made.reply.fault)
        settled(made)


@pytest.mark.parametrize(
    "unfinished",
    [
        sse('{"text":"a","meta_info":{"id":"1","finish_reason":null}}'),
        sse('{"index":0,"content":"a","stop":false}'),
        sse('{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0}]}'),
        sse('{"output":{"finish_reason":"null","text":"a"}}'),
        GENERATED.replace(b'"a."', b"null"),
    ],
)
def test_without_its_native_mark_a_cut_stream_is_an_error_and_a_clean_end_is_not(unfinished: bytes) -> None:
    healthy(unfinished, OTHER)
    made = Play(path=OTHER)
    made.receive(unfinished)
    made.end(End.BROKEN)

    assert "stream_interrupted" == after(made, unfinished)["code"]


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_generation_that_was_given_up_is_an_error(reason: str) -> None:
    for before in (b"", ROLE, ROLE + HI):
        given_up = chunk("{}", f'"{reason}"')
        judge = Scripted()
        made = Play(judge=judge)
        made.receive(before + given_up + DONE)
        made.end()
        settled(made)

        assert 500 <= made.reply.status
        assert [reason] == [asked.finish_reason for asked in judge.asked if asked.phase is Phase.END]
        assert (Stage.ENDED if HI in before else Stage.REFUSED) is made.stage
        if HI in before:
            assert before == made.sent[: len(before)]
            assert error_told(made.sent[len(before) :].removeprefix(given_up), "chat")


# After the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk", [DONE, b": bye\n\n", b"\n\n\n", sse("{}"), USAGE, sse('{"x_timing":{"ms":5}}'), b"event: close\n\n"]
)
def test_what_comes_after_done_passes_as_it_is(junk: bytes) -> None:
    healthy(HI + STOP + DONE + junk)
    healthy(HI + STOP + DONE + junk, how=End.BROKEN)


@pytest.mark.parametrize("done", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\n"])
def test_done_without_its_blank_line_passes_as_it_is(done: bytes) -> None:
    healthy(HI + STOP + done)


@pytest.mark.parametrize("terminator", [DONE, b": x\n\n" + DONE])
def test_five_seconds_after_the_terminator_the_body_ends(terminator: bytes) -> None:
    made = Play()
    made.receive(HI + STOP + terminator)
    assert Stage.OPEN is made.stage
    made.wait(4)
    assert b": bye\n\n" == made.receive(b": bye\n\n")
    assert 6.0 == made.until_ended()
    assert (Stage.ENDED, None) == (made.stage, made.guard.reply)
    settled(made)


@pytest.mark.parametrize("stream", [RESPONSES, MESSAGES, OLLAMA], ids=str)
def test_a_terminal_event_is_a_terminator_too(stream: Stream) -> None:
    made = Play(path=stream.path, lines=stream.lines)
    made.receive(stream.raw)
    assert 6.0 == made.until_ended()
    assert (Stage.ENDED, None, stream.raw) == (made.stage, made.guard.reply, made.sent)


def test_usage_may_come_well_after_the_finish_reason() -> None:
    made = Play()
    made.receive(HI + STOP)
    assert b"" == made.wait(60)
    assert USAGE + DONE == made.receive(USAGE + DONE)
    made.end(End.BROKEN)
    assert (Stage.ENDED, None) == (made.stage, made.guard.reply)


def test_without_done_silence_ends_a_complete_answer_in_time() -> None:
    made = Play()
    made.receive(HI + STOP)

    assert made.until_ended() <= 121
    assert (Stage.ENDED, None) == (made.stage, made.guard.reply)


# What fails -----------------------------------------------------------------------------------------------------------

REFUSAL = sse('{"error":{"message":"Too many requests, try again in 7s","type":"rate_limit_error","code":429}}')


def test_an_error_before_any_output_is_the_status_it_means() -> None:
    made = Play()
    made.receive(b": ping\n\n" + ROLE + REFUSAL + DONE)

    assert (Stage.REFUSED, 429, "rate_limited") == (made.stage, made.reply.status, made.reply.fault)
    assert ("retry-after", "7") in made.reply.headers
    settled(made)


def test_an_error_after_output_is_told_and_what_follows_is_not_sent() -> None:
    made = Play()
    made.receive(ROLE + HI + REFUSAL + HI + DONE)

    error = after(made, ROLE + HI)
    assert ("rate_limit_error", "rate_limit_exceeded") == (error["type"], error["code"])
    assert f"Too many requests, try again in 7s (2 events delivered, request id {REQUEST_ID})" == error["message"]


def test_an_error_that_comes_with_its_connection_lost_is_still_that_error() -> None:
    made = Play()
    made.receive(ROLE + HI + REFUSAL[:-1])
    made.end()

    assert "rate_limit_exceeded" == after(made, ROLE + HI)["code"]


def test_done_after_an_error_is_sent_only_where_the_policy_says_so() -> None:
    for path, form in ((CHATTING.path, "chat"), ("/v1/completions", "chat"), (OTHER, "chat")):
        made = Play(path=path, policy=StreamPolicy(done_after_error=True))
        made.receive(HI + REFUSAL + DONE)
        assert made.sent.endswith(b"}}\n\n" + DONE)
        made.sent = made.sent.removesuffix(DONE)
        assert after(made, HI, form)


@pytest.mark.parametrize("stream", [RESPONSES, MESSAGES, OLLAMA], ids=str)
def test_done_is_never_sent_after_an_error_where_no_client_knows_it(stream: Stream) -> None:
    begun = b"".join(stream.events[:4] if not stream.lines else stream.events[:2])
    made = play(stream, begun, End.BROKEN, policy=StreamPolicy(done_after_error=True))

    assert after(made, begun, stream.tail)


def test_a_failed_response_is_passed_on_and_followed_by_the_error() -> None:
    failed = sse(
        '{"type":"response.failed","sequence_number":7,"response":{"id":"resp_1","status":"failed","error":'
        '{"code":"server_error","message":"The model gave up."}}}',
        "response.failed",
    )
    begun = b"".join(RESPONSES.events[:4])
    made = Play(path="/v1/responses")
    made.receive(begun + failed)
    error = after(made, begun + failed, "responses")
    assert "The model gave up." in str(error["message"])
    assert 8 == client_sees(made.sent)[-1].json["sequence_number"]

    held = Play(path="/v1/responses")
    held.receive(b"".join(RESPONSES.events[:2]) + failed)
    assert (Stage.REFUSED, 500) == (held.stage, held.reply.status)


@pytest.mark.parametrize("value", [b"null", b"{}", b'""', b"false"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", OTHER])
def test_an_error_of_nothing_is_no_error(value: bytes, path: str) -> None:
    with_it = HI.replace(b'"id":', b'"error":%s,"id":' % value)
    healthy(with_it + HI + STOP.replace(b'"id":', b'"error": %s, "id":' % value) + DONE, path)


@pytest.mark.parametrize(
    "event",
    [
        sse('{"text":"hello","error_code":0}'),
        sse('{"reply":"a","base_resp":{"status_code":0,"status_msg":"success"}}'),
        sse('{"code":200,"message":"success","data":{"text":"a"}}'),
        sse('{"status":"ok","detail":null,"text":"a"}'),
        sse('{"token":{"text":" error"},"generated_text":null,"details":null}'),
    ],
)
def test_a_success_in_words_is_no_error(event: bytes) -> None:
    healthy(event * 2, OTHER)


TALK = [
    r"\"CUDA out of memory. Tried to allocate 2.00 GiB\"",
    r"{\"error\":{\"message\":\"Internal Server Error\",\"code\":500}}",
    r"data: {\"error\": \"no\"}\n\ndata: [DONE]\n\n",
    r"Traceback (most recent call last):\n  File \"x.py\", line 1",
    "<html><head><title>502 Bad Gateway</title></head></html>",
    "Rate limit exceeded. Please try again in 20s.",
    r"event: error\nerror: {\"code\": 500}",
]


@pytest.mark.parametrize("talk", TALK)
def test_an_answer_may_talk_about_errors(talk: str) -> None:
    healthy(ROLE + word(f'"{talk}"') + STOP + DONE)
    healthy(chunk(f'{{"reasoning_content":"{talk}"}}') + STOP + DONE)
    healthy(chunk(f'{{"tool_calls":[{{"index":0,"function":{{"arguments":"{talk}"}}}}]}}') + STOP + DONE)
    healthy(sse(f'{{"choices":[{{"index":0,"text":"{talk}","finish_reason":"stop"}}]}}'), "/v1/completions")
    healthy(sse(f'{{"type":"response.output_text.delta","delta":"{talk}"}}') + RESPONSES.events[-1], "/v1/responses")
    healthy(sse(f'{{"type":"content_block_delta","delta":{{"text":"{talk}"}}}}') + MESSAGES.events[-1], "/v1/messages")
    healthy(sse(f'{{"token":{{"text":"{talk}"}},"generated_text":"{talk}"}}'), "/generate_stream")
    healthy(f'{{"message":{{"content":"{talk}"}},"done":true}}\n'.encode(), "/api/chat", lines=True)


# Events that cannot be read, and bytes that are none ------------------------------------------------------------------

ODD = sse("odd")
BAD = {b"odd": "stream_malformed"}


def test_an_unreadable_event_waits_for_the_next_one() -> None:
    made = Play(judge=Scripted(BAD))
    assert HI == made.receive(HI)
    assert b"" == made.receive(ODD)
    assert Stage.OPEN is made.stage
    assert b": ping\n\n" in made.receive(b": ping\n\n") + made.receive(HI)
    assert {"malformed": 1} == made.guard.repaired
    made.receive(STOP + DONE)
    made.end()
    assert HI + b": ping\n\n" + HI + STOP + DONE == made.sent


@pytest.mark.parametrize("how", [End.CLOSED, End.BROKEN, End.STALLED])
def test_an_unreadable_event_at_the_end_is_why_the_answer_is_not_whole(how: End) -> None:
    made = Play(judge=Scripted(BAD))
    made.receive(HI + ODD)
    made.until_ended() if how is End.STALLED else made.end(how)

    assert "stream_malformed" == after(made, HI)["code"]


def test_an_unreadable_event_at_the_end_of_a_complete_answer_harms_nobody() -> None:
    made = Play(judge=Scripted(BAD))
    made.receive(HI + STOP + ODD)
    made.end(End.BROKEN)

    assert (Stage.ENDED, None) == (made.stage, made.guard.reply)
    assert made.sent in (HI + STOP, HI + STOP + ODD)


def test_an_unreadable_event_that_a_rule_knows_is_told_at_once() -> None:
    made = Play(judge=Scripted({b"odd": "engine_crashed"}))
    made.receive(HI + ODD + HI)

    assert "engine_crashed" == after(made, HI)["code"]


def test_words_between_events_that_no_rule_knows_pass() -> None:
    made = Play(judge=Scripted({b"odd": None}))
    sent = HI + b"odd: field\n\n" + b"odd words\n" + HI + STOP + DONE
    made.receive(sent)
    made.end()

    assert (sent, None) == (made.sent, made.guard.reply)


@pytest.mark.parametrize("apart", [b"", b"\n"])
def test_words_between_events_that_a_rule_knows_end_the_answer(apart: bytes) -> None:
    made = Play(judge=Scripted({b"odd": "engine_crashed"}))
    made.receive(HI + b"odd words\n" + apart + HI + DONE)

    assert "engine_crashed" == after(made, HI)["code"]


def test_unreadable_words_between_events_are_dropped_if_the_next_one_is_healthy() -> None:
    made = Play(judge=Scripted(BAD))
    made.receive(HI + b"odd words\n\n" + HI + STOP + DONE)
    made.end()
    assert (HI * 2 + STOP + DONE, {"malformed": 1}) == (made.sent, made.guard.repaired)

    twice = Play(judge=Scripted(BAD))
    twice.receive(HI + b"odd words\n\n" + ODD + HI + STOP + DONE)
    assert "stream_malformed" == after(twice, HI)["code"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", OTHER])
def test_words_after_the_last_event_are_asked_as_the_end_and_then_as_an_event(path: str) -> None:
    for judge in (Scripted(ends={b"odd": "timeout"}), Scripted({b"odd": "timeout"})):
        made = Play(path=path, judge=judge)
        made.receive(HI + b"odd words")
        made.end()

        assert "timeout" == after(made, HI)["code"]
        (last,) = [asked for asked in judge.asked if asked.phase is Phase.END]
        assert (b"odd words", End.CLOSED, 1) == (last.body, last.end, last.events)


def test_the_rules_see_whole_events_and_where_they_came_from() -> None:
    judge = Scripted()
    made = Play(judge=judge, path="/v1/messages", body=b'{"model":"claude"}')
    error = b': note\nevent: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
    made.receive(MESSAGES.events[0] + error)

    (asked,) = judge.asked
    assert (Phase.EVENT, error, "error", False) == (asked.phase, asked.body, asked.event, asked.stray)
    assert ("/v1/messages", b'{"model":"claude"}') == (asked.request.path, asked.request.body)
    assert "text/event-stream" == asked.headers.content_type


def test_a_healthy_stream_asks_the_rules_nothing() -> None:
    for stream in STREAMS:
        judge = Scripted()
        made = Play(path=stream.path, lines=stream.lines, judge=judge)
        made.receive(stream.raw)
        made.end()
        assert [] == judge.asked


@pytest.mark.parametrize("path", [OTHER, "/v1/stream", "/completion"])
def test_a_stream_of_plain_words_is_left_to_itself(path: str) -> None:
    words = sse("Hello") + sse(" error: 500, {") + sse('{"error":"said the model"}') + sse("<html>")
    healthy(words, path)

    cut = Play(path=path)
    cut.receive(sse("Hello") + b"data: wor")
    cut.end(End.BROKEN)
    assert "stream_interrupted" == after(cut, sse("Hello"))["code"]


# What is mended -------------------------------------------------------------------------------------------------------

BOM = b"\xef\xbb\xbf"
EMPTY = b"data:\n\n"
LATIN = word('"caf\u00e9"').replace("é".encode(), b"\xe9")


@pytest.mark.parametrize(
    ("name", "received", "sent"),
    [
        ("bom", BOM + HI + STOP + DONE, HI + STOP + DONE),
        ("bom", BOM + b": x\n\n" + HI + STOP, b": x\n\n" + HI + STOP),
        ("empty_data", HI + EMPTY + STOP + DONE, HI + STOP + DONE),
        ("empty_data", HI + b"data: \n\n" + STOP + DONE, HI + STOP + DONE),
        ("empty_data", HI + b"data\n\n" + STOP + DONE, HI + STOP + DONE),
        ("empty_data", HI + b"data:\r\r" + STOP + DONE, HI + STOP + DONE),
        ("empty_data", b"event: message\ndata:\n\n" + HI + STOP + DONE, HI + STOP + DONE),
        ("utf8", LATIN + STOP + DONE, word('"caf\ufffd"') + STOP + DONE),
        ("blank_line", HI + STOP[:-1], HI + STOP),
        ("blank_line", HI + STOP[:-2], HI + STOP),
    ],
)
def test_what_crashes_clients_is_mended_and_counted(name: str, received: bytes, sent: bytes) -> None:
    for size in (None, 1, 4):
        made = Play()
        made.receive(received, size)
        made.end()
        assert (sent, None, {name: 1}) == (made.sent, made.guard.reply, made.guard.repaired)
        settled(made)

        if name != "blank_line":
            left = Play(policy=StreamPolicy(repairs=frozenset()))
            left.receive(received, size)
            left.end()
            assert (received, None) == (left.sent, left.guard.reply)
            assert not left.guard.repaired


def test_a_last_line_of_json_counts_without_its_end() -> None:
    made = Play(path=OLLAMA.path, lines=True)
    made.receive(OLLAMA.raw[:-1])
    made.end()
    assert (OLLAMA.raw, None) == (made.sent.removesuffix(b"\n") + b"\n", made.guard.reply)

    cut = Play(path=OLLAMA.path, lines=True)
    cut.receive(OLLAMA.events[0] + OLLAMA.events[1][:-1])
    cut.end()
    assert after(cut, OLLAMA.events[0] + OLLAMA.events[1], "ollama")


def test_half_an_event_is_never_mended() -> None:
    for cut in range(7, len(STOP) - 3):
        made = Play()
        made.receive(HI + STOP[:cut])
        made.end()
        assert "stream_interrupted" == after(made, HI)["code"]


@pytest.mark.parametrize(
    "sent",
    [
        HI.replace(b"\n", b"\r") + STOP.replace(b"\n", b"\r") + DONE.replace(b"\n", b"\r"),
        HI.replace(b"data: ", b"data:") + STOP + DONE,
        b"\n\n" + HI + b"\n\n\n" + STOP + DONE,
        b"id: 3\nretry: 200\nevent: message\n" + HI + STOP + DONE,
        b"id\nevent\n" + HI + STOP + DONE,
        HI.replace(b',"created"', b',\ndata: "created"') + STOP + DONE,
        HI + STOP,
        HI + chunk("{}", '"content_filter"') + DONE,
        HI + chunk("{}", '"tool_calls"') + USAGE + USAGE + DONE,
        HI.replace(b'"choices"', b'"usage":null,"choices"') + STOP + DONE,
        HI + STOP + HI + DONE,
    ],
)
def test_what_is_only_unusual_passes_byte_for_byte(sent: bytes) -> None:
    healthy(sent)


# Events that are too large --------------------------------------------------------------------------------------------

SMALL = StreamPolicy(event_bytes=1000)
LARGE = word('"' + "x" * 5000 + '"')


def test_an_event_over_the_limit_passes_as_it_comes() -> None:
    made = Play(policy=SMALL)
    for start in range(0, len(LARGE), 100):
        made.receive(LARGE[start : start + 100])
        assert made.guard.held <= 1100
    assert LARGE == made.sent
    made.receive(HI + STOP + DONE)
    made.end()
    assert (LARGE + HI + STOP + DONE, None) == (made.sent, made.guard.reply)
    settled(made)


@pytest.mark.parametrize("how", [End.CLOSED, End.BROKEN, End.STALLED])
def test_a_failure_inside_an_event_over_the_limit_cannot_be_told(how: End) -> None:
    made = Play(policy=SMALL)
    made.receive(HI + LARGE[:3000])
    made.until_ended() if how is End.STALLED else made.end(how)

    assert (Stage.UNFINISHED, HI + LARGE[:3000]) == (made.stage, made.sent)
    settled(made)


def test_a_failure_after_an_event_over_the_limit_is_told() -> None:
    made = Play(policy=SMALL)
    made.receive(HI + LARGE[:3000])
    made.receive(LARGE[3000:] + HI[:9])
    made.end(End.BROKEN)

    assert "stream_interrupted" == after(made, HI + LARGE)["code"]


# Time -----------------------------------------------------------------------------------------------------------------


def test_no_output_in_time_counts_from_the_request_and_no_byte_prolongs_it() -> None:
    made = Play(policy=replace(FOREVER, first_output_timeout=590), now=400.0)
    made.receive(ROLE)
    made.wait(100)
    made.receive(b": ping\n\n" + ROLE + USAGE + b"data: ")

    assert 590.0 == made.until_ended()
    assert (Stage.REFUSED, 504, "stream_stalled") == (made.stage, made.reply.status, made.reply.fault)


def test_no_output_in_time_after_the_head_went_is_told_in_the_stream() -> None:
    made = Play()
    made.receive(ROLE)

    assert 590.0 == made.until_ended()
    error = after(made, ROLE)
    assert "stream_stalled" == error["code"]
    assert str(error["message"]).endswith(f"(1 event delivered, request id {REQUEST_ID})")


def test_long_silence_before_the_first_output_is_healthy() -> None:
    made = Play()
    made.wait(500)
    made.receive(ROLE)
    made.wait(80)
    made.receive(HI + STOP + DONE)
    made.end()

    assert (ROLE + HI + STOP + DONE, None) == (made.sent, made.guard.reply)


def test_silence_after_output_is_a_stall_and_any_byte_prolongs_it() -> None:
    made = Play()
    made.receive(ROLE + HI)
    made.wait(119)
    made.receive(b"d")
    made.wait(119)
    made.receive(b": x\n\n"[:1])
    start = made.now

    assert start + 120 == made.until_ended()
    assert "stream_stalled" == after(made, ROLE + HI)["code"]


def test_comments_alone_prove_for_so_long_that_the_engine_lives() -> None:
    made = Play()
    made.receive(HI)
    for _ in range(58):
        made.wait(10)
        assert b": ping\n\n" == made.receive(b": ping\n\n")
    assert 591.0 == made.until_ended()

    assert "stream_stalled" == after(made, HI + b": ping\n\n" * 58)["code"]


def test_an_event_now_and_then_is_enough() -> None:
    made = Play()
    for _ in range(30):
        made.receive(HI)
        made.wait(110)
        made.receive(b": ping\n\n")
        made.wait(110)

    assert Stage.OPEN is made.stage


def test_the_whole_answer_may_have_a_limit() -> None:
    made = Play(policy=StreamPolicy(total_timeout=100))
    for _ in range(20):
        made.receive(HI)
        made.wait(10)
    assert 10 == made.sent.count(HI)
    assert ("timeout", 504) == (after(made, HI * 10)["code"], made.reply.status)

    held = Play(policy=replace(FOREVER, total_timeout=100))
    assert 100.0 == held.until_ended()
    assert (Stage.REFUSED, 504, "timeout") == (held.stage, held.reply.status, held.reply.fault)

    complete = Play(policy=StreamPolicy(total_timeout=100))
    complete.receive(HI + STOP)
    assert complete.until_ended() <= 100
    assert (Stage.ENDED, None) == (complete.stage, complete.guard.reply)


def test_the_end_by_the_limit_is_told_to_the_rules() -> None:
    judge = Scripted()
    made = Play(judge=judge, policy=StreamPolicy(total_timeout=100))
    made.receive(HI)
    made.until_ended()

    assert [End.EXPIRED] == [asked.end for asked in judge.asked]


def test_a_slow_client_is_no_silent_upstream() -> None:
    made = Play()
    made.receive(HI)
    made.wait(110)
    made.excuse()
    assert 231.0 == made.until_ended()

    assert "stream_stalled" == made.reply.fault


def test_a_tick_too_early_or_too_often_or_too_late_does_no_harm() -> None:
    made = Play()
    made.receive(HI)
    for second in range(1, 120):
        assert b"" == made.guard.tick(float(second))
        assert b"" == made.guard.tick(float(second))
    late = made.guard.tick(5000.0)
    made.sent += late
    assert "stream_stalled" == after(made, HI)["code"]
    assert b"" == made.guard.tick(5001.0)


def test_in_quiet_times_a_client_gets_a_comment() -> None:
    made = Play(policy=StreamPolicy(keepalive=15))
    made.receive(HI)
    assert b"" == made.wait(14)
    made.receive(HI + HI[:10])
    assert b": keep-alive\n\n" * 2 == made.wait(31)
    assert HI == made.receive(HI[10:])
    made.wait(15)
    assert made.sent.endswith(HI + b": keep-alive\n\n")
    assert 3 == made.guard.delivered


@pytest.mark.parametrize(
    ("sent", "lines", "policy"),
    [
        pytest.param(ROLE, False, FOREVER, id="held"),
        pytest.param(HI + STOP, False, StreamPolicy(), id="complete"),
        pytest.param(OLLAMA.events[0], True, StreamPolicy(), id="lines"),
        pytest.param(HI + LARGE[:3000], False, SMALL, id="inside an event"),
    ],
)
def test_a_comment_is_sent_only_where_it_fits(sent: bytes, lines: bool, policy: StreamPolicy) -> None:
    made = Play(lines=lines, path=OLLAMA.path if lines else CHATTING.path, policy=replace(policy, keepalive=10))
    made.receive(sent)

    assert b"" == made.wait(100)


def test_comments_of_ours_do_not_prolong_the_upstream_s_silence() -> None:
    made = Play(policy=StreamPolicy(keepalive=15))
    made.receive(HI)
    assert 121.0 == made.until_ended()
    assert "stream_stalled" == made.reply.fault
    assert 7 <= made.sent.count(b": keep-alive\n\n") <= 8
    error_told(made.sent.split(b": keep-alive\n\n")[-1], "chat")


def test_without_a_timer_there_is_no_deadline() -> None:
    never = StreamPolicy(inf, inf, inf, inf, hold_time=inf)
    made = Play(policy=never)
    made.receive(ROLE)
    assert inf == made.guard.deadline
    made.receive(HI)
    assert inf == made.guard.deadline


@pytest.mark.parametrize("size", [None, 1, 3])
def test_events_that_call_themselves_lines_are_read_as_events(size: int | None) -> None:
    stream = next(stream for stream in STREAMS if not stream.lines)
    made = Play(path=stream.path, lines=True)
    made.receive(stream.raw, size)
    made.end()
    assert (stream.raw, None) == (made.sent, made.guard.reply)

    cut = Play(path=stream.path, lines=True)
    cut.receive(stream.raw[: stream.ends[3] + 9], size)
    cut.end(End.BROKEN)
    assert cut.sent[stream.ends[3] :].startswith(b'data: {"error":{')


@pytest.mark.parametrize("rest", [b"1", b"1\n", b"[]\n1\n"])
def test_lines_that_are_too_short_to_be_told_from_events_are_lines(rest: bytes) -> None:
    made = Play(path=OTHER, lines=True)
    made.receive(rest)
    made.end()
    assert (rest, None) == (made.sent, made.guard.reply)


# What an adversary tried ----------------------------------------------------------------------------------------------


def test_thousands_of_blocks_with_nothing_in_them_in_one_read_are_no_stream() -> None:
    made = Play()
    made.receive(HI)
    made.receive(b"data:\n\n" * 20_000)
    assert "stream_malformed" == after(made, HI)["code"]


def test_the_rules_are_not_asked_in_vain_for_ever() -> None:
    judge = Scripted()
    made = Play(judge=judge)
    made.receive(HI)
    made.receive(b"took: 5\n" + HI)
    made.receive((b"took: 5\n" + HI) * 2000 + STOP + DONE)
    made.end()
    assert made.guard.reply is None
    assert len(judge.asked) < 100


def test_an_event_that_was_too_large_to_look_at_may_have_been_the_last() -> None:
    large = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 2000 + b'"},"finish_reason":"stop"}]}\n\n'
    for rest in (b"", DONE):
        made = Play(policy=StreamPolicy(event_bytes=1000))
        made.receive(HI + large[:1500])
        made.receive(large[1500:] + rest)
        made.end()
        assert (HI + large + rest, None) == (made.sent, made.guard.reply)

    cut = Play(policy=StreamPolicy(event_bytes=1000))
    cut.receive(HI + large[:1500])
    cut.receive(large[1500:])
    cut.end(End.BROKEN)
    assert "stream_interrupted" == after(cut, HI + large)["code"]


@pytest.mark.parametrize("late", [b"data: {oops\n\n" * 2, b"request timeout\n\n", b"<html><h1>504</h1></html>\n\n"])
def test_what_cannot_be_read_after_the_answer_is_whole_harms_nobody(late: bytes) -> None:
    for strict in (False, True):
        made = Play(policy=StreamPolicy(strict=strict))
        made.receive(HI + STOP + late)
        made.end()
        assert (HI + STOP, None) == (made.sent, made.guard.reply)


def test_empty_events_are_no_sign_of_life() -> None:
    made = Play(policy=StreamPolicy(comment_timeout=50, idle_timeout=20))
    made.receive(HI)
    for _ in range(10):
        made.wait(10)
        made.receive(b"data:\n\n")
    assert Stage.ENDED is made.stage
    assert "stream_stalled" == after(made, HI)["code"]


def test_a_tail_never_becomes_part_of_a_line_that_ended_with_cr() -> None:
    crlf = HI.replace(b"\n", b"\r\n")
    made = Play()
    made.receive(crlf[:-1])
    made.end(End.BROKEN)
    assert crlf + b"data: " == made.sent[: len(crlf) + 6]


@pytest.mark.parametrize("line", [b"null", b"1", b'"CUDA out of memory"', b"[1,2]", b"true"])
def test_a_line_that_is_json_and_no_object_is_a_line(line: bytes) -> None:
    made = Play(path=OTHER, lines=True, judge=(judge := Scripted()))
    made.receive((line + b"\n") * 3)
    made.end()
    assert ((line + b"\n") * 3, None, []) == (made.sent, made.guard.reply, judge.asked)


def test_blank_lines_before_lines_pass_on() -> None:
    made = Play(path=OTHER, lines=True, policy=StreamPolicy(hold_bytes=1000))
    made.receive(b"\n" * 5000)
    assert made.guard.held <= 1001


def test_an_error_may_be_nested_deeper_than_python_counts() -> None:
    made = Play()
    made.receive(HI + b'data: {"error":' + b'{"a":' * 990 + b"1" + b"}" * 990 + b"}\n\n")
    made.end()
    assert after(made, HI)["code"]


def test_a_sequence_number_may_be_longer_than_python_writes() -> None:
    made = Play(path="/v1/responses")
    first = b'data: {"type":"response.output_text.delta","delta":"a","sequence_number":' + b"9" * 4299 + b"}\n\n"
    made.receive(first)
    made.end(End.BROKEN)
    assert after(made, first, "responses")["code"]


def test_a_good_event_with_a_stray_line_is_no_pattern_for_others() -> None:
    stray = b"took: 5\n" + HI
    made = Play(judge=Scripted({b"took: lost": "engine_crashed"}))
    made.receive(stray)
    made.receive(stray.replace(b"5", b"lost"))
    assert "engine_crashed" == after(made, stray)["code"]


def test_an_error_is_asked_about_however_often_the_rules_were_asked_in_vain() -> None:
    odd = b"took: 5\n" + HI
    made = Play()
    made.receive(HI + odd * 200 + b'data: {"error":{"message":"CUDA out of memory"}}\n\n')
    assert "out_of_memory" == after(made, HI + odd * 200)["code"]


def test_a_flood_after_the_answer_is_whole_harms_nobody() -> None:
    made = Play()
    made.receive(HI + STOP)
    made.receive(b"data:\n\n" * 20_000)
    made.end()
    assert (HI + STOP, None) == (made.sent, made.guard.reply)
