"""Content codings: gzip, deflate, br and zstd undone, of a whole body up to a bound, of a stream as it comes.

Owns decompression and its limits. A leaf: knows neither rules nor mitmproxy. `decode` is called where evidence is made
(`proxy.observe`, `rulefile.play`), because rules read a body as it was meant, not as it was packed; `decoder` where a
stream is guarded, because an event cannot be seen inside a compressed one.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain

import brotli
import zstandard

PIECE = 64 * 1024
"""Bytes of decoded output that are made at a time, at most."""

_STEP = 4096
"""Bytes fed to an engine at a time, so that of a body that breaks half-way the first half is still read."""

_ZSTD_STEP = 64
"""As `_STEP`. python-zstandard 0.25 knows no bound for its output: four bytes may be a block of 128 KiB (RFC 8878
section 3.1.1.2), so this makes 2 MiB of them at most."""

_CODINGS = 3
"""Codings that are undone one after the other; each is a pass over the body."""

_ZSTD_WINDOW = 8 * 1024 * 1024
"""Largest window a zstd frame may ask for: what RFC 9659 allows in HTTP."""

_OPENING = 32
"""Bytes by which text is told from packed bytes. A flush of any coding has a byte in it that is no text."""

_EXPANSION, _GRACE = 256, 4 * 1024 * 1024
"""How much a stream may grow, beyond some bytes that are free: ten times what packed streams of words do. A kilobyte
may stand for gigabytes, and all the while nobody else is served."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")

Pieces = Iterator[bytes]
Engine = Callable[[bytes], Pieces]
"""Takes packed bytes, gives everything that can be decoded by now; raises what its library raises, or _Excess."""


class _Excess(Exception):
    """Bytes after the end of what was packed."""


_FAILURES = (zlib.error, brotli.error, zstandard.ZstdError, _Excess)


def decode(body: bytes, coding: str | None, limit: int) -> bytes:
    """Undo a Content-Encoding value, at most `limit` bytes of the result, in memory bounded by it.

    Never raises: a body that is not what its header says is returned as it came (servers do send plain error pages
    under `content-encoding: gzip`), and a cut one gives what could be decoded. Unknown codings leave the body alone,
    and so do more than three: nobody packs like that but to keep a reader busy.
    """
    names = _names(coding)
    for name in reversed(names if len(names) <= _CODINGS else ()):
        if name in _ENGINES:
            body = _at_most(limit, name, body)
    return body[:limit]


def _at_most(limit: int, name: str, body: bytes) -> bytes:
    stage, out = _Stage(name), bytearray()
    for piece in chain(stage.feed(body), stage.finish()):
        out += piece
        if len(out) >= limit:
            break
    return bytes(out[:limit])


def decoder(coding: str | None) -> Decoder | None:
    """What undoes this Content-Encoding value while it streams; None if that cannot be done.

    It cannot for an unknown coding and for more than three. Where there is nothing to undo (no header, an empty one,
    `identity`), the decoder's `codings` are empty, and it hands on what it is fed.
    """
    names = _names(coding)
    codings = tuple(name for name in names if name != "identity")
    return None if len(names) > _CODINGS or not _ENGINES.keys() >= set(codings) else Decoder(codings)


class Decoder:
    """Undoes the codings of one streamed body. Made by `decoder`.

    `feed` is an iterator, made to bound memory: each piece it gives is at most PIECE bytes long (with no `codings`: as
    fed), and nothing is decoded before it is asked for, so a few kilobytes that stand for gigabytes cost no more than
    the piece in hand. Read it to its end before the next call, or make no further call. All that can be decoded from
    the bytes so far comes out at once.

    Never raises. A body that is text although the header calls it packed passes as text; the first bytes tell, up to
    32 of which may be kept until then. Anything else that is not what the header says, bytes after its end, and a bomb
    make `broken` true, and then nothing more comes out, whatever is fed.
    """

    def __init__(self, codings: tuple[str, ...]) -> None:
        self.codings = codings
        self._stages = tuple(map(_Stage, reversed(codings)))  # the last one named was put on last
        self._room = _GRACE

    @property
    def broken(self) -> bool:
        return any(stage.broken for stage in self._stages)

    def feed(self, data: bytes) -> Pieces:
        """What these bytes are, after all those before."""
        self._room += len(data) * _EXPANSION
        return self._undone(iter((data,)))

    def finish(self) -> Pieces:
        """The body has ended: what was kept because more might have come."""
        return self._undone(iter(()), last=True)

    def _undone(self, pieces: Pieces, *, last: bool = False) -> Pieces:
        if self.broken:
            return iter(())
        for stage in self._stages:
            pieces = self._through(stage, pieces, last=last)
        return pieces

    def _through(self, stage: _Stage, pieces: Pieces, *, last: bool) -> Pieces:
        for data in pieces:
            for piece in stage.feed(data):
                stage.given += len(piece)
                if stage.given > self._room:
                    stage.broken = True
                    return
                yield piece
            if stage.broken:
                return
        if last:
            yield from stage.finish()


