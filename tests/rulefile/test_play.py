import base64
import gzip
from collections.abc import Callable
from typing import Any

import pytest

from postel.core.evidence import Cause, End, Phase
from postel.core.normalise import Normaliser
from postel.core.stream.policy import StreamPolicy
from postel.rulefile.case_schema import Case, CaseFile
from postel.rulefile.document import Document
from postel.rulefile.load import Loaded, gather
from postel.rulefile.play import Played, play, policy_of
from postel.settings import Settings

HEL = "{data: {choices: [{index: 0, delta: {content: Hel}}]}}"
END = "{data: {choices: [{index: 0, delta: {}, finish_reason: stop}]}}"
DONE = "{data: '[DONE]'}"
TOO_LONG = "{data: {error: {type: ContextError, message: 'context is 4096 tokens, got 5000'}}}"
SERVER = "headers: {server: acme/3.1}"

Plays = Callable[[str], Played]


@pytest.fixture
def loaded(library: Any, acme: Any) -> Loaded:
    return gather([acme], library=library)


@pytest.fixture
def case(write: Any) -> Callable[[str], Case]:
    def read(given: str) -> Case:
        text = f"version: 1\npack: x\ncases:\n- name: n\n  given: {given}\n  expect: {{status: 200}}\n"
        document = Document(write("x.cases.yaml", text))
        file = document.validate(CaseFile)
        assert [] == document.findings
        assert file is not None
        return file.cases[0]

    return read


@pytest.fixture
def plays(case: Callable[[str], Case], loaded: Loaded) -> Plays:
    return lambda given: play(case(given).given, Normaliser(loaded.rules, loaded.dialects["openai"]))


def fault(played: Played) -> str | None:
    return played.reply.fault if played.reply else None


# --- the clock --------------------------------------------------------------------------------------------------------


def test_the_clock_begins_when_the_head_comes(plays: Plays) -> None:
    played = plays(f"{{{SERVER}, stream: [{TOO_LONG}]}}")

    assert ("context_length_exceeded", 0.0) == (fault(played), played.at)


def test_the_guard_is_woken_inside_a_wait(plays: Plays) -> None:
    played = plays(f"{{settings: {{idle_timeout: 30s}}, stream: [{HEL}, {{wait: 2s}}, {HEL}, {{wait: 90s}}, {END}]}}")

    assert ("stream_stalled", 32.0, 2) == (fault(played), played.at, played.delivered)


def test_waits_below_every_deadline_do_no_harm(plays: Plays) -> None:
    played = plays(f"{{settings: {{idle_timeout: 30s}}, stream: [{HEL}, {{wait: 29s}}, {END}, {{wait: 4s}}, {DONE}]}}")

    assert (None, True) == (fault(played), played.as_given)


@pytest.mark.parametrize(
    ("settings", "at"),
    [
        ("{}", 120.0),
        ("{idle_timeout: 7s}", 7.0),
        ("{idle_timeout: 200s, comment_timeout: 50s}", 50.0),
        ("{idle_timeout: 7s, keepalive: 1s}", 7.0),
    ],
)
def test_a_stalled_stream_lasts_until_the_guard_gives_it_up(plays: Plays, settings: str, at: float) -> None:
    played = plays(f"{{settings: {settings}, stream: [{HEL}], end: stalled}}")

    assert ("stream_stalled", at) == (fault(played), played.at)


def test_a_complete_stream_that_stays_open_is_whole(plays: Plays) -> None:
    played = plays(f"{{stream: [{HEL}, {END}, {DONE}], end: stalled}}")

    assert (None, True, None) == (fault(played), played.as_given, played.at)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("{cause: head_timeout}", 590.0),
        ("{cause: head_timeout, settings: {first_byte_timeout: 9s}}", 9.0),
        ("{cause: connect_timeout}", 5.0),
        ("{cause: connect_timeout, settings: {connect_timeout: 250ms}}", 0.25),
        ("{cause: refused}", 0.0),
        ("{status: 200, json: {}, end: stalled}", 120.0),
        ("{status: 500, body: x, end: stalled, settings: {idle_timeout: 3s}}", 3.0),
        ("{status: 500, stream: [a, {wait: 2s}, b]}", 2.0),
        ("{status: 500, stream: [a, {wait: 2s}, b, {wait: 9s}, c], settings: {idle_timeout: 3s}}", 5.0),
    ],
)
def test_what_is_no_stream_takes_its_time_too(plays: Plays, given: str, at: float) -> None:
    assert at == plays(given).at


