"""`postel test --mutate`: whether the cases are strong enough to notice a damaged rule.

Owns the damage (a rule, an alternative, a wording or a condition is left out) and the question whether any case would
then expect something else. Runs each case once and asks the damaged rule about what was judged there, so that thousands
of mutants take seconds. Called by `cli`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from postel.core.evidence import Phase
from postel.core.match import AnyOf, Comparison, Condition, Equals, TextCondition, ValueCondition
from postel.core.normalise import Normaliser
from postel.core.rules import DEFAULT_STATUSES, Alternative, Rule, RuleSet
from postel.core.subject import Subject
from postel.rulefile.case_schema import Case
from postel.rulefile.casefile import CaseBook
from postel.rulefile.compiling import WHERE, CompiledPack
from postel.rulefile.finding import Finding
from postel.rulefile.load import Loaded
from postel.rulefile.play import play


@dataclass(frozen=True, slots=True)
class Mutant:
    """One damage: what each rule concerned would be instead (None: gone), and how to say that nobody noticed."""

    instead: tuple[tuple[Rule, Rule | None], ...]
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Order:
    """The rules that a case asks, and the place of each."""

    rules: tuple[Rule, ...]
    places: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Trial:
    """One evidence that a case had the rules judge.

    `won` is the winner's place, beyond the last if nobody won. `named` is the rule that the case expects to win,
    `refuted` those that must not match.
    """

    case: Case
    subject: Subject
    order: _Order
    won: int
    fault: str | None
    named: str | None
    refuted: frozenset[str]


@dataclass(slots=True)
class Proof:
    """The outcome: how many mutants there were, and a finding for each that no case noticed."""

    mutants: int = 0
    survivors: list[Finding] = field(default_factory=list)


def prove(
    loaded: Loaded,
    packs: Iterable[CompiledPack],
    books: Iterable[CaseBook],
    progress: Callable[[int, int], None] | None = None,
) -> Proof:
    """Damage every rule of `packs` in turn; `books` are all cases that may notice.

    `progress` is told of each mutant: how many are done, and of how many.
    """
    orders: dict[RuleSet, _Order] = {}
    gallery = _Gallery([trial for book in books for case in book.cases for trial in _trials(case, loaded, orders)])
    work = [(compiled, mutant) for compiled in packs for mutant in mutants(compiled)]
    proof = Proof(len(work))
    for done, (compiled, mutant) in enumerate(work, 1):
        if not gallery.notices(mutant):
            mark = compiled.marks[mutant.instead[0][0].id]
            proof.survivors.append(Finding(compiled.document.path, mark.line, mark.column, mutant.text, mutant.advice))
        if progress:
            progress(done, len(work))
    return proof


def _trials(case: Case, loaded: Loaded, orders: dict[RuleSet, _Order]) -> Iterator[_Trial]:
    settings, expect = case.given.settings, case.expect
    rules = loaded.rules.keeping(settings.packs)
    order = orders.get(rules)
    if order is None:
        order = orders[rules] = _Order(rules.asked, {rule.id: at for at, rule in enumerate(rules.asked)})
    named = expect.rule if "rule" in expect.keys_given else None
    for evidence in play(case.given, Normaliser(rules, loaded.dialects[settings.dialect])).judged:
        subject = Subject(evidence)
        winner = rules.winner(subject)
        won = order.places[winner.id] if winner else len(order.rules)
        fault = winner.then.fault if winner else None
        yield _Trial(case, subject, order, won, fault, named, frozenset(expect.not_ or ()))


# --- the damage -------------------------------------------------------------------------------------------------------


def mutants(compiled: CompiledPack) -> Iterator[Mutant]:
    """Every damage to one pack. What would not pass `postel check` (a text without a place) is none."""
    rules = compiled.pack.rules
    shared = _shared(rules)
    for label in sorted(shared):
        loose = ((rule, _without(rule, label)) for rule in rules if not _names_itself(rule))
        instead = tuple(pair for pair in loose if _legal(pair))
        if instead:
            yield Mutant(
                instead,
                f"pack `{compiled.pack.name}`: no case notices that `{label}` is not asked for",
                "add one that only this keeps out, or leave the condition out",
            )
    for rule in rules:
        yield Mutant(((rule, None),), f"no case notices that rule `{rule.id}` is gone", "add one that expects it")
        yield from _narrowed(rule)
        yield from _loosened(rule, shared)


def _narrowed(rule: Rule) -> Iterator[Mutant]:
    groups = _groups(rule)
    if len(groups) > 1:
        for at, group in enumerate(groups, 1):
            rest = tuple(each for each in rule.alternatives if each not in group)
            yield Mutant(
                ((rule, replace(rule, alternatives=rest)),),
                f"rule `{rule.id}`: no case needs alternative {at}",
                "add one that does, or leave it out",
            )
    for condition in _distinct(rule):
        if isinstance(condition, TextCondition) and len(condition.patterns) > 1:
            for at, pattern in enumerate(condition.patterns):
                rest_of = (*condition.patterns[:at], *condition.patterns[at + 1 :])
                yield Mutant(
                    ((rule, _replaced(rule, condition.label, replace(condition, patterns=rest_of))),),
                    f"rule `{rule.id}`: no case needs {condition.name} /{pattern.source}/",
                    "add one that says these words, or leave them out",
                )


def _loosened(rule: Rule, shared: frozenset[str]) -> Iterator[Mutant]:
    empty = {each.label for each in _distinct(rule) if _holds_of_anything(each)}
    for at, group in enumerate(_groups(rule), 1):
        where = f" in alternative {at}" if len(_groups(rule)) > 1 else ""
        names = list(dict.fromkeys(condition.label for each in group for condition in each.conditions))
        for label in names:
            loose = replace(
                rule, alternatives=tuple(_lax(each, label) if each in group else each for each in rule.alternatives)
            )
            if label not in shared and label not in empty and _legal((rule, loose)):
                yield Mutant(
                    ((rule, loose),),
                    f"rule `{rule.id}`: no case notices that `{label}` is not asked for{where}",
                    "add one that only this keeps out, or leave the condition out",
                )
        if any(each.phase is Phase.RESPONSE and each.statuses != DEFAULT_STATUSES for each in group):
            loose = replace(
                rule,
                alternatives=tuple(
                    replace(each, statuses=DEFAULT_STATUSES) if each in group else each for each in rule.alternatives
                ),
            )
            if _legal((rule, loose)):
                yield Mutant(
                    ((rule, loose),),
                    f"rule `{rule.id}`: no case notices that `status` is not asked for{where}",
                    "add one with another status, or leave the status out",
                )


def _groups(rule: Rule) -> list[tuple[Alternative, ...]]:
    """The alternatives as written: one for several phases was compiled into as many."""

    def said(alternative: Alternative) -> tuple[str, ...]:
        return tuple(condition.label for condition in alternative.conditions)

    return [tuple(group) for _, group in groupby(rule.alternatives, said)]


def _distinct(rule: Rule) -> list[Condition]:
    found = {condition.label: condition for each in rule.alternatives for condition in each.conditions}
    return list(found.values())


def _shared(rules: Sequence[Rule]) -> frozenset[str]:
    """What every alternative of every rule asks: the pack's own conditions. They are damaged once, for all."""
    sets = [{condition.label for condition in each.conditions} for rule in rules for each in rule.alternatives]
    anything = {each.label for rule in rules for each in _distinct(rule) if _holds_of_anything(each)}
    return frozenset(set.intersection(*sets) - anything) if len(rules) > 1 else frozenset()


