"""Healthy streams as engines and providers send them, and how a client reads them.

Owns the canonical streams, with what is true of each (which event is the first with output, which completes it, in what
form an error belongs into it), a reader of server-sent events written from the WHATWG text alone, and what a client
must get of a stream that was cut. Uses nothing of the package, so that the guard is never held against itself. Used by
the tests of `core.stream` and those on sockets.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

CHAT = "/v1/chat/completions"
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
REQUEST_ID = "req-7f"


@dataclass(frozen=True, slots=True)
class Stream:
    """One healthy stream, event by event.

    `output` is the index of the first event with output. `completes` is the number of events after which the answer is
    complete whatever follows. `plain` streams are also complete at a clean end after any event. `tail` names the form
    of an error in it: `chat`, `responses`, `messages`, `lines`, `ollama`.
    """

    name: str
    events: tuple[bytes, ...]
    output: int
    completes: int
    path: str = CHAT
    tail: str = "chat"
    plain: bool = False

    @property
    def raw(self) -> bytes:
        return b"".join(self.events)

    @property
    def lines(self) -> bool:
        return self.tail in ("lines", "ollama")

    @property
    def content_type(self) -> str:
        return NDJSON if self.lines else SSE

    @property
    def crlf(self) -> bool:
        return b"\r\n\r\n" in self.events[-1]

    @property
    def ends(self) -> list[int]:
        """Where each event ends; 0 first."""
        return list(accumulate(map(len, self.events), initial=0))

    def whole(self, cut: int) -> int:
        """How many events are whole in the first `cut` bytes. A CR ends a line, whether or not its LF has come."""
        return sum(end - self.crlf <= cut for end in self.ends[1:])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a client's code gets it."""

    data: str
    name: str | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def is_object(self) -> bool:
        try:
            return isinstance(self.json, dict)
        except ValueError:
            return False


