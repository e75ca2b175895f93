import base64
import gzip
from pathlib import Path
from typing import Any

import pytest

from postel.core.evidence import Cause, Phase
from postel.rulefile.case_schema import Case, CaseFile
from postel.rulefile.cases import NEEDS_GUARD, Result, evidence_of, run_case, run_cases
from postel.rulefile.check import survey
from postel.rulefile.document import Document
from postel.rulefile.load import Loaded, gather


def case(write: Any, given: str, expect: str = "{fault: internal}") -> Case:
    text = f"version: 1\npack: x\ncases:\n- name: n\n  given: {given}\n  expect: {expect}\n"
    document = Document(write("x.cases.yaml", text))
    file = document.validate(CaseFile)
    assert file is not None
    assert [] == document.findings
    return file.cases[0]


@pytest.fixture
def loaded(library: Path, acme: Path) -> Loaded:
    return gather([acme], library=library)


def test_the_sample_cases_pass_and_what_needs_the_guard_is_skipped(library: Path, acme: Path) -> None:
    results = run_cases(survey([acme], library))

    assert {"passed": 11, "skipped": 3} == {
        outcome: len([result for result in results if result.outcome == outcome]) for outcome in ("passed", "skipped")
    }
    assert [(NEEDS_GUARD,)] * 3 == [result.reasons for result in results if result.outcome == "skipped"]


def test_the_cases_of_the_library_pass(library: Path) -> None:
    assert ["passed"] * 5 == [result.outcome for result in run_cases(survey([], library))]


def test_a_result_names_its_place_and_its_reasons() -> None:
    assert 'a.cases.yaml:4:11: failed: busy\n    fault: expected null, got "internal"' == str(
        Result(Path("a.cases.yaml"), 4, 11, "busy", "failed", ('fault: expected null, got "internal"',))
    )


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_what_was_given(write: Any) -> None:
    evidence = evidence_of(case(write, "{status: 503, headers: {x-a: [b, c]}, body: text, reason: Busy}").given)

    assert evidence is not None
    assert (Phase.RESPONSE, 503, "Busy", b"text", "b, c") == (
        evidence.phase, evidence.status, evidence.reason, evidence.body, evidence.headers.get("X-A"),
    )  # fmt: skip
    assert (None, b'"stream":false') == (evidence.headers.content_type, evidence.request.body[-15:-1])


def test_a_json_body_sets_the_content_type_unless_one_is_given(write: Any) -> None:
    plain = evidence_of(case(write, "{status: 500, json: {a: [1, ü]}}").given)
    typed = evidence_of(case(write, "{status: 500, json: null, headers: {Content-Type: text/plain}}").given)

    assert plain is not None
    assert typed is not None
    assert ("application/json", '{"a":[1,"ü"]}'.encode(), "Internal Server Error") == (
        plain.headers.content_type, plain.body, plain.reason,
    )  # fmt: skip
    assert ("text/plain", b"null") == (typed.headers.content_type, typed.body)


def test_a_body_is_read_as_it_was_meant_and_not_as_it_was_packed(write: Any) -> None:
    packed = base64.b64encode(gzip.compress(b"queue is full")).decode()
    evidence = evidence_of(case(write, f"{{status: 500, headers: {{content-encoding: gzip}}, base64: {packed}}}").given)

    assert evidence is not None
    assert b"queue is full" == evidence.body


def test_the_request_is_as_given_and_its_path_without_the_query(write: Any) -> None:
    asked = "{method: PUT, path: '/v1/x?y=1', body: words}"
    evidence = evidence_of(case(write, f"{{status: 500, request: {asked}}}").given)

    assert evidence is not None
    assert ("PUT", "/v1/x", b"words") == (evidence.request.method, evidence.request.path, evidence.request.body)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("{cause: refused, detail: x}", Cause.REFUSED),
        ("{status: 200, body: '{', end: broken}", Cause.BODY_CUT),
        ("{status: 200, json: {}, end: stalled}", Cause.BODY_TIMEOUT),
        ("{status: 201, headers: {content-type: application/problem+json}, body: '{', end: broken}", Cause.BODY_CUT),
    ],
)
def test_no_answer_and_a_held_body_that_broke_are_transport(write: Any, given: str, cause: Cause) -> None:
    evidence = evidence_of(case(write, given).given)

    assert evidence is not None
    assert (Phase.TRANSPORT, cause) == (evidence.phase, evidence.cause)


def test_an_error_answer_counts_on_what_came_of_its_body(write: Any) -> None:
    broken = evidence_of(case(write, "{status: 500, body: queue is, end: broken}").given)
    streamed = evidence_of(case(write, "{status: 503, stream: [queue, {wait: 1s}, ' is full'], end: stalled}").given)

    assert broken is not None
    assert streamed is not None
    assert (Phase.RESPONSE, b"queue is") == (broken.phase, broken.body)
    assert (Phase.RESPONSE, b"queue is full") == (streamed.phase, streamed.body)


