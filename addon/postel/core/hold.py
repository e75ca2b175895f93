"""Which answers are kept until they are whole, which are streams, and how a stream is known that does not say so.

Owns the rule of DESIGN section 6 on holding: errors always, because they are rewritten; of healthy statuses those whose
body could carry an error. Streams are guarded instead (`core.stream`), those that call themselves JSON or text as well.
Called by the proxy when a response head comes and while a body is held, and by `rulefile.play`.
"""

from __future__ import annotations

import re
from typing import Literal

from postel.core import jsontext
from postel.core.evidence import BODY_LIMIT

LINES = frozenset(
    {
        "application/json-lines",
        "application/json-seq",  # RFC 7464: the same with a record separator before each text
        "application/jsonl",
        "application/jsonlines",
        "application/ndjson",
        "application/stream+json",
        "application/x-json-stream",
        "application/x-jsonl",
        "application/x-jsonlines",
        "application/x-ndjson",
    }
)
"""Media types of streams with one JSON text a line."""

EVENTS = LINES | {"text/event-stream"}
"""Media types of answers that are sequences of events: never held, whatever they begin with."""

Shape = Literal["events", "lines", "unsure"]
"""What a body looks like: server-sent events, lines of JSON, too short to tell."""


def is_held(
    method: str, status: int, media_type: str | None, length: int | None, *, grpc_status: str | None = None
) -> bool:
    """Whether an answer on a path that is normalised is held.

    `media_type` is in lower case without parameters; `length` is the Content-Length, None if there is none. 1xx and 3xx
    are never Postel's business, and an answer that has no body has nothing to hold. `grpc_status` is that header: in a
    head it is gRPC's trailers-only answer, which says 200 and failed (gRPC over HTTP/2, "Responses").
    """
    if status >= 400:
        return True
    if not _has_healthy_body(method, status) or (length or 0) > BODY_LIMIT:
        return False
    if grpc_status is not None:
        return True
    if media_type is None:
        return True
    if media_type in EVENTS:
        return False
    return media_type.startswith("text/") or media_type.endswith(("/json", "+json", "/xml", "+xml"))


def is_guarded(method: str, status: int, media_type: str | None) -> bool:
    """Whether an answer on a path that is normalised is a stream that has to end complete or in an error.

    Lines of JSON that were only fetched are a file: the results of a batch, say, some of which tell of an error.
    """
    return media_type in EVENTS and _has_healthy_body(method, status) and not (media_type in LINES and method == "GET")


def _has_healthy_body(method: str, status: int) -> bool:
    return 200 <= status < 300 and status not in (204, 205) and method != "HEAD"


# --- a stream under another name --------------------------------------------------------------------------------------

# The look back stands behind the literal, which is then searched for as such: twelve times as fast on a megabyte.
_STREAM = re.compile(rb'"stream"(?<!\\"stream")[ \t\r\n]*:[ \t\r\n]*true')


def asks_stream(body: bytes) -> bool:
    """Whether a request in JSON says `"stream": true`.

    A prompt that quotes it has a backslash before each quote. Whose key it is, is not asked: to be wrong here costs
    nothing but a closer look at the answer.
    """
    return _STREAM.search(body) is not None


_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"[ \t\r\n\x1e]*")  # with the record separator of RFC 7464
_FIELD = re.compile(rb"(data|event|id|retry|):")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
_FIRST_LINES = 16


def sniff(body: bytes, streamed: bool) -> Shape | None:
    """Whether a 2xx body that is held as JSON, as text or for want of a type begins like a stream; None: it does not.

    `streamed`: the client asked for a stream (`asks_stream`), and then less proves it. "unsure" may be asked again with
    more of the body; every other answer is final.
    """
    if len(body) < len(_BOM) and _BOM.startswith(body):
        return "unsure"
    body = body.removeprefix(_BOM)
    at = _after_blank(body, 0)
    if at == len(body):
        return "unsure"
    return _sniff_lines(body, at, streamed) if body[at : at + 1] == b"{" else _sniff_events(body, streamed)


def _after_blank(body: bytes, at: int) -> int:
    blank = _BLANK.match(body, at)
    return blank.end() if blank else at


def _sniff_lines(body: bytes, at: int, streamed: bool) -> Shape | None:
    """Lines, if the first line is a JSON object and nothing but another one may follow."""
    end = body.find(b"\n", at)
    if end < 0:
        return "unsure"
    if not isinstance(_json(body[at:end]), dict):
        return None
    second = _after_blank(body, end)
    if streamed or body[second : second + 1] == b"{":
        return "lines"
    return "unsure" if second == len(body) else None


def _sniff_events(body: bytes, streamed: bool) -> Shape | None:
    """Events, if fields of an event come first: `data` or `event`; unless a stream was asked for, with JSON in them.

    Text may begin like that too, YAML above all: `id: 5`, `event: a concert`.
    """
    lines = body.lstrip(b"\r\n").splitlines(keepends=True)
    data: list[bytes] = []
    for number, line in enumerate(lines[:_FIRST_LINES]):
        text = line.rstrip(b"\r\n")
        field = _FIELD.match(text)
        if not text:
            if _is_event(data):
                return "events"
            if any(data):
                return None
            data.clear()
        elif not field:
            return "unsure" if line is lines[-1] and any(name.startswith(line) for name in _FIELDS) else None
        elif streamed and field[1] in (b"data", b"event"):
            return "events"
        elif not field[1] and number == 0:
            # Nothing that has been asked to stream begins with a colon but a stream that says it is alive.
            return None if not streamed else "events" if text != line else "unsure"
        elif field[1] == b"data":
            data.append(text[field.end() :])
    return "unsure" if len(lines) <= _FIRST_LINES else None


def _is_event(data: list[bytes]) -> bool:
    value = b"\n".join(data)
    return value.strip() == b"[DONE]" or isinstance(_json(value), dict | list)


def _json(text: bytes) -> object:
    return jsontext.decode_all(text.decode("utf-8", "replace"))
