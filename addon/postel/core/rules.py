"""Rules in their order: which one recognises the evidence, and what it says of it.

Owns the order of evaluation and the filling of templates; `index` keeps it cheap. Knows neither YAML (that is
`rulefile`) nor how a fault is told (that is a dialect's). Asked by `normalise`.

The order, once and for all: packs of the user as given; engines, providers, proxies, generic, transport as given, which
is by name, or as `only` lists them; in a pack as written. The first rule whose conditions all hold wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from postel.core.evidence import Evidence, Phase, Request
from postel.core.fault import Faults
from postel.core.index import Index, Texts
from postel.core.match import Condition
from postel.core.message import clean
from postel.core.redact import Redactor
from postel.core.retry import parse_duration
from postel.core.subject import NO_CAPTURES, Captures, Subject
from postel.core.template import Found, Group, Header, Placeholder, Scalar, Template, Words, shown

RuleGroup = Literal["user", "engines", "providers", "proxies", "generic", "transport"]
"""Where a pack comes from; the order is the order of evaluation."""

SELECTABLE: frozenset[RuleGroup] = frozenset({"engines", "providers", "proxies"})
"""Groups of which the setting `packs` keeps only those it names."""

STATUSES = frozenset({*range(200, 300), *range(400, 1000)})
"""What a rule may name: 1xx and 3xx are never judged."""

DEFAULT_STATUSES = frozenset(range(400, 600))
"""What a rule without `status` is asked for."""

VALUE_LIMIT = 300
"""Characters that one value puts into a template at most."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Conditions that must all hold, in one phase. `statuses` counts only in the phase `response`."""

    phase: Phase
    conditions: tuple[Condition, ...]
    statuses: frozenset[int] = DEFAULT_STATUSES
    needs_error: bool = field(init=False, compare=False, repr=False)
    """Whether it can only hold where an error object was found."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "needs_error", any(condition.needs_error for condition in self.conditions))

    def match(self, subject: Subject) -> Captures | None:
        """The named groups if all conditions hold; of two with one name the later condition's."""
        return self.captures(subject) if self._applies(subject.evidence) else None

    def captures(self, subject: Subject) -> Captures | None:
        """As `match`, where phase and status are known to be right."""
        captures = NO_CAPTURES
        for condition in self.conditions:
            found = subject.ask(condition)
            if found is None:
                return None
            if found:
                captures = {**captures, **found}
        return captures

    def _applies(self, evidence: Evidence) -> bool:
        return self.phase is evidence.phase and (self.phase is not Phase.RESPONSE or evidence.status in self.statuses)

    def failure(self, subject: Subject) -> str | None:
        """The first thing that does not hold, for people; None if all do."""
        if not self._applies(subject.evidence):
            return f"status is {subject.evidence.status}, which this rule does not name"
        failed = (condition for condition in self.conditions if subject.ask(condition) is None)
        return next((condition.failure(subject) for condition in failed), None)


