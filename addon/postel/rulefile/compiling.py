"""From the model of a pack to rules that the core can ask.

Owns everything that a rule file may get wrong beyond the form of single values: keys and their phases, where before
what, placeholders, faults. Called by `load` for each pack; `lint` says what rules do to one another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from postel.core import jsonpath, match
from postel.core.evidence import Phase
from postel.core.fault import BASE, FaultRow
from postel.core.match import AllOf, AnyOf, Comparison, Matches, TextCondition, ValueCondition
from postel.core.rules import DEFAULT_STATUSES, Alternative, Pack, Rule, RuleGroup, Then
from postel.core.subject import PHASES, TEXTS
from postel.core.template import Found, Group, Header, Template, Words
from postel.rulefile import schema
from postel.rulefile.document import Document
from postel.rulefile.finding import Mark, did_you_mean
from postel.rulefile.lint import hidden

WHERE = frozenset(("status", "type", "code", "json", "headers", "content_type", "event", "stray", "cause"))
"""Keys that say where; a text key says what, and needs one of them beside it."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


@dataclass(frozen=True, slots=True)
class CompiledPack:
    """A pack with the places of its rules, and the finer faults it declares."""

    document: Document
    pack: Pack
    mark: Mark
    """Where the pack's name stands."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Where each rule's id stands."""
    rows: Mapping[str, FaultRow] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    fault_marks: Mapping[str, Mark] = field(default_factory=dict)
    disabled: Mapping[str, Mark] = field(default_factory=dict)


def compile_pack(
    document: Document, file: schema.PackFile, group: RuleGroup, told: Collection[str] = ()
) -> CompiledPack:
    """Compile what can be compiled; what is wrong goes to the document's findings.

    `told` are the finer faults that dialects add, which any pack may name.
    """
    return _Compiler(document, file, group, told).pack()


