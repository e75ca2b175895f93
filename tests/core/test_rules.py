import json
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import jsonpath, regex, template
from postel.core.evidence import Cause, End, Evidence, Headers, Phase, Request
from postel.core.fault import BASE, Faults
from postel.core.match import Condition, Equals, Matches, compares, compares_json, searches
from postel.core.redact import Redactor
from postel.core.rules import Alternative, Pack, Rule, RuleGroup, RuleSet, Then, Verdict
from postel.core.subject import Subject


def rule(
    id: str, *conditions: Condition, then: Then | None = None, phase: Phase = Phase.RESPONSE, **fields: Any
) -> Rule:
    statuses = {"statuses": frozenset(fields.pop("statuses"))} if "statuses" in fields else {}
    return Rule(
        id=id,
        pack=fields.pop("pack", id.split("-", maxsplit=1)[0]),
        group=fields.pop("group", "user"),
        alternatives=(Alternative(phase, conditions, **statuses),),
        then=then or Then("internal"),
        **fields,
    )


def pack(name: str, group: RuleGroup = "user", *rules: Rule, disable: Sequence[str] = ()) -> Pack:
    own = rules or (rule(f"{name}-x", pack=name, group=group),)
    return Pack(name, group, own, frozenset(disable))


def rule_set(*packs: Pack, only: Sequence[str] | None = None) -> RuleSet:
    return RuleSet(packs, Faults(BASE), only)


def answer(body: object = None, status: int = 500, **fields: Any) -> Evidence:
    raw = b"" if body is None else json.dumps(body).encode()
    return Evidence(Phase.RESPONSE, status=status, body=raw, **fields)


def winner(rules: RuleSet, evidence: Evidence) -> str | None:
    verdict = rules.classify(evidence)
    return verdict.rule if verdict else None


def asked(rules: RuleSet) -> list[str]:
    return [rule.id for rule in rules.asked]


# --- order ------------------------------------------------------------------------------------------------------------


def test_the_first_rule_whose_conditions_all_hold_wins() -> None:
    rules = rule_set(
        pack(
            "a",
            "user",
            rule("a-1", compares("type", Equals("y"))),
            rule("a-2", compares("type", Equals("x"))),
            rule("a-3"),
        )
    )

    assert "a-2" == winner(rules, answer({"error": {"type": "x", "message": "m"}}))
    assert "a-3" == winner(rules, answer())


def test_groups_come_in_their_order_and_packs_as_given() -> None:
    rules = rule_set(
        pack("t", "transport"), pack("g", "generic"), pack("p", "proxies"), pack("o", "providers"),
        pack("e", "engines"), pack("z", "user"), pack("b", "user"),
    )  # fmt: skip

    assert ["z-x", "b-x", "e-x", "o-x", "p-x", "g-x", "t-x"] == asked(rules)


def test_the_packs_setting_chooses_and_orders_engines_providers_and_proxies_only() -> None:
    packs = [
        pack("u", "user"),
        pack("e1", "engines"),
        pack("e2", "engines"),
        pack("p", "proxies"),
        pack("g", "generic"),
        pack("t", "transport"),
    ]

    assert ["u-x", "p-x", "e2-x", "g-x", "t-x"] == asked(rule_set(*packs, only=["p", "e2", "p", "u", "g"]))
    assert ["u-x", "g-x", "t-x"] == asked(rule_set(*packs, only=[]))
    assert asked(rule_set(*packs)) == asked(rule_set(*packs, only=["p"]).keeping(None))


def test_a_disabled_rule_is_not_asked_while_the_pack_that_disables_it_is_kept() -> None:
    packs = [pack("u", "user"), pack("e", "engines", disable=["g-x"]), pack("g", "generic")]

    assert ["u-x", "e-x"] == asked(rule_set(*packs))
    assert ["u-x", "g-x"] == asked(rule_set(*packs, only=[]))


def test_an_ambiguous_rule_is_asked_in_user_packs_and_where_packs_names_it() -> None:
    engine = pack("e", "engines", rule("e-x", pack="e", group="engines", ambiguous=True))
    own = pack("u", "user", rule("u-x", pack="u", ambiguous=True))

    assert ["u-x"] == asked(rule_set(own, engine))
    assert ["u-x", "e-x"] == asked(rule_set(own, engine, only=["e"]))


def test_every_rule_is_known_asked_or_not() -> None:
    rules = rule_set(pack("e", "engines", rule("e-x", pack="e", group="engines", ambiguous=True)), only=[])

    assert ["e-x"] == list(rules.known)


# --- what is judged ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "judged"), [(399, False), (400, True), (599, True), (600, False), (200, False)])
def test_a_rule_without_statuses_judges_4xx_and_5xx(status: int, judged: bool) -> None:
    assert judged == (winner(rule_set(pack("a")), answer(status=status)) is not None)


