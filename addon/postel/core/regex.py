"""Regular expressions that take linear time on any text, as a small typed face of google-re2.

Owns what every pattern of Postel has in common: RE2 syntax, upper and lower case alike, no log output, and a search
that no text can make raise; and the question which of many patterns are worth a search. Knows nothing of what is
searched for. Called by whatever matches text an upstream wrote: `match`, `index`, `template`, `retry`, `redact`,
`message`, `body`.

Flags as RULES.md has them: `(?-i)` tells case apart, `.` stops at a line end unless `(?s)`, `^` and `$` are the ends of
the text unless `(?m)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import re2  # type: ignore[import-untyped, import-not-found, unused-ignore]

from postel.core.jsontext import writable


class Match(Protocol):
    """What `re.Match` and RE2's match have in common; offsets are characters of the text searched.

    A group that took no part is None. RE2's `start` and `end` know groups by number only.
    """

    def group(self, group: int | str = 0, /) -> str | None: ...
    def groupdict(self) -> dict[str, str | None]: ...
    def start(self, group: int = 0, /) -> int: ...
    def end(self, group: int = 0, /) -> int: ...


class Pattern:
    """A compiled expression. Compare and hash by identity; `source` is the expression as written."""

    __slots__ = ("_compiled", "_options", "groups", "source")

    def __init__(self, source: str, compiled: Any, options: Any) -> None:
        self.source = source
        self._compiled = compiled
        self._options = options
        self.groups: tuple[str, ...] = tuple(compiled.groupindex)
        """The names of the named groups."""

    def search(self, text: str) -> Match | None:
        """The leftmost match, None if there is none."""
        found: Match | None = self._compiled.search(writable(text))
        return found

    def finditer(self, text: str) -> Iterator[Match]:
        """Matches from left to right that do not overlap."""
        matches: Iterator[Match] = self._compiled.finditer(writable(text))
        return matches

    def replace(self, text: str, by: str | Callable[[Match], str]) -> str:
        """The text with every match replaced; a string stands for itself, backslashes and all."""
        text = writable(text)
        pieces: list[str] = []
        end = 0
        for match in self.finditer(text):
            pieces += (text[end : match.start()], by if isinstance(by, str) else by(match))
            end = match.end()
        return "".join((*pieces, text[end:]))


class Prefilter:
    """Many patterns looked for at once, by the words that each cannot do without (RE2's FilteredRE2).

    One pass over a text, some three microseconds, tells which patterns are worth a search of as much each. A pattern
    that needs no particular word (`^$`) always is.
    """

    __slots__ = ("_always", "_filter", "_size")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._size = len(patterns)
        self._always = range(self._size)
        self._filter = re2.Filter()
        for at, pattern in enumerate((*patterns, compile(re2.escape(_CANARY)))):
            self._filter.Add(pattern.source, pattern._options)  # noqa: SLF001 - our own
            if at < self._size:
                # The same program, not a second one in memory.
                pattern._compiled = self._filter.re(at)  # noqa: SLF001
        self._filter.Compile()

    def possible(self, text: str) -> Iterable[int]:
        """The places of the patterns that may be found in `text`, in order; no other one is."""
        found = self._filter.Match(f"{writable(text)}\n{_CANARY}", True)
        # Out of memory, RE2 finds nothing and says nothing.
        return found[:-1] if found and found[-1] == self._size else self._always


_CANARY = "\x1fpostel prefilter\x1f"
"""At the end of every text, and the last of all patterns: where it is not found, the pass has failed."""


def compile(source: str, ignore_case: bool = True) -> Pattern:
    """Compile an RE2 expression. Raises ValueError with RE2's own message."""
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False  # RE2 writes to stderr otherwise, at load and when a search runs out of memory
    try:
        return Pattern(source, re2.compile(source, options), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    except UnicodeEncodeError:
        raise ValueError("lone surrogate in the expression") from None
