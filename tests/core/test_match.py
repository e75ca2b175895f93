import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import jsonpath, regex
from postel.core.evidence import Cause, End, Evidence, Headers, Phase, Request
from postel.core.match import (
    AllOf,
    AnyOf,
    Comparison,
    Equals,
    Kind,
    Matches,
    Present,
    compares,
    compares_header,
    compares_json,
    searches,
)
from postel.core.subject import TEXTS, VALUES, Subject


def answer(body: object = b"", *, status: int = 500, request: object = None, **fields: Any) -> Subject:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = Request(body=b"" if request is None else json.dumps(request).encode())
    return Subject(Evidence(Phase.RESPONSE, asked, status=status, body=raw, **fields))


def found(key: str, *sources: str) -> Any:
    return searches(key, tuple(map(regex.compile, sources)))


# --- operators --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("want", "value", "holds"),
    [
        (429, "429", True),
        ("429", 429, True),
        (429, 429.0, True),
        ("model_loading", "model_loading", True),
        ("model_loading", "Model_Loading", False),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        ("true", True, False),
        (True, "true", False),
        ("", "", True),
        ("", None, False),
        ("[]", [], False),
    ],
)
def test_equality_is_by_text_for_strings_and_numbers_and_exact_for_booleans(
    want: Any, value: object, holds: bool
) -> None:
    assert holds == (Equals(want).match(value) is not None)


@pytest.mark.parametrize(
    ("value", "holds"), [("E17", True), (17, True), ("17", True), ("E1", False), (None, False), ([17], False)]
)
def test_an_expression_is_found_in_texts_and_numbers_only(value: object, holds: bool) -> None:
    assert holds == (Matches(regex.compile("17")).match(value) is not None)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("x", "string"), (1, "number"), (1.5, "number"), (True, "boolean"), ({}, "object"), ([], "array"), (None, None)],
)
def test_each_json_value_is_of_exactly_one_kind(value: object, kind: str | None) -> None:
    kinds = [name for name in ("string", "number", "boolean", "object", "array") if Kind(name).match(value) is not None]

    assert ([kind] if kind else []) == kinds


@pytest.mark.parametrize(("value", "there"), [(None, False), ("", True), (0, True), (False, True), ([], True)])
def test_only_what_is_missing_or_null_is_absent(value: object, there: bool) -> None:
    assert (there, not there) == (Present(True).match(value) is not None, Present(False).match(value) is not None)


def test_several_operators_must_all_hold_and_a_list_means_any() -> None:
    number = AllOf((Kind("number"), Matches(regex.compile("^5"))))
    either = AnyOf((Equals("gpu"), number))

    assert [True, False, False] == [number.match(value) is not None for value in (503, "503", 403)]
    assert [True, True, False] == [either.match(value) is not None for value in ("gpu", 503, "cpu")]


def test_named_groups_of_a_value_are_kept() -> None:
    assert {"n": "17"} == Matches(regex.compile(r"E(?P<n>\d+)(?P<none>x)?")).match("E17")


# --- what the keys look at --------------------------------------------------------------------------------------------


def test_a_condition_on_what_does_not_exist_holds_only_if_it_asks_for_absence() -> None:
    subject = answer()
    finders = [compares_header("server", Present(False)), compares_json(jsonpath.compile("a.b"), Present(False))]
    absent = [*finders, *(compares(key, Present(False)) for key in ("type", "code", "param", "content_type"))]

    assert all(condition.match(subject) is not None for condition in absent)
    assert compares("type", Equals("x")).match(subject) is None
    assert found("message", "^$").match(subject) is None


def test_headers_are_found_in_any_case_and_joined() -> None:
    headers = Headers.of([("X-Kind", "a"), ("x-kind", "b")])

    assert compares_header("X-KIND", Equals("a, b")).match(answer(headers=headers)) is not None


# --- searching --------------------------------------------------------------------------------------------------------


def test_of_several_expressions_the_first_that_is_found_names_the_groups() -> None:
    condition = found("message", r"nothing (?P<a>\d+)", r"limit (?P<b>\d+)", r"(?P<c>\d+)")

    assert {"b": "4096"} == condition.match(answer({"error": {"message": "limit 4096"}}))


def test_upper_and_lower_case_are_alike_unless_the_expression_says_otherwise() -> None:
    subject = answer({"error": {"message": "Queue Is Full"}})

    assert found("message", "queue is full").match(subject) is not None
    assert found("message", "(?-i)queue is full").match(subject) is None


def test_words_that_the_client_wrote_prove_nothing() -> None:
    words = {"error": {"message": "bad role in: context is 1 tokens"}}
    prompt = {"messages": [{"role": "user", "content": "Context  IS 1 tokens"}]}

    assert found("message", r"context is \d+ tokens").match(answer(words)) is not None
    assert found("message", r"context is \d+ tokens").match(answer(words, request=prompt)) is None
    assert found("body", r"context is \d+ tokens").match(answer(words, request=prompt)) is None


def test_words_that_begin_the_text_are_the_upstreams_own_even_if_the_client_wrote_them_too() -> None:
    subject = answer({"error": {"message": "queue is full"}}, request={"prompt": "queue is full"})

    assert found("message", "queue is full").match(subject) is not None


def test_a_later_match_counts_where_the_first_one_is_an_echo() -> None:
    message = "for 'context is 1 tokens': context is 4096 tokens"
    subject = answer({"error": {"message": message}}, request={"prompt": "context is 1 tokens"})

    assert {"n": "4096"} == found("message", r"context is (?P<n>\d+) tokens").match(subject)


