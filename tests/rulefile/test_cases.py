from pathlib import Path
from typing import Any

import pytest

from postel.rulefile.case_schema import Case, CaseFile
from postel.rulefile.cases import Coverage, Result, coverage, run_case, run_cases
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


def reasons(case: Case, loaded: Loaded) -> tuple[str, ...]:
    """What was not as expected."""
    return run_case(case, loaded)[1]


@pytest.fixture
def loaded(library: Path, acme: Path) -> Loaded:
    return gather([acme], library=library)


def test_the_sample_cases_pass(library: Path, acme: Path) -> None:
    assert ["passed"] * 14 == [result.outcome for result in run_cases(survey([acme], library))]


def test_the_cases_of_the_library_pass(library: Path) -> None:
    assert ["passed"] * 5 == [result.outcome for result in run_cases(survey([], library))]


def test_a_result_names_its_place_and_its_reasons() -> None:
    assert 'a.cases.yaml:4:11: failed: busy\n    fault: expected null, got "internal"' == str(
        Result(Path("a.cases.yaml"), 4, 11, "busy", "failed", ('fault: expected null, got "internal"',))
    )


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
    assert () == reasons(case(write, given, expect), loaded)


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
    assert reason == reasons(case(write, given, expect), loaded)[0]


def test_every_difference_is_told(write: Any, loaded: Loaded) -> None:
    told = reasons(case(write, BUSY, "{fault: internal, status: 500, message: x, not: acme-busy}"), loaded)

    assert ["fault", "status", "message", "not"] == [reason.split(":")[0] for reason in told]


# --- a rule that did not win ------------------------------------------------------------------------------------------


def test_a_case_whose_rule_is_stolen_says_by_whom_and_where(write: Any, library: Path) -> None:
    pack = write(
        "mine.yaml",
        """
        version: 1
        pack: mine
        rules:
          - {id: mine-wide, when: {status: 500}, then: {fault: overloaded}}
          - {id: mine-narrow, when: {status: [500, 503], type: a}, then: {fault: unavailable}}
        """,
    )
    given = "{status: 500, json: {error: {type: a, message: x}}}"
    told = reasons(case(write, given, "{rule: mine-narrow}"), gather([pack], library=library))

    assert (
        'rule: expected "mine-narrow", got "mine-wide"',
        f"mine-narrow: matches too, but mine-wide is asked first ({pack}:4)",
    ) == told


@pytest.mark.parametrize(
    ("given", "expect", "why"),
    [
        (BUSY.replace("queue is full", "all well"), "{rule: acme-busy}", 'acme-busy: message is "all well (64)"'),
        (BUSY.replace("500", "404"), "{rule: acme-busy}", "acme-busy: status is 404"),
        ("{cause: refused}", "{rule: acme-busy}", "acme-busy: is about phase response, and this is transport"),
        ("{status: 500}", "{rule: beta-silent}", "beta-silent: is not asked: it is ambiguous"),
        ("{status: 418}", "{rule: cloud-teapot}", "cloud-teapot: is not asked: a pack disables it"),
    ],
)
def test_a_case_whose_rule_does_not_match_says_why(
    write: Any, loaded: Loaded, given: str, expect: str, why: str
) -> None:
    told = [reason for reason in reasons(case(write, given, expect), loaded) if not reason.startswith("rule:")]

    assert told[0].startswith(why)


def test_coverage_counts_what_passed_cases_prove_of_each_rule(library: Path) -> None:
    found = survey([library / "engines" / "beta.yaml"], library)

    assert (Coverage("beta-loading", 1, 1), Coverage("beta-silent", 1, 1)) == coverage(found, run_cases(found))


def test_progress_is_told_case_by_case(library: Path) -> None:
    seen: list[tuple[int, int]] = []
    run_cases(survey([], library), lambda done, total: seen.append((done, total)))

    assert [(at, 5) for at in range(1, 6)] == seen


# --- streams ----------------------------------------------------------------------------------------------------------