class _Compiler:
    def __init__(self, document: Document, file: schema.PackFile, group: RuleGroup, told: Collection[str]) -> None:
        self.document = document
        self.file = file
        self.group = group
        written = document.tree if isinstance(document.tree, dict) else {}
        # As written, so that a finer fault with a mistake in it is not called unknown as well.
        finer = written.get("faults")
        self.faults = [*(finer if isinstance(finer, dict) else ()), *told, *BASE]
        common = schema.alternatives(file.when)
        self.damaged = ("when" in written and not common) or any(map(document.is_damaged, common))
        """Whether something is missing from the pack's own conditions."""

    def pack(self) -> CompiledPack:
        file = self.file
        self._check_faults()
        for common in schema.alternatives(file.when):
            if "phase" in common.keys_given:
                self._say(common.key_mark("phase"), "`phase` beside every rule", "give it in the rules themselves")
        marks: dict[str, Mark] = {}
        rules: list[Rule] = []
        sound: list[Rule] = []
        for entry in file.rules:
            mark = entry.value_mark("id")
            if entry.id in marks:
                self._say(mark, f"rule `{entry.id}` is there twice", f"the first is on line {marks[entry.id].line}")
            if "pack" in file.keys_given and not entry.id.startswith(f"{file.pack}-"):
                self._say(mark, f"rule `{entry.id}` does not begin with the pack's name", f"`{file.pack}-{entry.id}`")
            marks.setdefault(entry.id, mark)
            known = len(self.document.findings)
            rule = self._rule(entry)
            rules.append(rule)
            if len(self.document.findings) == known and not self.damaged and not self.document.is_damaged(entry):
                sound.append(rule)
        once = list({rule.id: rule for rule in reversed(sound)}.values())[::-1]  # a double id is told already
        for later, earlier in hidden(once):
            where = marks[earlier.id].line
            self._say(
                marks[later.id], f"rule `{later.id}` never wins: `{earlier.id}` hides it", f"put it before line {where}"
            )
        own = {rule.id for rule in rules}
        for at, disabled in enumerate(file.disable):
            if disabled in own:
                self._say(file.value_mark("disable", at), f"`{disabled}` is a rule of this pack", "remove the rule")
        return CompiledPack(
            self.document,
            Pack(file.pack, self.group, tuple(rules), frozenset(file.disable)),
            file.value_mark("pack"),
            marks,
            {name: entry.row() for name, entry in file.faults.items()},
            {name: entry.is_ for name, entry in file.faults.items()},
            {name: file.key_mark("faults", name) for name in file.faults},
            {name: file.value_mark("disable", at) for at, name in enumerate(file.disable)},
        )

    def _say(self, mark: Mark, text: str, advice: str) -> None:
        self.document.say(mark, text, advice)

    def _check_faults(self) -> None:
        faults = self.file.faults
        for name, entry in faults.items():
            if name in BASE:
                self._say(
                    self.file.key_mark("faults", name),
                    f"`{name}` is a base fault",
                    "give the finer one its own name; how a base fault is told is a dialect's business",
                )
            line = [name]
            while (parent := faults[line[-1]].is_) in faults and parent not in line:
                line.append(parent)
            mark = entry.value_mark("is")
            if parent in line:
                self._say(mark, f"`{name}` is its own ancestor", "let one of them be a base fault")
            elif parent not in self.faults and line == [name]:
                self._say(mark, f"unknown fault `{parent}`", did_you_mean(parent, self.faults))

    def _rule(self, entry: schema.Rule) -> Rule:
        pairs = [
            (alternative, common)
            for alternative in schema.alternatives(entry.when)
            for common in schema.alternatives(self.file.when) or (None,)
        ]
        damaged = self.damaged or self.document.is_damaged(entry)
        compiled = tuple(found for pair in pairs for found in self._alternatives(*pair, damaged=damaged))
        return Rule(
            id=entry.id,
            pack=self.file.pack,
            group=self.group,
            alternatives=compiled,
            then=self._then(entry, compiled, damaged=damaged),
            ambiguous=entry.ambiguous,
            summary=entry.summary,
        )

    def _alternatives(
        self, entry: schema.Condition, common: schema.Condition | None, *, damaged: bool
    ) -> Iterator[Alternative]:
        """One for each phase, with the pack's own conditions before the rule's."""
        for key in entry.keys_given:
            self._check_key(entry, key)
        for phase in map(Phase, entry.phases):
            shared = [key for key in (common.keys_given if common else ()) if phase in PHASES.get(key, ())]
            if not damaged:
                self._check_where(entry, common, shared, phase)
            sources = [(common, shared)] if common else []
            sources.append((entry, [key for key in entry.keys_given if phase in PHASES.get(key, ())]))
            conditions = [found for source, keys in sources for key in keys for found in self._conditions(source, key)]
            statuses = [source.status for source, _ in sources if source.status is not None]
            chosen = statuses[0].intersection(*statuses) if statuses else DEFAULT_STATUSES
            if phase is Phase.RESPONSE and not chosen:
                self._say(
                    entry.key_mark("status"), "no status is left beside the pack's own", "name one that both have"
                )
            # Texts last: they cost a search each, and need not be searched where a comparison fails.
            conditions.sort(key=lambda condition: isinstance(condition, TextCondition))
            yield Alternative(phase, tuple(conditions), _shared(chosen))

    def _check_key(self, entry: schema.Condition, key: str) -> None:
        lacking = [phase for phase in entry.phases if key in PHASES and Phase(phase) not in PHASES[key]]
        if not lacking:
            return
        having = " or ".join(phase for phase in Phase if phase in PHASES[key])
        given = "phase" in entry.keys_given
        asked, mend = ("", f"leave `{key}` out, or change `phase`") if given else (" (the default)", "give `phase`")
        self._say(
            entry.key_mark(key), f"phase `{lacking[0]}`{asked} has no key `{key}`", f"only {having} has it: {mend}"
        )

    def _check_where(
        self, entry: schema.Condition, common: schema.Condition | None, shared: list[str], phase: Phase
    ) -> None:
        keys = {*entry.keys_given, *shared}
        # A text that this phase does not have is told already.
        texts = [key for key in (*entry.keys_given, *shared) if key in TEXTS and phase in PHASES[key]]
        if phase is Phase.END or not texts or keys & WHERE:
            return
        source = entry if texts[0] in entry.keys_given or common is None else common
        usable = ", ".join(key for key in PHASES if key in WHERE and phase in PHASES[key])
        advice = f"add {'one of ' if ',' in usable else ''}{usable}"
        self._say(source.key_mark(texts[0]), f"`{texts[0]}` says what, but nothing says where", advice)

    def _conditions(self, entry: schema.Condition, key: str) -> Iterator[match.Condition]:
        asked = getattr(entry, "json_" if key == "json" else key)
        match key:
            case "status":
                return
            case "headers":
                for name, test in asked.items():
                    if not _HEADER_NAME.fullmatch(name):
                        self._say(entry.key_mark(key, name), f"`{name}` is no header name", "give the name alone")
                    yield match.compares_header(name, test)
            case "json":
                for source, test in asked.items():
                    try:
                        yield match.compares_json(jsonpath.compile(source), test)
                    except ValueError as error:
                        advice = "see jmespath.org; a key with other letters than a-z, 0-9 and _ is quoted: 'a.\"b-c\"'"
                        self._say(entry.key_mark(key, source), f"no JMESPath: {error}", advice)
            case _ if key in TEXTS:
                yield match.searches(key, asked)
            case _:
                yield match.compares(key, asked)

    def _then(self, entry: schema.Rule, compiled: tuple[Alternative, ...], *, damaged: bool) -> Then:
        then = entry.then
        if then == "pass":
            return Then(fault=None)
        if then.fault not in self.faults:
            advice = did_you_mean(then.fault, self.faults, "use a base fault, or declare it under `faults`")
            self._say(then.value_mark("fault"), f"unknown fault `{then.fault}`", advice)
        templates: dict[tuple[str, ...], object] = {
            ("message",): then.message,
            ("param",): then.param,
            ("retry_after",): then.retry_after,
            **{("details", name): value for name, value in then.details.items()},
        }
        wait = then.retry_after
        if isinstance(wait, Template) and wait.parts and not isinstance(wait.parts[-1], str):
            advice = f"`'{wait.source}s'` are seconds; a number alone counts as not given"
            self.document.say(then.value_mark("retry_after"), "the wait has no unit", advice, "warning")
        phases = {alternative.phase for alternative in compiled}
        groups = {name for alternative in compiled for name in _groups(alternative)}
        for loc, template in templates.items():
            for placeholder in template.placeholders if isinstance(template, Template) else ():
                mark = then.value_mark(*loc)
                match placeholder:
                    case Group(name) if name not in groups and not damaged:
                        advice = did_you_mean(
                            name, groups, f"name a group in an expression of this rule: (?P<{name}>…)"
                        )
                        self._say(mark, f"nothing fills `{{{name}}}`", advice)
                    case Found() | Header() | Words() if not phases & PHASES[_key(placeholder)]:
                        self._say(
                            mark, f"nothing fills `{{{placeholder}}}`", f"phase {', '.join(sorted(phases))} has none"
                        )
                    case Words() if "message" in groups:
                        self._say(mark, "`{message}` is the upstream's words", "give the group another name")
        return Then(then.fault, then.message, then.param, then.retry_after, then.details)


@cache
def _shared(statuses: frozenset[int]) -> frozenset[int]:
    """One object for all rules with these statuses: a thousand sets of some hundred numbers are 7 MiB."""
    return statuses


def _key(placeholder: Found | Header | Words) -> str:
    match placeholder:
        case Found():
            return "json"
        case Header():
            return "headers"
        case Words():
            return "message"


def _groups(alternative: Alternative) -> Iterator[str]:
    """The named groups of an alternative."""
    for condition in alternative.conditions:
        match condition:
            case TextCondition(patterns=patterns):
                for pattern in patterns:
                    yield from pattern.groups
            case ValueCondition(test=test):
                yield from _groups_of(test)


def _groups_of(test: Comparison) -> Iterator[str]:
    match test:
        case Matches(pattern):
            yield from pattern.groups
        case AnyOf(tests) | AllOf(tests):
            for part in tests:
                yield from _groups_of(part)
