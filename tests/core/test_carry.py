"""Old keys of an upstream's error, and what of them may leave."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.carry import DEPTH, ITEMS, LETTERS, TEXTS, carried
from postel.core.evidence import Request
from postel.core.jsontext import MISSING
from postel.core.redact import ADDRESS, PATH, Redactor

PROMPT = "My name is Anna"
LONG_PROMPT = "Anna was born in a small town by the lake in the year of the flood"
REQUEST = Request(body=json.dumps({"messages": [{"role": "user", "content": PROMPT}], "user": LONG_PROMPT}).encode())


def left(document: Any, *names: str, request: Request | None = None) -> dict[str, Any]:
    return carried(document, names or ("detail",), Redactor(("blue-\\d+",)), request or Request())


def test_only_the_keys_that_are_named_are_carried_and_never_the_error() -> None:
    document = {"object": "error", "error": {"message": "no"}, "detail": "queue is full", "code": 40}

    assert {"detail": "queue is full", "object": "error"} == left(document, "detail", "object", "error", "nothing")
    assert {} == left(document, "error")


@pytest.mark.parametrize("document", [MISSING, None, "text", 5, [{"detail": "x"}], {}])
def test_what_has_no_such_keys_gives_none(document: Any) -> None:
    assert {} == left(document)


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "Not Found", "error", "queue is full", [], {}, ["a", 1]])
def test_a_harmless_value_is_carried_as_it_is(value: object) -> None:
    assert {"detail": value} == left({"detail": value})


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("cannot reach 10.0.0.7:8000", f"cannot reach {ADDRESS}"),
        ("no file /srv/models/x.gguf", f"no file {PATH}"),
        ("shelf blue-42 is empty", "shelf (redacted) is empty"),
        ("<html><body><h1>It broke badly</h1></body></html>", "It broke badly"),
        ({"hint": ["ask 10.0.0.7:8000 again"]}, {"hint": [f"ask {ADDRESS} again"]}),
    ],
)
def test_texts_are_cleaned_like_messages_however_deep(value: object, clean: object) -> None:
    assert {"detail": clean} == left({"detail": value})


def test_a_list_of_validation_errors_keeps_what_clients_read_and_loses_what_was_sent() -> None:
    item = {
        "type": "string_type",
        "loc": ["body", "messages", 0, "content"],
        "msg": "Input should be a valid string",
        "input": {"role": "user", "content": PROMPT},
        "ctx": {"given": PROMPT},
        "url": "https://errors.pydantic.dev/2.5/v/string_type",
    }

    assert {
        "detail": [
            {
                "type": "string_type",
                "loc": ["body", "messages", 0, "content"],
                "msg": "Input should be a valid string",
            }
        ]
    } == left({"detail": [item]}, request=REQUEST)


@pytest.mark.parametrize(
    "value",
    [
        {"why": "bad", "input": PROMPT},
        {"why": "bad", "Prompt": [PROMPT]},
        {"why": "bad", "messages": [{"content": PROMPT}]},
        {"why": "bad", "given": PROMPT},
        {"why": "bad", "given": [[PROMPT]]},
        {"why": "bad", "given": f"you said: {LONG_PROMPT}, and that is wrong"},
    ],
)
def test_what_repeats_the_request_is_left_out(value: dict[str, Any]) -> None:
    got = left({"detail": value}, request=REQUEST)

    assert "bad" == got["detail"]["why"]
    assert "Anna" not in json.dumps(got)


@pytest.mark.parametrize(
    "value",
    [
        {"traceback": ["Traceback (most recent call last):", "    conn = pool.acquire(dsn_for(tenant))"]},
        {"frames": [{"code": "conn = pool.acquire(dsn)"}]},
        {"password": "hunter2"},
        {"env": {"DB_PASS": "hunter2"}},
        {"db_pass": "hunter2"},
        {"client_secret": "hunter2", "access_token": "hunter2", "api-key": "hunter2"},
    ],
)
def test_what_is_the_servers_own_by_its_name_is_left_out(value: dict[str, Any]) -> None:
    assert {"detail": {"why": "no"}} == left({"detail": {**value, "why": "no"}})
    assert {} == left(value, *value)


def test_a_name_that_is_no_plain_word_is_left_out_with_its_value() -> None:
    assert {"detail": {"ok": 1}} == left({"detail": {"ok": 1, "10.0.0.7:8000": 2, "a b": 3, "": 4, "x" * 65: 5}})


@pytest.mark.parametrize(
    "number",
    [float("nan"), float("inf"), 1 << 60, -(1 << 60), 10**5000],
    ids=lambda number: "huge" if isinstance(number, int) else str(number),
)
def test_a_number_that_not_every_reader_reads_alike_is_left_out(number: float) -> None:
    assert {} == left({"detail": number})


def test_what_is_carried_is_bounded_in_every_direction() -> None:
    deep: Any = "x"
    for _ in range(DEPTH + 3):
        deep = [deep]
    long = [f"{number:03} some words that fill the room " + "word " * 50 for number in range(200)]

    assert "x" not in json.dumps(left({"detail": deep}))
    assert ITEMS == len(left({"detail": list(range(1000))})["detail"])
    assert ITEMS == len(left({"detail": {f"k{number}": number for number in range(1000)}})["detail"])
    assert len(json.dumps(left({"detail": long, "other": long}, "detail", "other"))) < LETTERS + 40 * ITEMS
    many = [["a"] * ITEMS for _ in range(ITEMS)]
    assert TEXTS == json.dumps(left({"detail": many})).count('"a"')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_out_is_json_that_every_reader_reads(value: Any) -> None:
    got = left({"detail": value})

    json.dumps(got, allow_nan=False).encode()
    assert got == left(got)