def test_statuses_count_in_answers_only() -> None:
    events = rule_set(pack("a", "user", rule("a-x", phase=Phase.EVENT)))

    assert "a-x" == winner(events, Evidence(Phase.EVENT, status=200))
    assert winner(events, answer()) is None


def test_any_alternative_is_enough_and_the_first_that_holds_fills_the_groups() -> None:
    first, second = (searches("message", (regex.compile(source),)) for source in (r"a(?P<n>\d)", r"(?P<n>\w\d)"))
    either = Rule(
        "a-x", "a", "user",
        (Alternative(Phase.RESPONSE, (first,)), Alternative(Phase.RESPONSE, (second,))),
        Then("internal", template.parse("{n}")),
    )  # fmt: skip
    rules = rule_set(pack("a", "user", either))

    assert ["1", "b2", None] == [
        verdict.message if (verdict := rules.classify(answer({"error": {"message": words}}))) else None
        for words in ("a1", "b2", "c")
    ]


# --- what a verdict says ----------------------------------------------------------------------------------------------


def verdict_of(then: Then, body: object, *conditions: Condition, **fields: Any) -> Verdict:
    verdict = rule_set(pack("a", "user", rule("a-x", *conditions, then=then))).classify(
        answer(body, **fields), Redactor()
    )
    assert verdict is not None
    return verdict


def filled(source: str, body: object, *conditions: Condition, **fields: Any) -> str | None:
    return verdict_of(Then("internal", template.parse(source)), body, *conditions, **fields).message


def test_pass_is_a_verdict_without_a_fault() -> None:
    assert Verdict(fault=None, rule="a-x") == verdict_of(Then(None), None)


def test_templates_take_groups_json_headers_and_the_words() -> None:
    body = {"error": {"message": "limit 4096", "plan": "pro"}}
    limit = searches("message", (regex.compile(r"limit (?P<n>\d+)"),))

    assert "4096, pro, eu, limit 4096" == filled(
        "{n}, {json.error.plan}, {headers.X-Region}, {message}", body, limit, headers=Headers.of([("x-region", "eu")])
    )


def test_a_group_of_a_text_key_is_nearer_than_one_of_a_value_key() -> None:
    body = {"error": {"type": "E1", "message": "no 2"}}
    by_value = compares("type", Matches(regex.compile(r"E(?P<n>\d)")))
    by_text = searches("message", (regex.compile(r"no (?P<n>\d)"),))

    assert "2" == filled("{n}", body, by_value, by_text)


@pytest.mark.parametrize(
    "source", ["{json.error.none}", "{headers.none}", "{json.error}", "{json.error.empty}", "x {message}"]
)
def test_a_template_with_a_missing_value_counts_as_not_given(source: str) -> None:
    assert filled(source, {"error": {"empty": "", "list": []}}) is None


def test_values_are_cleaned_redacted_and_cut() -> None:
    value = filled("{json.value}", {"value": "key sk-abcdefghijklmnopqrstuvwxyz0123 " + "word " * 100})

    assert value is not None
    assert "sk-abc" not in value
    assert len(value) <= 300


@pytest.mark.parametrize("value", ["4096", "-1", "50 %", "Not Found", "2.5"])
def test_a_value_may_be_shorter_than_a_message(value: str) -> None:
    assert value == filled("{json.value}", {"value": value})


def test_details_keep_numbers_and_leave_out_what_is_missing() -> None:
    details: dict[str, template.Template | template.Scalar] = {
        "plan": template.parse("{json.plan}"),
        "used": template.parse("{json.used}"),
        "left": template.parse("{json.left}"),
        "unit": template.parse("tokens"),
        "hard": True,
    }

    assert {"plan": "pro", "used": 12, "unit": "tokens", "hard": True} == verdict_of(
        Then("internal", details=details), {"plan": "pro", "used": 12, "left": {}}
    ).details


@pytest.mark.parametrize(
    ("value", "wait"),
    [(60, 60), ("60", 60), (0.5, 0.5), (0, None), (-1, None), ("soon", None), (None, None), (1e300, None)],
)
def test_a_wait_that_is_no_duration_after_filling_in_counts_as_not_given(value: object, wait: float | None) -> None:
    then = Then("internal", retry_after=template.parse("{json.wait}s"))

    assert wait == verdict_of(then, {"wait": value}).retry_after


def test_a_fixed_wait_and_param_are_told_as_they_are() -> None:
    verdict = verdict_of(Then("overloaded", param=template.parse("messages"), retry_after=5.0), None)

    assert ("overloaded", "messages", 5.0) == (verdict.fault, verdict.param, verdict.retry_after)


# --- explaining -------------------------------------------------------------------------------------------------------


