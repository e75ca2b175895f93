"""Heads of requests and answers, parsed once and not checked field by field.

Owns the making of mitmproxy's messages from the lines of a head. mitmproxy 12.2.3 checks the type of each of a
message's dozen fields whenever one is made (`http.MessageData.__post_init__`, unless Python runs with -O), which is an
eighth of a small exchange; what its own parser returns has these types already. Called by `http1`.
"""

from __future__ import annotations

import time

from mitmproxy import http
from mitmproxy.net.http.http1 import read


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