@dataclass(frozen=True, slots=True)
class Then:
    """What a rule says. `fault` None is `then: pass`; None elsewhere is "not given"; `retry_after` in seconds."""

    fault: str | None
    message: Template | None = None
    param: Template | None = None
    retry_after: float | Template | None = None
    details: Mapping[str, Template | Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    pack: str
    group: RuleGroup
    alternatives: tuple[Alternative, ...]
    then: Then
    ambiguous: bool = False
    summary: str = ""

    def match(self, subject: Subject) -> Captures | None:
        """The named groups of the first alternative that holds, None if none does."""
        found = (alternative.match(subject) for alternative in self.alternatives)
        return next((captures for captures in found if captures is not None), None)


@dataclass(frozen=True, slots=True)
class Pack:
    """The rules of one upstream, as written, and the rules of other packs that are wrong there."""

    name: str
    group: RuleGroup
    rules: tuple[Rule, ...]
    disable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the winning rule says, templates filled in. None or empty is "not given"; `retry_after` in seconds."""

    fault: str | None
    rule: str
    message: str | None = None
    param: str | None = None
    retry_after: float | None = None
    details: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule that was asked; `failure` is the first predicate that did not hold, None for the winner."""

    rule: Rule
    failure: str | None


class RuleSet:
    """Every loaded rule, and those of them that are asked, in order.

    `only` is the setting `packs`: of engines, providers and proxies those packs, in that order. None keeps all.
    """

    def __init__(self, packs: Sequence[Pack], faults: Faults, only: Sequence[str] | None = None) -> None:
        self.packs = tuple(packs)
        self.faults = faults
        self._only = tuple(only) if only is not None else None
        self._kept: dict[tuple[str, ...] | None, RuleSet] = {self._only: self}
        self.known: Mapping[str, Rule] = {rule.id: rule for pack in packs for rule in pack.rules}
        """Every rule by its id, asked or not."""
        kept = _in_order(packs, only)
        disabled = frozenset[str]().union(*(pack.disable for pack in kept))
        named = frozenset(only or ())
        self.asked: tuple[Rule, ...] = tuple(
            rule
            for pack in kept
            for rule in pack.rules
            if rule.id not in disabled and (not rule.ambiguous or pack.group == "user" or pack.name in named)
        )
        self._texts = Texts(
            condition
            for rule in self.asked
            for alternative in rule.alternatives
            for condition in alternative.conditions
        )
        self._index: dict[tuple[Phase, int | None, bool], Index[tuple[Rule, Alternative]]] = {}

    def keeping(self, only: Sequence[str] | None) -> RuleSet:
        """The same packs under another `packs` setting."""
        key = tuple(only) if only is not None else None
        if key not in self._kept:
            self._kept[key] = RuleSet(self.packs, self.faults, only)
        return self._kept[key]

    def classify(self, found: Evidence | Subject, redactor: Redactor | None = None) -> Verdict | None:
        """What the first rule that holds says; None if none does. `redactor` cleans what templates quote."""
        subject = found if isinstance(found, Subject) else Subject(found)
        won = self._first(subject)
        return _verdict(*won, subject, redactor or Redactor()) if won else None

    def winner(self, subject: Subject) -> Rule | None:
        """The rule that holds first; None if none does."""
        won = self._first(subject)
        return won[0] if won else None

    def _first(self, subject: Subject) -> tuple[Rule, Captures] | None:
        for rule, alternative in self._candidates(subject):
            captures = alternative.captures(subject)
            if captures is not None:
                return rule, captures
        return None

    def explain(self, found: Evidence | Subject) -> tuple[Tried, ...]:
        """Every rule of this phase that was asked, in order, up to the winner."""
        subject = found if isinstance(found, Subject) else Subject(found)
        tried: list[Tried] = []
        for rule in self.asked:
            failures = [a.failure(subject) for a in rule.alternatives if a.phase is subject.evidence.phase]
            if failures:
                won = None in failures
                tried.append(Tried(rule, None if won else "; or ".join(str(failure) for failure in failures)))
                if won:
                    break
        return tuple(tried)

    def _candidates(self, subject: Subject) -> Iterator[tuple[Rule, Alternative]]:
        """Alternatives of this phase and status that may hold, in order: a 429 does not try what names only 500.

        Where no error object was found, as in nearly every answer there is, nothing is asked that needs one.
        """
        evidence = subject.evidence
        status = evidence.status if evidence.phase is Phase.RESPONSE else None
        silent = not subject.reading.tells_error
        key = (evidence.phase, status, silent)
        if key not in self._index:
            items = (
                (alternative.conditions, (rule, alternative))
                for rule in self.asked
                for alternative in rule.alternatives
                if alternative.phase is evidence.phase
                and (evidence.phase is not Phase.RESPONSE or status in alternative.statuses)
                and not (silent and alternative.needs_error)
            )
            self._index[key] = Index(tuple(items), self._texts)
        return self._index[key].candidates(subject)


def _in_order(packs: Sequence[Pack], only: Sequence[str] | None) -> list[Pack]:
    if only is None:
        kept = list(packs)
    else:
        by_name = {pack.name: pack for pack in packs if pack.group in SELECTABLE}
        chosen = [by_name[name] for name in dict.fromkeys(only) if name in by_name]
        # In the place of all three groups at once: `only` may put a proxy before an engine.
        return [
            *(pack for pack in packs if pack.group == "user"),
            *chosen,
            *(pack for pack in packs if pack.group == "generic"),
            *(pack for pack in packs if pack.group == "transport"),
        ]
    return sorted(kept, key=lambda pack: get_args(RuleGroup).index(pack.group))


_PLAIN = re.compile(r"[\w .,:%+-]{1,40}")


def _cleaned(value: str, redactor: Redactor, request: Request) -> str | None:
    """A value as a client may read it; None if nothing is left of it."""
    words = clean(value, redactor, request, VALUE_LIMIT)
    if words is None and _PLAIN.fullmatch(value) and redactor.redact(value) == value:
        return value.strip() or None  # `4096` or `Not Found` says too little for a message, but not for a value
    return words


def _verdict(rule: Rule, captures: Captures, subject: Subject, redactor: Redactor) -> Verdict:
    def raw(placeholder: Placeholder) -> Scalar | None:
        match placeholder:
            case Group(name):
                return captures.get(name)
            case Found(expression):
                value = subject.find(expression)
                # An object has no text, nor has a number that JSON cannot write.
                return value if isinstance(value, str | int | float) and shown(value) is not None else None
            case Header(name):
                return subject.evidence.headers.get(name)
            case Words():
                return subject.reading.message

    def told(placeholder: Placeholder) -> Scalar | None:
        value = raw(placeholder)
        return _cleaned(value, redactor, subject.evidence.request) if isinstance(value, str) else value

    then = rule.then
    details = {
        name: template.fill(told) if isinstance(template, Template) else template
        for name, template in then.details.items()
    }
    wait = then.retry_after
    if isinstance(wait, Template):
        # Not cleaned: a number leaves through parse_duration or not at all.
        wait = parse_duration(shown(wait.fill(raw)) or "")
    return Verdict(
        fault=then.fault,
        rule=rule.id,
        message=shown(then.message.fill(told)) or None if then.message else None,
        param=shown(then.param.fill(told)) or None if then.param else None,
        retry_after=wait if wait and wait > 0 else None,
        details={name: value for name, value in details.items() if value is not None},
    )
