"""Which of many rules are worth asking: by the one thing that each cannot do without.

Owns the shortcut, and no decision: what is left out cannot hold, what is offered is asked in full. A library of a
thousand rules then costs an error a few dozen questions. Knows neither rules nor their order. Used by `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from postel.core.match import AnyOf, Comparison, Condition, Equals, TextCondition, ValueCondition
from postel.core.regex import Prefilter
from postel.core.subject import TEXTS, VALUES, Subject
from postel.core.template import text_of

Conditions = Sequence[Condition]


class Texts:
    """The text conditions of all rules, looked for at once."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        by_key: dict[str, dict[str, TextCondition]] = {}
        for condition in conditions:
            if isinstance(condition, TextCondition):
                by_key.setdefault(condition.name, {})[condition.label] = condition
        self._by_key = {key: _Text(list(found.values())) for key, found in by_key.items()}

    def possible(self, key: str, subject: Subject) -> Iterable[str]:
        """The labels of the conditions on one text that may hold."""
        text = TEXTS[key](subject)
        return () if text is None else self._by_key[key].possible(text)


class _Text:
    """The conditions on one text."""

    def __init__(self, conditions: Sequence[TextCondition]) -> None:
        pairs = [(pattern, condition.label) for condition in conditions for pattern in condition.patterns]
        self._labels = [label for _, label in pairs]
        self._prefilter = Prefilter([pattern for pattern, _ in pairs])

    def possible(self, text: str) -> Iterable[str]:
        return dict.fromkeys(self._labels[at] for at in self._prefilter.possible(text))


@dataclass(frozen=True, slots=True)
class _Need:
    """What must be so before conditions can hold: in which table to look, and under which entries."""

    table: tuple[str, str]
    """`text` with a key of `TEXTS`, `value` or `there` with a key of `VALUES`, `header` or `field` with nothing."""
    entries: tuple[str, ...]


class Index[T]:
    """Items with conditions that must all hold, in their order."""

    def __init__(self, items: Sequence[tuple[Conditions, T]], texts: Texts) -> None:
        self._texts = texts
        self._items = tuple(item for _, item in items)
        self._always: list[int] = []
        self._tables: dict[tuple[str, str], dict[str, list[int]]] = {}
        for at, (conditions, _) in enumerate(items):
            need = _need(conditions)
            if need is None:
                self._always.append(at)
            else:
                table = self._tables.setdefault(need.table, {})
                for entry in need.entries:
                    table.setdefault(entry, []).append(at)

    def candidates(self, subject: Subject) -> Iterator[T]:
        """The items that may hold, in order; no other one does."""
        found = [*self._always]
        for (kind, key), table in self._tables.items():
            for entry in self._present(kind, key, table, subject):
                found += table.get(entry, ())
        found.sort()
        return (self._items[at] for at in found)

    def _present(self, kind: str, key: str, table: Mapping[str, list[int]], subject: Subject) -> Iterable[str]:
        match kind:
            case "text":
                return self._texts.possible(key, subject)
            case "value":
                text = text_of(VALUES[key](subject))
                return () if text is None else (text,)
            case "there":
                return () if VALUES[key](subject) is None else ("",)
            case "header":
                return (name for name in table if subject.evidence.headers.get(name) is not None)
        document = subject.reading.document
        return (name for name in table if name in document) if isinstance(document, dict) else ()


def _need(conditions: Conditions) -> _Need | None:
    """The rarest thing that these conditions ask for; None if nothing can be looked up."""
    needs = [need for condition in conditions if (need := _need_of(condition))]
    return min(needs, key=lambda need: _RARITY.index(need.table[0]), default=None)


_RARITY = ("text", "value", "field", "header", "there")


def _need_of(condition: Condition) -> _Need | None:
    match condition:
        case TextCondition(name, label=label):
            return _Need(("text", name), (label,))
        case ValueCondition(name, test=test) if name in VALUES:
            wanted = _wanted(test)
            if wanted:
                return _Need(("value", name), wanted)
            return _Need(("there", name), ("",)) if test.match(None) is None else None
        case ValueCondition(test=test) if test.match(None) is not None:
            return None
        case ValueCondition(header=str(header)):
            return _Need(("header", ""), (header,))
        case ValueCondition(expression=expression) if expression and (field := expression.field):
            return _Need(("field", ""), (field,))
    return None


def _wanted(test: Comparison) -> tuple[str, ...]:
    """The texts of which a value must be one; empty if that cannot be said."""
    match test:
        case Equals(want) if not isinstance(want, bool) and (text := text_of(want)) is not None:
            return (text,)
        case AnyOf(tests):
            each = [_wanted(part) for part in tests]
            return tuple(dict.fromkeys(text for texts in each for text in texts)) if all(each) else ()
    return ()
