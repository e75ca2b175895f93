"""Heads of requests and answers: where they begin, what may be one, and how one is parsed.

Owns the making of mitmproxy's messages from the lines of a head, once and not checked field by field: mitmproxy 12.2.3
checks the type of each of a message's dozen fields whenever one is made (`http.MessageData.__post_init__`, unless
Python runs with -O), which is an eighth of a small exchange; what its own parser returns has these types already.
Called by `http1`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.net.http.http1 import read

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +[1-9]\d\d(?!\d)")


def skip_blank_lines(buf: ReceiveBuffer) -> bytes:
    """What is in the buffer without empty lines before it.

    RFC 9112 section 2.2 has a server ignore them, and h11 would take one for a whole head.
    """
    data = bytes(buf)
    start = data.lstrip(b"\r\n")
    if len(start) < len(data):
        buf.maybe_extract_at_most(len(data) - len(start))
    return start


def unfolded(lines: Iterable[bytes | bytearray]) -> list[bytes]:
    """Header lines with folded ones (RFC 9112 section 5.2) joined to those they continue."""
    joined: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and len(joined) > 1:
            joined[-1] += b" " + bytes(line).strip()
        else:
            joined.append(bytes(line))
    return joined


def could_begin_an_answer(data: bytes) -> bool:
    """Whether these bytes are, or may yet become, a status line of RFC 9112 section 4."""
    if b"\n" in data or len(data) > 40:
        return _STATUS_LINE.match(data) is not None
    return data[:7] == b"HTTP/1."[: len(data)]


class _RequestData(http.RequestData):
    def __post_init__(self) -> None:
        """Nothing to check."""


class _ResponseData(http.ResponseData):
    def __post_init__(self) -> None:
        """Nothing to check."""


def request_of(lines: list[bytes]) -> http.Request:
    """As `http1.read_request_head`. Raises ValueError."""
    host, port, method, scheme, authority, path, version = read._read_request_line(lines[0])  # noqa: SLF001
    request = http.Request.__new__(http.Request)
    request.data = _RequestData(
        host=host,
        port=port,
        method=method,
        scheme=scheme,
        authority=authority,
        path=path,
        http_version=version,
        headers=read._read_headers(lines[1:]),  # noqa: SLF001
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )
    return request


def response_of(lines: list[bytes]) -> http.Response:
    """As `http1.read_response_head`. Raises ValueError."""
    version, status, reason = read._read_response_line(lines[0])  # noqa: SLF001
    response = http.Response.__new__(http.Response)
    response.data = _ResponseData(
        http_version=version,
        status_code=status,
        reason=reason,
        headers=read._read_headers(lines[1:]),  # noqa: SLF001
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )
    return response
