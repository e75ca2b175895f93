"""`postel test`: the cases beside the rules, played through the same pipeline as live traffic.

Owns the comparison of what a client got with what was expected. How a case is played is `play`'s matter. Called by
`cli`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from postel.core.jsontext import decode_all
from postel.core.normalise import Normaliser
from postel.core.rules import RuleSet
from postel.core.subject import Subject
from postel.rulefile.case_schema import Case, Expect
from postel.rulefile.check import Survey
from postel.rulefile.load import Loaded
from postel.rulefile.play import Played, play

Outcome = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case, and where it stands. `reasons` says what was not as expected."""

    path: Path
    line: int
    column: int
    name: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        reasons = "".join(f"\n    {reason}" for reason in self.reasons)
        return f"{self.path}:{self.line}:{self.column}: {self.outcome}: {self.name}{reasons}"


def run_cases(survey: Survey) -> tuple[Result, ...]:
    """Run every case of every case file, in their order, against all packs."""
    return tuple(
        _result(book.document.path, case, *run_case(case, survey.loaded))
        for book in survey.books
        for case in book.cases
    )


def _result(path: Path, case: Case, outcome: Outcome, reasons: tuple[str, ...]) -> Result:
    mark = case.value_mark("name")
    return Result(path, mark.line, mark.column, case.name, outcome, reasons)


def run_case(case: Case, loaded: Loaded) -> tuple[Outcome, tuple[str, ...]]:
    """Run one case whose names are all known."""
    settings, expect = case.given.settings, case.expect
    rules = loaded.rules.keeping(settings.packs)
    played = play(case.given, Normaliser(rules, loaded.dialects[settings.dialect]))
    subjects = [Subject(evidence) for evidence in played.judged]
    matching = (
        name for name in expect.not_ or () if any(rules.known[name].match(subject) is not None for subject in subjects)
    )
    reasons = [
        *_differences(expect, _told(played, _winner(played, rules, subjects))),
        *_bytes_changed(expect, played),
        *_unwanted(expect, played),
        *(f"not: {name} matches" for name in matching),
    ]
    return ("failed" if reasons else "passed"), tuple(reasons)


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