def test_explaining_lists_every_rule_of_the_phase_up_to_the_winner() -> None:
    rules = rule_set(
        pack(
            "a",
            "user",
            rule("a-event", phase=Phase.EVENT),
            rule("a-status", statuses={404}),
            rule("a-type", compares("type", Equals("x"))),
            rule("a-all"),
            rule("a-never"),
        )
    )

    assert [
        ("a-status", "status is 500, which this rule does not name"),
        ("a-type", 'type is absent, not "x"'),
        ("a-all", None),
    ] == [(tried.rule.id, tried.failure) for tried in rules.explain(answer())]


# --- laws -------------------------------------------------------------------------------------------------------------

CONDITIONS = st.sampled_from(
    [
        compares("type", Equals("a")),
        compares("code", Matches(regex.compile(r"^\d"))),
        compares_json(jsonpath.compile("error.type"), Equals("b")),
        searches("message", (regex.compile("full"), regex.compile("(?P<n>x)"))),
        searches("body", (regex.compile("^$"),)),
    ]
)
ALTERNATIVES = st.builds(
    Alternative,
    phase=st.sampled_from([Phase.RESPONSE, Phase.RESPONSE, Phase.EVENT, Phase.TRANSPORT]),
    conditions=st.lists(CONDITIONS, max_size=2).map(tuple),
    statuses=st.frozensets(st.sampled_from([200, 404, 500, 503]), min_size=1),
)
THEN = st.sampled_from([Then(None), Then("internal", template.parse("{n} {json.error.code}"), retry_after=2.0)])
GROUPS: st.SearchStrategy[RuleGroup] = st.sampled_from(get_args(RuleGroup))


@st.composite
def packs(draw: st.DrawFn) -> list[Pack]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        name, group = f"p{number}", draw(GROUPS)
        own = [
            Rule(f"{name}-{at}", name, group, tuple(alternatives), draw(THEN), ambiguous=draw(st.booleans()))
            for at, alternatives in enumerate(
                draw(st.lists(st.lists(ALTERNATIVES, min_size=1, max_size=2), max_size=4))
            )
        ]
        disable = draw(st.frozensets(st.sampled_from([f"p{p}-{r}" for p in range(4) for r in range(4)]), max_size=2))
        made.append(Pack(name, group, tuple(own), disable))
    return made


EVIDENCE = st.builds(
    Evidence,
    phase=st.sampled_from(Phase),
    request=st.builds(Request, body=st.sampled_from([b"", b'{"prompt":"queue full"}'])),
    status=st.sampled_from([200, 404, 500, 503, 599]),
    body=st.sampled_from(
        [b"", b"full", b'{"error":{"type":"a","message":"the queue full"}}', b'{"error":{"type":"b","code":7}}']
    )
    | st.binary(max_size=30),
    end=st.sampled_from(End),
    cause=st.sampled_from(Cause),
)
ONLY = st.none() | st.lists(st.sampled_from(["p0", "p1", "p2", "p9"]), max_size=3)


@given(packs(), ONLY, EVIDENCE)
def test_the_index_never_changes_what_a_linear_scan_finds(
    packs: list[Pack], only: list[str] | None, evidence: Evidence
) -> None:
    rules = rule_set(*packs, only=only)
    scanned = next((rule.id for rule in rules.asked if rule.match(Subject(evidence)) is not None), None)

    assert scanned == winner(rules, evidence)
    assert scanned == winner(rules, evidence), "the second answer comes from the index as it was left"


@given(packs(), ONLY, EVIDENCE)
def test_explaining_agrees_with_the_verdict(packs: list[Pack], only: list[str] | None, evidence: Evidence) -> None:
    rules = rule_set(*packs, only=only)
    tried = rules.explain(evidence)

    assert winner(rules, evidence) == next((each.rule.id for each in tried if each.failure is None), None)
    assert all(each.failure for each in tried[:-1])


@given(packs(), ONLY)
def test_what_is_asked_obeys_disable_ambiguous_and_the_packs_setting(packs: list[Pack], only: list[str] | None) -> None:
    rules = rule_set(*packs, only=only)
    kept = [p for p in packs if only is None or p.group in ("user", "generic", "transport") or p.name in only]
    disabled = {rule for pack in kept for rule in pack.disable}

    expected = {
        rule.id
        for pack in kept
        for rule in pack.rules
        if rule.id not in disabled and (not rule.ambiguous or pack.group == "user" or pack.name in (only or ()))
    }
    assert expected == set(asked(rules))
    assert len(expected) == len(asked(rules))


@given(packs(), EVIDENCE)
def test_a_rule_that_did_not_win_may_be_left_out(packs: list[Pack], evidence: Evidence) -> None:
    won = winner(rule_set(*packs), evidence)
    without = [
        Pack(pack.name, pack.group, tuple(rule for rule in pack.rules if rule.id == won), pack.disable)
        for pack in packs
    ]

    assert won == winner(rule_set(*without), evidence)