def test_times_that_a_case_does_not_say_are_those_of_the_settings(plays: Plays) -> None:
    settings = Settings(upstream="http://localhost:1")

    assert (settings.connect_timeout, settings.first_byte_timeout) == (
        plays("{cause: connect_timeout}").at,
        plays("{cause: head_timeout}").at,
    )
    assert settings.for_route().stream == StreamPolicy()


def test_the_settings_of_a_case_are_the_guards(case: Callable[[str], Case]) -> None:
    said = (
        "{first_byte_timeout: 1s, idle_timeout: 2s, comment_timeout: 3s, total_timeout: 4s, hold_time: 5s,"
        " hold_bytes: 6, keepalive: 7s, strict: true, done: after-error, repairs: [bom]}"
    )

    assert StreamPolicy(
        first_output_timeout=1,
        idle_timeout=2,
        comment_timeout=3,
        total_timeout=4,
        hold_time=5,
        hold_bytes=6,
        keepalive=7,
        strict=True,
        done_after_error=True,
        repairs=frozenset({"bom"}),
    ) == policy_of(case(f"{{stream: [x], settings: {said}}}").given.settings)
    assert StreamPolicy() == policy_of(case("{stream: [x]}").given.settings)


# --- what goes to whom ------------------------------------------------------------------------------------------------

LINES = r'["{\"a\":1}\n", "{\"b\":2}\n"]'


@pytest.mark.parametrize(
    "given",
    [
        "{stream: [x]}",
        "{status: 201, stream: [x]}",
        "{status: 200, headers: {content-type: text/event-stream}, body: x}",
        "{status: 200, headers: {content-type: text/event-stream}, json: {a: 1}}",
        "{status: 200, headers: {content-type: text/event-stream}}",
        "{headers: {content-type: application/x-ndjson}, stream: ['{']}",
        f"{{headers: {{content-type: application/json}}, stream: {LINES}, end: broken}}",
        f"{{headers: {{content-type: text/plain}}, stream: [{HEL}]}}",
    ],
)
def test_a_stream_goes_to_the_guard_whatever_it_is_called(plays: Plays, given: str) -> None:
    played = plays(given)

    assert {Phase.END} <= {evidence.phase for evidence in played.judged}
    assert {Phase.END, Phase.EVENT} >= {evidence.phase for evidence in played.judged}


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        ("{status: 200, json: {a: 1}}", Phase.RESPONSE),
        ("{status: 503, stream: [queue, ' is full']}", Phase.RESPONSE),
        ("{status: 400, headers: {content-type: text/event-stream}, body: x}", Phase.RESPONSE),
        ("{status: 500, body: queue is, end: broken}", Phase.RESPONSE),
        ("{status: 200, body: '{', end: broken}", Phase.TRANSPORT),
        ("{status: 200, json: {}, end: stalled}", Phase.TRANSPORT),
        ("{cause: dns}", Phase.TRANSPORT),
    ],
)
def test_everything_else_is_one_observation(plays: Plays, given: str, phase: Phase) -> None:
    assert [phase] == [evidence.phase for evidence in plays(given).judged]


@pytest.mark.parametrize(
    "given",
    [
        "{status: 200, headers: {content-type: audio/mpeg}, body: x}",
        "{status: 200, headers: {content-type: audio/mpeg}, body: x, end: broken}",
        "{status: 204, headers: {content-type: text/event-stream}}",
        "{request: {method: HEAD}, status: 200, headers: {content-type: text/event-stream}}",
        "{status: 302, headers: {location: /}}",
        "{headers: {content-encoding: aes128gcm}, stream: [x]}",
        "{status: 200, settings: {hold_body: 3}, body: 'four'}",
    ],
)
def test_what_is_neither_held_nor_guarded_passes_unasked(plays: Plays, given: str) -> None:
    played = plays(given)

    assert ((), None, True) == (played.judged, played.reply, played.as_given)


def test_the_observation_is_what_was_given(plays: Plays) -> None:
    (evidence,) = plays("{status: 503, headers: {x-a: [b, c]}, body: text, reason: Busy}").judged

    assert (503, "Busy", b"text", "b, c", None) == (
        evidence.status, evidence.reason, evidence.body, evidence.headers.get("X-A"), evidence.headers.content_type,
    )  # fmt: skip
    assert b'"stream":false' == evidence.request.body[-15:-1]


