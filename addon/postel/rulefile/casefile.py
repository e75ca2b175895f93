"""The cases beside a pack: read, checked against what is loaded, and counted.

Owns what can be wrong between a case file and the rules, and which rules no case proves. Runs nothing: that is `cases`.
Called by `check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postel.core.match import TextCondition
from postel.core.rules import Rule
from postel.rulefile.case_schema import Case, CaseFile
from postel.rulefile.compiling import CompiledPack
from postel.rulefile.document import Document
from postel.rulefile.finding import Finding, Severity, did_you_mean
from postel.rulefile.library import cases_of
from postel.rulefile.load import Loaded


@dataclass(frozen=True, slots=True)
class CaseBook:
    """One case file; `cases` are those that can be run."""

    document: Document
    pack: str | None
    cases: tuple[Case, ...]


def read_cases(path: Path, loaded: Loaded | None) -> CaseBook:
    """Read a case file; what is wrong goes to the document's findings.

    Without `loaded` its names are not looked up: `diff` plays a case whose rule is gone, too.
    """
    document = Document(path)
    file = document.validate(CaseFile)
    if file is None:
        return CaseBook(document, None, ())
    packs = [compiled.pack.name for compiled in loaded.packs] if loaded else []
    if loaded and file.pack not in packs and "pack" in file.keys_given:
        advice = did_you_mean(file.pack, packs, "load its rules as well")
        document.say(file.value_mark("pack"), f"there is no pack `{file.pack}`", advice)
    names: dict[str, int] = {}
    sound: list[Case] = []
    for case in file.cases:
        known = len(document.findings)
        mark = case.value_mark("name")
        if case.name in names:
            document.say(mark, f"case `{case.name}` is there twice", f"the first is on line {names[case.name]}")
        names.setdefault(case.name, mark.line)
        if loaded:
            _check_names(document, case, loaded)
        if len(document.findings) == known and not document.is_damaged(case):
            sound.append(case)
    return CaseBook(document, file.pack, tuple(sound))


def _check_names(document: Document, case: Case, loaded: Loaded) -> None:
    expect, settings = case.expect, case.given.settings
    packs = [compiled.pack.name for compiled in loaded.packs]
    named = [
        (expect.value_mark("fault"), "fault", expect.fault, list(loaded.rules.faults)),
        (expect.value_mark("rule"), "rule", expect.rule, list(loaded.rules.known)),
        (settings.value_mark("dialect"), "dialect", settings.dialect, list(loaded.dialects)),
    ]
    named += [
        (expect.value_mark("not", at), "rule", name, list(loaded.rules.known))
        for at, name in enumerate(expect.not_ or ())
    ]
    named += [(settings.value_mark("packs", at), "pack", name, packs) for at, name in enumerate(settings.packs or ())]
    for mark, kind, name, known in named:
        if name is not None and name not in known:
            document.say(mark, f"there is no {kind} `{name}`", did_you_mean(name, known, "name one that is loaded"))


def unproved(compiled: CompiledPack, cases: Iterable[Case]) -> Iterator[Finding]:
    """Rules that no case names under `rule`, and rules with a text key that none names under `not`.

    Errors in the built-in library, warnings in a user's pack.
    """
    cases = list(cases)
    proved = {case.expect.rule for case in cases}
    refuted = {name for case in cases for name in case.expect.not_ or ()}
    beside = cases_of(compiled.document.path).name
    for rule in compiled.pack.rules:
        if rule.id not in proved:
            yield _finding(compiled, rule, "has no case", f"add one to {beside} that expects it under `rule`")
        if rule.id not in refuted and _searches(rule):
            yield _finding(
                compiled, rule, "has no case that it must not match", f"add one to {beside} with it under `not`"
            )


def _finding(compiled: CompiledPack, rule: Rule, text: str, advice: str) -> Finding:
    mark = compiled.marks[rule.id]
    severity: Severity = "warning" if compiled.pack.group == "user" else "error"
    return Finding(compiled.document.path, mark.line, mark.column, f"rule `{rule.id}` {text}", advice, severity)


def _searches(rule: Rule) -> bool:
    conditions: Sequence[object] = [each for alternative in rule.alternatives for each in alternative.conditions]
    return any(isinstance(condition, TextCondition) for condition in conditions)
