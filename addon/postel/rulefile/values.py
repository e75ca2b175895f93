"""The small values of rule files: what is compared, searched, filled in and waited for.

Owns the operators of `when`, and the way each value is read into its compiled form, so that a wrong expression is found
when the file is loaded. Knows no keys. The types at the end are what the models are made of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, get_args

from pydantic import PlainValidator, WithJsonSchema

from postel.core import regex, template
from postel.core.evidence import Cause, End
from postel.core.match import AllOf, AnyOf, Comparison, Equals, JsonKind, Kind, Matches, Present
from postel.core.regex import Pattern
from postel.core.retry import parse_duration
from postel.core.rules import DEFAULT_STATUSES, STATUSES
from postel.core.template import Scalar, Template
from postel.rulefile.finding import Problem, did_you_mean, refusal

OPERATORS = ("matches", "kind", "present")
_KINDS: tuple[JsonKind, ...] = get_args(JsonKind)
_UNIT = "a duration has a unit: `20ms`, `6.2s`, `6m0s`, `2h`"

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What every text of a key looks like, so that one that does not is never equal to it."""

    expression: re.Pattern[str]
    advice: str


class _Reader:
    """Reads one value, noting every problem in it. What is wrong reads as a test that is never used."""

    def __init__(self, words: Collection[str] | None = None, form: Form | None = None) -> None:
        self.problems: list[Problem] = []
        self._words = words
        """The only texts that the value can be equal to, if it is one of a few."""
        self._form = form

    def done[T](self, result: T) -> T:
        if self.problems:
            raise refusal(self.problems)
        return result

    def wrong(self, text: str, advice: str, loc: Loc) -> None:
        self.problems.append(Problem(text, advice, loc))

    def test(self, data: object, loc: Loc = ()) -> Comparison:
        match data:
            case str() if self._words is not None and data not in self._words:
                self.wrong(f"`{data}` never occurs here", did_you_mean(data, self._words), loc)
            case str() if self._form is not None and not self._form.expression.search(data):
                self.wrong(f"`{data}` never occurs here", self._form.advice, loc)
            case str() | bool() | int() | float():
                return Equals(data)
            case [_, *_]:
                return AnyOf(tuple(self.test(item, (*loc, at)) for at, item in enumerate(data)))
            case {**operators} if operators:
                tests = [self._operator(str(name), value, (*loc, str(name))) for name, value in operators.items()]
                if operators.get("present") is False and len(tests) > 1:
                    self.wrong("`present: false` with another operator never holds", "keep one of them", loc)
                return tests[0] if len(tests) == 1 else AllOf(tuple(tests))
            case _:
                self.wrong(
                    "there is nothing to compare with", "`{present: false}` asks for what is missing or null", loc
                )
        return Present(want=True)

    def _operator(self, name: str, value: object, loc: Loc) -> Comparison:
        match name, value:
            case "matches", str():
                return Matches(self.pattern(value, loc))
            case "kind", str() if value in _KINDS:
                return Kind(value)
            case "present", bool():
                return Present(value)
            case "matches", _:
                self.wrong("`matches` needs an expression", "quote it", loc)
            case "kind", _:
                self.wrong(f"`kind` is `{value}`", did_you_mean(str(value), _KINDS), loc)
            case "present", _:
                self.wrong("`present` is neither true nor false", "it should be one of them", loc)
            case _:
                self.wrong(f"unknown operator `{name}`", did_you_mean(name, OPERATORS), loc)
        return Present(want=True)

    def pattern(self, source: str, loc: Loc = ()) -> Pattern:
        if not source:
            self.wrong("an empty expression is found in everything", "an empty text is `^$`", loc)
        try:
            return regex.compile(source)
        except ValueError as error:
            advice = "mend the expression"
            if re.search(r"\(\?<?[=!]|\\\d", source):
                advice = "RE2 has no look-around and no back-references; put the exception first, as a rule of its own"
            reason, _, part = str(error).partition(": ")
            self.wrong(f"RE2 refuses the expression: {reason}{f' in `{part}`' if part else ''}", advice, loc)
            return regex.compile("^")

    def patterns(self, data: object) -> tuple[Pattern, ...]:
        match data:
            case str():
                return (self.pattern(data),)
            case [_, *_]:
                for at, item in enumerate(data):
                    if not isinstance(item, str):
                        self.wrong("an expression is a text", "quote it", (at,))
                return tuple(self.pattern(item, (at,)) for at, item in enumerate(data) if isinstance(item, str))
            case dict():
                self.wrong("a text key has no operators", "give the expression itself, or a list of them", ())
            case _:
                self.wrong("an expression is a text", "quote it", ())
        return ()

    def statuses(self, data: object, loc: Loc = ()) -> frozenset[int]:
        known = len(self.problems)
        match data:
            case [_, *_]:
                return frozenset().union(*(self.statuses(item, (*loc, at)) for at, item in enumerate(data)))
            case dict():
                chosen = _chosen(self.test(data, loc))
            case str() if re.fullmatch(r"[1-9]xx", data):
                chosen = {status for status in STATUSES if status // 100 == int(data[0])}
            case bool():
                chosen = set()
            case int() | str() if re.fullmatch(r"[1-9]\d\d", str(data)):
                chosen = {int(data)} & STATUSES
            case _:
                chosen = set()
        if not chosen and len(self.problems) == known:
            self.wrong(
                "no answer that is judged has this status", "name a 2xx, 4xx or 5xx: `503`, `5xx`, `[502, 503]`", loc
            )
        return frozenset(chosen)


def _chosen(test: Comparison) -> Iterable[int]:
    """The statuses for which a test holds. Only one that looks at the number names a 2xx."""
    match test:
        case Matches():
            return {status for status in STATUSES if test.match(status) is not None}
        case AllOf(tests):
            return STATUSES.intersection(*(_chosen(part) for part in tests))
        case _:
            return {status for status in DEFAULT_STATUSES if test.match(status) is not None}


def _read_value(data: object, words: Collection[str] | None = None, form: Form | None = None) -> Comparison:
    reader = _Reader(words, form)
    return reader.done(reader.test(data))


def _read_flag(data: object) -> Comparison:
    """A value that is true or false, so that no other value could ever hold."""
    if not isinstance(data, bool):
        raise refusal([Problem("this is true or false", "give one of them, without quotes")])
    return Equals(data)


def _read_patterns(data: object) -> tuple[Pattern, ...]:
    reader = _Reader()
    return reader.done(reader.patterns(data))


def _read_statuses(data: object) -> frozenset[int]:
    reader = _Reader()
    return reader.done(reader.statuses(data))


def _read_template(data: object) -> Template:
    if not isinstance(data, str) or not data:
        raise refusal([Problem("a template is a text", "quote it" if data not in (None, "") else "leave the key out")])
    try:
        return template.parse(data)
    except ValueError as error:
        raise refusal([Problem(str(error))]) from None


def _read_detail(data: object) -> Template | Scalar:
    return data if isinstance(data, bool | int | float) else _read_template(data)


def _read_duration(data: object) -> float:
    seconds = parse_duration(data) if isinstance(data, str) else None
    if seconds is None:
        # A default of no wait at all is written `0s`, which says nothing where an upstream sends it.
        if isinstance(data, str) and re.fullmatch(r"0+(ms|s|m|h)", data):
            return 0.0
        raise refusal([Problem(f"`{data}` is no duration", _UNIT)])
    return seconds


def _read_wait(data: object) -> float | Template:
    if isinstance(data, str) and "{" in data:
        return _read_template(data)
    seconds = _read_duration(data)
    if seconds <= 0:
        raise refusal([Problem("a wait of nothing counts as not given", "leave it out")])
    return seconds


def _read_texts(data: object) -> list[str]:
    if isinstance(data, str):
        return [data]
    if not isinstance(data, list) or not data or not all(isinstance(item, str) for item in data):
        raise refusal([Problem("this is a text or a list of texts", "quote numbers")])
    return list(data)


def _read_version(data: object) -> str:
    if not isinstance(data, str):
        raise refusal([Problem("a version is a text", "quote it: an unquoted 0.10 would be 0.1")])
    return data


_SCALAR = {"type": ["string", "number", "boolean"]}
_EXPRESSION = {"type": "string", "minLength": 1, "description": "An RE2 expression."}
_OPERATORS = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {"matches": _EXPRESSION, "kind": {"enum": list(_KINDS)}, "present": {"type": "boolean"}},
}


