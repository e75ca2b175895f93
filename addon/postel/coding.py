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
"""Bytes fed to a decoder at a time, so that of a body that breaks half-way the first half is still read."""

_CODINGS = 3
"""Codings that are undone one after the other; each is a pass over the body."""

_ZSTD_WINDOW = 8 * 1024 * 1024
"""Largest window a zstd frame may ask for: what RFC 9659 allows in HTTP."""


def decode(body: bytes, coding: str | None, limit: int) -> bytes:
    """Undo a Content-Encoding value, at most `limit` bytes of the result, in memory bounded by it.

    Never raises: a body that is not what its header says is returned as it came (servers do send plain error pages
    under `content-encoding: gzip`), and a cut one gives what could be decoded. Unknown codings leave the body alone,
    and so do more than three: nobody packs like that but to keep a reader busy.
    """
    names = [name for part in (coding or "").split(",") if (name := part.strip().lower())]
    for name in reversed(names if len(names) <= _CODINGS else ()):
        body = _decode_one(body, name, limit)
    return body[:limit]


def _decode_one(body: bytes, name: str, limit: int) -> bytes:
    match name.removeprefix("x-"):
        case "gzip":
            return _pieces(body, zlib.decompressobj(zlib.MAX_WBITS | 16).decompress, limit)
        case "deflate":
            # RFC 9110 section 8.4.1.2: zlib format, but some servers send the bare stream.
            inflated = _pieces(body, zlib.decompressobj().decompress, limit)
            if inflated not in (b"", body):
                return inflated
            return _pieces(body, zlib.decompressobj(-zlib.MAX_WBITS).decompress, limit)
        case "br":
            decoder = brotli.Decompressor()
            return _pieces(body, lambda data, room: decoder.process(data, output_buffer_limit=room), limit)
        case "zstd":
            return _zstd(body, limit)
        case _:
            return body


def _pieces(body: bytes, step: Callable[[bytes, int], bytes], limit: int) -> bytes:
    """`step` decodes a piece to at most so many bytes. A few kilobytes may stand for gigabytes."""
    out = bytearray()
    try:
        for start in range(0, len(body), _STEP):
            out += step(body[start : start + _STEP], limit - len(out))
            if len(out) >= limit:
                break
    except (zlib.error, brotli.error):
        pass
    return bytes(out) or _plain(body)


def _zstd(body: bytes, limit: int) -> bytes:
    out = bytearray()
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(body, read_across_frames=True)
        while len(out) < limit and (data := reader.read(min(_STEP, limit - len(out)))):
            out += data
    except zstandard.ZstdError:
        pass
    return bytes(out) or _plain(body)


def _plain(body: bytes) -> bytes:
    """A body of which nothing could be decoded: itself if it is text after all, else nothing."""
    return body if body[:64].isascii() else b""