class _Stage:
    """One coding: its engine, once the first bytes are seen to be no text."""

    def __init__(self, name: str) -> None:
        self.broken = False
        self.given = 0
        self._name = name
        self._opening = b""
        self._engine: Engine | None = None

    def feed(self, data: bytes) -> Pieces:
        if self.broken:
            return
        if not self._engine:
            data, self._opening = self._opening + data, b""
            if not _is_text(data[:_OPENING]):
                self._engine = _ENGINES[self._name](data)
            elif len(data) >= _OPENING:
                self._engine = _as_it_is
            else:
                self._opening = data
                return
        try:
            for start in range(0, len(data), _STEP):
                yield from self._engine(data[start : start + _STEP])
        except _FAILURES:
            self.broken = True

    def finish(self) -> Pieces:
        """An opening that stayed too short to tell is text, or nothing."""
        opening, self._opening = self._opening, b""
        if opening:
            yield opening


def _names(coding: str | None) -> list[str]:
    """The codings in the order in which they were put on."""
    return [name.removeprefix("x-") for part in (coding or "").split(",") if (name := part.strip().lower())]


def _is_text(opening: bytes) -> bool:
    """Whether these bytes, of which the last character may be cut, are text in UTF-8."""
    try:
        return not _CONTROLS.search(codecs.getincrementaldecoder("utf-8")().decode(opening))
    except UnicodeDecodeError:
        return False


def _cut(data: bytes) -> Pieces:
    yield from (data[start : start + PIECE] for start in range(0, len(data), PIECE))


# --- engines ----------------------------------------------------------------------------------------------------------


def _as_it_is(data: bytes) -> Pieces:
    yield data


def _gzip(_opening: bytes) -> Engine:
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def engine(data: bytes) -> Pieces:
        nonlocal inflate
        while data:
            if inflate.eof:  # RFC 1952 section 2.2: several members are one body; some writers pad with zeros
                if not (data := data.lstrip(b"\0")):
                    return
                inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflated(inflate, data)
            data = inflate.unused_data

    return engine


def _deflate(opening: bytes) -> Engine:
    # RFC 9110 section 8.4.1.2: zlib format, but some servers send the bare stream. That one would begin with the low
    # bits 1000 only for a stored block whose padding is not zero, and no encoder writes one.
    inflate = zlib.decompressobj(zlib.MAX_WBITS if opening[0] & 0x0F == 8 else -zlib.MAX_WBITS)

    def engine(data: bytes) -> Pieces:
        if inflate.eof:
            raise _Excess
        yield from _inflated(inflate, data)
        if inflate.unused_data:
            raise _Excess

    return engine


def _inflated(inflate: zlib._Decompress, data: bytes) -> Pieces:
    while True:
        piece = inflate.decompress(data, PIECE)
        data = inflate.unconsumed_tail
        if piece:
            yield piece
        if not data and len(piece) < PIECE:  # a full piece may have left output behind, without any input
            return


def _br(_opening: bytes) -> Engine:
    unpack = brotli.Decompressor()

    def engine(data: bytes) -> Pieces:
        piece = unpack.process(data, output_buffer_limit=PIECE)
        # Brotli 1.2.0 says that it can accept more as soon as the input is used up, even with output left behind.
        while piece or not unpack.can_accept_more_data():
            yield from _cut(piece)
            piece = unpack.process(b"", output_buffer_limit=PIECE)

    return engine


def _zstd(_opening: bytes) -> Engine:
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    unpack = frames.decompressobj()

    def step(data: bytes) -> Pieces:
        nonlocal unpack
        while data:
            if unpack.eof:
                unpack = frames.decompressobj()
            yield from _cut(unpack.decompress(data))
            data = unpack.unused_data

    def engine(data: bytes) -> Pieces:
        return chain.from_iterable(step(data[at : at + _ZSTD_STEP]) for at in range(0, len(data), _ZSTD_STEP))

    return engine


_ENGINES: dict[str, Callable[[bytes], Engine]] = {"gzip": _gzip, "deflate": _deflate, "br": _br, "zstd": _zstd}
"""By the name of the coding, what makes an engine for a body that begins like this."""
