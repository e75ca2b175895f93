"""`postel explain`: one captured answer or stream, and why it is told the way it is.

Owns reading a capture (what `curl -i` prints, or a body alone) and the printout. Decides nothing. Called by `cli`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from postel.coding import decode
from postel.core.evidence import BODY_LIMIT, End, Evidence, Headers, Phase, Request
from postel.core.hold import LINES, is_guarded
from postel.core.match import Condition, TextCondition
from postel.core.normalise import Normaliser
from postel.core.render import Reply
from postel.core.rules import DEFAULT_STATUSES, Alternative, Rule, Tried
from postel.core.stream.guard import Guard, Stage
from postel.core.stream.ndjson import LineReader
from postel.core.stream.policy import StreamPolicy
from postel.core.stream.sse import SseReader
from postel.core.subject import Subject

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? ([1-9]\d\d)(?: ([^\n]*?))?\r?(?:\n|\Z)")
_GOES_ON = re.compile(rb"1..|3..|401|407")
"""The statuses after which curl asks, or listens, once more; what follows any other is a body, however it begins."""

_STREAM = 16 * 1024 * 1024
"""Bytes of a captured stream that are read."""


class CaptureError(Exception):
    """The capture cannot be read; the text says what was expected."""


def capture(raw: bytes, request: Request, status: int | None = None) -> Evidence:
    """Evidence from an HTTP answer as `curl -i` prints it, or from a body alone with `status`.

    curl prints interim answers and redirects too; the last head counts. Raises CaptureError.
    """
    line = _STATUS_LINE.match(raw)
    if line is None:
        if status is None:
            raise CaptureError("no status line: give what `curl -i` prints, or --status with a body alone")
        return Evidence(Phase.RESPONSE, request, status=status, body=raw[:BODY_LIMIT])
    head, body = _split(raw)
    while _GOES_ON.fullmatch(line[1]) and (following := _STATUS_LINE.match(body)):
        line = following
        head, body = _split(body)
    fields = (text.partition(":") for text in head.decode("utf-8", "replace").splitlines()[1:])
    headers = Headers.of((name.strip(), value.strip()) for name, _, value in fields)
    final = status or int(line[1])
    stream = is_guarded(request.method, final, headers.content_type)
    return Evidence(
        Phase.RESPONSE,
        request,
        status=final,
        reason=(line[2] or b"").decode("utf-8", "replace"),
        headers=headers,
        body=decode(body, headers.get("content-encoding"), _STREAM if stream else BODY_LIMIT),
    )


def _split(raw: bytes) -> tuple[bytes, bytes]:
    head, *body = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
    return head, body[0] if body else b""


WIDTH = 160
"""Characters of a line that says why a rule did not match."""


NEAREST = 8
"""Rules shown that nearly matched, unless all are asked for."""


def _asked(tried: tuple[Tried, ...], subject: Subject, *, everything: bool) -> Iterator[str]:
    """The rules that could hold, in the order of evaluation: those that came near, and the winner."""
    status = subject.evidence.status
    response = subject.evidence.phase is Phase.RESPONSE
    asked = [
        one
        for one in tried
        if not response or any(status in alternative.statuses for alternative in one.rule.alternatives)
    ]
    nearness = {one.rule.id: _nearness(one.rule, subject) for one in asked if one.failure is not None}
    nearest = sorted((rule for rule in nearness if nearness[rule]), key=lambda rule: -nearness[rule])[:NEAREST]
    for one in asked:
        if one.failure is None:
            yield f"> {one.rule.id:32} matches"
            yield from (f"    {held}" for held in _held(one.rule, subject))
        elif everything or one.rule.id in nearest:
            line = f"  {one.rule.id:32} {one.failure}"
            yield line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
    if not everything and (left := sum(one.failure is not None for one in asked) - len(nearest)):
        yield f"  ({left} more were asked and have nothing in common with it)"
    if len(tried) > len(asked):
        yield f"  ({len(tried) - len(asked)} more do not name status {status})"


def _nearness(rule: Rule, subject: Subject) -> int:
    """How many conditions hold that would not hold of nothing, in the alternative that comes nearest."""
    return max((len(_evident(alternative, subject)) for alternative in rule.alternatives), default=0)


_COMMON = ("content_type", "path", "method")
"""What half of all answers have in common."""


def _evident(alternative: Alternative, subject: Subject) -> list[Condition]:
    if alternative.phase is not subject.evidence.phase:
        return []
    return [
        condition
        for condition in alternative.conditions
        if condition.name not in _COMMON
        and subject.ask(condition) is not None
        and (isinstance(condition, TextCondition) or condition.test.match(None) is None)
    ]


def _held(rule: Rule, subject: Subject) -> Iterator[str]:
    """What the winner asked for and found."""
    alternative = next(each for each in rule.alternatives if each.match(subject) is not None)
    if rule.summary:
        yield rule.summary
    if subject.evidence.status and alternative.statuses != DEFAULT_STATUSES:
        yield f"status is {subject.evidence.status}"
    for condition in alternative.conditions:
        captures = subject.ask(condition) or {}
        found = "".join(f", {name} = {text}" for name, text in captures.items())
        line = f"{condition.label}{found}"
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def explain(
    normaliser: Normaliser, evidence: Evidence, *, now: float, end: End = End.CLOSED, everything: bool = False
) -> Iterator[str]:
    """The lines of the explanation: what was read, which rules came near, the winner, the reply. Safe for a terminal.

    `end` is how a stream stopped, which its bytes do not tell. With `everything`, every rule that was asked is shown.
    """
    media_type = evidence.headers.content_type
    if evidence.status and is_guarded(evidence.request.method, evidence.status, media_type):
        lines = _streamed(normaliser, evidence, now, end, everything=everything)
    else:
        lines = _explained(normaliser, evidence, now, everything=everything)
    for line in lines:
        yield "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _explained(normaliser: Normaliser, evidence: Evidence, now: float, *, everything: bool) -> Iterator[str]:
    media_type = evidence.headers.content_type or "no content type"
    yield f"upstream   {evidence.status} {media_type}, {len(evidence.body)} bytes"
    yield from _read(evidence)
    yield ""
    yield from _asked(normaliser.rules.explain(evidence), Subject(evidence), everything=everything)
    yield ""
    reply = normaliser.answer(evidence, request_id="<request id>", now=now)
    if reply is None:
        yield "reply      none: the answer passes as it is"
    else:
        yield from _told(reply)


def _streamed(normaliser: Normaliser, evidence: Evidence, now: float, end: End, *, everything: bool) -> Iterator[str]:
    """A stream goes through the guard, all of it at once."""
    judged: list[Evidence] = []

    def judge(found: Evidence) -> Reply | None:
        judged.append(found)
        return normaliser.answer(found, request_id="<request id>", now=now)

    headers, lines = evidence.headers, evidence.headers.content_type in LINES
    guard = Guard(
        judge,
        evidence.request,
        headers,
        policy=StreamPolicy(),
        request_id="<request id>",
        lines=lines,
        asked=0.0,
        now=0.0,
    )
    sent = guard.receive(evidence.body, 0.0)
    sent += guard.end(end, 0.0)

    yield f"upstream   {evidence.status} {headers.content_type}, {len(evidence.body)} bytes, then {end}"
    yield f"delivered  {guard.delivered} events"
    for name, times in guard.repaired.items():
        yield f"mended     {name}, {times} times" if times > 1 else f"mended     {name}"
    if guard.reply is None:
        yield "reply      none: the stream is complete" + ("" if guard.repaired else ", and passes as it is")
        return
    last = judged[-1]
    yield f"judged     phase {last.phase}: {last.body.decode('utf-8', 'replace').strip() or '(no bytes)'}"[:WIDTH]
    yield from _read(last)
    yield ""
    yield from _asked(normaliser.rules.explain(last), Subject(last), everything=everything)
    yield ""
    if guard.stage is Stage.REFUSED:
        yield from _told(guard.reply)
        return
    yield f"fault      {guard.reply.fault} (rule {guard.reply.rule or 'none'})"
    yield f"reply      {evidence.status}, the events delivered, and as the last one"
    *_, tail = (LineReader() if lines else SseReader()).receive(sent)
    yield from (f"  {line}" for line in tail.raw.decode().splitlines() if line)


def _read(evidence: Evidence) -> Iterator[str]:
    reading = Subject(evidence).reading
    yield f"read as    {reading.kind}"
    for name, value in (
        ("message", reading.message),
        ("type", reading.type),
        ("code", reading.code),
        ("param", reading.param),
    ):
        if value is not None:
            yield f"  {name:8} {value}"
    if reading.kind == "json" and not reading.tells_error:
        line = f"  no error object that is known; `json` sees {json.dumps(reading.document, ensure_ascii=False)}"
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _told(reply: Reply) -> Iterator[str]:
    yield f"fault      {reply.fault} (rule {reply.rule or 'none'})"
    yield f"reply      {reply.status}"
    for name, value in reply.headers:
        yield f"  {name}: {value}"
    yield ""
    yield f"  {reply.body.decode()}"
