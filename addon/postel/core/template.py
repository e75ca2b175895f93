"""Texts with placeholders: `{name}`, `{json.EXPR}`, `{headers.NAME}`, `{message}`; `{{` is a brace.

Owns the syntax and the rule that one missing value takes the whole text with it. Knows neither evidence nor redaction:
whoever fills a template looks the values up. Compiled by `rulefile.compiling`, filled by `rules`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from postel.core import jsonpath

Scalar = str | int | float | bool

# Python converts integers of up to 4300 digits to text and raises beyond; 4096 bits are 1233 digits.
_LONGEST_NUMBER = 4096


def text_of(value: object) -> str | None:
    """The text by which strings and numbers are compared and filled in; None for everything else.

    A number without a fraction has none in its text: `429.0` is `429`.
    """
    match value:
        case str():
            return value
        case bool():
            return None
        case int():
            return str(value) if value.bit_length() <= _LONGEST_NUMBER else None
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None


@dataclass(frozen=True, slots=True)
class Group:
    """`{name}`: a named group of an expression that matched."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Found:
    """`{json.EXPR}`: what a JMESPath expression finds in the document."""

    expression: jsonpath.Expression

    def __str__(self) -> str:
        return f"json.{self.expression.source}"


@dataclass(frozen=True, slots=True)
class Header:
    """`{headers.NAME}`: an upstream header."""

    name: str

    def __str__(self) -> str:
        return f"headers.{self.name}"


@dataclass(frozen=True, slots=True)
class Words:
    """`{message}`: the upstream's own words."""

    def __str__(self) -> str:
        return "message"


Placeholder = Group | Found | Header | Words


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text: literal pieces and placeholders in their order."""

    source: str
    parts: tuple[str | Placeholder, ...]

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))

    def fill(self, look_up: Callable[[Placeholder], Scalar | None]) -> Scalar | None:
        """The text with its values; None if one is missing. A single placeholder keeps a number or boolean."""
        match self.parts:
            case (Group() | Found() | Header() | Words() as only,):
                return look_up(only)
        pieces: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            piece = shown(look_up(part))
            if piece is None:
                return None
            pieces.append(piece)
        return "".join(pieces)


def shown(value: Scalar | None) -> str | None:
    """A value inside a text: as it is compared, and booleans as JSON writes them."""
    return ("true" if value else "false") if isinstance(value, bool) else text_of(value)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"headers\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|.""", re.DOTALL)


def parse(source: str) -> Template:
    """Compile a text. Raises ValueError with a reason of one line."""
    parts: list[str | Placeholder] = []
    literal = ""
    at = 0
    while (brace := source.find("{", at)) >= 0:
        literal += source[at:brace]
        if source.startswith("{{", brace):
            literal, at = literal + "{", brace + 2
            continue
        inside = _up_to_brace(source, brace + 1)
        if literal:
            parts.append(literal)
        parts.append(_placeholder(inside))
        literal, at = "", brace + len(inside) + 2
    literal += source[at:]
    return Template(source, (*parts, literal) if literal else tuple(parts))


def _up_to_brace(source: str, start: int) -> str:
    """What stands between a brace and its partner; braces of a JMESPath hash pair up, those in quotes do not count."""
    depth = 1
    for token in _QUOTED.finditer(source, start):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if not depth:
            return source[start : token.start()]
    raise ValueError(f"`{{{source[start : start + 20]}` has no closing brace; a brace itself is written `{{{{`")


def _placeholder(inside: str) -> Placeholder:
    if inside == "message":
        return Words()
    if header := _HEADER.fullmatch(inside):
        return Header(header[1])
    if inside.startswith("json."):
        try:
            return Found(jsonpath.compile(inside.removeprefix("json.")))
        except ValueError as error:
            raise ValueError(f"`{{{inside}}}`: {error}") from None
    if _NAME.fullmatch(inside):
        return Group(inside)
    raise ValueError(
        f"`{{{inside}}}` is no placeholder; there are {{name}}, {{json.EXPR}}, {{headers.NAME}}, {{message}}"
    )
