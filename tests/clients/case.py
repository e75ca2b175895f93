"""What a case is, and the words that cases are written in.

Owns the kinds of case and the builders of upstream answers. A case says what the upstream does and what the client's
user has to see, from the contract: the fault's status, type and code, the headers that steer retries, which words of
the upstream survive. How a status becomes an exception is the SDK's business and stands in the tests. Knows no
process.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from postel.misbehave import End, Step, answer
from tests.clients.calls import CHAT, Operation

Where = Literal["engine", "nobody", "nginx"]


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of whom.

    `plays`: the steps of the engine. `headers`: the client's. `prefix`: a location of nginx.
    """

    name: str
    plays: Sequence[Step]
    _: KW_ONLY
    operation: Operation = CHAT
    headers: Mapping[str, str] = field(default_factory=dict)
    where: Where = "engine"
    prefix: str = ""
    max_retries: int = 2


@dataclass(frozen=True, slots=True)
class Failure(Case):
    """An upstream that fails, and the error that the client gets.

    `code`: several where the bytes allow several. `wait`: Retry-After in seconds, from and to; None for none. `says`,
    `hides`: parts of the message, and of nothing that was sent. `keeps`: headers of the upstream that the client gets.
    """

    status: int
    type: str
    code: str | tuple[str, ...]
    param: str | None = None
    retryable: bool = False
    wait: tuple[int, int] | None = None
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    keeps: Mapping[str, str] = field(default_factory=dict)

    @property
    def retried(self) -> bool:
        """Whether an SDK is told to ask again: not if no retry helps, nor if it would not wait so long."""
        return self.retryable and (self.wait is None or self.wait[1] <= 59)

    @property
    def attempts(self) -> int:
        return 1 + self.max_retries if self.retried else 1


@dataclass(frozen=True, slots=True)
class Healthy(Case):
    """An upstream that works, if `first` is given at the second attempt.

    `document` is the body, or the events of a stream, as the SDK has to give them out.
    """

    document: Any
    first: Sequence[Step] = ()

    @property
    def attempts(self) -> int:
        return 2 if self.first else 1


@dataclass(frozen=True, slots=True)
class Whole(Healthy):
    """A stream that reaches its end, `document` being its events. `passed` is the body as curl reads it."""

    _: KW_ONLY
    passed: bytes


@dataclass(frozen=True, slots=True)
class Broken(Case):
    """A stream that fails after the user had some of it.

    `document` are the events that the user has, `delivered` of them healthy ones, `passed` their bytes; then comes the
    error. `code`, `says`, `hides` are as in Failure. `sequence` is the number of the error among the events of the
    Responses API.
    """

    document: Sequence[Any]
    delivered: int
    passed: bytes
    type: str
    code: tuple[str, ...]
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    sequence: int | None = None


def said(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def error(**fields: object) -> str:
    return said({"error": fields})


def problem(status: str, document: object, *headers: str) -> list[Step]:
    return [answer(status, said(document), "application/json", *headers)]


def page(status: str, footer: str = "gateway", content_type: str = "text/html") -> list[Step]:
    html = f"<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n"
    return [answer(status, f"{html}<hr><center>{footer}</center>\r\n</body>\r\n</html>\r\n", content_type)]


def cut(status: str, body: str, missing: int = 200) -> list[Step]:
    """An answer that ends before its Content-Length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body) + missing}\r\n\r\n"
    return [head.encode() + body.encode(), End.FIN]


REQUEST = "invalid_request_error"
QUOTA = "insufficient_quota"
SERVER = "server_error"
LIMIT = "rate_limit_error"

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "demo",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Grüße! 502 Bad Gateway is no error in here."},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
    "vendor_extension": {"kept": [1, 2.5, None]},
}
CUT_COMPLETION = said(COMPLETION)[:60]
BUSY = problem("503 Service Unavailable", {"detail": "queue is full"}, "Retry-After: 1")
