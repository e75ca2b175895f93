"""One case played: the upstream's bytes at their simulated times, through what live traffic goes through.

Owns the way from a case to evidence, the clock, and which bytes a client got. Decides no fault and compares nothing.
Called by `cases`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from http import HTTPStatus
from itertools import count
from math import inf
from typing import Any

from postel.coding import Decoder, decode, decoder
from postel.core.evidence import BODY_LIMIT, Cause, End, Evidence, Headers, Phase, Request
from postel.core.hold import LINES, Shape, asks_stream, is_guarded, is_held, sniff
from postel.core.normalise import Normaliser
from postel.core.paths import without_query
from postel.core.render import Fields, Reply
from postel.core.stream.guard import Guard, Stage
from postel.core.stream.ndjson import LineReader
from postel.core.stream.policy import StreamPolicy
from postel.core.stream.sse import SseReader
from postel.rulefile.case_schema import Given, GivenRequest, GivenSettings
from postel.rulefile.timeline import Step, Wait, Write, compact

_NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z, the moment at which every answer begins."""

_REQUEST_ID = "00000000-0000-4000-8000-000000000000"

_WAITS: Mapping[Cause, tuple[str, float]] = {
    Cause.CONNECT_TIMEOUT: ("connect_timeout", 5.0),
    Cause.HEAD_TIMEOUT: ("first_byte_timeout", 590.0),
}
"""The causes whose moment is known: the setting that decides it, and that setting's default."""

