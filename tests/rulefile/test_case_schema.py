from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from postel.core.evidence import Cause, End
from postel.rulefile.case_schema import Case, CaseFile, Given
from postel.rulefile.document import Document
from postel.rulefile.timeline import Wait


def file_of(write: Any, given: str, expect: str = "{fault: internal}") -> tuple[CaseFile | None, list[str]]:
    path = write("x.cases.yaml", f"version: 1\npack: x\ncases:\n- name: n\n  given: {given}\n  expect: {expect}\n")
    document = Document(path)
    file = document.validate(CaseFile)
    return file, [finding.text for finding in document.findings]


def given(write: Any, text: str) -> Given:
    file, findings = file_of(write, text)
    assert (file is not None, []) == (True, findings)
    assert file is not None
    return file.cases[0].given


def test_the_sample_cases_are_read_whole(acme: Path) -> None:
    file = Document(acme.with_name("acme.cases.yaml")).validate(CaseFile)

    assert file is not None
    assert 14 == len(file.cases)
    (stream,) = [case.given.stream for case in file.cases if case.name == "the worker dies after two events"]
    assert stream is not None
    assert Wait(2) == stream[1]


def test_a_case_gives_an_answer_a_stream_or_a_cause(write: Any) -> None:
    assert 503 == given(write, "{status: 503}").status
    assert 1 == len(given(write, "{stream: [x], end: broken}").stream or ())
    assert Cause.TLS is given(write, "{cause: tls, detail: expired}").cause


def test_what_is_not_given_has_its_default(write: Any) -> None:
    case = given(write, "{status: 500}")

    assert ("POST", "/v1/chat/completions", End.CLOSED) == (case.request.method, case.request.path, case.end)
    assert ("openai", None) == (case.settings.dialect, case.settings.packs)


def test_every_setting_of_a_stream_can_be_given(write: Any) -> None:
    settings = given(
        write,
        "{stream: [x], settings: {comment_timeout: 1s, total_timeout: 2s, hold_time: 3s, hold_bytes: 4, hold_body: 5,"
        " keepalive: 6s, strict: true, done: after-error, repairs: [bom, utf8]}}",
    ).settings

    times = (settings.comment_timeout, settings.total_timeout, settings.hold_time, settings.keepalive)
    assert (1, 2, 3, 6) == times
    assert (4, 5, True, "after-error") == (settings.hold_bytes, settings.hold_body, settings.strict, settings.done)
    assert frozenset({"bom", "utf8"}) == settings.repairs


def test_a_case_may_mend_nothing_and_leaves_to_the_defaults_what_it_does_not_say(write: Any) -> None:
    assert frozenset() == given(write, "{stream: [x], settings: {repairs: []}}").settings.repairs
    assert {"openai", None} == {value for _, value in given(write, "{stream: [x]}").settings}


def test_headers_may_be_numbers_and_lists(write: Any) -> None:
    headers = given(write, "{status: 429, headers: {retry-after: 5, set-cookie: [a=1, b=2]}}").headers

    assert {"retry-after": ["5"], "set-cookie": ["a=1", "b=2"]} == headers


def test_null_is_a_body_and_an_expectation(write: Any) -> None:
    file, findings = file_of(
        write, "{status: 200, json: null}", "{fault: null, code: null, param: null, retry_after: null}"
    )

    assert [] == findings
    assert file is not None
    assert ("fault", "code", "param", "retry_after") == file.cases[0].expect.keys_given


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "nothing is given"),
        ("{status: 500, json: {}, body: x}", "`json` and `body` both say what the body is"),
        ("{status: 500, stream: [x], base64: eA==}", "`stream` and `base64` both say what the body is"),
        ("{status: 500, request: {json: {}, body: x}}", "`json` and `body` both say what the body is"),
        ("{cause: dns, status: 500}", "with a `cause` there is no answer"),
        ("{cause: dns, end: closed}", "with a `cause` there is no answer"),
        ("{status: 500, detail: x}", "`detail` goes with a `cause`"),
        ("{cause: dnss}", "`dnss` never occurs here"),
        ("{status: 500, end: reset}", "`reset` never occurs here"),
        ("{stream: [x], end: expired}", "`expired` never occurs here"),
        ("{status: 100}", "`status` is 100"),
        ("{status: 500, base64: '?'}", "this is no base64"),
        ("{status: 500, body: }", "`body` is empty"),
        (
            "{status: 500, headers: {a: [1, {}]}}",
            "a header is a text, or a list of texts that come one after the other",
        ),
        ("{status: 500, settings: {idle_timeout: 5}}", "`5` is no duration"),
        ("{status: 500, settings: {keepalive: 5}}", "`5` is no duration"),
        ("{status: 500, settings: {hold_body: 65537}}", "`hold_body` is 65537"),
        ("{status: 500, settings: {repairs: [bom, boom]}}", "there is no repair `boom`"),
        ("{status: 500, settings: {repairs: [[bom]]}}", "there is no repair `['bom']`"),
    ],
)
def test_a_story_that_does_not_hold_together_is_refused(write: Any, text: str, says: str) -> None:
    assert [says] == file_of(write, text)[1]


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("{}", "nothing is expected"),
        ("{status: null}", "`status` is empty"),
        ("{message: 5}", "this is a text or a list of texts"),
        ("{at: 5}", "`5` is no duration"),
        ("{delivered: -1}", "`delivered` is -1"),
        ("{falt: internal}", "unknown key `falt`"),
    ],
)
def test_a_wrong_expectation_is_refused(write: Any, expect: str, says: str) -> None:
    assert says in file_of(write, "{status: 500}", expect)[1]


@pytest.mark.parametrize(
    "text",
    [
        "{stream: [x]}",
        "{status: 200, json: {}, end: stalled}",
        "{cause: head_timeout}",
        "{cause: connect_timeout}",
    ],
)
def test_a_time_goes_with_what_takes_time(write: Any, text: str) -> None:
    assert [] == file_of(write, text, "{at: 5s}")[1]


@pytest.mark.parametrize("text", ["{status: 200, json: {}}", "{cause: refused}", "{status: 503, body: x, end: broken}"])
def test_a_time_beside_what_takes_none_is_refused_where_it_stands(write: Any, text: str) -> None:
    path = write("x.cases.yaml", f"version: 1\npack: x\ncases:\n- name: n\n  given: {text}\n  expect: {{at: 5s}}\n")
    document = Document(path)
    document.validate(CaseFile)

    advice = "`at` goes with a `stream`, `end: stalled`, or the cause `connect_timeout` or `head_timeout`"
    assert [f"{path}:6:16: nothing here takes time, {advice}"] == [str(finding) for finding in document.findings]


def test_the_json_schema_knows_the_words() -> None:
    properties = Given.model_json_schema()["properties"]

    assert list(Cause) == properties["cause"]["enum"]
    assert [End.CLOSED, End.BROKEN, End.STALLED] == properties["end"]["enum"]
    assert Case.model_json_schema()["$defs"]["Given"]["properties"]["base64"]["contentEncoding"] == "base64"


def test_a_case_needs_a_name() -> None:
    with pytest.raises(ValidationError):
        Case.model_validate({"given": {"status": 500}, "expect": {"fault": None}})