def test_a_json_body_sets_the_content_type_unless_one_is_given(plays: Plays) -> None:
    (plain,) = plays("{status: 500, json: {a: [1, ü]}}").judged
    (typed,) = plays("{status: 500, json: null, headers: {Content-Type: text/plain}}").judged

    assert ("application/json", '{"a":[1,"ü"]}'.encode(), "Internal Server Error") == (
        plain.headers.content_type, plain.body, plain.reason,
    )  # fmt: skip
    assert ("text/plain", b"null") == (typed.headers.content_type, typed.body)


def test_the_request_is_as_given_and_its_path_without_the_query(plays: Plays) -> None:
    (evidence,) = plays("{status: 500, request: {method: PUT, path: '/v1/x?y=1', body: words}}").judged

    assert ("PUT", "/v1/x", b"words") == (evidence.request.method, evidence.request.path, evidence.request.body)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("{status: 200, body: '{', end: broken}", Cause.BODY_CUT),
        ("{status: 200, json: {}, end: stalled}", Cause.BODY_TIMEOUT),
        ("{status: 200, stream: [a, {wait: 200s}, b], headers: {content-type: text/plain}}", Cause.BODY_TIMEOUT),
        ("{cause: refused, detail: x}", Cause.REFUSED),
    ],
)
def test_no_answer_has_a_cause(plays: Plays, given: str, cause: Cause) -> None:
    assert [cause] == [evidence.cause for evidence in plays(given).judged]


def test_an_error_answer_counts_on_what_came_of_its_body(plays: Plays) -> None:
    (evidence,) = plays("{status: 503, stream: [queue, {wait: 1s}, ' is full'], end: stalled}").judged

    assert b"queue is full" == evidence.body


# --- packed bodies ----------------------------------------------------------------------------------------------------


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


def test_a_body_is_read_as_it_was_meant_and_not_as_it_was_packed(plays: Plays) -> None:
    (evidence,) = plays(
        f"{{status: 500, headers: {{content-encoding: gzip}}, base64: {packed('queue is full')}}}"
    ).judged

    assert b"queue is full" == evidence.body


def test_a_packed_stream_is_guarded_as_it_was_meant(plays: Plays) -> None:
    text = 'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":"stop"}]}\n\n'
    whole = plays(f"{{headers: {{content-encoding: gzip}}, stream: [{{base64: {packed(text)}}}]}}")
    cut = plays(f"{{headers: {{content-encoding: gzip}}, stream: [{{base64: {packed(text[:40])}}}]}}")

    assert (None, text.encode(), True) == (fault(whole), whole.body, whole.as_given)
    assert "stream_interrupted" == fault(cut)


# --- what the client got ----------------------------------------------------------------------------------------------


def test_a_failure_before_any_output_is_an_answer_and_all_tail(plays: Plays) -> None:
    played = plays(f"{{{SERVER}, stream: [{TOO_LONG}, {DONE}]}}")

    assert played.reply is not None
    assert (400, 0, played.reply.body, played.reply.body) == (
        played.status, played.delivered, played.body, played.tail,
    )  # fmt: skip
    assert played.reply.headers == played.headers


def test_a_failure_after_output_is_the_tail_of_the_stream(plays: Plays) -> None:
    played = plays(f"{{{SERVER}, stream: [{HEL}, {HEL}, {TOO_LONG}, {DONE}]}}")

    assert played.tail.startswith(b'data: {"error":{"message":"')
    assert (200, 2, (), 0.0) == (played.status, played.delivered, played.headers, played.at)
    assert played.body.startswith(b'data: {"choices"')
    assert played.body.endswith(played.tail)
    assert b"choices" not in played.tail
    assert not played.as_given


def test_the_tail_of_lines_is_a_line(plays: Plays) -> None:
    played = plays(r"""{headers: {content-type: application/x-ndjson}, stream: ["{\"done\":false}\n"], end: broken}""")

    assert played.tail.startswith(b'{"error":{')
    assert b'{"done":false}\n' + played.tail == played.body


def test_what_the_rules_were_asked_is_told_in_order(plays: Plays) -> None:
    stream = f"[{HEL}, {{data: nonsense}}, {TOO_LONG}]"

    assert [(Phase.EVENT, None), (Phase.EVENT, None)] == [
        (evidence.phase, evidence.end) for evidence in plays(f"{{{SERVER}, stream: {stream}}}").judged
    ]
    assert [(Phase.END, End.BROKEN)] == [
        (evidence.phase, evidence.end) for evidence in plays(f"{{stream: [{HEL}], end: broken}}").judged
    ]


def test_bytes_that_were_mended_are_not_those_given(plays: Plays) -> None:
    played = plays(f'{{stream: [{HEL}, "data:\\n\\n", {END}]}}')

    assert (None, False) == (fault(played), played.as_given)