@pytest.mark.parametrize(
    "given",
    [
        "{stream: [x]}",
        "{status: 200, headers: {content-type: text/event-stream}, body: x}",
        "{status: 200, headers: {content-type: application/x-ndjson}, body: x}",
        "{status: 200, headers: {content-type: audio/mpeg}, body: x, end: broken}",
    ],
)
def test_what_only_the_guard_can_see_is_skipped_and_never_passed(write: Any, loaded: Loaded, given: str) -> None:
    assert ("skipped", (NEEDS_GUARD,)) == run_case(case(write, given, "{fault: null}"), loaded)


def test_a_time_is_not_known_without_the_guard(write: Any, loaded: Loaded) -> None:
    assert "skipped" == run_case(case(write, "{status: 200, json: {}, end: stalled}", "{at: 120s}"), loaded)[0]


# --- expectations -----------------------------------------------------------------------------------------------------

BUSY = "{status: 500, headers: {server: acme}, body: queue is full (64)}"
GPU = "{status: 403, headers: {server: acme}, json: {quota: {kind: gpu, resets_in: 90.5, plan: pro, used: 12}}}"


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (BUSY, "{fault: overloaded, rule: acme-busy, status: 503, type: server_error, code: overloaded, param: null}"),
        (BUSY, "{retry_after: 5, retryable: true, message: [queue is full, '(64)'], absent: acme-busy, delivered: 0}"),
        (BUSY, "{details: null, not: [acme-gpu-quota, beta-loading]}"),
        (BUSY, "{details: {}}"),
        (GPU, "{details: {plan: pro, used: 12}, retry_after: 91, retryable: false, code: insufficient_quota}"),
        ("{status: 200, json: {id: x}}", "{fault: null, rule: null, not: acme-busy, absent: x}"),
        ("{status: 503, request: {path: /ready}, headers: {server: acme}}", "{fault: null, rule: acme-not-ready}"),
        ("{status: 500, settings: {packs: [beta]}}", "{rule: beta-silent}"),
        ("{status: 500, body: x, settings: {dialect: strict}}", "{fault: internal, status: 502, retry_after: 3}"),
    ],
)
def test_what_is_sent_as_expected_passes(write: Any, loaded: Loaded, given: str, expect: str) -> None:
    assert ("passed", ()) == run_case(case(write, given, expect), loaded)


@pytest.mark.parametrize(
    ("given", "expect", "reason"),
    [
        (BUSY, "{fault: internal}", 'fault: expected "internal", got "overloaded"'),
        (BUSY, "{fault: null}", 'fault: expected null, got "overloaded"'),
        (BUSY, "{rule: rest-any}", 'rule: expected "rest-any", got "acme-busy"'),
        (BUSY, "{status: 500}", "status: expected 500, got 503"),
        (BUSY, "{type: x}", 'type: expected "x", got "server_error"'),
        (BUSY, "{code: null}", 'code: expected null, got "overloaded"'),
        (BUSY, "{param: model}", 'param: expected "model", got null'),
        (BUSY, "{retry_after: null}", "retry_after: expected null, got 5"),
        (BUSY, "{retryable: false}", "retryable: expected false, got true"),
        (BUSY, "{message: empty}", 'message: expected "empty" in "queue is full (64)"'),
        (BUSY, "{absent: [zz, '64']}", 'absent: "64" is sent'),
        (BUSY, "{absent: no-store}", 'absent: "no-store" is sent'),
        (BUSY, "{delivered: 1}", "delivered: expected 1, got 0"),
        (BUSY, "{not: [acme-busy]}", "not: acme-busy matches"),
        (BUSY, "{not: rest-any}", "not: rest-any matches"),
        (GPU, "{details: {plan: pro}}", 'details: expected {"plan": "pro"}, got {"plan": "pro", "used": 12}'),
        ("{status: 200, json: {}}", "{status: 200}", "status: expected 200, got nothing, because nothing is sent"),
        ("{status: 200, json: {}}", "{message: x}", 'message: expected "x" in nothing, because nothing is sent'),
        ("{status: 500, body: x, settings: {dialect: strict}}", "{param: model}", 'param: expected "model", got null'),
    ],
)
def test_what_is_sent_otherwise_fails_with_the_reason(
    write: Any, loaded: Loaded, given: str, expect: str, reason: str
) -> None:
    outcome, reasons = run_case(case(write, given, expect), loaded)

    assert "failed" == outcome
    assert reason == reasons[0]


def test_every_difference_is_told(write: Any, loaded: Loaded) -> None:
    reasons = run_case(case(write, BUSY, "{fault: internal, status: 500, message: x, not: acme-busy}"), loaded)[1]

    assert ["fault", "status", "message", "not"] == [reason.split(":")[0] for reason in reasons]
