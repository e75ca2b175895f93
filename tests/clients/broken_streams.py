"""Streams that fail after the user had some of the text: each cause in each form."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

from postel.misbehave import End, Step, chunk
from tests.clients.case import LIMIT, SERVER, Broken, said
from tests.clients.forms import DONE, FAILED, FORMS, Document, Form, completion, delta, event, events

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
PAUSE = 0.2
"""Seconds before a reset, which may overtake what was written."""

INTERRUPTED = ("stream_interrupted",)
MALFORMED = ("stream_malformed",)
CHOICES = ("chat", "helper", "completions")
RESPONSES = ("responses", "responses-helper")
HALF = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"del'


@dataclass(frozen=True, slots=True)
class Cause:
    """What an upstream does after the speech of a form, and what its error is called.

    `ending`: the bytes of the body, or the steps. `more`: what of it is an event that the user gets. `forms`: names,
    where not all fail so.
    """

    name: str
    ending: Sequence[Step] | bytes | Callable[[Form], Sequence[Step]]
    code: tuple[str, ...]
    _: KW_ONLY
    type: str = SERVER
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    prefix: str = ""
    more: Sequence[Document] = ()
    forms: tuple[str, ...] = tuple(form.name for form in FORMS)

    def steps(self, form: Form) -> Sequence[Step]:
        if callable(self.ending):
            return self.ending(form)
        ending = [chunk(self.ending) + LAST] if isinstance(self.ending, bytes) else self.ending
        return [*start(form.spoken), *ending]

    def of(self, form: Form) -> Broken:
        document = [*form.spoken, *self.more]
        return Broken(
            form.case(self.name),
            self.steps(form),
            operation=form.operation,
            prefix=self.prefix,
            max_retries=1,
            document=document,
            delivered=len(form.spoken),
            passed=events(document),
            type=self.type,
            code=self.code,
            says=self.says,
            hides=self.hides,
            sequence=len(document) if form.name in RESPONSES else None,
        )


def start(documents: Sequence[Document]) -> list[Step]:
    """A head and these events, one write an event."""
    return [HEAD, *(chunk(event(document)) for document in documents)]


def to_the_end_of_the_connection(form: Form) -> Sequence[Step]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return [head, events(form.spoken), End.FIN]


def zipped(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Chunks of a gzip stream, each of which can be read when it is there; the trailer is the last."""
    pack = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield chunk(pack.compress(piece) + pack.flush(zlib.Z_SYNC_FLUSH))
    yield chunk(pack.flush())


GZIP = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")


def in_gzip(form: Form) -> Sequence[Step]:
    *pieces, _trailer = zipped([event(document) for document in form.spoken])
    return [GZIP, *pieces, End.FIN]


def finished_by(reason: str) -> Callable[[Form], Sequence[Step]]:
    def steps(form: Form) -> Sequence[Step]:
        last = completion("", reason) if form.name == "completions" else delta({}, reason)
        return [*start([*form.spoken, last]), chunk(DONE) + LAST]

    return steps


def unreadable_then_more(form: Form) -> Sequence[Step]:
    rest = events(form.ending) + form.done
    return [*start(form.spoken), chunk(HALF + b"\n\n"), chunk(HALF + b"\n\n"), chunk(rest) + LAST]


TRANSPORT = [
    Cause("closed", [End.FIN], INTERRUPTED),
    Cause("reset", [PAUSE, End.RST], INTERRUPTED),
    Cause("cut-in-a-chunk", [b"ff\r\n" + HALF, End.FIN], INTERRUPTED, hides=('"del',)),
    Cause("cut-in-an-event", [chunk(HALF), End.FIN], INTERRUPTED, hides=('"del',)),
    Cause("ends-without-an-end", [LAST], INTERRUPTED),
    Cause("closed-as-if-it-were-the-end", to_the_end_of_the_connection, INTERRUPTED),
    Cause("cut-in-gzip", in_gzip, INTERRUPTED),
    Cause("done-without-a-finish", DONE, INTERRUPTED, hides=("[DONE]",)),
    Cause("stalled", [End.STALL], ("stream_stalled",), prefix="/stalling"),
]

