import json
from typing import Any

import pytest

from postel.core import jsonpath
from postel.core.evidence import Cause, End, Evidence, Headers, Phase, Request
from postel.core.subject import NO_CAPTURES, PHASES, TEXTS, VALUES, Captures, Subject


def answer(body: object = b"", *, request: object = None, **fields: Any) -> Subject:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = Request(body=b"" if request is None else json.dumps(request).encode())
    return Subject(Evidence(Phase.RESPONSE, asked, status=500, body=raw, **fields))


def found(subject: Subject, expression: str) -> object:
    return subject.find(jsonpath.compile(expression))


def test_every_key_belongs_to_a_phase_and_is_looked_up_somewhere() -> None:
    assert set(PHASES) == set(VALUES) | set(TEXTS) | {"headers", "json"}


def test_an_empty_body_is_an_empty_text_and_has_no_words() -> None:
    assert ("", None) == (TEXTS["body"](answer()), TEXTS["message"](answer()))
    assert " " == TEXTS["body"](answer(b" "))


@pytest.mark.parametrize(("key", "value"), [("type", "Overloaded"), ("code", 7), ("param", "prompt")])
def test_the_fields_of_an_error_object_are_found_where_there_is_one(key: str, value: object) -> None:
    error = {"message": "queue is full", "type": "Overloaded", "code": 7, "param": "prompt"}

    assert value == VALUES[key](answer({"error": error}))
    assert VALUES[key](answer({"choices": []})) is None


def test_the_json_key_looks_at_the_document_as_sent() -> None:
    subject = answer({"detail": json.dumps({"error": {"code": 7}})})

    assert '{"error": {"code": 7}}' == found(subject, "detail")
    assert found(subject, "detail.error.code") is None


def test_a_document_that_is_null_and_one_that_is_missing_have_no_values() -> None:
    assert [None, None] == [found(answer(body), "@") for body in (b"null", b"no JSON")]


def test_an_event_is_read_through_its_framing_and_searched_as_sent() -> None:
    event = b': keep-alive\nevent: error\ndata: {"error":{"type":"Overloaded","message":"queue is full"}}\n\n'
    subject = Subject(Evidence(Phase.EVENT, status=200, body=event, event="error"))

    assert ("Overloaded", "error") == (VALUES["type"](subject), VALUES["event"](subject))
    assert "Overloaded" == found(subject, "error.type")
    assert "queue is full" == TEXTS["message"](subject)
    assert event.decode() == TEXTS["body"](subject)


def test_headers_of_the_head_do_not_speak_for_an_event() -> None:
    headers = Headers.of([("grpc-message", "deadline exceeded")])
    subject = Subject(Evidence(Phase.EVENT, status=200, headers=headers, body=b"data: {}\n\n"))

    assert subject.reading.message is None


def test_what_came_after_the_last_event_is_text_and_has_no_message() -> None:
    subject = Subject(Evidence(Phase.END, end=End.BROKEN, body=b'{"error":{"message":"worker 3 lost"}}'))

    assert ("broken", '{"error":{"message":"worker 3 lost"}}') == (VALUES["end"](subject), TEXTS["body"](subject))
    assert subject.reading.message is None


def test_a_dead_socket_is_known_by_its_cause_and_detail() -> None:
    subject = Subject(Evidence(Phase.TRANSPORT, cause=Cause.TLS, detail="certificate has expired"))

    assert ("tls", "certificate has expired") == (VALUES["cause"](subject), TEXTS["detail"](subject))
    assert subject.reading.message is None


def test_words_of_the_request_are_an_echo() -> None:
    subject = answer(request={"prompt": "Context  IS 1 tokens"})

    assert subject.is_echo("context is 1 TOKENS")
    assert not subject.is_echo("context is 2 tokens")


LONG = "words that nobody would write twice by chance, whatever they say"


def test_long_parts_that_the_client_wrote_are_cut_out_unless_they_begin_the_text() -> None:
    subject = answer(request={"prompt": LONG})

    assert "no role in '…' found" == subject.without_echoes(f"no role in '{LONG.upper()}' found")
    assert "one\n\ntwo  '…'\nthree" == subject.without_echoes(f"one\n\ntwo  '{LONG}'\nthree"), "the rest is as it was"
    assert "no role in '…' found" == (subject.without_echoes(f"no role in '\u0130{LONG}' found") or "").replace(
        "\u0130", ""
    )
    assert subject.without_echoes(f"{LONG} is no role") is None
    assert subject.without_echoes("nobody would write") is None, "so few words may be there by chance"


def test_json_that_the_client_wrote_is_no_error_of_the_upstream() -> None:
    theirs = '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    words = f"Cannot parse this: '{theirs}'"
    quoted = answer({"error": {"message": words}}, request={"prompt": f"What does {theirs} mean?"})
    own = answer({"error": {"message": words}}, request={"prompt": "Hello"})

    assert ("insufficient_quota", "You exceeded your quota") == (own.reading.code, own.reading.message)
    assert (None, words) == (quoted.reading.code, quoted.reading.message)


def test_a_question_is_asked_once_however_many_rules_share_it() -> None:
    asked: list[object] = []

    class Counting:
        def __init__(self, answer: Captures | None) -> None:
            self.label = f"counted {answer}"
            self.answer = answer

        def match(self, subject: Subject, /) -> Captures | None:
            asked.append(subject)
            return self.answer

    subject = answer()
    for held in (None, NO_CAPTURES, {"n": "1"}):
        assert [held] * 3 == [subject.ask(Counting(held)) for _ in range(3)]
    assert [subject] * 3 == asked
