from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import regex
from postel.core.evidence import Evidence, Headers, Phase
from postel.core.match import AllOf, AnyOf, Equals, Kind, Matches, Present, compares, compares_header, searches
from postel.core.rules import Alternative, Rule, Then
from postel.core.subject import Subject
from postel.rulefile.lint import hidden


def alternative(*conditions: Any, statuses: set[int] | None = None, phase: Phase = Phase.RESPONSE) -> Alternative:
    return Alternative(phase, conditions, frozenset(statuses or {500}))


def rule(id: str, *alternatives: Alternative, **fields: Any) -> Rule:
    return Rule(id, "a", fields.pop("group", "engines"), alternatives, Then("internal"), **fields)


def code(test: Any) -> Any:
    return compares("code", test)


def message(*sources: str) -> Any:
    return searches("message", tuple(map(regex.compile, sources)))


NUMBER = Matches(regex.compile(r"^\d+$"))


@pytest.mark.parametrize(
    ("wide", "narrow", "hides"),
    [
        ([], [code(Equals(1))], True),
        ([code(Equals(1))], [], False),
        ([code(Equals(1))], [code(Equals("1"))], True),
        ([code(AnyOf((Equals(1), Equals(2))))], [code(Equals(2)), message("x")], True),
        ([code(Equals(2))], [code(AnyOf((Equals(1), Equals(2))))], False),
        ([code(AnyOf((Equals(1), Equals(2), Equals(3))))], [code(AnyOf((Equals(1), Equals(3))))], True),
        ([code(Present(True))], [code(Kind("object"))], True),
        ([code(Present(True))], [code(Present(False))], False),
        ([code(NUMBER)], [code(Equals(17))], True),
        ([code(NUMBER)], [code(Equals("E17"))], False),
        ([code(Kind("number"))], [code(Equals(17))], False),
        ([code(Kind("number"))], [code(AllOf((Kind("number"), NUMBER)))], True),
        ([code(AllOf((Kind("number"), NUMBER)))], [code(Kind("number"))], False),
        ([message("a", "b")], [message("b")], True),
        ([message("a")], [message("a", "b")], False),
        ([message("a")], [searches("body", (regex.compile("a"),))], False),
        ([compares_header("a", Equals("x"))], [compares_header("A", Equals("x"))], True),
        ([compares_header("a", Equals("x"))], [compares_header("b", Equals("x"))], False),
    ],
)
def test_a_rule_hides_what_cannot_hold_without_it(wide: list[Any], narrow: list[Any], hides: bool) -> None:
    first, second = rule("a-1", alternative(*wide)), rule("a-2", alternative(*narrow))

    assert hides == bool(list(hidden([first, second])))


def test_a_rule_is_hidden_only_where_phase_and_every_status_are() -> None:
    first = rule("a-1", alternative(statuses={500, 502}))

    assert [] == list(hidden([first, rule("a-2", alternative(statuses={500, 503}))]))
    assert [] == list(hidden([first, rule("a-2", alternative(phase=Phase.EVENT))]))
    assert 1 == len(list(hidden([first, rule("a-2", alternative(statuses={502}))])))


def test_every_alternative_must_be_hidden() -> None:
    first = rule("a-1", alternative(code(Equals(1))), alternative(code(Equals(2))))
    both = rule("a-2", alternative(code(Equals(2)), message("x")), alternative(code(Equals(1))))
    more = rule("a-3", alternative(code(Equals(1))), alternative(code(Equals(3))))

    assert [("a-2", "a-1")] == [(later.id, earlier.id) for later, earlier in hidden([first, both, more])]


def test_an_ambiguous_rule_of_a_built_in_pack_hides_only_its_like() -> None:
    plain = rule("a-2", alternative())

    assert [] == list(hidden([rule("a-1", alternative(), ambiguous=True), plain]))
    assert 1 == len(
        list(hidden([rule("a-1", alternative(), ambiguous=True), rule("a-2", alternative(), ambiguous=True)]))
    )
    assert 1 == len(list(hidden([rule("a-1", alternative(), ambiguous=True, group="user"), plain])))


TESTS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [
            Equals(1),
            Equals("1"),
            Equals("x"),
            Equals(True),
            Kind("number"),
            Kind("string"),
            Present(True),
            Present(False),
            NUMBER,
        ]
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(tuple).map(AnyOf)
        | st.lists(inner, min_size=1, max_size=2).map(tuple).map(AllOf)
    ),
    max_leaves=4,
)
CONDITIONS = st.lists(
    TESTS.map(code)
    | TESTS.map(lambda test: compares_header("a", test))
    | st.just(message("x"))
    | st.just(message("x", "1")),
    max_size=3,
)
STATUSES = st.frozensets(st.sampled_from([500, 503]), min_size=1)
RULES = st.lists(
    st.builds(Alternative, st.just(Phase.RESPONSE), CONDITIONS.map(tuple), STATUSES), min_size=1, max_size=2
)
BODIES = [
    '{"error":{"code":1,"message":"x"}}',
    '{"error":{"code":"1","message":"1"}}',
    '{"error":{"code":"x"}}',
    '{"code":true}',
    "",
]


@given(RULES, RULES, st.sampled_from(BODIES), st.sampled_from([500, 503]), st.sampled_from([None, "1", "x"]))
def test_a_hidden_rule_never_matches_what_the_other_does_not(
    wide: list[Alternative], narrow: list[Alternative], body: str, status: int, header: str | None
) -> None:
    first, second = rule("a-1", *wide), rule("a-2", *narrow)
    headers = Headers.of([("a", header)] if header else [])
    evidence = Evidence(Phase.RESPONSE, status=status, body=body.encode(), headers=headers)

    if list(hidden([first, second])) and second.match(Subject(evidence)) is not None:
        assert first.match(Subject(evidence)) is not None
