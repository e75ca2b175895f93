"""The judging of single events: what is asked, mended, held back, and when a stream is complete."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from postel.core.evidence import End, Evidence, Headers, Phase, Request
from postel.core.render import Reply, fixed_reply
from postel.core.stream.event import Event
from postel.core.stream.inspector import Inspector, Kind, Look
from postel.core.stream.policy import StreamPolicy
from postel.core.stream.sse import SseReader

CHAT = Request(path="/v1/chat/completions")
ELSEWHERE = Request(path="/generate_stream")


class Rules:
    """Stands in for the rule library: answers by a word in the evidence, and remembers what it was asked."""

    def __init__(self, *, end: Reply | None = None, **faults: Reply) -> None:
        self.asked: list[Evidence] = []
        self._faults = faults
        self._end = end

    def __call__(self, evidence: Evidence) -> Reply | None:
        self.asked.append(evidence)
        if evidence.phase is Phase.END:
            return self._end or told("stream_interrupted", rule=None)
        return next((reply for word, reply in self._faults.items() if word.encode() in evidence.body), None)


def told(base: str, rule: str | None = "some-rule") -> Reply:
    reply = fixed_reply("r")
    fields = {name: getattr(reply, name) for name in Reply.__slots__}
    return Reply(**fields | {"fault": base, "base": base, "rule": rule})


UNREADABLE = told("stream_malformed")
CRASHED = told("engine_crashed")


def inspector(rules: Callable[[Evidence], Reply | None], request: Request = CHAT, **policy: Any) -> Inspector:
    return Inspector(rules, request, Headers(), StreamPolicy(**policy), lines=False)


def events(*texts: str | bytes) -> Iterable[Event]:
    return SseReader().receive(b"".join(t if isinstance(t, bytes) else t.encode() for t in texts))


def chunk(content: str = "a", finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def looks(judge: Inspector, *texts: str | bytes) -> list[Look]:
    return [judge.look(event) for event in events(*texts)]


def kinds(judge: Inspector, *texts: str | bytes) -> list[Kind]:
    return [look.kind for look in looks(judge, *texts)]


def test_a_healthy_stream_asks_no_rule() -> None:
    rules = Rules()
    role = 'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'

    seen = kinds(inspector(rules), role, chunk(), ": ping\n\n", chunk(finish="stop"), "data: [DONE]\n\n")

    assert [Kind.OPENING, Kind.OUTPUT, Kind.ASIDE, Kind.OUTPUT, Kind.LAST] == seen
    assert not rules.asked


def test_an_error_event_is_asked_about_whole_with_its_name_and_its_comments() -> None:
    rules = Rules(crashed=CRASHED)

    (look,) = looks(inspector(rules), ':HTTP_STATUS/500\nevent: error\ndata: {"message": "crashed"}\n\n')

    assert (Kind.FAILURE, b"", CRASHED) == (look.kind, look.raw, look.reply)
    (evidence,) = rules.asked
    assert (Phase.EVENT, "error", False) == (evidence.phase, evidence.event, evidence.stray)
    assert b':HTTP_STATUS/500\nevent: error\ndata: {"message": "crashed"}\n\n' == evidence.body


def test_what_no_rule_takes_for_an_error_is_healthy() -> None:
    assert [Kind.OUTPUT] == kinds(inspector(Rules()), 'event: error\ndata: {"message": "hello"}\n\n')


def test_a_failed_response_leaves_before_the_error_is_told() -> None:
    raw = 'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"crashed"}}}\n\n'

    (look,) = looks(inspector(Rules(crashed=CRASHED), Request(path="/v1/responses")), raw)

    assert (Kind.FAILURE, raw.encode(), CRASHED) == (look.kind, look.raw, look.reply)


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_finish_reason_of_an_engine_that_gave_up_is_a_failure(reason: str) -> None:
    rules = Rules()

    (look,) = looks(inspector(rules), chunk(finish=reason))

    assert Kind.FAILURE is look.kind
    assert (Phase.END, End.CLOSED, reason) == (
        rules.asked[-1].phase,
        rules.asked[-1].end,
        rules.asked[-1].finish_reason,
    )


def test_words_beside_a_failed_finish_come_before_what_the_reason_means() -> None:
    (look,) = looks(inspector(Rules(crashed=CRASHED)), chunk("crashed", "error"))

    assert look.reply is CRASHED


def test_a_finish_reason_that_nobody_knows_is_healthy_unless_a_rule_names_it() -> None:
    assert [Kind.OUTPUT] == kinds(inspector(Rules()), chunk(finish="eos_token"))
    assert [Kind.FAILURE] == kinds(
        inspector(Rules(end=told("overloaded"))), chunk(finish="insufficient_system_resource")
    )


def test_one_unreadable_event_is_dropped_and_counted_when_a_good_one_follows() -> None:
    judge = inspector(Rules(oops=UNREADABLE))

    assert [Kind.OUTPUT, Kind.DROPPED, Kind.OUTPUT] == kinds(judge, chunk(), "data: oops\n\n", chunk())
    assert {"malformed": 1} == judge.repaired
    assert judge.is_calm


def test_a_comment_is_no_good_event() -> None:
    judge = inspector(Rules(oops=UNREADABLE))

    assert [Kind.OUTPUT, Kind.DROPPED, Kind.ASIDE] == kinds(judge, chunk(), "data: oops\n\n", ": ping\n\n")
    assert not judge.is_calm


def test_a_second_unreadable_event_ends_the_stream() -> None:
    seen = looks(inspector(Rules(oops=UNREADABLE)), chunk(), "data: oops\n\n", "data: oops\n\n")

    assert (Kind.FAILURE, UNREADABLE) == (seen[-1].kind, seen[-1].reply)


def test_a_strict_route_forgives_none() -> None:
    assert [Kind.OUTPUT, Kind.FAILURE] == kinds(
        inspector(Rules(oops=UNREADABLE), strict=True), chunk(), "data: oops\n\n"
    )


def test_unreadable_words_that_a_rule_knows_are_a_failure_at_once() -> None:
    assert [Kind.OUTPUT, Kind.FAILURE] == kinds(inspector(Rules(crashed=CRASHED)), chunk(), "data: crashed\n\n")


def test_lines_that_are_no_event_are_asked_about_as_stray() -> None:
    rules = Rules(crashed=CRASHED)

    assert [Kind.OUTPUT, Kind.FAILURE] == kinds(inspector(rules), chunk(), '{"error":"crashed"}\n\n')
    assert rules.asked[-1].stray


def test_an_error_glued_to_the_terminator_is_seen() -> None:
    assert [Kind.FAILURE] == kinds(inspector(Rules(crashed=CRASHED)), '{"error":"crashed"}\ndata: [DONE]\n\n')


def test_a_field_that_nobody_knows_spoils_no_event() -> None:
    judge = inspector(Rules(took=UNREADABLE))

    (look,) = looks(judge, "took: 5\n" + chunk())

    assert (Kind.OUTPUT, b"took: 5\n" + chunk().encode()) == (look.kind, look.raw)
    assert judge.is_calm


def test_empty_data_is_dropped_and_counted() -> None:
    judge = inspector(Rules())

    assert [Kind.DROPPED, Kind.DROPPED, Kind.OUTPUT] == kinds(judge, "data:\n\n", "data: \n\n", chunk())
    assert {"empty_data": 2} == judge.repaired


def test_other_applications_may_mean_something_by_empty_data() -> None:
    judge = inspector(Rules(), ELSEWHERE)

    assert [Kind.OUTPUT, Kind.ASIDE] == kinds(judge, 'data: {"token":"a"}\n\n', "event: end\ndata:\n\n")
    assert not judge.repaired


def test_a_word_that_is_no_json_is_a_word_of_some_other_protocol() -> None:
    rules = Rules(end=UNREADABLE, ping=UNREADABLE)

    assert [Kind.OUTPUT] * 4 == kinds(
        inspector(rules, ELSEWHERE),
        'data: {"token":"a"}\n\n',
        "data: ping\n\n",
        "data: [END]\n\n",
        "event: end\ndata: null\n\n",
    )


def test_half_a_document_is_unreadable_in_any_protocol() -> None:
    rules = Rules(**{'{"tok': UNREADABLE})

    assert [Kind.OUTPUT, Kind.DROPPED] == kinds(
        inspector(rules, ELSEWHERE), 'data: {"token":"a"}\n\n', 'data: {"tok\n\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "Error: CUDA out of memory",
        "Traceback (most recent call last):",
        "[ERROR] CUDA",
        "<html>",
        "Internal Server Error",
    ],
)
def test_a_first_text_that_begins_like_an_alarm_is_asked_about(text: str) -> None:
    rules = Rules(**{text[-6:]: CRASHED})

    assert [Kind.FAILURE] == kinds(inspector(rules, ELSEWHERE), f"data: {text}\n\n")


@pytest.mark.parametrize(
    "text", ["Timeout", "An HTTP 503 means", "## Out of memory", "Errors are human", "Error", "Error handling in Go"]
)
def test_a_first_text_that_only_talks_of_errors_is_not(text: str) -> None:
    rules = Rules(**{text[-6:]: CRASHED})

    assert [Kind.OUTPUT] == kinds(inspector(rules, ELSEWHERE), f"data: {text}\n\n")
    assert not rules.asked


def test_a_feed_that_is_fetched_may_tell_of_errors() -> None:
    log = 'data: {"level":"error","message":"CUDA out of memory","code":500,"error":"x"}\n\n'
    rules = Rules(CUDA=CRASHED)

    assert [Kind.OUTPUT] == kinds(inspector(rules, Request(method="GET", path="/logs")), log)
    assert [Kind.FAILURE] == kinds(inspector(rules, Request(method="GET", path="/v1/responses")), log)
    assert [Kind.FAILURE] == kinds(inspector(rules, Request(method="GET", path="/logs")), "event: error\n" + log)


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    judge = inspector(Rules())

    (look,) = looks(judge, chunk("X").encode().replace(b"X", b"\xe4\xb8"))

    assert chunk("X").replace("X", "\ufffd").encode() == look.raw
    assert {"utf8": 1} == judge.repaired


def test_a_byte_order_mark_is_dropped() -> None:
    judge = inspector(Rules())

    (look,) = looks(judge, b"\xef\xbb\xbf" + chunk().encode())

    assert chunk().encode() == look.raw
    assert {"bom": 1} == judge.repaired


def test_a_repair_that_is_switched_off_leaves_the_bytes_alone() -> None:
    judge = inspector(Rules(), repairs=frozenset())
    broken = [b"\xef\xbb\xbf" + chunk().encode(), b"data:\n\n"]

    assert b"".join(broken) == b"".join(look.raw for look in looks(judge, *broken))
    assert not judge.repaired


def test_a_terminator_without_an_end_is_a_failure_on_an_openai_path() -> None:
    assert [Kind.FAILURE] == kinds(inspector(Rules()), "data: [DONE]\n\n")
    assert [Kind.OUTPUT, Kind.FAILURE] == kinds(inspector(Rules()), chunk(), "data: [DONE]\n\n")


def test_a_terminator_completes_what_had_output_elsewhere() -> None:
    assert [Kind.OUTPUT, Kind.LAST] == kinds(
        inspector(Rules(), ELSEWHERE), 'data: {"token":"a"}\n\n', "data: [DONE]\n\n"
    )
    assert [Kind.FAILURE] == kinds(inspector(Rules(), ELSEWHERE), "data: [DONE]\n\n")


def test_a_stream_of_plain_text_is_opaque_where_no_json_is_promised() -> None:
    judge = inspector(Rules(Hel=UNREADABLE, CUDA=CRASHED), ELSEWHERE)

    assert [Kind.OUTPUT] * 4 == kinds(
        judge, "data: Hel\n\n", "data: lo\n\n", "data:\n\n", "data: CUDA out of memory\n\n"
    )
    assert judge.is_complete(End.CLOSED, None)


def test_an_error_event_in_a_stream_of_plain_text_is_still_one() -> None:
    judge = inspector(Rules(Hel=UNREADABLE, CUDA=CRASHED), ELSEWHERE)

    assert [Kind.OUTPUT, Kind.FAILURE] == kinds(judge, "data: Hel\n\n", "event: error\ndata: CUDA out of memory\n\n")


def rest(text: str) -> Event:
    reader = SseReader()
    assert not reader.receive(text.encode())
    event = reader.finish()
    assert event
    return event


def test_a_last_event_that_is_whole_gets_its_blank_line() -> None:
    judge = inspector(Rules())
    whole = chunk(finish="stop")

    assert (Kind.OUTPUT, whole.encode()) == judge.look_at_rest(rest(whole[:-1]))[:2]
    assert (Kind.OUTPUT, whole.encode()) == judge.look_at_rest(rest(whole[:-2]))[:2]
    assert {"blank_line": 2} == judge.repaired


def test_a_fragment_does_not_leave() -> None:
    whole = chunk(finish="stop").rstrip()

    for cut in range(1, len(whole)):
        assert Kind.DROPPED is inspector(Rules()).look_at_rest(rest(whole[:cut])).kind, whole[:cut]


def test_a_last_terminator_needs_no_blank_line() -> None:
    judge = inspector(Rules())
    looks(judge, chunk(finish="stop"))

    assert (Kind.LAST, b"data: [DONE]") == judge.look_at_rest(rest("data: [DONE]"))[:2]
    assert not judge.repaired


@pytest.mark.parametrize(
    "fragment", ["d", "dat", "data", "data:", 'data: {"choices":[{"del', "data: [DO", "event: x\nda"]
)
def test_a_fragment_says_nothing_about_why_the_stream_ended(fragment: str) -> None:
    judge = inspector(Rules(d=UNREADABLE))

    reply = judge.explain(End.CLOSED, rest(fragment))

    assert reply
    assert "stream_interrupted" == reply.base


def test_a_rule_about_the_end_is_asked_before_the_words_of_the_rest() -> None:
    lost = told("engine_crashed", rule="acme-worker-lost")

    assert lost is inspector(Rules(end=lost, worker=told("internal"))).explain(End.BROKEN, rest("worker 3 lost"))


def test_words_after_the_last_event_explain_a_stream_that_stopped() -> None:
    assert CRASHED is inspector(Rules(worker=CRASHED)).explain(End.BROKEN, rest("worker 3 lost"))


def test_an_unreadable_event_that_nothing_followed_is_why_the_stream_failed() -> None:
    judge = inspector(Rules(oops=UNREADABLE))
    looks(judge, chunk(), "data: oops\n\n")

    assert UNREADABLE is judge.explain(End.STALLED, None)


@pytest.mark.parametrize("how", [End.BROKEN, End.STALLED, End.EXPIRED])
def test_a_stream_without_a_mark_of_its_end_is_complete_only_if_the_body_ended_properly(how: End) -> None:
    judge = inspector(Rules(), ELSEWHERE)
    looks(judge, 'data: {"token":"a"}\n\n')

    assert judge.is_complete(End.CLOSED, None)
    assert not judge.is_complete(how, None)


@pytest.mark.parametrize("fragment", ['data: {"tok', "da", "request timeout"])
def test_a_stream_without_a_mark_of_its_end_is_cut_if_a_fragment_comes_last(fragment: str) -> None:
    judge = inspector(Rules(), ELSEWHERE)
    looks(judge, 'data: {"token":"a"}\n\n')

    assert not judge.is_complete(End.CLOSED, rest(fragment))


def test_a_body_without_any_event_is_never_complete() -> None:
    assert not inspector(Rules(), ELSEWHERE).is_complete(End.CLOSED, None)
