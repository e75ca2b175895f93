"""Content codings: gzip, deflate, br and zstd undone, up to a bound.

Owns decompression and its limits. A leaf: knows neither rules nor mitmproxy. Called where evidence is made
(`proxy.observe`, `rulefile.cases`), because rules read a body as it was meant, not as it was packed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

_STEP = 4096
"""Bytes fed to a decoder at a time: an output that grows past the bound is noticed before it is large."""


def decode(body: bytes, coding: str | None, limit: int) -> bytes:
    """Undo a Content-Encoding value, at most `limit` bytes of the result.

    Never raises: a body that is not what its header says is returned as it came (servers do send plain error pages
    under `content-encoding: gzip`), and a cut one gives what could be decoded. Unknown codings leave the body alone.
    """
    for name in reversed([part.strip().lower() for part in (coding or "").split(",")]):
        body = _decode_one(body, name, limit)
    return body[:limit]


def _decode_one(body: bytes, name: str, limit: int) -> bytes:
    match name.removeprefix("x-"):
        case "gzip":
            return _pieces(body, zlib.decompressobj(zlib.MAX_WBITS | 16).decompress, limit)
        case "deflate":
            # RFC 9110 section 8.4.1.2: zlib format, but some servers send the bare stream.
            zlib_first = _pieces(body, zlib.decompressobj().decompress, limit)
            return (
                zlib_first
                if zlib_first != body
                else _pieces(body, zlib.decompressobj(-zlib.MAX_WBITS).decompress, limit)
            )
        case "br":
            return _pieces(body, brotli.Decompressor().process, limit)
        case "zstd":
            return _pieces(body, zstandard.ZstdDecompressor().decompressobj().decompress, limit)
        case _:
            return body


def _pieces(body: bytes, step: Callable[[bytes], bytes], limit: int) -> bytes:
    out = bytearray()
    try:
        for start in range(0, len(body), _STEP):
            out += step(body[start : start + _STEP])
            if len(out) >= limit:
                break
    except (zlib.error, brotli.error, zstandard.ZstdError):
        return bytes(out) or body
    return bytes(out)
