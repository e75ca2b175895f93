"""What a dialect adds to a message that lacks it, for clients that look into the words.

Owns the joining of an upstream's words and such additions, within the length that a message may have. Knows no phrase:
which ones there are is a dialect file's business. Called by `normalise`. Adding twice adds nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from postel.core.message import LIMIT, shortened
from postel.core.regex import Pattern

Place = Literal["answer", "stream"]
"""Where an error is told: in an answer of its own, or as the last event of a stream."""


@dataclass(frozen=True, slots=True)
class Addition:
    """`add` is appended unless one of the expressions is found in the message. `place` None is both."""

    unless: tuple[Pattern, ...]
    add: str
    place: Place | None = None

    def is_in(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self.unless)


def amended(words: str, additions: Sequence[Addition], place: Place) -> str:
    """The words with every addition of this place that they lack, in at most as many letters as a message may have."""
    here = [addition for addition in additions if addition.place in (None, place)]
    text, tail = words, ""
    for _ in range(len(here) + 1):  # cutting for one may cut off what another was looking for
        known, tail = tail, " ".join(addition.add for addition in here if not addition.is_in(text))
        if not tail:
            return words
        text = shortened(words, LIMIT - len(tail) - len(". "))
        if tail == known:
            break
    return f"{text}{'.' if tail[0].isalpha() and not _is_ended(text) else ''} {tail}"


_CLOSING = "\"'`)]}\u2019\u201d\u00bb"
_ENDING = ".!?:\u2026\u3002\uff01\uff1f"


def _is_ended(words: str) -> bool:
    return words.rstrip(_CLOSING)[-1:] in _ENDING or words[-1:] in _ENDING
