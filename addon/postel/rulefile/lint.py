"""What rules do to one another: a rule that an earlier one always hides.

Owns the question whether whatever satisfies one rule satisfies another, answered only where it is certain. Knows
neither files nor places. Called by `compiling`, and by `check` for rules of different packs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postel.core.evidence import Phase
from postel.core.match import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Equals,
    Kind,
    Matches,
    Present,
    TextCondition,
    ValueCondition,
)
from postel.core.rules import Alternative, Rule


def hidden(rules: Sequence[Rule], pack: str | None = None) -> Iterator[tuple[Rule, Rule]]:
    """Each rule that can never win, with the first one that hides it. `rules` are in the order in which they are asked.

    With `pack`, only rules of that pack, and only what rules of other packs hide.
    """
    for at, later in enumerate(rules):
        if pack is not None and later.pack != pack:
            continue
        for earlier in rules[:at]:
            if pack is not None and earlier.pack == pack:
                continue
            # Not asked for in a built-in pack unless `packs` names it, an ambiguous rule hides only its like.
            if earlier.ambiguous and not later.ambiguous and earlier.group != "user":
                continue
            if all(any(_covers(wide, narrow) for wide in earlier.alternatives) for narrow in later.alternatives):
                yield later, earlier
                break


def _covers(wide: Alternative, narrow: Alternative) -> bool:
    """Whether `wide` holds whenever `narrow` does."""
    return (
        wide.phase is narrow.phase
        and (wide.phase is not Phase.RESPONSE or narrow.statuses <= wide.statuses)
        and all(any(_implies(given, asked) for given in narrow.conditions) for asked in wide.conditions)
    )


def _implies(given: Condition, asked: Condition) -> bool:
    if given.name != asked.name:
        return False
    match given, asked:
        case TextCondition(), TextCondition():
            return set(given.sources) <= set(asked.sources)
        case ValueCondition(), ValueCondition():
            return _test_implies(given.test, asked.test)
    return False


def _test_implies(given: Comparison, asked: Comparison) -> bool:
    if str(given) == str(asked):
        return True
    match given, asked:
        case AnyOf(tests), _:
            return all(_test_implies(test, asked) for test in tests)
        case _, AllOf(tests):
            return all(_test_implies(given, test) for test in tests)
        case _, AnyOf(tests):
            return any(_test_implies(given, test) for test in tests)
        case AllOf(tests), _:
            return any(_test_implies(test, asked) for test in tests)
        case Equals() | Matches() | Kind(), Present(want=True):
            return True
        case Equals(want), Equals() | Matches():
            # What equals a text or number has its text.
            return asked.match(want) is not None
    return False