ERROR_EVENTS = [
    # vLLM v1 when its engine process dies.
    Cause(
        "nested-error",
        b"data: "
        + said(
            {
                "error": {
                    "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
                    "type": "InternalServerError",
                    "param": None,
                    "code": 500,
                }
            }
        ).encode()
        + b"\n\n"
        + DONE,
        ("engine_crashed",),
        hides=("[DONE]", "InternalServerError"),
    ),
    Cause(
        "flat-error",
        b"data: "
        + said(
            {
                "object": "error",
                "message": "CUDA out of memory. Tried to allocate 2.00 GiB",
                "type": "InternalServerError",
                "param": None,
                "code": 500,
            }
        ).encode()
        + b"\n\n"
        + DONE,
        ("out_of_memory",),
        says=("CUDA out of memory",),
        hides=("[DONE]", '"object":"error"'),
    ),
    Cause(
        "error-by-name",
        b"event: error\ndata: " + said({"message": "Rate limit reached for this key"}).encode() + b"\n\n",
        ("rate_limit_exceeded",),
        type=LIMIT,
        says=("Rate limit reached",),
    ),
    # llama.cpp until b5200 or so: a field of SSE that does not exist.
    Cause(
        "error-as-a-field",
        b"error: " + said({"code": 500, "message": "Compute error.", "type": "server_error"}).encode() + b"\n\n",
        ("internal_error",),
    ),
    Cause(
        "error-of-fastchat",
        b"data: "
        + said(
            {
                "text": "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**\n\n"
                "(CUDA out of memory)",
                "error_code": 50002,
            }
        ).encode()
        + b"\n\n"
        + DONE,
        ("out_of_memory", "internal_error", "server_is_overloaded"),
        hides=("[DONE]", "error_code"),
    ),
    # OpenRouter: the error rides on a chunk, which the AI SDK takes for one.
    Cause(
        "error-beside-choices",
        b"data: "
        + said(
            {
                **delta({"content": ""}, "error"),
                "error": {"code": 503, "message": "The provider is overloaded, try again later"},
            }
        ).encode()
        + b"\n\n"
        + DONE,
        ("server_is_overloaded",),
        says=("overloaded",),
        hides=("[DONE]", "choices"),
        forms=CHOICES,
    ),
    Cause("finish-by-error", finished_by("error"), ("internal_error", *INTERRUPTED), forms=CHOICES),
    Cause("finish-by-abort", finished_by("abort"), ("internal_error", *INTERRUPTED), forms=CHOICES),
    Cause("response-failed", events(FAILED), ("internal_error",), more=FAILED, forms=RESPONSES),
]

NO_EVENTS = [
    Cause(
        "page",
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
        b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
        ("bad_gateway", *MALFORMED, *INTERRUPTED),
        hides=("<html", "<h1>", "nginx"),
    ),
    # Knative's queue-proxy, whose own timeout writes this behind whatever was sent.
    Cause("bare-words", b"request timeout", ("timeout", *MALFORMED, *INTERRUPTED)),
    # LMDeploy's proxy when the engine behind it does not answer any more.
    Cause(
        "bare-json",
        said({"error_code": 10402, "text": "Failed to get response after a period of time"}).encode() + b"\n",
        ("timeout", "internal_error", *MALFORMED, *INTERRUPTED),
        hides=("error_code",),
    ),
    Cause("unreadable-twice", unreadable_then_more, MALFORMED, hides=('"del',)),
    Cause("unreadable-at-the-end", HALF + b"\n\n", MALFORMED, hides=('"del',)),
]

BROKEN_STREAMS: Sequence[Broken] = [
    cause.of(form) for form in FORMS for cause in (*TRANSPORT, *ERROR_EVENTS, *NO_EVENTS) if form.name in cause.forms
]