def _names_itself(rule: Rule) -> bool:
    """Whether a value of the document decides; the pack's own condition on the document mostly follows from it."""
    return any(
        isinstance(each, ValueCondition) and each.expression and _is_equality(each.test) for each in _distinct(rule)
    )


def _is_equality(test: Comparison) -> bool:
    return isinstance(test, Equals) or (isinstance(test, AnyOf) and all(map(_is_equality, test.tests)))


def _holds_of_anything(condition: Condition) -> bool:
    """Whether a condition only says where: that a header is missing, or has some text. No case could tell."""
    if isinstance(condition, TextCondition):
        return False
    return all(condition.test.match(value) is not None for value in (None, "", "a", "1"))


def _lax(alternative: Alternative, label: str) -> Alternative:
    return replace(alternative, conditions=tuple(each for each in alternative.conditions if each.label != label))


def _without(rule: Rule, label: str) -> Rule:
    return replace(rule, alternatives=tuple(_lax(each, label) for each in rule.alternatives))


def _replaced(rule: Rule, label: str, by: Condition) -> Rule:
    def changed(alternative: Alternative) -> Alternative:
        return replace(
            alternative, conditions=tuple(by if each.label == label else each for each in alternative.conditions)
        )

    return replace(rule, alternatives=tuple(map(changed, rule.alternatives)))


