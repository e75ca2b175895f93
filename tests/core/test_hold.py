import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.evidence import BODY_LIMIT
from postel.core.hold import EVENTS, LINES, asks_stream, is_guarded, is_held, sniff


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/html", "text/plain", "application/problem+json", None]
)
def test_a_healthy_answer_that_could_carry_an_error_is_held(media_type: str | None) -> None:
    assert is_held("POST", 200, media_type, None)
    assert is_held("POST", 201, media_type, BODY_LIMIT)


@pytest.mark.parametrize(
    "media_type",
    ["audio/mpeg", "image/png", "video/mp4", "application/octet-stream", "multipart/form-data", "text/event-stream"],
)
def test_media_and_streams_of_events_are_not_held(media_type: str) -> None:
    assert not is_held("POST", 200, media_type, 10)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 599])
@pytest.mark.parametrize("media_type", ["audio/mpeg", "text/event-stream", "application/json", None])
def test_an_error_is_held_whatever_it_calls_itself(status: int, media_type: str | None) -> None:
    assert is_held("POST", status, media_type, None)
    assert is_held("HEAD", status, media_type, 10 * BODY_LIMIT)


@pytest.mark.parametrize("status", [101, 204, 205, 301, 302, 304, 307])
def test_what_has_no_body_or_is_none_of_our_business_is_not_held(status: int) -> None:
    assert not is_held("POST", status, "application/json", None)


def test_what_announces_more_than_can_be_held_is_not_begun() -> None:
    assert not is_held("POST", 200, "application/json", BODY_LIMIT + 1)
    assert not is_held("HEAD", 200, "application/json", 10)


STREAMS = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-seq",
    "application/stream+json",
]


@pytest.mark.parametrize("media_type", STREAMS)
def test_a_healthy_stream_is_guarded_and_not_held(media_type: str) -> None:
    assert is_guarded("POST", 200, media_type)
    assert is_guarded("POST", 201, media_type)
    assert not is_held("POST", 200, media_type, None)


def test_events_that_are_fetched_are_a_stream_and_lines_that_are_fetched_a_file() -> None:
    assert is_guarded("GET", 200, "text/event-stream")
    assert not is_guarded("GET", 200, "application/jsonl")


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "text/html", "audio/mpeg", None])
def test_an_answer_that_does_not_call_itself_a_stream_is_not_guarded(media_type: str | None) -> None:
    assert not is_guarded("POST", 200, media_type)


@pytest.mark.parametrize(
    ("method", "status"),
    [("POST", 101), ("POST", 204), ("POST", 205), ("POST", 304), ("POST", 400), ("POST", 500), ("HEAD", 200)],
)
def test_an_error_and_what_has_no_body_are_not_guarded(method: str, status: int) -> None:
    assert not is_guarded(method, status, "text/event-stream")


def test_lines_are_told_from_server_sent_events() -> None:
    assert {"text/event-stream"} == EVENTS - LINES
    assert LINES < EVENTS


# --- what the client asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":true}',
        b'{"model": "m", "stream" :\r\n\ttrue, "messages": []}',
        b'{"stream":true',
        json.dumps({"messages": [{"content": "x" * 10_000}], "stream": True}, indent=2).encode(),
        json.dumps({"messages": [{"content": 'say \\"stream": false'}], "stream": True}).encode(),
    ],
)
def test_a_client_that_says_so_asks_for_a_stream(body: bytes) -> None:
    assert asks_stream(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"stream":false}',
        b'{"stream":null}',
        b'{"stream":"true"}',
        b'{"stream_options":{"include_usage":true}}',
        b'{"upstream":true}',
        b"stream=true",
        json.dumps({"messages": [{"content": 'set {"stream": true} in the body'}]}).encode(),
        json.dumps({"messages": [{"content": json.dumps('"stream": true')}]}).encode(),
        json.dumps({'he wrote "stream': True}).encode(),
    ],
)
def test_a_client_that_does_not_say_so_asks_for_none(body: bytes) -> None:
    assert not asks_stream(body)


# --- a stream under another name --------------------------------------------------------------------------------------

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
LINE = b'{"message":{"content":"Hel"},"done":false}\n'


