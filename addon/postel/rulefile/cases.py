"""`postel test`: the cases beside the rules, played through the same pipeline as live traffic.

Owns the comparison of what a client got with what was expected, and how well the rules are covered. How a case is
played is `play`'s matter. Called by `cli`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from postel.core.jsontext import decode_all
from postel.core.normalise import Normaliser
from postel.core.rules import Rule, RuleSet
from postel.core.subject import Subject
from postel.rulefile.case_schema import Case, Expect
from postel.rulefile.check import Survey
from postel.rulefile.load import Loaded
from postel.rulefile.play import Played, play

Outcome = Literal["passed", "failed"]

Progress = Callable[[int, int], None]
"""Told how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case, and where it stands. `reasons` says what was not as expected, `rule` who won."""

    path: Path
    line: int
    column: int
    name: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    rule: str | None = None

    def __str__(self) -> str:
        reasons = "".join(f"\n    {reason}" for reason in self.reasons)
        return f"{self.path}:{self.line}:{self.column}: {self.outcome}: {self.name}{reasons}"


def run_cases(survey: Survey, progress: Progress | None = None) -> tuple[Result, ...]:
    """Run every case of every case file, in their order, against all packs; `progress` is told of each."""
    cases = [(book.document.path, case) for book in survey.books for case in book.cases]
    results = []
    for done, (path, case) in enumerate(cases, 1):
        results.append(_result(path, case, survey.loaded))
        if progress:
            progress(done, len(cases))
    return tuple(results)


def _result(path: Path, case: Case, loaded: Loaded) -> Result:
    mark = case.value_mark("name")
    rule, reasons = run_case(case, loaded)
    return Result(path, mark.line, mark.column, case.name, "failed" if reasons else "passed", reasons, rule)


def run_case(case: Case, loaded: Loaded) -> tuple[str | None, tuple[str, ...]]:
    """The rule that won one case, whose names are all known, and what was not as expected."""
    settings, expect = case.given.settings, case.expect
    rules = loaded.rules.keeping(settings.packs)
    played = play(case.given, Normaliser(rules, loaded.dialects[settings.dialect]))
    subjects = [Subject(evidence) for evidence in played.judged]
    matching = (
        name for name in expect.not_ or () if any(rules.known[name].match(subject) is not None for subject in subjects)
    )
    won = _winner(played, rules, subjects)
    reasons = [
        *_differences(expect, _told(played, won)),
        *_passed_over(expect, won, rules, subjects, loaded),
        *_bytes_changed(expect, played),
        *_unwanted(expect, played),
        *(f"not: {name} matches" for name in matching),
    ]
    return won, tuple(reasons)


def _passed_over(
    expect: Expect, won: str | None, rules: RuleSet, subjects: list[Subject], loaded: Loaded
) -> Iterator[str]:
    """Why the rule expected did not win: another one is asked first, or the first thing that does not hold."""
    wanted = rules.known.get(expect.rule or "")
    if wanted is None or wanted.id == won:
        return
    if wanted not in rules.asked:
        why = "it is ambiguous, and `packs` does not name its pack" if wanted.ambiguous else "a pack disables it"
        yield f"{wanted.id}: is not asked: {why}"
    elif won and any(wanted.match(subject) is not None for subject in subjects):
        home = next(each for each in loaded.packs if won in each.marks)
        yield f"{wanted.id}: matches too, but {won} is asked first ({home.document.path}:{home.marks[won].line})"
    else:
        yield from _unmet(wanted, subjects)


def _unmet(wanted: Rule, subjects: list[Subject]) -> Iterator[str]:
    phases = {subject.evidence.phase for subject in subjects}
    asked = [each for each in wanted.alternatives if each.phase in phases]
    if not asked:
        own = ", ".join(sorted({each.phase for each in wanted.alternatives}))
        yield f"{wanted.id}: is about phase {own}, and this is {', '.join(sorted(phases)) or 'not judged at all'}"
    for subject in subjects[-1:]:
        for alternative in asked:
            if alternative.phase is subject.evidence.phase and (failure := alternative.failure(subject)):
                yield f"{wanted.id}: {failure}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well one rule is proved: cases that expect it and got it, and cases that say what it must not match."""

    rule: str
    won: int
    refuted: int


