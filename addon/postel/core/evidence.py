"""What was observed of one exchange, as plain data.

Owns the shapes that carry facts from the edge to the rules. Decides nothing, reads no body. Built by `proxy.observe`
(live traffic) and by `rulefile.play` (recorded traffic); read by `match`, `body` and `normalise`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

BODY_LIMIT = 64 * 1024
"""Bytes of an answer's body that rules may look at, after decoding."""


class Phase(StrEnum):
    """Where in an exchange the evidence was found."""

    RESPONSE = "response"
    EVENT = "event"
    END = "end"
    TRANSPORT = "transport"


class End(StrEnum):
    """How a body stopped. FIN and RST look alike to mitmproxy, so both are `broken`.

    `expired` is our own doing: the whole answer took longer than the route allows.
    """

    CLOSED = "closed"
    BROKEN = "broken"
    STALLED = "stalled"
    EXPIRED = "expired"


class Cause(StrEnum):
    """Why there is no usable answer: the upstream's side, the client's side, the proxy itself."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    DNS = "dns"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    HEAD_TIMEOUT = "head_timeout"
    CLOSED = "closed"
    BAD_HEAD = "bad_head"
    BAD_FRAMING = "bad_framing"
    HEAD_TOO_LARGE = "head_too_large"
    BODY_CUT = "body_cut"
    BODY_TIMEOUT = "body_timeout"
    ANSWER_TOO_LARGE = "answer_too_large"

    BAD_REQUEST = "bad_request"
    CONNECT_METHOD = "connect_method"
    REQUEST_HEAD_TOO_LARGE = "request_head_too_large"
    REQUEST_TOO_LARGE = "request_too_large"
    REQUEST_TIMEOUT = "request_timeout"

    BUSY = "busy"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order received. Names keep their case; look-ups ignore it."""

    fields: tuple[tuple[str, str], ...] = ()
    _joined: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        joined: dict[str, str] = {}
        for key, value in self.fields:
            name = key.lower()
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        object.__setattr__(self, "_joined", joined)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        return cls(tuple(pairs))

    def get_all(self, name: str) -> list[str]:
        name = name.lower()
        return [value for key, value in self.fields if key.lower() == name]

    def get(self, name: str) -> str | None:
        """All values of one name joined by `, ` (RFC 9110 section 5.3); None if there is none."""
        return self._joined.get(name.lower())

    @property
    def content_type(self) -> str | None:
        """The media type in lower case without parameters, e.g. `application/json`; None if absent or empty."""
        value = self.get("content-type")
        return (value.split(";")[0].split(",")[0].strip().lower() or None) if value else None


@dataclass(frozen=True, slots=True)
class Request:
    """What rules and messages may know of the client's request.

    `path` is without the query. `body` is what was held of it (1 MiB at most): the echo check reads it, nothing else
    does.
    """

    method: str = "POST"
    path: str = "/v1/chat/completions"
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation, the input of every rule. A field that its phase does not have keeps its default.

    `body` is decoded (no content coding) and at most BODY_LIMIT long: an answer's body, one whole stream event with its
    comments, or what came after the last whole event. `readable` is false of an event whose data is no JSON, strictly:
    the rules' own reader makes the best even of half a document.
    """

    phase: Phase
    request: Request = field(default_factory=Request)
    status: int | None = None
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    event: str | None = None
    stray: bool = False
    readable: bool = True
    end: End | None = None
    finish_reason: str | None = None
    events: int = 0
    cause: Cause | None = None
    detail: str = ""