@pytest.mark.parametrize(
    "body",
    [
        CHUNK,
        CHUNK.replace(b"\n", b"\r\n"),
        CHUNK.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + CHUNK,
        b"\n\r\n\n" + CHUNK,
        b'event: message_start\ndata: {"type":"message_start"}\n\n',
        b'event: ping\n\nevent: message_start\ndata: {"type":"message_start"}\n\n',
        b"id: 1\nretry: 500\n: hello\n" + CHUNK,
        b'data:{"token":\ndata:{"text":"x"}}\n\n',
        b"data:\n\n" + CHUNK,
        b"data: [DONE]\n\n",
        b'data: [{"candidates":[]}]\n\n<html>',
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_whole_event_with_json_makes_events_of_any_body(body: bytes, streamed: bool) -> None:
    assert "events" == sniff(body, streamed)


@pytest.mark.parametrize(
    "body",
    [
        b"data: Hello",
        b"data:",
        b'data: {"choi',
        b"event: message_start\n",
        b"id: 5\ndata:",
        b"retry: 3000\n\nevent: x",
        b": processing\n",
        b": processing\n\n",
    ],
)
def test_who_asked_for_a_stream_needs_less_to_get_one(body: bytes) -> None:
    assert "events" == sniff(body, streamed=True)
    assert "events" != sniff(body, streamed=False)


@pytest.mark.parametrize("body", [LINE + LINE, b" \n" + LINE + b"\n\n{", b"\x1e" + LINE + b"\x1e" + LINE, LINE + b"{"])
@pytest.mark.parametrize("streamed", [True, False])
def test_one_json_object_a_line_makes_lines(body: bytes, streamed: bool) -> None:
    assert "lines" == sniff(body, streamed)


def test_who_asked_for_a_stream_needs_one_line_only() -> None:
    assert "lines" == sniff(LINE, streamed=True)
    assert "unsure" == sniff(LINE, streamed=False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef",
        b"\xef\xbb\xbf",
        b" \r\n",
        b"d",
        b"data",
        b"even",
        b"id",
        b"id: 5",
        b"id: 5\n",
        b"{",
        LINE[:-1],
        b'{"choices":[{"message":{"content":"Hello"}}]}',
        LINE[:-1] + b"\r",
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_beginning_that_is_too_short_is_asked_again(body: bytes, streamed: bool) -> None:
    assert "unsure" == sniff(body, streamed)


@pytest.mark.parametrize(
    "body",
    [
        b'{\n  "error": {"message": "no"}\n}\n',
        b'{"a": [\n1]}\n{',
        b'[{"a":1}]\n[{"a":2}]\n',
        b'"text"\n{"a":1}\n',
        b"<!doctype html>\n<p>data: x</p>",
        b"Hello, world: this is no stream.\n",
        b"database: x\n\n",
        b"dates\n",
        b"idle\n",
        b"id: 5\nname: x\n",
        b"id: 5\n  - x\n",
        b"error: gone\n",
        b" data: {}\n\n",
        b"ID3\x04\x00\x00\x00",
        b"\x1f\x8b\x08\x00",
        b"id: 1\n" * 20,
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_json_pages_prose_and_media_are_no_stream(body: bytes, streamed: bool) -> None:
    assert sniff(body, streamed) is None


@pytest.mark.parametrize(
    "body",
    [
        b"data:\n  key: value\n",
        b"data: see below\nkind: Secret\n",
        b"data: as of May\n\n",
        b"data: 5\n\n",
        b"event: concert\ndate: 5 May\n",
        b": a comment\n\n",
        b'{"a":1}\n[2]',
        b'{"a":1}\ntext',
    ],
)
def test_text_that_only_begins_like_a_stream_is_none_unless_one_was_asked_for(body: bytes) -> None:
    assert sniff(body, streamed=False) is None


def test_a_lone_event_without_its_end_may_yet_be_text() -> None:
    assert "unsure" == sniff(b"event: concert\n", streamed=False)
    assert "unsure" == sniff(CHUNK[:-1], streamed=False)


@given(st.sampled_from([CHUNK * 2, LINE * 2, b"id: 1\n" + CHUNK, b'{"a": 1}', b"<p>", b"id: x\ny: z"]), st.booleans())
def test_an_answer_never_changes_once_it_is_given(body: bytes, streamed: bool) -> None:
    answers = [sniff(body[:size], streamed) for size in range(len(body) + 1)]
    given_ = [answer for answer in answers if answer != "unsure"]

    assert 1 >= len(set(given_))
    assert answers == ["unsure"] * (len(answers) - len(given_)) + given_


@given(st.binary(max_size=100), st.booleans())
def test_no_body_is_too_strange_to_be_looked_at(body: bytes, streamed: bool) -> None:
    assert sniff(body, streamed) in ("events", "lines", "unsure", None)
    assert asks_stream(body) in (True, False)
