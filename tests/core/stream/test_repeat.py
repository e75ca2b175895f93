"""The shortcut for events that differ in a text: it may save work, and must never change an answer."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.evidence import End, Evidence, Headers, Request
from postel.core.render import Reply, fixed_reply
from postel.core.stream.guard import Guard
from postel.core.stream.policy import StreamPolicy
from postel.core.stream.repeat import Repeat


def event(content: str, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": None}
    return (
        b"data: "
        + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}).encode()
        + b"\n\n"
    )


def taught(*events: bytes) -> Repeat:
    repeat = Repeat()
    for raw in events:
        repeat.learn(raw)
    return repeat


@pytest.mark.parametrize("word", ["", "a", "Grüße", 'say \\"hi\\"', "\\u00e4\\n", "日本", "data: [DONE]\\n\\n", "{}"])
def test_an_event_with_another_word_is_recognised(word: str) -> None:
    raw = event("X").replace(b"X", word.encode())

    assert (len(raw), 1) == taught(event("Hello")).run(raw)


def test_a_run_of_them_is_taken_at_once_and_stops_where_something_else_begins() -> None:
    run = event("a") + event("b") + event("c")

    assert (len(run), 3) == taught(event("Hello")).run(run + event("d", usage={}))


def test_nothing_is_recognised_before_something_was_learnt() -> None:
    assert (0, 0) == Repeat().run(event("a"))


@pytest.mark.parametrize(
    "other",
    [
        event("a", error={"message": "x"}),
        event("a").replace(b"null", b'"error"'),
        event("a").replace(b'"a"', b'"a'),
        event("a").replace(b'"a"', b'"a\n"'),
        event("a").replace(b'"a"', b'"a\\"'),
        event("a").replace(b'"a"', b'"\\x"'),
        event("a").replace(b'"a"', b'"\\u12g4"'),
        event("a").replace(b'"a"', b"null"),
        event("a").replace(b'"a"', b'"\xff"'),
        event("a").replace(b'"a"', b'"\xe4\xb8"'),
        event("a")[:-1],
        event("a")[:-2] + b"\r\n\r\n",
        b": ping\n\n",
    ],
)
def test_whatever_differs_in_more_than_the_inside_of_the_text_is_left_to_be_read(other: bytes) -> None:
    assert (0, 0) == taught(event("Hello")).run(other)


def test_an_event_that_names_a_key_inside_its_text_is_split_at_the_real_one() -> None:
    raw = event('he said "content": "x" and left')

    assert (len(raw), 1) == taught(event('"content": "'), event("b")).run(raw)


def test_it_gives_up_where_no_two_events_are_alike() -> None:
    repeat = taught(*(event("a", sequence_number=number) for number in range(20)))

    assert (0, 0) == repeat.run(event("a", sequence_number=19))


_WORDS = st.sampled_from(["a", "b ", "Grüße", '"', "\\", "\n", "error", "CUDA out of memory", "日本", "\x00", "[DONE]"])
_EVENTS = st.one_of(
    _WORDS.map(event),
    _WORDS.map(event),
    _WORDS.map(lambda word: event(word, usage={"total_tokens": 3})),
    _WORDS.map(lambda word: event(word).replace(b"null}", b'"stop"}')),
    st.sampled_from(
        [
            b": ping\n\n",
            b"data: {\n\n",
            b"data:\n\n",
            b'data: {"error":{"message":"CUDA out of memory"}}\n\n',
            b"data: [DONE]\n\n",
            event("a").replace(b'"a"', b'"\xff"'),
            event("a").replace(b"\n", b"\r\n"),
            b"Traceback (most recent call last):\n\n",
        ]
    ),
)


def failing(evidence: Evidence) -> Reply | None:
    """A judge by bytes: an event with `error` in its JSON, or one that is no JSON, is a failure, and so is any end."""
    return None if evidence.body.startswith(b'data: {"id"') else fixed_reply("r")


def played(events: list[bytes], cuts: list[int], *, short: bool) -> tuple[bytes, int, dict[str, int], str]:
    guard = Guard(failing, Request(), Headers(), policy=StreamPolicy(), request_id="r", lines=False, asked=0, now=0)
    if not short:
        guard._repeat = Never()
    stream = b"".join(events)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    sent = b"".join(guard.receive(stream[a:b], 1.0) for a, b in pairwise(places))
    sent += guard.end(End.CLOSED, 2.0)
    return sent, guard.delivered, dict(guard.repaired), guard.stage.name


class Never(Repeat):
    def run(self, data: bytes, at: int = 0) -> tuple[int, int]:
        return at, 0


@given(st.lists(_EVENTS, max_size=12), st.lists(st.integers(0, 5000), max_size=6))
def test_no_stream_is_judged_otherwise_for_the_shortcut(events: list[bytes], cuts: list[int]) -> None:
    assert played(events, cuts, short=False) == played(events, cuts, short=True)


def test_the_rest_of_an_event_that_was_too_large_is_not_passed_over() -> None:
    policy = StreamPolicy(event_bytes=1000)
    guard = Guard(failing, Request(), Headers(), policy=policy, request_id="r", lines=False, asked=0, now=0)
    guard.receive(event("a") + event("b"), 1.0)
    guard.receive(b'data: {"id": "%s",\n' % (b"x" * 2000), 1.0)
    guard.receive(event("c"), 1.0)

    guard.receive(b'data: {"error":{"message":"lost"}}\n\n', 1.0)

    assert guard.reply
