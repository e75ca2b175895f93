"""The index may offer too much, never too little."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postel.core import jsonpath, regex
from postel.core.evidence import Evidence, Headers, Phase
from postel.core.index import Index, Texts
from postel.core.match import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Equals,
    Kind,
    Matches,
    Present,
    compares,
    compares_header,
    compares_json,
    searches,
)
from postel.core.subject import Subject


def offered(subject: Subject, *items: tuple[Condition, ...]) -> list[int]:
    index = Index(
        [(conditions, at) for at, conditions in enumerate(items)],
        Texts(condition for conditions in items for condition in conditions),
    )
    return list(index.candidates(subject))


def answer(document: object, **headers: str) -> Subject:
    fields = Headers.of((name.replace("_", "-"), value) for name, value in headers.items())
    return Subject(Evidence(Phase.RESPONSE, status=500, headers=fields, body=json.dumps(document).encode()))


def words(*patterns: str) -> Condition:
    return searches("message", tuple(map(regex.compile, patterns)))


FULL = answer({"error": {"message": "The queue is full", "type": "busy", "code": 17}}, Server="acme", X_Why="queue")


def test_what_can_be_looked_up_is_not_asked_of_a_thousand_others() -> None:
    others = [
        condition
        for number in range(1000)
        for condition in (
            (words(f"word{number}"),),
            (compares("code", Equals(number + 100)),),
            (compares_header(f"x-{number}", Present(want=True)),),
            (compares_json(jsonpath.compile(f"field{number}.kind"), Equals("a")),),
        )
    ]

    assert [0, 4001] == offered(FULL, (words("queue"),), *others, (compares("code", Equals(17)),))


def test_the_order_is_that_of_the_items_whatever_they_are_found_by() -> None:
    items = [
        (compares("type", Equals("busy")),),
        (words("full"),),
        (),
        (compares_header("x-why", Matches(regex.compile("queue"))),),
        (compares_json(jsonpath.compile("error.code"), Equals("17")),),
        (words("queue"), compares("type", Equals("busy"))),
    ]

    assert [0, 1, 2, 3, 4, 5] == offered(FULL, *items)


def test_what_holds_of_something_missing_is_always_offered() -> None:
    items = [
        (compares("param", Present(want=False)),),
        (compares_header("x-none", Present(want=False)),),
        (compares_json(jsonpath.compile("nothing.here"), Present(want=False)),),
        (compares_json(jsonpath.compile("nothing || error"), Kind("object")),),
        (compares_json(jsonpath.compile("length(@)"), Equals(1)),),
    ]

    assert [0, 1, 2, 3, 4] == offered(FULL, *items)


def test_numbers_and_texts_are_looked_up_alike_and_booleans_are_not() -> None:
    true = answer({"error": {"message": "x", "code": True}})

    assert [0, 1] == offered(FULL, (compares("code", Equals("17")),), (compares("code", Equals(17.0)),))
    assert [0] == offered(true, (compares("code", Equals(want=True)),), (compares("code", Equals("true")),))


TESTS: st.SearchStrategy[Comparison] = st.recursive(
    st.sampled_from(
        [
            Equals("a"),
            Equals(7),
            Equals(want=True),
            Matches(regex.compile("^a|7")),
            Kind("number"),
            Present(want=True),
            Present(want=False),
        ]
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        .map(tuple)
        .flatmap(lambda tests: st.sampled_from([AnyOf(tests), AllOf(tests)]))
    ),
    max_leaves=4,
)
EXPRESSIONS = ("error", "error.type", "code", "errors[0].code", "a || error.code", "!a", "[0].error", "@", '"a b".c')
CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(compares, st.sampled_from(["type", "code", "param", "content_type", "path"]), TESTS),
    st.builds(compares_header, st.sampled_from(["X-A", "server"]), TESTS),
    st.builds(compares_json, st.sampled_from(EXPRESSIONS).map(jsonpath.compile), TESTS),
    st.builds(
        searches,
        st.sampled_from(["message", "body", "reason"]),
        st.lists(st.sampled_from(["a", "^$", "(?-i)A", "a.c", r"\d", "ſ", "straße", "x*"]), min_size=1, max_size=3).map(
            lambda sources: tuple(map(regex.compile, sources))
        ),
    ),
)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    ["a", "A", "7", 7, 7.0, True, None, "abc", "STRASSE", "S", "ſ", "", {}, ["a"]]
)
DOCUMENTS: st.SearchStrategy[Any] = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "error": st.fixed_dictionaries({}, optional={"type": VALUES, "code": VALUES, "message": VALUES}) | VALUES,
            "errors": st.lists(st.fixed_dictionaries({"code": VALUES}), max_size=2),
            "code": VALUES,
            "a": VALUES,
            "a b": st.fixed_dictionaries({"c": VALUES}),
        },
    ),
    st.lists(st.fixed_dictionaries({"error": VALUES}), max_size=2),
)


@given(
    st.lists(st.lists(CONDITIONS, max_size=3).map(tuple), max_size=8),
    DOCUMENTS,
    st.dictionaries(st.sampled_from(["x_a", "Server"]), st.sampled_from(["", "a", "7"])),
)
def test_nothing_that_holds_is_left_out(
    items: list[tuple[Condition, ...]], document: Any, headers: dict[str, str]
) -> None:
    subject = answer(document, **headers)
    holding = [at for at, each in enumerate(items) if all(condition.match(subject) is not None for condition in each)]
    found = offered(subject, *items)

    assert found == sorted(set(found))
    assert set(holding) <= set(found)
