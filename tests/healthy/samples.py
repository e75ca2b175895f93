"""The healthy set: what real servers answer when nothing is wrong, one YAML file per family, read into samples.

A file is a mapping of sections; a section has `request` and `headers` that all its `answers` share, and an answer is
the `given` of a case (docs/rules.md), with status 200 where none is said. Four keys more keep a file readable:

    long: {word: 'na ', times: 20000}   the words that stand for `<long>`
    coding: gzip                        the body is sent packed like this; of a stream, each step is flushed
    cut: 7                              the stream is written in pieces of so many bytes
    query: alt=sse                      what the path of the request has after it
"""

from __future__ import annotations

import base64
import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import brotli
import zstandard

from postel.core.evidence import Request
from postel.core.paths import PASSTHROUGH, PathSet, without_query
from postel.rulefile import play, yaml
from postel.rulefile.case_schema import Given
from postel.rulefile.document import Document
from postel.rulefile.finding import Mark
from postel.rulefile.timeline import Write

HERE = Path(__file__).parent

SECTION = {"request", "headers", "answers"}

_PASSTHROUGH = PathSet(PASSTHROUGH)


@dataclass(frozen=True, slots=True)
class Sample:
    """One healthy answer. `writes` are the upstream's pieces of the body; `plain` is the body with no coding."""

    name: str
    family: str
    given: Given
    target: str
    writes: tuple[bytes, ...]
    plain: bytes

    @property
    def status(self) -> int:
        return self.given.status or 200

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return tuple(play._headers(self.given))

    @property
    def request(self) -> Request:
        return play._request(self.given.request, streamed=self.given.stream is not None)

    @property
    def is_passthrough(self) -> bool:
        """Whether it is on a path where an engine may say of itself what it likes, a 503 included."""
        return without_query(self.target) in _PASSTHROUGH


def files() -> list[Path]:
    return sorted(HERE.glob("*.yaml"))


@functools.cache
def samples() -> tuple[Sample, ...]:
    """The whole set, in the order written."""
    return tuple(sample for path in files() for sample in _read(path))


def _read(path: Path) -> Iterator[Sample]:
    document = Document(path)
    assert not document.findings, document.findings
    assert isinstance(document.tree, yaml.Map)
    for title, section in document.tree.items():
        assert set(section) <= SECTION, f"{path.name}: {title}: a section has {sorted(SECTION)}"
        for name, answer in section["answers"].items():
            try:
                yield _sample(f"{path.stem}, {title}: {name}", path.stem, answer, section)
            except Exception as error:
                error.add_note(f"in {path.name}, {title}: {name}")
                raise


def _sample(name: str, family: str, answer: dict[str, Any], section: dict[str, Any]) -> Sample:
    own = dict(answer)
    long, coding, cut, query = (own.pop(key, None) for key in ("long", "coding", "cut", "query"))
    own["request"] = mapping(section.get("request", {}) | own.get("request", {}))
    own["headers"] = mapping(section.get("headers", {}) | own.get("headers", {}))
    if "stream" not in own:
        own.setdefault("status", 200)
    if long:
        own = _filled(own, long["word"] * long["times"])
    given = Given.model_validate(mapping(own))
    plain = _body(given)
    if coding or cut:
        own = _as_sent(own, given, coding, cut)
        given = Given.model_validate(mapping(own))
    target = given.request.path + (f"?{query}" if query else "")
    return Sample(name, family, given, target, _writes(given), plain)


def mapping(entries: dict[str, Any]) -> yaml.Map:
    """A mapping as the reader makes it: the model asks it which keys were written."""
    made = yaml.Map(Mark())
    for key, value in entries.items():
        made.put(key, value, Mark(), Mark())
    return made


def _writes(given: Given) -> tuple[bytes, ...]:
    if given.stream is None:
        return tuple(filter(None, [play._body(given)]))
    return tuple(step.data for step in given.stream if isinstance(step, Write))


def _body(given: Given) -> bytes:
    return b"".join(_writes(given))


def _filled(value: Any, long: str) -> Any:
    match value:
        case str():
            return value.replace("<long>", long)
        case yaml.Map():
            return mapping({key: _filled(inside, long) for key, inside in value.items()})
        case dict():
            return {key: _filled(inside, long) for key, inside in value.items()}
        case list():
            return [_filled(inside, long) for inside in value]
    return value


# --- as it is sent ----------------------------------------------------------------------------------------------------


class _Packer(Protocol):
    def add(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._engine = zlib.compressobj(wbits=wbits)

    def add(self, data: bytes) -> bytes:
        return self._engine.compress(data) + self._engine.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._engine.flush()


class _Brotli:
    def __init__(self) -> None:
        self._engine = brotli.Compressor(quality=4)

    def add(self, data: bytes) -> bytes:
        return bytes(self._engine.process(data) + self._engine.flush())

    def end(self) -> bytes:
        return bytes(self._engine.finish())


class _Zstd:
    def __init__(self) -> None:
        self._engine = zstandard.ZstdCompressor(level=3).compressobj()

    def add(self, data: bytes) -> bytes:
        return self._engine.compress(data) + self._engine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._engine.flush()


def _packer(coding: str) -> _Packer:
    match coding:
        case "gzip" | "x-gzip":
            return _Zlib(31)
        case "deflate":
            return _Zlib(15)
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
    raise ValueError(f"no coding `{coding}`")


def _as_sent(own: dict[str, Any], given: Given, coding: str | None, cut: int | None) -> dict[str, Any]:
    """The answer with its bytes packed, or cut where nobody would cut."""
    pieces = list(_writes(given))
    headers = dict(play._headers(given))
    if coding:
        packer = _packer(coding)
        pieces = [packer.add(piece) for piece in pieces] + [packer.end()]
        headers["content-encoding"] = coding
    if cut:
        whole = b"".join(pieces)
        pieces = [whole[at : at + cut] for at in range(0, len(whole), cut)]
    rest = {key: value for key, value in own.items() if key not in ("json", "body", "base64", "stream")}
    body: dict[str, Any] = (
        {"base64": _base64(b"".join(pieces))}
        if given.stream is None
        else {"stream": [{"base64": _base64(piece)} for piece in pieces]}
    )
    return {**rest, "headers": mapping(headers), **body}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
