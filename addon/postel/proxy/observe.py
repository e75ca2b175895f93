"""From mitmproxy's objects to evidence, and nothing else.

Owns the translation of flows, messages and errors. Decides no fault. Called by `addon` and, for causes, by the layer.
"""

from __future__ import annotations

import re

from mitmproxy.http import Headers as MitmHeaders
from mitmproxy.http import HTTPFlow, Response

from postel.coding import decode
from postel.core.evidence import BODY_LIMIT, Cause, Evidence, Headers, Phase, Request
from postel.core.hold import LINES, Shape, asks_stream, is_guarded, is_held, sniff
from postel.core.paths import without_query
from postel.proxy.exchange import REQUEST_HOLD, Events, Tee

# What asyncio, the resolver and OpenSSL say when a connection cannot be made; the first that is found decides. Several
# addresses are tried in turn and reported together, and then the most telling one counts.
_CONNECT = (
    (Cause.CONNECT_TIMEOUT, r"timed out|Errno 110\b|ETIMEDOUT"),
    (Cause.TLS, r"certificate|TLS|SSL|handshake|alert"),
    (Cause.DNS, r"Errno -\d|name resolution|Name or service|nodename|getaddrinfo|no address associated"),
    (Cause.UNREACHABLE, r"Errno (?:101|113)\b|unreachable|No route"),
    (Cause.REFUSED, r"Errno 111\b|refused|Connect call failed"),
)
_CONNECT_CAUSES = tuple((cause, re.compile(pattern, re.IGNORECASE)) for cause, pattern in _CONNECT)


def cause_of(code: str, message: str, *, heard: bool) -> Cause:
    """The cause behind one of mitmproxy's errors; `heard` says that a response head had come.

    `code` is a name of ErrorCode (`proxy/layers/http/_events.py`); the texts are
    those of `_http1.py`, mitmproxy 12.2.3.
    """
    match code:
        case "CONNECT_FAILED":
            return next((cause for cause, pattern in _CONNECT_CAUSES if pattern.search(message)), Cause.UNREACHABLE)
        case "REQUEST_TOO_LARGE":
            return Cause.REQUEST_TOO_LARGE
        case "RESPONSE_TOO_LARGE":
            return Cause.ANSWER_TOO_LARGE
        case "RESPONSE_VALIDATION_FAILED":
            return Cause.BAD_FRAMING
        case "REQUEST_VALIDATION_FAILED" | "DESTINATION_UNKNOWN" | "GENERIC_CLIENT_ERROR":
            return Cause.BAD_REQUEST
    if heard:
        return Cause.BODY_CUT
    return Cause.CLOSED


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def headers(fields: MitmHeaders) -> Headers:
    """Header fields as text, without control characters: clients refuse a whole answer for one of those."""
    return Headers(tuple((name.decode("latin-1"), _line(value)) for name, value in fields.fields))


def _line(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() else _CONTROLS.sub(" ", text).strip()


def held(method: str, answer: Response) -> bool:
    """Whether an answer is held, by its head."""
    fields = answer.headers
    length = fields.get("content-length", "")
    size = int(length) if length.isdecimal() else None
    return is_held(method, answer.status_code, _media_type(answer), size, grpc_status=fields.get("grpc-status"))


def guarded(method: str, answer: Response) -> Events | None:
    """What an answer is a stream of, by its head; None for one that is not guarded."""
    media_type = _media_type(answer)
    if not is_guarded(method, answer.status_code, media_type):
        return None
    return "lines" if media_type in LINES else "events"


def _media_type(answer: Response) -> str | None:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() or None


def shape(flow: HTTPFlow, body: bytes) -> Shape | None:
    """What a held answer that begins with these bytes, as received, is a stream of."""
    assert flow.response
    if coding := flow.response.headers.get("content-encoding"):
        body = decode(body, coding, BODY_LIMIT)
    found = sniff(body, streamed=True)
    if found in (None, "unsure") or asks_stream(request(flow).body):
        return found
    return sniff(body, streamed=False)


def request_line(flow: HTTPFlow) -> Request:
    """What a stream's own bytes are read by: the request without its body."""
    return Request(method=flow.request.method, path=without_query(flow.request.path))


def request(flow: HTTPFlow) -> Request:
    """The client's request as rules may see it; of a streamed body what the tee kept."""
    sent = flow.request
    body = bytes(sent.stream.seen) if isinstance(sent.stream, Tee) else sent.raw_content or b""
    if body and (coding := sent.headers.get("content-encoding")):
        body = decode(body, coding, REQUEST_HOLD)
    return Request(method=sent.method, path=without_query(sent.path), body=body)


def response(flow: HTTPFlow, body: bytes) -> Evidence:
    """An answer as the rules see it; `body` is as received."""
    assert flow.response
    fields = headers(flow.response.headers)
    return Evidence(
        phase=Phase.RESPONSE,
        request=request(flow),
        status=flow.response.status_code,
        reason=flow.response.reason or "",
        headers=fields,
        body=decode(body, fields.get("content-encoding"), BODY_LIMIT),
    )


def transport(flow: HTTPFlow, cause: Cause, detail: str) -> Evidence:
    """No usable answer came; if a head did, its headers still name the request for whoever runs the upstream."""
    fields = headers(flow.response.headers) if flow.response else Headers()
    return Evidence(phase=Phase.TRANSPORT, request=request(flow), headers=fields, cause=cause, detail=detail)
