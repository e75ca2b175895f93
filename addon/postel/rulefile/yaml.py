"""YAML 1.2 with the place of every value: what rule, case and dialect files are written in.

Owns the subset that is accepted (core schema; no anchors, aliases, tags, merge keys or second documents; every key
once, and a text) and the positions. Knows nothing of rules. Called by `document`.

PyYAML's own loaders read YAML 1.1, where `no` is false and `1:30` is 90: only its parser is used, and plain scalars
are resolved here as YAML 1.2.2 section 10.3.2 says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from postel.rulefile.finding import Mark, Problem

_DEPTH = 64
"""Levels of nesting that are read; JSON that an upstream sends is not read deeper either."""


class Map(dict[str, Any]):
    """A mapping with the places of its keys and values."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.key_marks: dict[str, Mark] = {}
        self.value_marks: dict[str, Mark] = {}

    def put(self, key: str, value: object, key_mark: Mark, value_mark: Mark) -> None:
        self[key], self.key_marks[key], self.value_marks[key] = value, key_mark, value_mark

    def drop(self, key: str) -> None:
        del self[key], self.key_marks[key], self.value_marks[key]


class Seq(list[Any]):
    """A list with the places of its items."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []

    def put(self, value: object, mark: Mark) -> None:
        self.append(value)
        self.marks.append(mark)

    def drop(self, index: int) -> None:
        del self[index], self.marks[index]


def copied(value: Any) -> Any:
    """A copy down to the scalars, in which nothing is shared."""
    if isinstance(value, Map):
        entries = Map(value.mark)
        for key, inside in value.items():
            entries.put(key, copied(inside), value.key_marks[key], value.value_marks[key])
        return entries
    if isinstance(value, Seq):
        items = Seq(value.mark)
        for inside, mark in zip(value, value.marks, strict=True):
            items.put(copied(inside), mark)
        return items
    return value


class Unreadable(Exception):
    """The text is no YAML at all."""

    def __init__(self, mark: Mark, problem: Problem) -> None:
        super().__init__(problem.text)
        self.mark = mark
        self.problem = problem


def parse(text: str) -> tuple[object, list[tuple[Mark, Problem]]]:
    """The document as `Map`, `Seq` and scalars, and what this grammar does not have. Raises Unreadable."""
    builder = _Builder(text)
    try:
        return builder.document(), builder.problems
    except yaml.reader.ReaderError as error:
        before = text.encode("utf-8", "replace")[: error.position].decode("utf-8", "ignore")
        mark = Mark(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        raise Unreadable(mark, Problem("a character that YAML does not have", r'write it "\x.." in quotes')) from None
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark()
        what = " ".join(filter(None, (error.context, error.problem)))
        raise Unreadable(mark, Problem(f"no valid YAML: {what}", "look at the indentation and quotes here")) from None


class _Builder:
    """Builds the tree from parser events; only they still know anchors."""

    def __init__(self, text: str) -> None:
        self.problems: list[tuple[Mark, Problem]] = []
        self._anchored: dict[str, object] = {}
        self._aliases = 0
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CBaseLoader)

    def document(self) -> object:
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value, _ = self._value(next(self._events), 0)
        next(self._events)  # document end
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            self._say(_mark(following), "a second document", "one file is one document; remove the `---`")
        return value

    def _value(self, event: Any, depth: int) -> tuple[object, Mark]:
        mark = _mark(event)
        if depth > _DEPTH:
            raise Unreadable(mark, Problem(f"nested deeper than {_DEPTH} levels", "flatten it"))
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            self._say(mark, f"alias `*{event.anchor}`", "write the value again")
            return self._anchored.get(event.anchor or ""), mark
        aliases = self._aliases
        if event.tag is not None:
            self._say(mark, f"tag `{event.tag}`", "leave it out; a text is written in quotes")
        value: object
        if isinstance(event, yaml.MappingStartEvent):
            value = self._map(mark, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._seq(mark, depth)
        else:
            value = event.value if event.style else self._plain(event.value, mark)
        if event.anchor is not None:
            self._say(mark, f"anchor `&{event.anchor}`", "write the value again where it is needed")
            # Known only so that an alias is told once, and not as a missing value too. An alias in an alias would let
            # a small file grow without bound.
            self._anchored[event.anchor] = value if self._aliases == aliases else None
        return value, mark

    def _seq(self, mark: Mark, depth: int) -> Seq:
        items = Seq(mark)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.put(*self._value(event, depth + 1))
        return items

    def _map(self, mark: Mark, depth: int) -> Map:
        entries = Map(mark)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            _, key_mark = self._value(event, depth + 1)
            value, value_mark = self._value(next(self._events), depth + 1)
            if not isinstance(event, yaml.ScalarEvent):
                if not isinstance(event, yaml.AliasEvent):
                    self._say(key_mark, "a key that is no text", "write a word before the colon")
                continue
            name = event.value  # as written: the key `503` is the text "503"
            if name == "<<" and not event.style:
                self._say(key_mark, "merge key `<<`", "write the keys out")
            elif name in entries:
                first = entries.key_marks[name].line
                self._say(key_mark, f"`{name}` is given twice", f"it is also on line {first}; keep one")
            else:
                entries.put(name, value, key_mark, value_mark)
        return entries

    def _plain(self, text: str, mark: Mark) -> object:
        try:
            return _resolve(text)
        except ValueError:
            self._say(mark, f"`{text[:20]}` is no number that JSON has", "quote it if it is a text")
            return text

    def _say(self, mark: Mark, text: str, advice: str) -> None:
        self.problems.append((mark, Problem(text, advice)))


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


_WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def _resolve(text: str) -> object:
    """A plain scalar by the core schema. Raises ValueError for infinity, NaN and numbers too long to read."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NO_JSON.fullmatch(text):
        raise ValueError(text)
    return text