def client_sees(body: bytes, *, lines: bool = False) -> list[Seen]:
    """Read a body as a client does: WHATWG HTML 9.2.6, or a JSON text a line. What has no end is not seen."""
    if lines:
        return [Seen(line.decode(errors="replace")) for line in body.split(b"\n")[:-1] if line.strip()]
    seen: list[Seen] = []
    data: list[str] = []
    name = None
    for line in re.split(r"\r\n|\r|\n", body.decode(errors="replace").removeprefix("\ufeff"))[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                seen.append(Seen("\n".join(data), name or None))
            data, name = [], None
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return seen


def error_told(tail: bytes, form: str) -> dict[str, Any]:
    """The error object of a tail, which must have the very form that every client understands.

    For `ollama` there is only a text, which comes back as `message`.
    """
    if form in ("lines", "ollama"):
        assert tail.endswith(b"}\n")
        assert 1 == tail.count(b"\n")
        document = json.loads(tail)
        assert ["error"] == list(document)
        assert (b'{"error":"' if form == "ollama" else b'{"error":{') == tail[:10]
        error = document["error"]
        return {"message": error} if form == "ollama" else dict(error)

    begins = {
        "chat": b'data: {"error":{',
        "responses": b'event: error\ndata: {"error":{',
        "messages": b'event: error\ndata: {"type":"error","error":{',
    }
    assert tail.startswith(begins[form])
    assert tail.endswith(b"}\n\n")
    assert (2 if form == "chat" else 3) == tail.count(b"\n")
    assert b"\r" not in tail
    (event,) = client_sees(tail)
    document, error = event.json, event.json["error"]
    assert json.dumps(document, ensure_ascii=False, separators=(",", ":")) == event.data
    keys = {
        "chat": ["error"],
        "responses": ["error", "type", "sequence_number", "code", "message", "param"],
        "messages": ["type", "error", "request_id"],
    }
    assert keys[form] == list(document)
    assert (None if form == "chat" else "error") == event.name
    order = ["type", "message", "param", "code"] if form == "messages" else ["message", "type", "param", "code"]
    assert order == [key for key in error if key not in ("fault", "rule", "details")]
    assert isinstance(error["message"], str)
    assert error["message"].strip()
    if form == "responses":
        assert "error" == document["type"]
        assert all(error[key] == document[key] for key in ("code", "message", "param"))
    return dict(error)


def count_told(error: dict[str, Any], count: int) -> None:
    """The message says how much came before the error and where to ask."""
    events = {0: "no events", 1: "1 event"}.get(count, f"{count} events")
    assert error["message"].endswith(f" ({events} delivered, request id {REQUEST_ID})")


class Expected:
    """What a client must get of the first `cut` bytes of a stream, and then a clean end (`closed`) or none.

    `refused`: a status, because nothing with output came. `complete`: no error.
    """

    def __init__(self, stream: Stream, cut: int, *, closed: bool) -> None:
        self.stream = stream
        whole = stream.whole(cut)
        end = min(stream.ends[whole], cut)
        self.sent = stream.raw[:end]
        rest = stream.raw[end:cut]
        last = client_sees(rest + b"\n\n", lines=stream.lines)
        mended = closed and bool(last) and last[0].is_object
        fragment = bool(rest.strip()) and not mended and not rest.startswith(b":")
        count = whole + mended
        ends = closed and stream.plain and count > 0
        self.complete = count >= stream.completes or (ends and not fragment)
        self.refused = count <= stream.output and not self.complete
        self.events = len(client_sees(self.sent, lines=stream.lines)) + mended
        self.unmended = rest if mended else b""
        # What has no data line may pass or not once all is said; `[DONE]` without its blank line does.
        self.optional = rest if closed and self.complete and not last else b""
        if closed and self.complete and fragment and rest.strip() == DONE.strip():
            self.sent += rest

    def told(self, sent: bytes) -> dict[str, Any] | None:
        """The error in what was sent, None if there is none; fails if anything else is not as it must be."""
        # A line that its CR has ended may keep its LF to itself.
        late = self.stream.crlf and not sent.startswith(self.sent)
        begins = self.sent.removesuffix(b"\n") if late else self.sent
        assert begins == sent[: len(begins)]
        tail = sent[len(begins) :]
        if begins.endswith(b"\r"):  # what a tail comes after is a whole line end
            tail = tail.removeprefix(b"\n")
        if self.unmended:
            assert tail.startswith(self.unmended)
            after = tail[len(self.unmended) :]
            tail = after.lstrip(b"\r\n")
            mended = begins + self.unmended + after[: len(after) - len(tail)]
            if tail or not self.stream.lines:
                assert self.events == len(client_sees(mended, lines=self.stream.lines))
        if self.complete and tail in (b"", self.optional):
            return None
        assert not self.complete
        error = error_told(tail, self.stream.tail)
        count_told(error, self.events)
        return error


# How engines write ----------------------------------------------------------------------------------------------------


def sse(text: str, name: str | None = None) -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def chunk(delta: str, finish: str = "null", index: int = 0) -> bytes:
    """A chat chunk as vLLM writes it; `delta` and `finish` are JSON."""
    choice = f'{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}'
    return sse(f'{{"id":"chatcmpl-7d","object":"chat.completion.chunk","created":1763222400,"choices":[{choice}]}}')


def word(text: str, index: int = 0) -> bytes:
    return chunk(f'{{"content":{text}}}', index=index)


def _typed(document: str) -> bytes:
    """An event whose name is its type, as Responses and Messages have it."""
    return sse(document, json.loads(document)["type"])


def _crlf(event: bytes) -> bytes:
    return event.replace(b"\n", b"\r\n")


ROLE = chunk('{"role":"assistant","content":""}')
STOP = chunk("{}", '"stop"')
USAGE = sse('{"id":"chatcmpl-7d","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":12}}')
DONE = sse("[DONE]")

# Two words in UTF-8, one in escapes, one that is half a JSON text itself.
WORDS = (word('"Gr\u00fc\u00dfe, \u4e16\u754c"'), word(r'" \"caf\u00e9\"\n\ud83d\ude00"'), word(r'" {\"a\": [1,"'))

CHATTING = Stream("chat", (ROLE, *WORDS, STOP, USAGE, DONE), output=1, completes=5)

TWO_CHOICES = Stream(
    "chat with two choices",
    (
        ROLE,
        chunk('{"role":"assistant","content":""}', index=1),
        word('"Yes"', 1),
        word('"No"'),
        chunk("{}", '"stop"'),
        word('", but"', 1),
        chunk("{}", '"length"', 1),
        DONE,
    ),
    output=2,
    completes=7,
)

TOOL_CALLS = Stream(
    "tool calls",
    (
        chunk('{"role":"assistant","content":null}'),
        chunk('{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"find","arguments":""}}]}'),
        chunk(r'{"tool_calls":[{"index":0,"function":{"arguments":"{\"error\":"}}]}'),
        chunk(r'{"tool_calls":[{"index":0,"function":{"arguments":" {\"code\": 500}}"}}]}'),
        chunk("{}", '"tool_calls"'),
        USAGE,
        DONE,
    ),
    output=1,
    completes=5,
)

REASONING = Stream(
    "reasoning",
    (
        chunk('{"role":"assistant","content":"","reasoning_content":null}'),
        chunk('{"reasoning_content":"The user greets"}'),
        chunk('{"reasoning_content":" me. An error: 500?"}'),
        word('"Hello"'),
        chunk('{"content":""}', '"stop"'),
        DONE,
    ),
    output=1,
    completes=5,
)


def _completion(text: str, finish: str) -> bytes:
    choice = f'{{"index": 0, "text": {text}, "logprobs": null, "finish_reason": {finish}}}'
    return sse(f'{{"id": "cmpl-3", "object": "text_completion", "created": 1763222400, "choices": [{choice}]}}')


COMPLETIONS = Stream(
    "legacy completions",
    (
        _completion('""', "null"),
        _completion('" once"', "null"),
        _completion('" upon"', "null"),
        _completion('""', '"length"'),
        DONE,
    ),
    output=1,
    completes=4,
    path="/v1/completions",
)

RESPONSES = Stream(
    "responses",
    tuple(
        map(
            _typed,
            (
                '{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","error":null,"output":[]}}',
                '{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","status":"in_progress"}}',
                '{"type":"response.output_item.added","sequence_number":2,"item":{"id":"msg_1","type":"message"}}',
                '{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","delta":"Gr\u00fc\u00df"}',
                '{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","delta":" Gott"}',
                '{"type":"response.completed","sequence_number":5,"response":{"status":"completed","error":null}}',
            ),
        )
    ),
    output=2,
    completes=6,
    path="/v1/responses",
    tail="responses",
)

MESSAGES = Stream(
    "messages",
    tuple(
        map(
            _typed,
            (
                '{"type":"message_start","message":{"id":"msg_1","role":"assistant","content":[],"stop_reason":null}}',
                '{"type": "ping"}',
                '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
                '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Bonjour \u00e0"}}',
                '{"type":"content_block_stop","index":0}',
                '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}',
                '{"type":"message_stop"}',
            ),
        )
    ),
    output=2,
    completes=7,
    path="/v1/messages",
    tail="messages",
)


def _ollama(text: str, end: str = '"done":false') -> bytes:
    said = f'{{"role":"assistant","content":"{text}"}}'
    return f'{{"model":"llama3.2","created_at":"2026-11-20T15:40:00Z","message":{said},{end}}}\n'.encode()


OLLAMA = Stream(
    "ollama",
    (
        _ollama("Gr\u00fc"),
        _ollama("\\u00df"),
        _ollama(" dich"),
        _ollama("", '"done_reason":"stop","done":true,"eval_count":3'),
    ),
    output=0,
    completes=4,
    path="/api/chat",
    tail="ollama",
)

JSON_LINES = Stream(
    "lines of JSON",
    (b'{"token": {"id": 5, "text": "Once"}}\n', b'{"token": {"id": 6, "text": " \xc3\xbcber"}}\n', b'{"token": {}}\n'),
    output=0,
    completes=4,
    path="/predictions/m1",
    tail="lines",
    plain=True,
)


def _tgi(token: str, text: str = "null") -> bytes:
    """No space after the colon."""
    said = f'{{"id":9,"text":"{token}","special":false}}'
    return f'data:{{"index":1,"token":{said},"generated_text":{text}}}\n\n'.encode()


TGI = Stream(
    "TGI, native",
    (_tgi(" deep"), _tgi(" \u00fcber"), _tgi(" all"), _tgi(".", '" deep \u00fcber all."')),
    output=0,
    completes=4,
    path="/generate_stream",
    plain=True,
)

CRLF = Stream(
    "chat with CRLF",
    tuple(map(_crlf, (ROLE, word('"Good"'), word(r'" day\r\n"'), STOP, DONE))),
    output=1,
    completes=4,
)

COMMENTS = Stream(
    "chat with comments",
    (
        b": OPENROUTER PROCESSING\n\n",
        ROLE,
        b": OPENROUTER PROCESSING\n\n",
        b": x\n" + word('"Hi"'),
        b":\n\n",
        word('" there"'),
        b"id: 4\nretry: 1000\nevent: message\n" + STOP,
        DONE,
    ),
    output=3,
    completes=7,
)

STREAMS = (
    CHATTING,
    TWO_CHOICES,
    TOOL_CALLS,
    REASONING,
    COMPLETIONS,
    RESPONSES,
    MESSAGES,
    OLLAMA,
    JSON_LINES,
    TGI,
    CRLF,
    COMMENTS,
)
