"""`postel explain`: one captured answer, and why it is told the way it is.

Owns reading a capture (what `curl -i` prints, or a body alone) and the printout. Decides nothing. Called by `cli`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from postel.coding import decode
from postel.core.evidence import BODY_LIMIT, Evidence, Headers, Phase, Request
from postel.core.normalise import Normaliser
from postel.core.rules import Tried
from postel.core.subject import Subject

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? ([1-9]\d\d)(?: ([^\n]*?))?\r?(?:\n|\Z)")
_GOES_ON = re.compile(rb"1..|3..|401|407")
"""The statuses after which curl asks, or listens, once more; what follows any other is a body, however it begins."""


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
    return Evidence(
        Phase.RESPONSE,
        request,
        status=status or int(line[1]),
        reason=(line[2] or b"").decode("utf-8", "replace"),
        headers=headers,
        body=decode(body, headers.get("content-encoding"), BODY_LIMIT),
    )


def _split(raw: bytes) -> tuple[bytes, bytes]:
    head, *body = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
    return head, body[0] if body else b""


WIDTH = 160
"""Characters of a line that says why a rule did not match."""


def _asked(tried: tuple[Tried, ...], evidence: Evidence) -> Iterator[str]:
    """A line for each rule that names the status, in the order of evaluation."""
    elsewhere = 0
    for one in tried:
        if not any(evidence.status in alternative.statuses for alternative in one.rule.alternatives):
            elsewhere += 1
            continue
        line = f"{'>' if one.failure is None else ' '} {one.rule.id:32} {one.failure or 'matches'}"
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
    yield f"  ({elsewhere} more do not name status {evidence.status})"


def explain(normaliser: Normaliser, evidence: Evidence, *, now: float) -> Iterator[str]:
    """The lines of the explanation: what was read, every rule asked, the winner, the reply. Safe for a terminal."""
    for line in _explained(normaliser, evidence, now):
        yield "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _explained(normaliser: Normaliser, evidence: Evidence, now: float) -> Iterator[str]:
    subject = Subject(evidence)
    reading = subject.reading
    media_type = evidence.headers.content_type or "no content type"
    yield f"upstream   {evidence.status} {media_type}, {len(evidence.body)} bytes"
    yield f"read as    {reading.kind}"
    for name, value in (
        ("message", reading.message),
        ("type", reading.type),
        ("code", reading.code),
        ("param", reading.param),
    ):
        if value is not None:
            yield f"  {name:8} {value}"
    yield ""
    yield from _asked(normaliser.rules.explain(evidence), evidence)
    yield ""
    reply = normaliser.answer(evidence, request_id="<request id>", now=now)
    if reply is None:
        yield "reply      none: the answer passes as it is"
        return
    yield f"fault      {reply.fault} (rule {reply.rule or 'none'})"
    yield f"reply      {reply.status}"
    for name, value in reply.headers:
        yield f"  {name}: {value}"
    yield ""
    yield f"  {reply.body.decode()}"
