"""JSON as upstreams really write it: strict where it can be, salvaged where it cannot.

Owns the decoding of one value at a place in a text: JSON proper; else whatever of a Python repr (`{'error': ...}`,
`ErrorInfo(message=...)`) or of JSON that was cut short can still be read. Knows nothing of errors. Called by whoever
meets JSON in this package. Never raises, linear in the length of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from typing import Final

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


class Missing(Enum):
    """The one value that says "there is no JSON document"; `null` is a document."""

    MISSING = "no JSON document"


MISSING: Final = Missing.MISSING

DEPTH = 64
"""Levels of nesting that are kept. What lies deeper is null: it is an attack or an accident, and code recurses."""

_DECODER = json.JSONDecoder(strict=False)  # raw newlines inside strings have been seen in Gemini's errors


def decode(text: str, at: int = 0) -> tuple[Json, int] | None:
    """The JSON value that begins exactly at `at`, and where it ends; None if there is none."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):  # ValueError also for integers of over 4300 digits
        return None
    return (_pruned(value) if text.count("[") + text.count("{") > DEPTH else value), end


def decode_all(text: str) -> Json | Missing:
    """The value that is the whole text, white space aside."""
    text = text.strip()
    found = decode(text)
    return found[0] if found and found[1] == len(text) else MISSING


def _pruned(value: Json) -> Json:
    """The document, which is changed, without what lies deeper than is kept."""
    level = [value]
    for _ in range(DEPTH - 1):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
    for node in level:
        if isinstance(node, dict):
            node.update({key: None for key, child in node.items() if isinstance(child, dict | list)})
        elif isinstance(node, list):
            node[:] = [None if isinstance(child, dict | list) else child for child in node]
    return value


def _children(node: Json) -> Iterable[Json]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


# A bracket after which a value may follow, or the one of `Name(field=...`.
_OPENING = re.compile(r"[{\[]\s*(?=[\"'{\[(])|(?<=\w)\((?=\w{1,40}=)", re.ASCII)
_CANDIDATES = 8


def embedded(text: str) -> Iterator[tuple[Json, int, int]]:
    """Containers that stand in prose, each with where it begins and ends: `Prefill failed: {"error": ...}`.

    Looks at the first few brackets only. What lies inside a container already given is not given again.
    """
    end = 0
    for opening in islice(_OPENING.finditer(text), _CANDIDATES):
        at = opening.start()
        if at < end:
            continue
        value, end = decode(text, at) or salvage(text, at)
        yield value, at, end


_TOKENS = 4000
_SALVAGE_DEPTH = 16

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string> [bru]{0,2} (?: "[^"\\]*(?:\\.[^"\\]*)*"? | '[^'\\]*(?:\\.[^'\\]*)*'? ) )
      | (?P<open> [\[{(] )
      | (?P<close> [\]})] )
      | (?P<pair> [:=] )
      | (?P<comma> , )
      | (?P<word> <[^<>]{0,200}> | [^\s\[\]{}(),:="'<>]+ | . )
    )""",
    re.DOTALL | re.VERBOSE,
)
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None, "none": None, "nan": None}
_NUMBER = re.compile(r"-?\d{1,300}(\.\d+)?([eE][-+]?\d{1,3})?", re.ASCII)


def salvage(text: str, at: int = 0) -> tuple[Json, int]:
    """What can be read from `at` on, and where that ends.

    Knows Python's quotes, tuples, sets and calls, `<junk>`, and containers and strings that the end of the text cuts
    short. A container with pairs is an object, any other a list.
    """
    return _Salvage(text, at).run()


class _Salvage:
    __slots__ = ("_at", "_left", "_text")

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at
        self._left = _TOKENS

    def run(self) -> tuple[Json, int]:
        kind, token = self._next()
        value = self._container(token, 0) if kind == "open" else _scalar(kind, token)
        return value, min(self._at, len(self._text))

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at) if self._left > 0 else None
        if not match or not match.lastgroup:
            self._at = len(self._text)
            return "end", ""
        self._left -= 1
        self._at = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _container(self, opening: str, depth: int) -> Json:
        """Read up to the closing bracket, whichever it is. `key: value` and `key=value` are pairs."""
        pairs: dict[str, Json] = {}
        items: list[Json] = []
        key: str | None = None
        while True:
            kind, token = self._next()
            if kind in ("close", "end"):
                return pairs if pairs or (opening == "{" and not items) else items
            if kind == "comma":
                key = None
                continue
            if kind == "pair":
                key = str(items.pop()) if items and key is None else key
                continue
            if kind == "open":
                if depth >= _SALVAGE_DEPTH:
                    self._at, self._left = len(self._text), 0
                    continue
                value = self._container(token, depth + 1)
                if token == "(" and key is None and items and isinstance(value, dict):
                    items.pop()  # the name of a call
            else:
                value = _scalar(kind, token)
            if key is None:
                items.append(value)
            else:
                # `error=ErrorInfo(message=...)`: the call's name was taken for the value
                pairs[key] = value if key not in pairs or isinstance(value, dict) else pairs[key]


def _scalar(kind: str, token: str) -> Json:
    if kind == "string":
        body = token.lstrip("bruBRU")
        quote, body = body[0], body[1:]
        return unescape(body.removesuffix(quote))
    lowered = token.lower()
    if lowered in _WORDS:
        return _WORDS[lowered]
    if not _NUMBER.fullmatch(token):
        return token
    return int(token) if token.lstrip("-").isdigit() else float(token)


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " ", "0": " "}


def unescape(text: str) -> str:
    """Backslash escapes of JSON and Python resolved, surrogate pairs joined."""
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else _LETTERS.get(m[3], m[3]), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def writable(text: str) -> str:
    """The text with a replacement for each half of a surrogate pair, which JSON can escape and UTF-8 cannot write.

    The length stays, and with it every offset.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_SURROGATES)
    return text


_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
