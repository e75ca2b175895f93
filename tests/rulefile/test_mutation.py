"""`postel test --mutate`: a case set that would not notice a damaged rule is told so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postel.rulefile.check import survey
from postel.rulefile.mutation import Proof, prove

RULES = """\
version: 1
pack: beta2
rules:
  - id: beta2-full
    when: {status: 500, type: Busy, message: ['^queue full', '^no slot']}
    then: {fault: overloaded}
"""

QUEUE = "{status: 500, json: {error: {type: Busy, message: queue full}}}"
SLOT = "{status: 500, json: {error: {type: Busy, message: no slot}}}"
OTHER_STATUS = "{status: 400, json: {error: {type: Busy, message: queue full}}}"
OTHER_TYPE = "{status: 500, json: {error: {type: Lazy, message: queue full}}}"
OTHER_WORDS = "{status: 500, json: {error: {type: Busy, message: all is lost}}}"

WON, NOT = "{rule: beta2-full}", "{not: beta2-full}"


@pytest.fixture
def proof(tmp_path: Path, library: Path) -> Any:
    def made(cases: list[tuple[str, str]], rules: str = RULES) -> Proof:
        (tmp_path / "beta2.yaml").write_text(rules, "utf-8")
        text = "".join(
            f"- {{name: n{at}, given: {given}, expect: {expect}}}\n" for at, (given, expect) in enumerate(cases)
        )
        (tmp_path / "beta2.cases.yaml").write_text(f"version: 1\npack: beta2\ncases:\n{text}", "utf-8")
        found = survey([tmp_path / "beta2.yaml"], library)
        assert [] == [finding for finding in found.findings if finding.severity == "error"]
        packs = [each for each in found.loaded.packs if each.pack.name == "beta2"]
        return prove(found.loaded, packs, found.books)

    return made


def told(proof: Proof) -> list[str]:
    return [finding.text for finding in proof.survivors]


ALL = [(QUEUE, WON), (SLOT, WON), (OTHER_STATUS, NOT), (OTHER_TYPE, NOT), (OTHER_WORDS, NOT)]


def test_nothing_survives_where_each_part_of_the_rule_has_its_case(proof: Any) -> None:
    made = proof(ALL)

    assert [] == made.survivors
    assert made.mutants == 6, "the rule, two wordings, three conditions"


@pytest.mark.parametrize(
    ("missing", "survivor"),
    [
        (0, "no case needs message /^queue full/"),
        (1, "no case needs message /^no slot/"),
        (2, "no case notices that `status` is not asked for"),
        (3, 'no case notices that `type is "Busy"` is not asked for'),
        (4, 'no case notices that `message has ["^queue full", "^no slot"]` is not asked for'),
    ],
)
def test_each_missing_case_lets_one_damage_pass(proof: Any, missing: int, survivor: str) -> None:
    made = proof(ALL[:missing] + ALL[missing + 1 :])

    assert [f"rule `beta2-full`: {survivor}"] == told(made)
    assert (5, 9) == (made.survivors[0].line + 1, made.survivors[0].column), "the finding stands at the rule's id"


def test_a_rule_that_no_case_expects_can_be_dropped(proof: Any) -> None:
    made = proof([(OTHER_WORDS, NOT)])

    assert "no case notices that rule `beta2-full` is gone" in told(made)


def test_a_case_that_only_expects_the_fault_notices_if_the_fault_changes(proof: Any) -> None:
    expecting = [(QUEUE, "{fault: overloaded}"), *ALL[1:]]

    assert [] == told(proof(expecting))


def test_a_text_may_not_lose_the_last_thing_that_says_where(proof: Any) -> None:
    rules = RULES.replace("status: 500, type: Busy, ", "status: 500, ")
    cases = [(QUEUE, WON), (SLOT, WON), (OTHER_WORDS, NOT)]

    assert [] == told(proof(cases, rules)), "without its status the rule would not pass `postel check`"


def test_conditions_of_the_pack_are_left_out_of_all_its_rules_at_once(proof: Any) -> None:
    rules = """\
version: 1
pack: beta2
when: {headers: {server: beta2}}
rules:
  - {id: beta2-full, when: {status: 500, type: Busy}, then: {fault: overloaded}}
  - {id: beta2-gone, when: {status: 500, type: Gone}, then: {fault: engine_crashed}}
"""
    ours = "{status: 500, headers: {server: beta2}, json: {error: {type: %s, message: x}}}"
    gone = (ours % "Gone", "{rule: beta2-gone}")
    cases = [
        (ours % "Busy", WON),
        gone,
        (ours % "Lazy", "{rule: null, fault: internal, not: [beta2-full, beta2-gone]}"),
    ]
    elsewhere = ("{status: 500, json: {error: {type: Busy, message: x}}}", NOT)
    status = (ours.replace("500", "400") % "Busy", NOT), (ours.replace("500", "400") % "Gone", "{not: beta2-gone}")

    unnoticed = proof([*cases, *status], rules)
    assert ['pack `beta2`: no case notices that `headers server is "beta2"` is not asked for'] == told(unnoticed)
    assert [] == told(proof([*cases, *status, elsewhere], rules))


def test_an_alternative_that_no_case_needs_is_told(proof: Any) -> None:
    rules = RULES.replace(
        "when: {status: 500, type: Busy, message: ['^queue full', '^no slot']}",
        "when: [{status: 500, type: Busy}, {status: 503, code: 7}]",
    )
    cases = [(QUEUE, WON), (OTHER_STATUS, NOT), (OTHER_TYPE, NOT)]

    assert "rule `beta2-full`: no case needs alternative 2" in told(proof(cases, rules))


def test_one_condition_for_two_phases_is_one_alternative(proof: Any) -> None:
    rules = RULES.replace("{status: 500, type: Busy,", "{phase: [response, event], type: Busy,")
    cases = [(QUEUE, WON), (SLOT, WON), (OTHER_TYPE, NOT), (OTHER_WORDS, NOT)]

    assert [] == told(proof(cases, rules))


def test_progress_is_told_mutant_by_mutant(tmp_path: Path, library: Path) -> None:
    (tmp_path / "beta2.yaml").write_text(RULES, "utf-8")
    found = survey([tmp_path / "beta2.yaml"], library)
    seen: list[tuple[int, int]] = []
    prove(found.loaded, [found.loaded.packs[-1]], found.books, lambda done, total: seen.append((done, total)))

    assert [(at, 6) for at in range(1, 7)] == seen
