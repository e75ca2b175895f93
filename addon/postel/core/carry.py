"""Old top-level keys of an upstream's JSON error, carried beside `error` for clients that still parse them.

Owns what of such a value may leave: cleaned like a message, without what repeats the request, and bounded. Which keys
are carried is a setting. Called by `normalise`. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from postel.core import validation
from postel.core.echo import Echo, echoes
from postel.core.evidence import Request
from postel.core.jsontext import MISSING, Json, Missing
from postel.core.message import clean
from postel.core.redact import Redactor

DEPTH = 4
ITEMS = 32
"""Entries of one list or object."""
LETTERS = 4000
TEXTS = 128
"""Of all texts of all values: what is beyond is left out, entry by entry, for cleaning a text takes its time."""

_VALIDATION = ("type", "loc", "msg")
"""What stays of an entry of pydantic's list; `input` and `ctx` repeat the request, `url` is a manual's."""

_REPEATS = frozenset(
    "input inputs input_value ctx body request prompt prompts messages content contents text texts query".split()
)
"""Keys whose values are the client's own more often than not: never carried from inside, whatever they hold."""

_INNER = re.compile(
    r"trace|stack|frame|env|locals|code_?context|pass(?:word|wd)?(?:$|[_-])|pwd|secret|token$|(?:api|access|private)[_-]?key"
    r"|credential|authorization|cookie|dsn$",
    re.IGNORECASE,
)
"""Keys of what is the server's own, or nobody's: the redactor does not see a value beside its name here."""

_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_PLAIN = re.compile(r"[\w .,:%+'()/-]{1,60}")
_COUNT = 1 << 53  # numbers that JSON readers agree on (RFC 8259 section 6)


def carried(document: Json | Missing, names: Collection[str], redactor: Redactor, request: Request) -> dict[str, Json]:
    """These keys of a document, in the order named, and of each what may leave; `error` is never one of them."""
    if document is MISSING or not isinstance(document, dict) or not names:
        return {}
    carrier = _Carrier(redactor, request, echoes(request))
    found = (
        (name, document[name])
        for name in dict.fromkeys(names)
        if name in document and name != "error" and not _INNER.search(name)
    )
    return {name: value for name, raw in found for value in carrier.value(raw, DEPTH)}


@dataclass(slots=True)
class _Carrier:
    """Each method yields what is left of a value: one value, or none."""

    redactor: Redactor
    request: Request
    echo: Echo
    letters: int = LETTERS
    texts: int = TEXTS

    def value(self, raw: Json, depth: int) -> Iterator[Json]:
        match raw:
            case None | bool():
                yield raw
            case int() | float():
                if -_COUNT < raw < _COUNT:  # no NaN is
                    yield raw
            case str() if self.texts:
                self.texts -= 1
                yield from self._text(raw, inside=depth < DEPTH)
            case list() if depth:
                if validation.is_list(raw):
                    raw = [
                        {key: item[key] for key in _VALIDATION if key in item} for item in raw if isinstance(item, dict)
                    ]
                yield [value for item in raw[:ITEMS] for value in self.value(item, depth - 1)]
            case dict() if depth:
                kept = [
                    (key, item) for key, item in raw.items() if key.lower() not in _REPEATS and not _INNER.search(key)
                ]
                yield {
                    key: value
                    for key, item in kept[:ITEMS]
                    if self._is_name(key)
                    for value in self.value(item, depth - 1)
                }

    def _text(self, raw: str, *, inside: bool) -> Iterator[str]:
        words = clean(raw, self.redactor, None if inside else self.request)
        # `Not Found` is no message, but it is what such a client compares with.
        if words is None and _PLAIN.fullmatch(raw) and self.redactor.redact(raw) == raw:
            words = raw
        if words is not None and len(words) <= self.letters and not (inside and self._is_echo(words)):
            self.letters -= len(words)
            yield words

    def _is_echo(self, words: str) -> bool:
        """Whether words inside a value are the client's; a single word may be the name of a field."""
        return bool(self.echo.spans(words)) or (" " in words.strip() and self.echo.has(words))

    def _is_name(self, key: str) -> bool:
        return bool(_NAME.fullmatch(key)) and self.redactor.redact(key) == key