HEL = "{data: {choices: [{index: 0, delta: {content: Hel}}]}}"
END = "{data: {choices: [{index: 0, delta: {}, finish_reason: stop}]}}"
TOO_LONG = "{data: {error: {type: ContextError, message: 'context is 4096 tokens, got 5000', secret: s3}}}"
LATE = f"{{headers: {{server: acme/3.1}}, stream: [{HEL}, {{wait: 3s}}, {TOO_LONG}]}}"
EARLY = f"{{headers: {{server: acme/3.1}}, stream: [{TOO_LONG}]}}"
CUT = f"{{stream: [{HEL}, {HEL}], end: broken}}"
WHOLE = f"{{stream: [{HEL}, {END}, {{data: '[DONE]'}}]}}"
MENDED = f'{{stream: [{HEL}, "data:\\n\\n", {END}]}}'
RESPONSES = (
    "{request: {path: /v1/responses}, stream: [{data: {type: response.output_text.delta, delta: a}}], end: broken}"
)
MESSAGES = "{request: {path: /v1/messages}, stream: [{data: {type: content_block_delta}}], end: broken}"
OLLAMA = (
    "{request: {path: /api/chat}, headers: {content-type: application/x-ndjson},"
    r' stream: ["{\"done\":false}\n"], end: broken}'
)


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (LATE, "{fault: context_length_exceeded, rule: acme-context-length, status: 200, delivered: 1, at: 3s}"),
        (LATE, "{type: invalid_request_error, code: context_length_exceeded, param: messages, retry_after: null}"),
        (LATE, "{message: [5000 were requested, 1 event delivered], absent: [s3, choices], retryable: false}"),
        (EARLY, "{rule: acme-context-length, status: 400, delivered: 0, at: 0s, message: 5000 were requested}"),
        (EARLY, "{param: messages, absent: [s3, delivered]}"),
        (CUT, "{fault: stream_interrupted, rule: null, delivered: 2, code: stream_interrupted, retryable: true}"),
        (CUT, "{absent: choices, not: acme-context-length, details: null}"),
        (WHOLE, "{fault: null, rule: null, delivered: 2, not: acme-context-length}"),
        (MENDED, "{delivered: 2, rule: null}"),
        (RESPONSES, "{fault: stream_interrupted, code: stream_interrupted, message: 1 event delivered}"),
        (MESSAGES, "{fault: stream_interrupted, type: api_error, message: 1 event delivered}"),
        (OLLAMA, "{fault: stream_interrupted, message: 1 event delivered, code: null}"),
    ],
)
def test_a_stream_that_goes_as_expected_passes(write: Any, loaded: Loaded, given: str, expect: str) -> None:
    assert () == reasons(case(write, given, expect), loaded)


@pytest.mark.parametrize(
    ("given", "expect", "reason"),
    [
        (LATE, "{status: 400}", "status: expected 400, got 200"),
        (LATE, "{at: 2s}", "at: expected 2.0, got 3.0"),
        (LATE, "{delivered: 2}", "delivered: expected 2, got 1"),
        (LATE, "{absent: 5000 were}", 'absent: "5000 were" is sent'),
        (LATE, "{not: acme-context-length}", "not: acme-context-length matches"),
        (LATE, "{fault: null}", 'fault: expected null, got "context_length_exceeded"'),
        (WHOLE, "{fault: internal}", 'fault: expected "internal", got null'),
        (WHOLE, "{at: 1s}", "at: expected 1.0, got nothing, because nothing is sent"),
        (WHOLE, "{delivered: 3}", "delivered: expected 3, got 2"),
    ],
)
def test_a_stream_that_goes_otherwise_fails_with_the_reason(
    write: Any, loaded: Loaded, given: str, expect: str, reason: str
) -> None:
    assert (reason,) == reasons(case(write, given, expect), loaded)


def test_a_healthy_stream_comes_out_to_the_letter(write: Any, loaded: Loaded) -> None:
    (reason,) = reasons(case(write, MENDED, "{fault: null}"), loaded)

    assert reason.startswith("fault: expected the bytes given, got")


def test_the_rule_that_let_a_stream_go_has_won(write: Any, library: Path) -> None:
    pack = write(
        "pings.yaml",
        """
        version: 1
        pack: pings
        rules:
          - {id: pings-word, when: {phase: event, stray: true, body: '^ping'}, then: pass}
        """,
    )
    pings = gather([pack], library=library)

    assert () == reasons(
        case(write, f'{{stream: ["ping\\n\\n", {HEL}, {END}]}}', "{fault: null, rule: pings-word}"), pings
    )


def test_a_rule_does_not_match_only_if_it_matches_nothing_that_was_asked(write: Any, loaded: Loaded) -> None:
    stream = f"{{headers: {{server: acme/3.1}}, stream: [{HEL}, {{data: {{error: x}}}}, {TOO_LONG}]}}"

    assert ("not: acme-context-length matches",) == reasons(case(write, stream, "{not: acme-context-length}"), loaded)
