"""`postel explain`: one captured answer, and why it is told the way it is.

Owns reading a capture (what `curl -i` prints, or a body alone) and the printout. Decides nothing. Called by `cli`.
"""

from __future__ import annotations

from collections.abc import Iterator

from postel.coding import decode
from postel.core.evidence import BODY_LIMIT, Evidence, Headers, Phase, Request
from postel.core.match import Subject
from postel.core.normalise import Normaliser
from postel.core.rules import Tried


class CaptureError(Exception):
    """The capture cannot be read; the text says what was expected."""


def capture(raw: bytes, request: Request, status: int | None = None) -> Evidence:
    """Evidence from an HTTP answer as `curl -i` prints it, or from a body alone with `status`.

    curl prints interim answers and redirects too; the last head counts. Raises CaptureError.
    """
    if not raw.startswith(b"HTTP/"):
        if status is None:
            raise CaptureError("no status line: give what `curl -i` prints, or --status with a body alone")
        return Evidence(Phase.RESPONSE, request, status=status, body=raw[:BODY_LIMIT])
    while True:
        head, body = _split(raw)
        if not body.startswith(b"HTTP/"):
            break
        raw = body
    first, *lines = head.decode("utf-8", "replace").splitlines()
    parts = first.split(" ", 2)
    if len(parts) < 2 or not (parts[1].isdigit() and len(parts[1]) == 3):
        raise CaptureError(f"no status line: {first[:60]!r}")
    headers = Headers.of((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Evidence(
        Phase.RESPONSE,
        request,
        status=status or int(parts[1]),
        reason=parts[2] if len(parts) > 2 else "",
        headers=headers,
        body=decode(body, headers.get("content-encoding"), BODY_LIMIT),
    )


def _split(raw: bytes) -> tuple[bytes, bytes]:
    for blank in (b"\r\n\r\n", b"\n\n"):
        head, found, body = raw.partition(blank)
        if found:
            return head, body
    return raw, b""


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
    """The lines of the explanation: what was read, every rule asked, the winner, the reply."""
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
