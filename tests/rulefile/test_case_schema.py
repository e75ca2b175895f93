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
        ("{status: 100}", "`status` is 100"),
        ("{status: 500, base64: '?'}", "this is no base64"),
        ("{status: 500, body: }", "`body` is empty"),
        (
            "{status: 500, headers: {a: [1, {}]}}",
            "a header is a text, or a list of texts that come one after the other",
        ),
        ("{status: 500, settings: {idle_timeout: 5}}", "`5` is no duration"),
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


def test_the_json_schema_knows_the_words() -> None:
    properties = Given.model_json_schema()["properties"]

    assert list(Cause) == properties["cause"]["enum"]
    assert list(End) == properties["end"]["enum"]
    assert Case.model_json_schema()["$defs"]["Given"]["properties"]["base64"]["contentEncoding"] == "base64"


def test_a_case_needs_a_name() -> None:
    with pytest.raises(ValidationError):
        Case.model_validate({"given": {"status": 500}, "expect": {"fault": None}})
