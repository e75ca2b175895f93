"""One condition of a rule: what is asked of a value or a text, and whether that holds.

Owns the operators, and the law that the client's own words prove nothing. What the keys look at is `subject`'s matter.
Knows no fault and no order of rules. Built by `rulefile.compiling`, asked by `rules`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from postel.core import jsonpath
from postel.core.regex import Match, Pattern
from postel.core.subject import NO_CAPTURES, TEXTS, VALUES, Captures, Subject
from postel.core.template import Scalar, text_of

JsonKind = Literal["string", "number", "boolean", "object", "array"]

# After so many matches that the client itself wrote, later ones are not looked at: each costs a search of up to 1 MiB.
_ECHOES_TRIED = 32

_QUOTES = frozenset("'\"`\u2018\u2019\u201c\u201d")
_NEAR = 40
_LAST_WORD = re.compile(r"(?:\S+\s*|\s+)\Z")
_NEXT_WORD = re.compile(r"\s*\S+")

ECHOABLE = frozenset({"message", "body"})
"""Text keys into which an upstream may copy what its client wrote."""


class Comparison(Protocol):
    """What is asked of one value. `str()` is unique among tests and readable."""

    def match(self, value: object, /) -> Captures | None:
        """The named groups if it holds (mostly none), None if it does not."""


@dataclass(frozen=True, slots=True)
class Equals:
    """Equal; numbers and strings by their text, booleans only to themselves."""

    want: Scalar

    def match(self, value: object) -> Captures | None:
        if isinstance(self.want, bool) or isinstance(value, bool):
            return NO_CAPTURES if self.want is value else None
        text = text_of(value)
        return NO_CAPTURES if text is not None and text == text_of(self.want) else None

    def __str__(self) -> str:
        return json.dumps(self.want, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Matches:
    """A text, or the text of a number, in which the expression is found."""

    pattern: Pattern

    def match(self, value: object) -> Captures | None:
        text = text_of(value)
        return _groups(self.pattern.search(text)) if text is not None else None

    def __str__(self) -> str:
        return f"matches {json.dumps(self.pattern.source, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Kind:
    """Of one JSON kind."""

    want: JsonKind

    def match(self, value: object) -> Captures | None:
        return NO_CAPTURES if kind_of(value) == self.want else None

    def __str__(self) -> str:
        return f"a JSON {self.want}"


@dataclass(frozen=True, slots=True)
class Present:
    """There and not null, or (`want=False`) missing or null."""

    want: bool

    def match(self, value: object) -> Captures | None:
        return NO_CAPTURES if (value is not None) is self.want else None

    def __str__(self) -> str:
        return "present" if self.want else "absent"


@dataclass(frozen=True, slots=True)
class AnyOf:
    tests: tuple[Comparison, ...]

    def match(self, value: object) -> Captures | None:
        return next((found for test in self.tests if (found := test.match(value)) is not None), None)

    def __str__(self) -> str:
        return f"any of ({', '.join(map(str, self.tests))})"


@dataclass(frozen=True, slots=True)
class AllOf:
    tests: tuple[Comparison, ...]

    def match(self, value: object) -> Captures | None:
        captures: dict[str, str] = {}
        for test in self.tests:
            found = test.match(value)
            if found is None:
                return None
            captures |= found
        return captures

    def __str__(self) -> str:
        return f"all of ({', '.join(map(str, self.tests))})"


def kind_of(value: object) -> JsonKind | None:
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case dict():
            return "object"
        case list():
            return "array"
    return None


@dataclass(frozen=True, slots=True)
class ValueCondition:
    """`name` is what people call the value: `type`, `headers server`, `json error.kind`."""

    name: str
    find: Callable[[Subject], object] = field(compare=False, repr=False)
    test: Comparison
    header: str | None = field(default=None, compare=False, repr=False)
    """The header whose value it is."""
    expression: jsonpath.Expression | None = field(default=None, compare=False, repr=False)
    """What finds the value in the document."""
    label: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.name} is {self.test}")

    @property
    def needs_error(self) -> bool:
        """Whether it cannot hold where no error object was found."""
        return self.name in ("type", "code", "param") and self.test.match(None) is None

    def match(self, subject: Subject) -> Captures | None:
        return self.test.match(self.find(subject))

    def failure(self, subject: Subject) -> str:
        """Why it does not hold, for people."""
        return f"{self.name} is {_brief(self.find(subject))}, not {self.test}"


@dataclass(frozen=True, slots=True)
class TextCondition:
    """Any of the patterns is found, and not merely in words of the client's own."""

    name: str
    find: Callable[[Subject], str | None] = field(compare=False, repr=False)
    patterns: tuple[Pattern, ...] = field(compare=False)
    sources: tuple[str, ...] = field(init=False)
    label: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(pattern.source for pattern in self.patterns))
        object.__setattr__(self, "label", f"{self.name} has {json.dumps(self.sources)}")

    @property
    def needs_error(self) -> bool:
        """Whether it cannot hold where no error object was found."""
        return self.name == "message"

    def match(self, subject: Subject) -> Captures | None:
        text = self.find(subject)
        if text is None:
            return None
        for pattern in self.patterns:
            found = pattern.search(text)
            if found is not None and self._is_echo(found, subject):
                found = self._own_words(pattern, text, subject)
            if found is not None and self.name in ECHOABLE and (own := subject.without_echoes(text)) is not None:
                # A match may also begin in the upstream's words and end in the client's. What it has found is told
                # from the text as it is: the name of a model that does not exist is the client's, too.
                found = found if pattern.search(own) is not None else None
            if found is not None:
                return _groups(found)
        return None

    def _is_echo(self, found: Match, subject: Subject) -> bool:
        words = found.group() or ""
        if self.name not in ECHOABLE or found.start() == 0 or not subject.is_echo(words):
            return False
        if any(map(str.isspace, words)) or subject.is_value(words):
            return True
        # One word may be in a prompt by chance (`bad_alloc`): a quotation has its quotes, or a neighbour in common.
        before, after = self._around(found, subject)
        return (before[-1:] in _QUOTES and after[:1] in _QUOTES) or any(
            subject.is_echo(f"{left}{words}{right}") for left, right in ((before, ""), ("", after)) if left or right
        )

    def _around(self, found: Match, subject: Subject) -> tuple[str, str]:
        """What stands before and after a match, as far as the next word."""
        text = self.find(subject) or ""
        before = _LAST_WORD.search(text[max(0, found.start() - _NEAR) : found.start()])
        after = _NEXT_WORD.match(text[found.end() : found.end() + _NEAR])
        return before.group() if before else "", after.group() if after else ""

    def _own_words(self, pattern: Pattern, text: str, subject: Subject) -> Match | None:
        """The first match that the client did not write, where the very first is an echo."""
        tried: set[str | None] = set()
        for found in pattern.finditer(text):
            if found.group() in tried:
                continue
            if not self._is_echo(found, subject):
                return found
            tried.add(found.group())
            if len(tried) == _ECHOES_TRIED:
                break
        return None

    def failure(self, subject: Subject) -> str:
        """Why it does not hold, for people."""
        text = self.find(subject)
        wanted = " or ".join(f"/{source}/" for source in self.sources)
        if text is not None and any(pattern.search(text) for pattern in self.patterns):
            return f"{self.name} has {wanted} only in words that the client wrote itself"
        return f"{self.name} is {_brief(text)}, which has no {wanted}"


Condition = ValueCondition | TextCondition


def compares(key: str, test: Comparison) -> ValueCondition:
    """A condition on a key of `VALUES`."""
    return ValueCondition(key, VALUES[key], test)


def compares_header(name: str, test: Comparison) -> ValueCondition:
    """A condition on an upstream header, its values joined by `, `."""
    name = name.lower()
    return ValueCondition(f"headers {name}", lambda subject: subject.evidence.headers.get(name), test, header=name)


def compares_json(expression: jsonpath.Expression, test: Comparison) -> ValueCondition:
    """A condition on what an expression finds in the document."""
    label = f"json {expression.source}"
    return ValueCondition(label, lambda subject: subject.find(expression), test, expression=expression)


def searches(key: str, patterns: tuple[Pattern, ...]) -> TextCondition:
    """A condition on a key of `TEXTS`."""
    return TextCondition(key, TEXTS[key], patterns)


def _groups(found: Match | None) -> Captures | None:
    if found is None:
        return None
    return {name: text for name, text in found.groupdict().items() if text} or NO_CAPTURES


def _brief(value: object) -> str:
    if value is None:
        return "absent"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
