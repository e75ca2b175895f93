"""`postel test`: the cases beside the rules, played through the same pipeline as live traffic.

Owns the way from a case to evidence, and the comparison of what was sent with what was expected. The clock is
simulated. Called by `cli`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from postel.coding import decode
from postel.core.evidence import BODY_LIMIT, Cause, End, Evidence, Headers, Phase, Request
from postel.core.hold import EVENTS, is_held
from postel.core.normalise import Normaliser
from postel.core.paths import without_query
from postel.core.render import Reply
from postel.core.subject import Subject
from postel.rulefile.case_schema import Case, Expect, Given, GivenRequest
from postel.rulefile.check import Survey
from postel.rulefile.load import Loaded
from postel.rulefile.timeline import Write, compact

Outcome = Literal["passed", "failed", "skipped"]

NEEDS_GUARD = "needs the stream guard"

_NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z, the moment at which every case begins."""

_REQUEST_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case, and where it stands. `reasons` says what was not as expected, or why it did not run."""

    path: Path
    line: int
    column: int
    name: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        reasons = "".join(f"\n    {reason}" for reason in self.reasons)
        return f"{self.path}:{self.line}:{self.column}: {self.outcome}: {self.name}{reasons}"


def run_cases(survey: Survey) -> tuple[Result, ...]:
    """Run every case of every case file, in their order, against all packs."""
    return tuple(
        _result(book.document.path, case, *run_case(case, survey.loaded))
        for book in survey.books
        for case in book.cases
    )


def _result(path: Path, case: Case, outcome: Outcome, reasons: tuple[str, ...]) -> Result:
    mark = case.value_mark("name")
    return Result(path, mark.line, mark.column, case.name, outcome, reasons)


def run_case(case: Case, loaded: Loaded) -> tuple[Outcome, tuple[str, ...]]:
    """Run one case whose names are all known."""
    evidence = evidence_of(case.given)
    if evidence is None or case.expect.at is not None:
        return "skipped", (NEEDS_GUARD,)
    settings = case.given.settings
    rules = loaded.rules.keeping(settings.packs)
    subject = Subject(evidence)
    verdict = rules.classify(subject)
    normaliser = Normaliser(rules, loaded.dialects[settings.dialect])
    reply = normaliser.answer(evidence, request_id=_REQUEST_ID, now=_NOW)
    reasons = [
        *_differences(case.expect, _told(reply, verdict.rule if verdict else None)),
        *_unwanted(case.expect, reply),
        *(f"not: {name} matches" for name in case.expect.not_ or () if rules.known[name].match(subject) is not None),
    ]
    return ("failed" if reasons else "passed"), tuple(reasons)


# --- what was given ---------------------------------------------------------------------------------------------------


def evidence_of(given: Given) -> Evidence | None:
    """The one observation that a case is; None if only the stream guard can make it."""
    request = _request(given.request, streamed=given.stream is not None)
    if given.cause is not None:
        return Evidence(Phase.TRANSPORT, request, cause=given.cause, detail=given.detail or "")
    headers = Headers.of(_headers(given))
    status = given.status or 200
    kind = headers.content_type
    whole = Evidence(
        Phase.RESPONSE,
        request,
        status=status,
        reason=_phrase(status) if given.reason is None else given.reason,
        headers=headers,
        body=decode(_body(given), headers.get("content-encoding"), BODY_LIMIT),
    )
    if status >= 400:  # an ordinary error answer, even as text/event-stream, on what came of its body
        return whole
    if given.stream is not None or kind in EVENTS:
        return None
    if given.end is End.CLOSED:
        return whole
    if not is_held(request.method, status, kind, None):
        return None
    cause = Cause.BODY_CUT if given.end is End.BROKEN else Cause.BODY_TIMEOUT
    return Evidence(Phase.TRANSPORT, request, status=status, headers=headers, body=whole.body, cause=cause)


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
    if given.stream is not None:
        return b"".join(step.data for step in given.stream if isinstance(step, Write))
    if given.base64 is not None:
        return given.base64
    text = compact(given.json_) if "json" in given.keys_given else given.body or ""
    return text.encode("utf-8", "surrogatepass")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus else ""


# --- what was expected ------------------------------------------------------------------------------------------------

_MISSING = "nothing, because nothing is sent"


def _told(reply: Reply | None, rule: str | None) -> Mapping[str, object]:
    """What a client gets, by the keys of `expect`."""
    if reply is None:
        return {"fault": None, "rule": rule}
    sent = json.loads(reply.body)["error"] if reply.body else {}
    wait = dict(reply.headers).get("retry-after")
    return {
        "fault": reply.fault,
        "rule": rule,
        "status": reply.status,
        "type": sent.get("type"),
        "code": sent.get("code"),
        "param": sent.get("param"),
        "details": sent.get("details"),
        "retry_after": None if wait is None else int(wait),
        "retryable": reply.retryable,
        "delivered": 0,
    }


def _differences(expect: Expect, told: Mapping[str, object]) -> Iterator[str]:
    for key in expect.keys_given:
        if key in ("message", "absent", "at", "not"):
            continue
        wanted, got = getattr(expect, key), told.get(key, _MISSING)
        if key == "details" and not wanted and not got:
            continue
        if wanted != got:
            yield f"{key}: expected {_shown(wanted)}, got {got if got is _MISSING else _shown(got)}"


def _unwanted(expect: Expect, reply: Reply | None) -> Iterator[str]:
    """Texts that the message should have and has not, or that must not be sent and are."""
    message = reply.message if reply else ""
    for text in expect.message or ():
        if text not in message:
            yield f"message: expected {_shown(text)} in {_shown(message) if reply else _MISSING}"
    sent = [message, reply.body.decode(), *(value for _, value in reply.headers)] if reply else []
    for text in expect.absent or ():
        if any(text in part for part in sent):
            yield f"absent: {_shown(text)} is sent"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
