"""Which words are the client's own: they prove nothing (RULES.md, rule 5) and need not be told back.

Owns the comparison of a text with a request body. Called by `match` for what a rule found, and by `message` for what a
client would read. Nothing is computed before the first question is asked. Never raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from postel.core import jsontext
from postel.core.evidence import Request
from postel.core.jsontext import MISSING, Json

_BETWEEN = "\n"  # stands between two strings; no folded text contains it
_STEP = 20
_STRINGS = 20_000  # a request of nothing but tiny strings costs 0.3 s else, and its raw text is searched in any case
LONGEST_UNNOTICED = 39
"""Characters that may agree by chance: `the model does not support` is nobody's prompt."""


def _lower(text: str) -> str:
    """Lower case, letter for letter: the one that becomes two is no way round the comparison."""
    return text.replace("\u0130", "i").lower()


def fold(text: str) -> str:
    """Lower case, every run of white space one space."""
    return " ".join(_lower(text).split())


class Echo:
    """The words of one request, ready for comparison. Make it with `echoes`."""

    __slots__ = ("_request", "_values", "_words")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._words: str | None = None
        self._values: frozenset[str] | None = None

    def has(self, text: str) -> bool:
        """Whether the text, case and white space aside, stands in the body: in a decoded string or in the raw text."""
        needle = fold(text)
        return bool(needle) and needle in self._folded()

    def is_value(self, text: str) -> bool:
        """Whether a whole string of the request is this text: the name of a model, a role, a prompt of one word."""
        if self._values is None:
            document = jsontext.decode_all(self._request.body.decode("utf-8", "replace"))
            strings = () if document is MISSING else islice(_values(document), _STRINGS)
            self._values = frozenset(fold(value) for value in strings if len(value) <= _LONGEST_VALUE)
        folded = fold(text)
        return bool(folded) and folded in self._values

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where long parts of a text (already without double spaces) also stand in the request: over 39 characters."""
        lowered = _lower(text)
        if len(text) <= LONGEST_UNNOTICED:
            return []
        words = self._folded()
        found: list[tuple[int, int]] = []
        at = 0
        # A common part of 40 characters holds a whole block of 20 at a multiple of 20, wherever it begins.
        for block in range(0, len(text) - _STEP + 1, _STEP):
            if block < at:
                continue
            start, end = _grown(lowered, block, words)
            if end - start > LONGEST_UNNOTICED:
                start = max(start, at)
                common = text[start:end]
                found.append((start + len(common) - len(common.lstrip()), end - len(common) + len(common.rstrip())))
                at = end
        return found

    def _folded(self) -> str:
        if self._words is None:
            self._words = _BETWEEN.join(map(fold, islice(_strings(self._request.body), _STRINGS)))
        return self._words


def echoes(request: Request) -> Echo:
    """The words of one request. Costs nothing until it is asked."""
    return Echo(request)


def last_words(body: bytes, limit: int) -> bytes:
    """The end of a request as `Echo` compares it, for where the whole cannot be kept: at most `limit` bytes.

    A cut document could not be read again, and what is escaped in it would not be found.
    """
    if len(body) <= limit:
        return body
    raw, *decoded = islice(_strings(body), _STRINGS)
    text = _BETWEEN.join(decoded) if decoded else raw
    return text.encode("utf-8", "replace")[-limit:].decode("utf-8", "ignore").encode()


_OCCURRENCES = 4


def _grown(text: str, block: int, words: str) -> tuple[int, int]:
    """The longest common part around one block of the text, at the first few places where the block stands."""
    best = (block, block)
    place = words.find(text[block : block + _STEP])
    for _ in range(_OCCURRENCES):
        if place < 0:
            break
        back = 0
        while back < min(block, place) and text[block - back - 1] == words[place - back - 1]:
            back += 1
        ahead = _STEP
        while block + ahead < len(text) and place + ahead < len(words) and text[block + ahead] == words[place + ahead]:
            ahead += 1
        best = max(best, (block - back, block + ahead), key=lambda span: span[1] - span[0])
        place = words.find(text[block : block + _STEP], place + 1)
    return best


def _strings(body: bytes) -> Iterator[str]:
    """The raw text, and every string of the JSON document. Where nothing is escaped, the raw text has them all."""
    text = body.decode("utf-8", "replace")
    yield text
    document = jsontext.decode_all(text) if "\\" in text else MISSING
    if document is not MISSING:
        yield from _values(document)


_LONGEST_VALUE = 400


def _values(document: Json) -> Iterator[str]:
    """Every string of a JSON document that is no key."""
    open_: list[Json] = [document]
    while open_:
        value = open_.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            open_ += [item for item in reversed(value) if isinstance(item, str | list | dict)]
        elif isinstance(value, dict):
            open_ += reversed(value.values())