def _legal(pair: tuple[Rule, Rule]) -> bool:
    """Whether every text still stands beside a key that says where, as in the rule before."""
    return all(
        _placed(after) or not _placed(before)
        for before, after in zip(pair[0].alternatives, pair[1].alternatives, strict=True)
    )


def _placed(alternative: Alternative) -> bool:
    texts = any(isinstance(condition, TextCondition) for condition in alternative.conditions)
    where = any(condition.name.partition(" ")[0] in WHERE for condition in alternative.conditions)
    named = alternative.phase is Phase.RESPONSE and alternative.statuses != DEFAULT_STATUSES
    return not texts or where or named or alternative.phase is Phase.END


# --- who notices ------------------------------------------------------------------------------------------------------


class _Gallery:
    """The trials, so arranged that a damaged rule is shown only to those it may concern."""

    def __init__(self, trials: Sequence[_Trial]) -> None:
        self._by_phase: dict[Phase, list[_Trial]] = {}
        self._by_winner: dict[str, list[_Trial]] = {}
        for trial in trials:
            self._by_phase.setdefault(trial.subject.evidence.phase, []).append(trial)
            if trial.won < len(trial.order.rules):
                self._by_winner.setdefault(trial.order.rules[trial.won].id, []).append(trial)

    def notices(self, mutant: Mutant) -> bool:
        return any(self._misses(rule, instead) or self._steals(rule, instead) for rule, instead in mutant.instead)

    def _misses(self, rule: Rule, instead: Rule | None) -> bool:
        """Whether a case that the rule won expects it, or the fault that only it tells."""
        for trial in self._by_winner.get(rule.id, ()):
            if instead is not None and instead.match(trial.subject) is not None:
                continue
            if trial.named == rule.id or ("fault" in trial.case.expect.keys_given and _next(trial) != trial.fault):
                return True
        return False

    def _steals(self, rule: Rule, instead: Rule | None) -> bool:
        """Whether a case expects somebody else where the loosened rule now matches."""
        if instead is None:
            return False
        phases = {alternative.phase for alternative in instead.alternatives}
        for trial in (trial for phase in phases for trial in self._by_phase.get(phase, ())):
            refuted = rule.id in trial.refuted
            first = trial.order.places.get(rule.id, len(trial.order.rules)) < trial.won
            if not (refuted or first) or instead.match(trial.subject) is None:
                continue
            if refuted or trial.named is not None:
                return True
            if "fault" in trial.case.expect.keys_given and rule.then.fault != trial.fault:
                return True
        return False


def _next(trial: _Trial) -> str | None:
    """The fault that would be told if the winner were not there."""
    for rule in trial.order.rules[trial.won + 1 :]:
        if rule.match(trial.subject) is not None:
            return rule.then.fault
    return None