_TICKS = 100_000


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a case. `judged` is everything that the rules were asked, in order.

    `body` is what the client got, and `tail` what of it came after the last healthy event: an error answer is all tail.
    `headers` are those of an error answer, none where the upstream's head had gone out. `as_given` says that the body
    is the upstream's to the letter; `at` is when the error was told.
    """

    judged: tuple[Evidence, ...]
    reply: Reply | None = None
    status: int | None = None
    headers: Fields = ()
    body: bytes = b""
    tail: bytes = b""
    delivered: int = 0
    as_given: bool = False
    at: float | None = None


def play(given: Given, normaliser: Normaliser) -> Played:
    """Play one case whose names are all known."""
    return _Player(given, normaliser).play()


class _Player:
    """The upstream, the clock and the client of one case."""

    def __init__(self, given: Given, normaliser: Normaliser) -> None:
        self._given = given
        self._normaliser = normaliser
        self._request = _request(given.request, streamed=given.stream is not None)
        self._headers = Headers.of(_headers(given))
        self._coding = self._headers.get("content-encoding")
        self._status = given.status or 200
        self._policy = policy_of(given.settings)
        self._steps: list[Step] = given.stream if given.stream is not None else [Write(_body(given))]
        self._now = 0.0
        self._judged: list[Evidence] = []

    def play(self) -> Played:
        if self._given.cause is not None:
            name, default = _WAITS.get(self._given.cause, ("", 0.0))
            self._now = getattr(self._given.settings, name, None) or default
            return self._answered(self._transport(self._given.cause))
        method, kind = self._request.method, self._headers.content_type
        if is_guarded(method, self._status, kind):
            return self._guarded(self._steps, lines=kind in LINES)
        if is_held(method, self._status, kind, None, grpc_status=self._headers.get("grpc-status")):
            return self._held()
        return self._passed(self._body)

    # --- what is no stream --------------------------------------------------------------------------------------------

    def _held(self) -> Played:
        """An answer that is kept until it is whole, or too large, or turns out to be a stream."""
        body = b""
        silence = self._policy.idle_timeout
        shape: Shape | None = "unsure" if self._status < 400 else None
        for at, step in enumerate(self._steps):
            if isinstance(step, Wait):
                self._now += min(step.seconds, silence)
                if step.seconds >= silence:
                    return self._broken(body, Cause.BODY_TIMEOUT)
                continue
            body += step.data
            if len(body) > (self._given.settings.hold_body or BODY_LIMIT):
                return self._passed(self._body) if self._status < 400 else self._answered(self._response(body))
            if shape == "unsure":
                shape = sniff(decode(body, self._coding, BODY_LIMIT), asks_stream(self._request.body))
            if shape in ("events", "lines"):
                return self._guarded([Write(body), *self._steps[at + 1 :]], lines=shape == "lines")
        match self._given.end:
            case End.BROKEN:
                return self._broken(body, Cause.BODY_CUT)
            case End.STALLED:
                self._now += silence
                return self._broken(body, Cause.BODY_TIMEOUT)
        return self._answered(self._response(body))

    def _broken(self, body: bytes, cause: Cause) -> Played:
        """An error counts on what came of it; anything else is no answer."""
        return self._answered(self._response(body) if self._status >= 400 else self._transport(cause))

    def _response(self, body: bytes) -> Evidence:
        reason = self._given.reason
        return Evidence(
            Phase.RESPONSE,
            self._request,
            status=self._status,
            reason=_phrase(self._status) if reason is None else reason,
            headers=self._headers,
            body=decode(body, self._coding, BODY_LIMIT),
        )

    def _transport(self, cause: Cause) -> Evidence:
        detail = self._given.detail or ""
        return Evidence(Phase.TRANSPORT, self._request, headers=self._headers, cause=cause, detail=detail)

    def _answered(self, evidence: Evidence) -> Played:
        reply = self._judge(evidence)
        return self._passed(self._body) if reply is None else self._refused(reply)

    def _judge(self, evidence: Evidence) -> Reply | None:
        self._judged.append(evidence)
        return self._normaliser.answer(evidence, request_id=_REQUEST_ID, now=_NOW + self._now)

    @property
    def _body(self) -> bytes:
        return b"".join(step.data for step in self._steps if isinstance(step, Write))

    def _refused(self, reply: Reply) -> Played:
        judged, body = tuple(self._judged), reply.body
        return Played(judged, reply, reply.status, reply.headers, body, tail=body, at=self._now)

    def _passed(self, body: bytes, delivered: int = 0, *, as_given: bool = True) -> Played:
        judged = tuple(self._judged)
        return Played(judged, status=self._status, body=body, delivered=delivered, as_given=as_given)

    # --- what is one --------------------------------------------------------------------------------------------------

    def _guarded(self, steps: list[Step], *, lines: bool) -> Played:
        unpacks = decoder(self._coding)
        if unpacks is None:
            return self._passed(self._body)
        guard = Guard(
            self._judge,
            self._request,
            self._headers,
            policy=self._policy,
            request_id=_REQUEST_ID,
            lines=lines,
            asked=0.0,
            now=self._now,
        )
        body = b"".join(self._run(guard, steps, unpacks))
        if guard.reply is None:
            as_given = body == decode(self._body, self._coding, len(body) + 1)
            return self._passed(body, guard.delivered, as_given=as_given)
        if guard.stage is Stage.REFUSED:
            return self._refused(guard.reply)
        return Played(
            tuple(self._judged),
            guard.reply,
            self._status,
            body=body,
            tail=_after(body, guard.delivered, lines=lines),
            delivered=guard.delivered,
            at=self._now,
        )

    def _run(self, guard: Guard, steps: list[Step], unpacks: Decoder) -> Iterator[bytes]:
        for step in steps:
            if isinstance(step, Wait):
                until = self._now + step.seconds
                yield from self._silence(guard, until)
                self._now = self._now if guard.stage >= Stage.REFUSED else until
                continue
            yield guard.receive(b"".join(unpacks.feed(step.data)), self._now)
            if unpacks.broken:
                yield guard.end(End.BROKEN, self._now)
        if self._given.end is End.STALLED:
            yield from self._silence(guard, inf)
            return
        if self._given.end is End.CLOSED:
            yield guard.receive(b"".join(unpacks.finish()), self._now)
        yield guard.end(self._given.end, self._now)

    def _silence(self, guard: Guard, until: float) -> Iterator[bytes]:
        """Nothing comes, and the guard is woken whenever it asked for that."""
        for tick in count():
            if guard.stage >= Stage.REFUSED or guard.deadline > until or guard.deadline == inf:
                return
            if tick == _TICKS:
                raise RuntimeError("the guard does not come to an end")
            self._now = max(self._now, guard.deadline)
            yield guard.tick(self._now)


def _after(body: bytes, delivered: int, *, lines: bool) -> bytes:
    """What follows so many events with data."""
    at = 0
    for event in (LineReader() if lines else SseReader()).receive(body):
        if not delivered:
            break
        at += len(event.raw)
        delivered -= event.data is not None
    return body[at:]


# --- what was given ---------------------------------------------------------------------------------------------------


def policy_of(settings: GivenSettings) -> StreamPolicy:
    """The guard's settings; what a case does not say has its default."""
    told = {field.name: getattr(settings, field.name, None) for field in fields(StreamPolicy)} | {
        "first_output_timeout": settings.first_byte_timeout,
        "done_after_error": None if settings.done is None else settings.done == "after-error",
    }
    given: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    return StreamPolicy(**given)


def _request(given: GivenRequest, *, streamed: bool) -> Request:
    if "json" in given.keys_given:
        body = compact(given.json_)
    elif given.body is not None:
        body = given.body
    else:
        body = compact({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": streamed})
    return Request(given.method, without_query(given.path), body.encode("utf-8", "surrogatepass"))


def _headers(given: Given) -> Iterator[tuple[str, str]]:
    yield from ((name, value) for name, values in given.headers.items() for value in values)
    implied = (
        "application/json" if "json" in given.keys_given else "text/event-stream" if given.stream is not None else ""
    )
    if implied and "content-type" not in map(str.lower, given.headers):
        yield "content-type", implied


def _body(given: Given) -> bytes:
    if given.base64 is not None:
        return given.base64
    text = compact(given.json_) if "json" in given.keys_given else given.body or ""
    return text.encode("utf-8", "surrogatepass")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus else ""