def _one_or_many(*forms: dict[str, Any]) -> WithJsonSchema:
    # An item of a list may be a list again; nobody has needed a third level.
    inner = {"type": "array", "minItems": 1, "items": {"anyOf": [*forms]}}
    return WithJsonSchema({"anyOf": [*forms, {"type": "array", "minItems": 1, "items": {"anyOf": [*forms, inner]}}]})


def _word(words: Iterable[str]) -> Any:
    words = tuple(map(str, words))
    return Annotated[
        Comparison, PlainValidator(partial(_read_value, words=words)), _one_or_many({"enum": list(words)}, _OPERATORS)
    ]


Value = Annotated[Comparison, PlainValidator(_read_value), _one_or_many(_SCALAR, _OPERATORS)]
"""Compared: a scalar, a mapping of operators, or a list of such."""

_PATH = Form(re.compile(r"^/[^?#]*$"), "a path begins with `/` and has no query")
_MEDIA_TYPE = Form(re.compile(r"^[^A-Z;]+$"), "it is in lower case and without parameters: `application/json`")

PathValue = Annotated[Comparison, PlainValidator(partial(_read_value, form=_PATH)), _one_or_many(_SCALAR, _OPERATORS)]
MediaType = Annotated[
    Comparison, PlainValidator(partial(_read_value, form=_MEDIA_TYPE)), _one_or_many(_SCALAR, _OPERATORS)
]
Flag = Annotated[Comparison, PlainValidator(_read_flag), WithJsonSchema({"type": "boolean"})]
CauseWord = _word(Cause)
EndWord = _word(End)

Statuses = Annotated[
    frozenset[int],
    PlainValidator(_read_statuses),
    _one_or_many({"type": "integer"}, {"type": "string", "pattern": "^[2456789](xx|[0-9][0-9])$"}, _OPERATORS),
]
Expressions = Annotated[tuple[Pattern, ...], PlainValidator(_read_patterns), _one_or_many(_EXPRESSION)]
"""Searched: an expression, or a list of which any is found."""

Texts = Annotated[list[str], PlainValidator(_read_texts), _one_or_many({"type": "string"})]
Text = Annotated[Template, PlainValidator(_read_template), WithJsonSchema({"type": "string", "minLength": 1})]
Detail = Annotated[Template | Scalar, PlainValidator(_read_detail), WithJsonSchema(_SCALAR)]
Duration = Annotated[
    float,
    PlainValidator(_read_duration),
    WithJsonSchema({"type": "string", "examples": ["20ms", "6.2s", "6m0s", "2h"]}),
]
Wait = Annotated[float | Template, PlainValidator(_read_wait), WithJsonSchema({"type": "string"})]
Version = Annotated[str, PlainValidator(_read_version), WithJsonSchema({"type": "string"})]
