"""What rules look at: evidence, what was read from it, and the keys of `when` by which it is looked up.

Owns the phases that have each key, and that everything is read and asked once, when first wanted. Knows no operator and
no fault. Made by `normalise` and `postel explain`, asked by `rules` and `match`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import combinations, islice
from types import MappingProxyType
from typing import Protocol

from postel.core import jsonpath
from postel.core.body import Reading, read
from postel.core.evidence import Evidence, Headers, Phase
from postel.core.jsontext import MISSING
from postel.core.message import Echo, echoes

Captures = Mapping[str, str]
"""Named groups that took part in a match and are not empty."""

NO_CAPTURES: Captures = MappingProxyType({})


ECHOES_WITHIN = 2048
"""Characters of a text in which echoes are cut out: each 20 of them cost a search of up to 1 MiB."""


_WORD = re.compile(r"\S+")
_QUOTE = re.compile(r"['\"`]")
_QUOTES = 16
"""Quotes of a text that are paired: what is quoted may have quotes in it."""


class Question(Protocol):
    """What can be asked of a subject. Equal labels mean equal questions."""

    @property
    def label(self) -> str: ...

    def match(self, subject: Subject, /) -> Captures | None:
        """The named groups if it holds (mostly none), None if it does not."""


class Subject:
    """Evidence under judgement, and what was read from it so far. Everything is read once, when first asked for."""

    __slots__ = ("_body", "_echo", "_found", "_held", "_own", "_reading", "evidence")

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._held: dict[str, Captures | None] = {}
        self._reading: Reading | None = None
        self._body: str | None = None
        self._echo: Echo | None = None
        self._found: dict[str, object] = {}
        self._own: dict[str, str | None] = {}

    @property
    def reading(self) -> Reading:
        """The error object. In the phases `end` and `transport` there is no message to read, and it is empty."""
        if self._reading is None:
            evidence = self.evidence
            match evidence.phase:
                case Phase.RESPONSE:
                    self._reading = read(evidence.body, evidence.headers, evidence.reason, self.is_echo)
                case Phase.EVENT:
                    # Not the head's headers: what they tell is about the answer, not about this event.
                    self._reading = read(evidence.body, Headers(), is_own=self.is_echo)
                case Phase.END | Phase.TRANSPORT:
                    self._reading = read(b"", Headers())
        return self._reading

    @property
    def body(self) -> str:
        """The text of an answer, of a whole event with its comments, or of what came after the last event."""
        if self._body is None:
            rest = self.evidence.phase is Phase.END
            self._body = self.evidence.body.decode("utf-8", "replace") if rest else self.reading.text
        return self._body

    def ask(self, condition: Question) -> Captures | None:
        """Whether a condition holds, with its named groups; asked once, however many rules share it."""
        label = condition.label
        if label not in self._held:
            self._held[label] = condition.match(self)
        return self._held[label]

    def find(self, expression: jsonpath.Expression) -> object:
        if expression.source not in self._found:
            document = self.reading.document
            self._found[expression.source] = None if document is MISSING else expression.find(document)
        return self._found[expression.source]

    def is_echo(self, text: str) -> bool:
        """Whether the client's own request contains this text."""
        return self._echoes().has(text)

    def without_echoes(self, text: str) -> str | None:
        """The text with an ellipsis for each long part that the client wrote itself; None if there is no such part.

        What begins the text stays: an agent may well tell a model the very error that it got before. Of long texts only
        the beginning is looked at.
        """
        if text not in self._own:
            at, own = 0, ""
            for start, end in self._echoed(text[:ECHOES_WITHIN]):
                own += f"{text[at:start]}…"
                at = end
            self._own[text] = f"{own}{text[at:]}" if own else None
        return self._own[text]

    def _echoed(self, text: str) -> list[tuple[int, int]]:
        """Where the client's words are: long parts, and whole strings of the request in quotes."""
        echo = self._echoes()
        places = [at for word in _WORD.finditer(text) for at in range(word.start(), word.end() + 1)][:-1]
        words = " ".join(text.split())
        long = [(places[start], places[end - 1] + 1) for start, end in echo.spans(words)]
        quotes = [match.start() for match in islice(_QUOTE.finditer(text), _QUOTES)]
        quoted = [
            (opening + 1, closing)
            for opening, closing in combinations(quotes, 2)
            if text[opening] == text[closing] and echo.is_value(text[opening + 1 : closing])
        ]
        found: list[tuple[int, int]] = []
        for start, end in sorted(span for span in (*long, *quoted) if span[0] > 0):
            if not found or start >= found[-1][1]:
                found.append((start, end))
        return found

    def is_value(self, text: str) -> bool:
        """Whether a whole string of the client's request is this text."""
        return self._echoes().is_value(text)

    def _echoes(self) -> Echo:
        if self._echo is None:
            self._echo = echoes(self.evidence.request)
        return self._echo


_R, _V, _E, _T = Phase.RESPONSE, Phase.EVENT, Phase.END, Phase.TRANSPORT

PHASES: Mapping[str, frozenset[Phase]] = {
    "path": frozenset({_R, _V, _E}),
    "method": frozenset({_R, _V, _E}),
    "status": frozenset({_R}),
    "headers": frozenset({_R, _V, _E}),
    "content_type": frozenset({_R}),
    "reason": frozenset({_R}),
    "type": frozenset({_R, _V}),
    "code": frozenset({_R, _V}),
    "param": frozenset({_R, _V}),
    "json": frozenset({_R, _V}),
    "message": frozenset({_R, _V}),
    "body": frozenset({_R, _V, _E}),
    "event": frozenset({_V}),
    "stray": frozenset({_V}),
    "end": frozenset({_E}),
    "finish_reason": frozenset({_E}),
    "events": frozenset({_E}),
    "cause": frozenset({_T}),
    "detail": frozenset({_T}),
}
"""Which phases have a key."""

VALUES: Mapping[str, Callable[[Subject], object]] = {
    "path": lambda subject: subject.evidence.request.path,
    "method": lambda subject: subject.evidence.request.method,
    "status": lambda subject: subject.evidence.status,
    "content_type": lambda subject: subject.evidence.headers.content_type,
    "type": lambda subject: subject.reading.type,
    "code": lambda subject: subject.reading.code,
    "param": lambda subject: subject.reading.param,
    "event": lambda subject: subject.evidence.event,
    "stray": lambda subject: subject.evidence.stray,
    "end": lambda subject: subject.evidence.end,
    "finish_reason": lambda subject: subject.evidence.finish_reason,
    "events": lambda subject: subject.evidence.events,
    "cause": lambda subject: subject.evidence.cause,
}
"""Keys whose value is compared. `headers` and `json` are not here: they say which value."""

TEXTS: Mapping[str, Callable[[Subject], str | None]] = {
    "reason": lambda subject: subject.evidence.reason,
    "message": lambda subject: subject.reading.message,
    "body": lambda subject: subject.body,
    "detail": lambda subject: subject.evidence.detail,
}
"""Keys whose text is searched."""