@pytest.mark.parametrize(
    ("message", "holds"),
    [
        ("std::bad_alloc", True),
        ("the worker said: bad_alloc", True),
        ("no tool is called 'bad_alloc'", False),
        ("no tool is called bad_alloc here", True),
        ("cannot parse: what is bad_alloc please", False),
    ],
)
def test_a_single_word_is_an_echo_only_in_quotes_or_beside_a_word_that_is_one_too(message: str, holds: bool) -> None:
    subject = answer({"error": {"message": message}}, request={"prompt": "tell me: what is bad_alloc please?"})

    assert holds is (found("message", "bad_alloc").match(subject) is not None)


@pytest.mark.parametrize("message", ["The model OOM does not exist", "The model `is on loading` does not exist"])
def test_a_whole_string_of_the_request_is_an_echo_however_short(message: str) -> None:
    subject = answer({"error": {"message": message}}, request={"model": "OOM", "input": "is on loading"})

    assert found("message", "OOM|model .{0,20}loading").match(subject) is None


def test_what_is_captured_may_be_the_clients_own() -> None:
    subject = answer({"error": {"message": "The model `demo` does not exist"}}, request={"model": "demo"})

    assert {"name": "demo"} == found("message", "^The model `(?P<name>.{1,99})` does not exist").match(subject)


ASIDE = "Here is something that I have read somewhere: "


def test_a_match_that_ends_in_words_of_the_client_proves_nothing() -> None:
    prompt = f"{ASIDE}the token has expired"
    quoting = answer({"error": {"message": f"No role for '{prompt}'"}}, request={"prompt": prompt})

    assert found("message", "^No .{1,99} expired").match(quoting) is None
    assert found("message", "No .{1,99} expired").match(quoting) is None
    assert found("message", "No role").match(quoting) is not None, "what is left is the upstream's"


def test_an_error_that_the_client_has_told_before_is_still_one() -> None:
    words = "The request of 5000 tokens is longer than the context of 4096 tokens"
    again = answer({"error": {"message": words}}, request={"prompt": f"I got this: {words}. What now?"})

    assert found("message", "^The request .{1,99} context").match(again) is not None


def test_an_endless_echo_is_given_up() -> None:
    echoed = " ".join(f"e{number}" for number in range(5000))
    subject = answer({"error": {"message": f"no: {echoed}"}}, request={"prompt": echoed})

    assert found("message", r"\be\d+\b").match(subject) is None


def test_only_words_can_be_echoes_and_not_the_values_of_an_error_object() -> None:
    subject = answer({"error": {"type": "ContextError", "message": "no"}}, request={"prompt": "ContextError"})

    assert compares("type", Matches(regex.compile("Error"))).match(subject) is not None


def test_reasons_and_details_are_not_echoes() -> None:
    assert (
        found("reason", "Slow Down").match(answer(reason="Please Slow Down", request={"prompt": "slow down"}))
        is not None
    )


# --- explaining -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (compares("type", Equals("a")), 'type is "b", not "a"'),
        (compares("code", AnyOf((Equals(1), Kind("object")))), "code is absent, not any of (1, a JSON object)"),
        (compares_header("Server", Matches(regex.compile("^x"))), 'headers server is absent, not matches "^x"'),
        (found("message", "y", "z"), 'message is "no such thing", which has no /y/ or /z/'),
        (found("message", "such"), "message has /such/ only in words that the client wrote itself"),
    ],
)
def test_a_failure_says_what_was_found_and_what_was_wanted(condition: Any, says: str) -> None:
    subject = answer({"error": {"type": "b", "message": "no such thing"}}, request={"prompt": "such thing"})

    assert condition.match(subject) is None
    assert says == condition.failure(subject)


# --- any evidence -----------------------------------------------------------------------------------------------------

EVIDENCE = st.builds(
    Evidence,
    phase=st.sampled_from(Phase),
    request=st.builds(Request, body=st.binary(max_size=40)),
    status=st.none() | st.integers(100, 999),
    reason=st.text(max_size=5),
    headers=st.lists(st.tuples(st.sampled_from(["content-type", "Server"]), st.text(max_size=5)), max_size=2).map(
        Headers.of
    ),
    body=st.binary(max_size=60) | st.sampled_from([b'{"error":{"code":7,"message":"x"}}', b"data: {}\n\n", b"[[]]"]),
    event=st.none() | st.text(max_size=3),
    end=st.none() | st.sampled_from(End),
    cause=st.none() | st.sampled_from(Cause),
    detail=st.text(max_size=5),
)
TESTS: list[Comparison] = [
    Equals("x"),
    Matches(regex.compile(r"\w")),
    Kind("number"),
    Present(True),
    AnyOf((Equals(1), Present(False))),
]


@given(EVIDENCE, st.sampled_from(TESTS))
def test_no_evidence_makes_a_condition_raise(evidence: Evidence, test: Comparison) -> None:
    subject = Subject(evidence)
    conditions = [compares(key, test) for key in VALUES] + [found(key, r"(?P<a>\w)|.") for key in TEXTS]
    conditions += [compares_header("server", test), compares_json(jsonpath.compile("error.code"), test)]

    for condition in conditions:
        if condition.match(subject) is None:
            assert condition.failure(subject)
