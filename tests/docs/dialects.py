"""The tables and examples on the pages of the dialects: what a document promises beside what Postel sends.

Read by pages.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from postel.core.dialect import Terms
from postel.core.evidence import Evidence, Headers, Phase, Request
from postel.core.fault import BASE
from postel.core.normalise import Normaliser
from postel.core.render import Reply
from postel.core.stream.guard import Guard
from postel.core.stream.policy import StreamPolicy
from postel.rulefile.dialect_schema import DialectFile
from postel.rulefile.document import Document
from postel.rulefile.library import library_path, rule_files
from postel.rulefile.load import Loaded
from tests.contracts import CONTRACTS
from tests.library import built_in

_ID = "0d63f7be-f1b7-4a4c-9c58-9e4a0b1f3c55"
_DAILY = {
    "type": "quota_exhausted",
    "code": "daily_quota_exhausted",
    "message": "Daily quota exhausted for the Pro plan.",
    "details": {"plan": "pro", "quota_daily": 2000000, "quota_used": 2000000, "resets_in_seconds": 18432},
}
_OVERFLOW = {
    "object": "error",
    "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4488 in the "
    "messages, 512 in the completion). Please reduce the length of the messages or completion.",
    "type": "BadRequestError",
    "code": 400,
}
_TIER = {"message": "Tier 'ludicrous' is not in the plan", "type": "permission_denied", "code": "tier_not_allowed"}
_BUSY = {"detail": "queue is full"}

EXAMPLES: Mapping[str, tuple[int, object]] = {
    "openai": (400, _OVERFLOW),
    "siati": (429, {"error": _DAILY}),
    "siati-router": (403, {"error": _TIER}),
    "budget-gateway": (429, {"error": {"message": "Too many requests per minute", "code": "rpm_exceeded"}}),
    "cai": (503, _BUSY),
    "anthropic": (503, _BUSY),
    "problem": (503, _BUSY),
}
"""What an upstream says, for the example on the page of each dialect."""


@cache
def _loaded() -> Loaded:
    return built_in()


def _terms(dialect: str, fault: str) -> Terms:
    loaded = _loaded()
    return loaded.dialects[dialect].terms(fault, loaded.rules.faults)


def _sent(dialect: str, fault: str) -> str:
    """Status, type, code, whether it is retried and after which default wait."""
    terms = _terms(dialect, fault)
    wait = f"{terms.retry_after:g} s" if terms.retry_after else ""
    code = "" if _loaded().dialects[dialect].envelope == "anthropic" else f" | `{terms.code}`"
    kind = "" if _loaded().dialects[dialect].envelope == "problem" else f" | `{terms.type}`"
    return f"{terms.status}{kind}{code} | {'yes' if terms.retryable else 'no'} | {wait}"


def _head(dialect: str, *before: str) -> list[str]:
    shape = _loaded().dialects[dialect].envelope
    names = [*before, "status", *(["type"] if shape != "problem" else []), *(["code"] if shape != "anthropic" else [])]
    names += ["retried", "default `Retry-After`"]
    return ["| " + " | ".join(names) + " |", "| --- " * len(names) + "|"]


def contract(dialect: str) -> str:
    """The document's rows, and beside each what is sent for the faults of which it speaks."""
    lines = _head(dialect, "the document", "says", "fault")
    for row in CONTRACTS[dialect]:
        promised = ", ".join([str(row.status), *(f"`{word}`" for word in (row.type, row.code) if word)])
        for fault in row.faults:
            lines.append(f"| {promised} | {row.says} | `{fault}` | {_sent(dialect, fault)} |")
    return "\n".join(lines)


def silent(dialect: str) -> str:
    """The faults of which the document does not speak."""
    named = {fault for row in CONTRACTS[dialect] for fault in row.faults}
    return every(dialect, (fault for fault in BASE if fault not in named))


