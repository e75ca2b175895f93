"""Events that differ from a good one in nothing but a text.

Owns a shortcut, and no meaning: nearly every event of an engine's stream is the one before with another word in it, and
an event that is byte for byte a good one, but for the inside of one JSON string that nobody judges by, is good. A scan
of its bytes tells so at a fifth of what parsing costs. Asked by `guard` before the reader is.
"""

from __future__ import annotations

import re

# Values that health never depends on. The name cannot be inside a string: its quotes would be escaped.
_TEXT = re.compile(rb'"(?:content|text|reasoning_content|reasoning|arguments|response|thinking|partial_json)": ?"')
_INSIDE = re.compile(rb'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
"""The inside of a JSON string (RFC 8259 section 7). Possessive: linear whatever comes."""

_LARGE = 4096
"""Bytes of an event that is not worth to be remembered: parsing it is not what costs."""

_END = b"\n\n"
_ATTEMPTS = 8
"""Events that may be learnt in vain before it is given up: some APIs number theirs."""


class Repeat:
    """The last good event, but for one text in it."""

    __slots__ = ("_after", "_attempts", "_before")

    def __init__(self) -> None:
        self._before = b""
        self._after = b""
        self._attempts = _ATTEMPTS

    def learn(self, raw: bytes) -> None:
        """Take an event as the pattern. It is one block of SSE that was judged good, and had output."""
        if not self._attempts or len(raw) > _LARGE:
            return
        self._attempts -= 1
        text = _TEXT.search(raw)
        inside = text and _INSIDE.match(raw, text.end())
        if text and inside and raw.endswith(_END) and b"\r" not in raw:
            self._before = raw[: text.end()]
            self._after = raw[inside.end() :]

    @property
    def is_hopeful(self) -> bool:
        """Whether it is still worth while to learn."""
        return self._attempts > 0

    def run(self, data: bytes, at: int = 0) -> tuple[int, int]:
        """Where a run of such events, whole ones, that begins at `at` ends, and how many they are."""
        before, after = self._before, self._after
        start, events = at, 0
        if before:
            inside, skip, rest = _INSIDE.match, len(before), len(after)
            while data.startswith(before, at):
                found = inside(data, at + skip)
                if found is None or not data.startswith(after, found.end()):
                    break
                at = found.end() + rest
                events += 1
        if events:
            self._attempts = _ATTEMPTS
            if not data.isascii() and not _is_utf8(data[start:at]):
                return start, 0
        return at, events


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
