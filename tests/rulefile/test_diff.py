"""`postel diff`: the verdicts that a change of rules alters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postel.rulefile.casefile import read_cases
from postel.rulefile.check import survey
from postel.rulefile.diff import Change, diff, played_cases, surveyed
from postel.rulefile.load import gather

OLD = """
version: 1
pack: mine
rules:
  - {id: mine-full, when: {status: 500, type: Busy}, then: {fault: internal}}
"""
CASES = """
version: 1
pack: mine
cases:
  - {name: full, given: {status: 500, json: {error: {type: Busy, message: no slot}}}, expect: {rule: mine-full}}
  - {name: else, given: {status: 500, json: {error: {type: Idle, message: no slot}}}, expect: {not: mine-full}}
  - {name: late, given: {status: 429, body: slow}, expect: {fault: rate_limited}}
"""


@pytest.fixture
def changes(write: Any, library: Path) -> Any:
    def told(new: str, cases: str = CASES, **options: Any) -> tuple[int, tuple[Change, ...]]:
        before = gather([write("old/mine.yaml", OLD)], library=library)
        after = gather([write("new/mine.yaml", new)], library=library)
        return diff(before, after, [read_cases(write("mine.cases.yaml", cases), after)], **options)

    return told


def test_the_same_rules_tell_nothing_differently(changes: Any) -> None:
    assert (3, ()) == changes(OLD)


def test_a_change_names_the_case_and_each_field_that_differs(changes: Any) -> None:
    played, (change,) = changes(OLD.replace("fault: internal", "fault: overloaded"))

    place, *fields = change.lines()
    assert 3 == played
    assert place.endswith("mine.cases.yaml:4: full")
    assert [
        "    fault: internal -> overloaded",
        "    status: 500 -> 503",
        "    code: internal_error -> overloaded",
        "    retry_after: none -> 5",
    ] == fields


def test_a_rule_that_now_takes_more_is_seen_in_the_cases_it_takes(changes: Any) -> None:
    _, found = changes(OLD.replace(", type: Busy", ""))

    (change,) = found
    assert ["    rule: rest-any -> mine-full"] == list(change.lines())[1:]
    assert "else" == change.name


def test_what_becomes_a_true_answer_is_told_as_nothing(changes: Any) -> None:
    _, (change,) = changes(OLD.replace("{fault: internal}", "pass"))

    assert "    fault: internal -> none" in list(change.lines())


def test_other_words_count_only_if_asked_for(changes: Any) -> None:
    new = OLD.replace("{fault: internal}", "{fault: internal, message: All slots are taken.}")

    assert () == changes(new)[1]
    (change,) = changes(new, words=True)[1]
    assert ['    message: "no slot" -> "All slots are taken."'] == list(change.lines())[1:]


def test_a_case_whose_rule_is_gone_is_played_all_the_same(library: Path, write: Any) -> None:
    before, after = write("old/mine.yaml", OLD), write("new/mine.yaml", OLD.replace("mine-full", "mine-other"))
    write("old/mine.cases.yaml", CASES)
    sides = [survey([path], library) for path in (before, after)]
    books = played_cases(sides, [])
    _, found = diff(sides[0].loaded, sides[1].loaded, books)

    assert ["    rule: mine-full -> mine-other"] == list(found[0].lines())[1:]


def test_of_two_cases_with_one_name_the_new_one_is_played(library: Path, write: Any) -> None:
    before, after = write("old/mine.yaml", OLD), write("new/mine.yaml", OLD)
    write("old/mine.cases.yaml", CASES)
    new = write("new/mine.cases.yaml", CASES)
    books = played_cases([survey([path], library) for path in (before, after)], [])

    assert {new: 3} == {book.document.path: len(book.cases) for book in books if book.pack == "mine" and book.cases}


def test_a_case_that_only_the_new_rules_can_play_is_told(library: Path, write: Any) -> None:
    before = gather(library=library)
    after = gather([write("mine.yaml", OLD)], library=library)
    cases = CASES.replace("body: slow}", "body: slow, settings: {packs: [mine]}}")
    played, found = diff(before, after, [read_cases(write("mine.cases.yaml", cases), after)])

    assert 3 == played
    assert ["    cannot be played with the old rules"] == list(found[-1].lines())[1:]


def test_a_folder_with_a_transport_pack_is_a_whole_library(library: Path, write: Any) -> None:
    whole = surveyed(library)
    assert {"alpha", "beta", "rest", "cloud", "edge", "transport"} == {each.pack.name for each in whole.loaded.packs}
    one = surveyed(write("mine.yaml", OLD))
    assert {"mine", "nginx"} < {each.pack.name for each in one.loaded.packs}, "before the built-in library"