def coverage(survey: Survey, results: Sequence[Result]) -> tuple[Coverage, ...]:
    """The coverage of every rule whose cases were run, in the order in which the rules are written."""
    packs = {book.pack for book in survey.books}
    won = Counter(result.rule for result in results if result.outcome == "passed")
    refuted = Counter(name for book in survey.books for case in book.cases for name in case.expect.not_ or ())
    return tuple(
        Coverage(rule.id, won[rule.id], refuted[rule.id])
        for compiled in survey.loaded.packs
        if compiled.pack.name in packs
        for rule in compiled.pack.rules
    )


def _winner(played: Played, rules: RuleSet, subjects: list[Subject]) -> str | None:
    """The rule that won: that of the error told; without one the last that matched anything."""
    if played.reply is not None:
        return played.reply.rule
    verdicts = [verdict for subject in subjects if (verdict := rules.classify(subject))]
    return verdicts[-1].rule if verdicts else None


# --- what was expected ------------------------------------------------------------------------------------------------

_MISSING = "nothing, because nothing is sent"


def _told(played: Played, rule: str | None) -> Mapping[str, object]:
    """What a client gets, by the keys of `expect`."""
    reply = played.reply
    if reply is None:
        return {"fault": None, "rule": rule, "delivered": played.delivered}
    sent = _error_in(played.tail)
    wait = dict(played.headers).get("retry-after")
    return {
        "fault": reply.fault,
        "rule": rule,
        "status": played.status,
        "type": sent.get("type"),
        "code": sent.get("code"),
        "param": sent.get("param"),
        "details": sent.get("details"),
        "retry_after": None if wait is None else int(wait),
        "retryable": reply.retryable,
        "delivered": played.delivered,
        "at": played.at,
    }


_DOCUMENT = re.compile(r"^(?:data: ?)?(\{.*\})$", re.MULTILINE)


def _error_in(tail: bytes) -> Mapping[str, object]:
    """The error object of an answer, an event or a line; empty if there is none."""
    for found in _DOCUMENT.finditer(tail.decode("utf-8", "replace")):
        document = decode_all(found[1])
        error = document.get("error") if isinstance(document, dict) else None
        if isinstance(error, dict):
            return error
        if isinstance(error, str):  # as Ollama's clients read it
            return {"message": error}
        if isinstance(document, dict) and "title" in document:  # RFC 9457
            return {**document, "message": document.get("detail", document["title"])}
    return {}


def _differences(expect: Expect, told: Mapping[str, object]) -> Iterator[str]:
    for key in expect.keys_given:
        if key in ("message", "absent", "not"):
            continue
        wanted, got = getattr(expect, key), told.get(key, _MISSING)
        if key == "details" and not wanted and not got:
            continue
        if wanted != got:
            yield f"{key}: expected {_shown(wanted)}, got {got if got is _MISSING else _shown(got)}"


def _bytes_changed(expect: Expect, played: Played) -> Iterator[str]:
    """What is healthy goes out as it came in."""
    if "fault" in expect.keys_given and expect.fault is None and played.reply is None and not played.as_given:
        yield f"fault: expected the bytes given, got {_shown(played.body.decode('utf-8', 'replace'))}"


def _unwanted(expect: Expect, played: Played) -> Iterator[str]:
    """Texts that the message should have and has not, or that must not be sent and are."""
    reply = played.reply
    message = str(_error_in(played.tail).get("message", reply.message)) if reply else ""
    for text in expect.message or ():
        if text not in message:
            yield f"message: expected {_shown(text)} in {_shown(message) if reply else _MISSING}"
    sent = [message, played.tail.decode("utf-8", "replace"), *(value for _, value in played.headers)] if reply else []
    for text in expect.absent or ():
        if any(text in part for part in sent):
            yield f"absent: {_shown(text)} is sent"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
