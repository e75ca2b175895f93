from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from postel.core.template import Template
from postel.rulefile import values
from postel.rulefile.finding import Problem


def read(kind: Any, data: object) -> Any:
    return TypeAdapter(Annotated[kind, None]).validate_python(data)


def problems(kind: Any, data: object) -> list[Problem]:
    with pytest.raises(ValidationError) as refusal:
        read(kind, data)
    (error,) = refusal.value.errors()
    return list(error["ctx"]["problems"])


@pytest.mark.parametrize(
    ("data", "test"),
    [
        (503, "503"),
        ("x", '"x"'),
        (True, "true"),
        (["a", 1], 'any of ("a", 1)'),
        ({"matches": "^a"}, 'matches "^a"'),
        ({"kind": "number"}, "a JSON number"),
        ({"present": False}, "absent"),
        ({"kind": "string", "matches": "x"}, 'all of (a JSON string, matches "x")'),
        (["a", {"present": False}, ["b"]], 'any of ("a", absent, any of ("b"))'),
    ],
)
def test_a_value_is_a_scalar_operators_or_a_list_of_such(data: object, test: str) -> None:
    assert test == str(read(values.Value, data))


@pytest.mark.parametrize(
    ("data", "says", "loc"),
    [
        ({"match": "x"}, "unknown operator `match`", ("match",)),
        ({"matches": "("}, "RE2 refuses the expression: missing ) in `(`", ("matches",)),
        ({"matches": 5}, "`matches` needs an expression", ("matches",)),
        ({"kind": "text"}, "`kind` is `text`", ("kind",)),
        ({"present": 1}, "`present` is neither true nor false", ("present",)),
        ({"present": False, "kind": "string"}, "`present: false` with another operator never holds", ()),
        (["a", {"matches": "["}], "RE2 refuses the expression: missing ] in `[`", (1, "matches")),
        ([], "there is nothing to compare with", ()),
        ({}, "there is nothing to compare with", ()),
        (["a", None], "there is nothing to compare with", (1,)),
    ],
)
def test_a_wrong_value_is_told_with_its_place(data: object, says: str, loc: tuple[Any, ...]) -> None:
    (problem,) = problems(values.Value, data)

    assert (says, loc) == (problem.text, problem.loc)
    assert problem.advice


def test_all_problems_of_a_value_are_told() -> None:
    assert [(0, "matches"), (1, "kind"), (2,)] == [
        problem.loc for problem in problems(values.Value, [{"matches": "("}, {"kind": "x"}, None])
    ]


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (503, {503}),
        ("503", {503}),
        ("5xx", set(range(500, 600))),
        ([200, "429"], {200, 429}),
        ({"matches": "^5[02]3$"}, {503, 523}),
        ({"matches": "^20[01]"}, {200, 201}),
        ({"present": True}, set(range(400, 600))),
        ({"kind": "number", "matches": "00$"}, {400, 500}),
        (999, {999}),
    ],
)
def test_statuses_are_the_numbers_a_rule_names(data: object, statuses: set[int]) -> None:
    assert statuses == read(values.Statuses, data)


@pytest.mark.parametrize(
    "data", [302, 100, "1xx", "3xx", "5XX", "five", True, 5.5, {"matches": "^3"}, [], {"kind": "string"}]
)
def test_a_status_that_is_never_judged_is_refused(data: object) -> None:
    (problem,) = problems(values.Statuses, data)

    assert "no answer that is judged has this status" == problem.text


def test_each_status_of_a_list_is_told_by_itself() -> None:
    assert [(0,), (2,)] == [problem.loc for problem in problems(values.Statuses, [302, 500, "x"])]


@pytest.mark.parametrize(("data", "sources"), [("^a", ("^a",)), (["a", "b"], ("a", "b"))])
def test_expressions_are_one_or_several(data: object, sources: tuple[str, ...]) -> None:
    assert sources == tuple(pattern.source for pattern in read(values.Expressions, data))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "an empty expression is found in everything"),
        ({"matches": "x"}, "a text key has no operators"),
        (429, "an expression is a text"),
        ([], "an expression is a text"),
        (["a", 429], "an expression is a text"),
        (r"(a)\1", r"RE2 refuses the expression: invalid escape sequence in `\1`"),
    ],
)
def test_a_wrong_expression_is_told(data: object, says: str) -> None:
    assert [says] == [problem.text for problem in problems(values.Expressions, data)]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (values.CauseWord, "refuse"),
        (values.EndWord, ["closed", "reset"]),
        (values.PathValue, "v1/models"),
        (values.PathValue, "/v1/models?limit=1"),
        (values.MediaType, "text/html; charset=utf-8"),
        (values.MediaType, "Text/HTML"),
    ],
)
def test_a_text_that_can_never_be_equal_is_refused(kind: Any, data: object) -> None:
    (problem,) = problems(kind, data)

    assert "never occurs here" in problem.text
    assert problem.advice


def test_words_may_still_be_searched() -> None:
    assert 'matches "time"' == str(read(values.CauseWord, {"matches": "time"}))


@pytest.mark.parametrize(
    ("kind", "data"), [(values.Flag, "true"), (values.Version, 0.1), (values.Texts, [1]), (values.Texts, [])]
)
def test_a_value_of_the_wrong_kind_is_refused(kind: Any, data: object) -> None:
    assert problems(kind, data)


@pytest.mark.parametrize(("data", "seconds"), [("20ms", 0.02), ("6.2s", 6.2), ("6m0s", 360), ("2h", 7200), ("0s", 0)])
def test_durations_have_a_unit(data: str, seconds: float) -> None:
    assert pytest.approx(seconds) == read(values.Duration, data)


@pytest.mark.parametrize("data", [5, 5.5, "5", "soon", "", "-5s", None])
def test_a_duration_without_a_unit_is_refused(data: object) -> None:
    (problem,) = problems(values.Duration, data)

    assert "a duration has a unit: `20ms`, `6.2s`, `6m0s`, `2h`" == problem.advice


def test_a_wait_is_a_duration_or_a_template_and_not_nothing() -> None:
    assert 5 == read(values.Wait, "5s")
    assert isinstance(read(values.Wait, "{json.wait}s"), Template)
    assert problems(values.Wait, "0s")


def test_details_are_templates_or_constants() -> None:
    assert [1, 0.5, True] == [read(values.Detail, data) for data in (1, 0.5, True)]
    assert isinstance(read(values.Detail, "{n}"), Template)
    assert problems(values.Detail, ["x"])


@pytest.mark.parametrize("data", ["", 5, "{", "{json.a..b}", None])
def test_a_wrong_template_is_refused(data: object) -> None:
    assert problems(values.Text, data)
