import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.envelope import anthropic, anthropic_type, openai, problem, written

ERROR = {"message": "It broke.", "type": "server_error", "param": None, "code": "internal_error"}


def as_problem(request_id: str = "mine-1", status: int = 500, type_uri: str = "about:blank") -> dict[str, object]:
    return dict(
        problem(ERROR, type_uri=type_uri, title="A failure", status=status, request_id=request_id, retry_after=None)
    )


def test_openais_error_is_the_first_key_and_old_ones_follow() -> None:
    assert b'{"error":{"message":"a"},"detail":"b"}' == written(openai({"message": "a"}, {"detail": "b"}))


def test_anthropics_error_says_its_type_first_in_its_own_word() -> None:
    assert (
        b'{"type":"error","error":{"type":"api_error","message":"It broke.","param":null,"code":"internal_error"},'
        b'"request_id":"mine-1"}'
    ) == written(anthropic(ERROR, "mine-1", "api_error"))


def test_a_problem_says_type_title_status_detail_and_instance_in_this_order() -> None:
    told = as_problem()

    assert ["type", "title", "status", "detail", "instance", "param", "code", "request_id"] == list(told)
    assert ("about:blank", "Internal Server Error", 500, "It broke.") == tuple(told.values())[:4]


def test_openais_type_is_no_member_of_a_problem() -> None:
    assert "server_error" not in as_problem().values()


@pytest.mark.parametrize(
    ("status", "type_uri", "title"),
    [(529, "about:blank", "Error 529"), (429, "about:blank", "Too Many Requests"), (429, "tag:a,2026:b", "A failure")],
)
def test_a_problem_without_a_type_of_its_own_is_titled_by_its_status(status: int, type_uri: str, title: str) -> None:
    assert title == as_problem(status=status, type_uri=type_uri)["title"]


@pytest.mark.parametrize(
    ("request_id", "instance"),
    [
        ("0d63f7be-f1b7-4a4c-9c58-9e4a0b1f3c55", "urn:uuid:0d63f7be-f1b7-4a4c-9c58-9e4a0b1f3c55"),
        ("req-7f", "#req-7f"),
        ("a/b#c?d%e", "#a%2Fb%23c%3Fd%25e"),
        ("0d63f7bef1b74a4c9c589e4a0b1f3c55", "#0d63f7bef1b74a4c9c589e4a0b1f3c55"),
        ("zd63f7be-f1b7-4a4c-9c58-9e4a0b1f3c55", "#zd63f7be-f1b7-4a4c-9c58-9e4a0b1f3c55"),
    ],
)
def test_the_instance_of_a_problem_is_a_uri_for_the_request(request_id: str, instance: str) -> None:
    assert instance == as_problem(request_id)["instance"]


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "invalid_request_error"), (409, "conflict_error"), (418, "invalid_request_error"), (502, "api_error")],
)
def test_a_status_has_anthropics_word_for_it(status: int, word: str) -> None:
    assert word == anthropic_type(status)


@given(st.text(st.characters()))
def test_any_text_is_written_as_legal_utf_8_json_on_one_line(text: str) -> None:
    line = written(openai({"message": text}))

    assert b"\n" not in line
    assert text.encode("utf-8", "replace").decode() == json.loads(line.decode("utf-8"))["error"]["message"]