def every(dialect: str, faults: Iterable[str] = BASE) -> str:
    """A row for each fault; `client_closed` is never told to anybody."""
    told = (fault for fault in faults if fault != "client_closed")
    return "\n".join([*_head(dialect, "fault"), *(f"| `{fault}` | {_sent(dialect, fault)} |" for fault in told)])


def finer(dialect: str) -> str:
    """The faults that only this dialect has."""
    lines = ["| fault | is | code | if the upstream says nothing |", "| --- " * 4 + "|"]
    for fault, parent in _loaded().dialects[dialect].parents.items():
        terms = _terms(dialect, fault)
        lines.append(f"| `{fault}` | `{parent}` | `{terms.code}` | {terms.message} |")
    return "\n".join(lines)


def _judge(dialect: str) -> Normaliser:
    loaded = _loaded()
    return Normaliser(loaded.rules, loaded.dialects[dialect])


def example(dialect: str) -> str:
    """One upstream's answer, and what a client gets of it."""
    status, said = EXAMPLES[dialect]
    request = Request(path="/v1/messages") if dialect == "anthropic" else Request()
    evidence = Evidence(
        Phase.RESPONSE, request, status, headers=Headers.of([("content-type", "application/json")]), body=_json(said)
    )
    reply = _judge(dialect).answer(evidence, request_id=_ID, now=0)
    assert reply
    shown = ("content-type", "x-request-id", "request-id", "retry-after", "x-should-retry")
    headers = [f"{name}: {value}" for name, value in reply.headers if name in shown]
    return "\n".join(
        [
            "The upstream:",
            "",
            f"```\nHTTP/1.1 {status}\n\n{_json(said).decode()}\n```",
            "",
            "The client:",
            "",
            "\n".join(["```", f"HTTP/1.1 {reply.status}", *headers, "", reply.body.decode(), "```"]),
        ]
    )


def stream(dialect: str) -> str:
    """The end of a stream that the upstream does not go on with."""
    judge = _judge(dialect)

    def asked(evidence: Evidence) -> Reply | None:
        return judge.answer(evidence, request_id=_ID, now=0)

    claude = dialect == "anthropic"
    request = Request(path="/v1/messages" if claude else "/v1/chat/completions")
    good = (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}
        if claude
        else {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}
    )
    failed = {"error": {"message": "Upstream timeout", "code": "timeout"}}
    guard = Guard(
        asked,
        request,
        Headers.of([("content-type", "text/event-stream")]),
        policy=StreamPolicy(),
        request_id=_ID,
        lines=False,
        asked=0,
        now=0,
    )
    sent = guard.receive(b"data: " + _json(good) + b"\n\n", 0) + guard.receive(b"data: " + _json(failed) + b"\n\n", 0)
    return f"```\n{sent.decode().strip()}\n```"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def index() -> str:
    """Every dialect with its page."""
    lines = ["| dialect | whose | shape |", "| --- " * 3 + "|"]
    files = [Document(path).validate(DialectFile) for path in rule_files(library_path() / "dialects")]
    summaries = {file.dialect: file.summary for file in files if file}
    for name, dialect in _loaded().dialects.items():
        shape = {"openai": "OpenAI's", "anthropic": "Anthropic's", "problem": "RFC 9457"}[dialect.envelope]
        lines.append(f"| [`{name}`](dialects/{name}.md) | {summaries[name]} | {shape} |")
    return "\n".join(lines)


def pages() -> dict[str, dict[str, Callable[[], str]]]:
    """The generated parts of every page, by page and name."""
    made: dict[str, dict[str, Callable[[], str]]] = {"docs/dialects.md": {"dialects": index}}
    for name, dialect in _loaded().dialects.items():
        parts: dict[str, Callable[[str], str]] = {"example": example, "stream": stream}
        parts |= {"contract": contract, "silent": silent} if name in CONTRACTS else {"every": every}
        if dialect.parents:
            parts["finer"] = finer
        made[f"docs/dialects/{name}.md"] = {part: _of(table, name) for part, table in parts.items()}
    return made


def _of(table: Callable[[str], str], dialect: str) -> Callable[[], str]:
    return lambda: table(dialect)
