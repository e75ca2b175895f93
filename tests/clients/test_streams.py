"""A stream reaches the user of an SDK whole, or with the SDK's own exception behind the text: never less in silence."""

import json
import re
from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.clients.broken_streams import BROKEN_STREAMS
from tests.clients.calls import RESPONSES_HELPER
from tests.clients.case import Broken, Case, Whole
from tests.clients.forms import text
from tests.clients.stage import SDKS, TIMEOUT, Outcome
from tests.clients.whole_streams import WHOLE_STREAMS

Of = Callable[[str, Case], Outcome]
Witness = Callable[[Outcome, Case], int]

BOUND = TIMEOUT - 5
"""Seconds in which every stream here has ended: 5 more than the longest that Postel waits for one."""

WORDS = re.compile(r"(?P<words>[^ ].*) \((?P<count>\d+) events delivered, request id (?P<id>[0-9a-f-]{36})\)")

each_sdk = pytest.mark.parametrize("client", SDKS)
each_broken_stream = pytest.mark.parametrize("case", BROKEN_STREAMS, ids=lambda case: case.name)
each_whole_stream = pytest.mark.parametrize("case", WHOLE_STREAMS, ids=lambda case: case.name)


def events_of(case: Broken | Whole, value: Sequence[Mapping[str, object]]) -> Sequence[object]:
    """The events as they can be compared: the helper for the Responses API adds to them what it gathered so far."""
    if case.operation is not RESPONSES_HELPER:
        return value
    return [{key: event.get(key) for key in ("type", "sequence_number", "delta", "item_id")} for event in value]


def told(error: object, case: Broken, request_id: str) -> str:
    """The message of an error in a stream, which is as it has to be."""
    assert isinstance(error, dict)
    assert {"message", "type", "param", "code"} == set(error)
    assert (case.type, None) == (error["type"], error["param"])
    assert error["code"] in case.code, error["message"]
    message = error["message"]
    assert isinstance(message, str)
    match = WORDS.fullmatch(message)
    assert match, message
    assert (case.delivered, request_id) == (int(match["count"]), match["id"])
    assert message.isprintable(), "one line without control characters"
    for part in case.says:
        assert part in match["words"]
    for part in case.hides:
        assert part not in message
    return message


@each_broken_stream
@each_sdk
def test_an_sdk_gives_out_what_came_and_raises_our_error(
    client: str, case: Broken, outcome: Of, witness: Witness
) -> None:
    got = outcome(client, case)
    assert text(case.document) == text(got.value) != ""
    assert events_of(case, case.document) == events_of(case, got.value)
    assert ("APIError", None) == (got.raised, got.status), got.text
    assert told(got.error, case, got.headers["x-request-id"]) == got.text
    error: Mapping[str, object] = got.error
    assert (error["type"], error["code"], error["param"]) == (got.type, got.code, got.param)
    assert 1 == got.attempts == witness(got, case), "nobody asks again once there was text"
    assert got.seconds < BOUND


@each_whole_stream
@each_sdk
def test_an_sdk_gives_out_a_whole_stream_and_raises_nothing(
    client: str, case: Whole, outcome: Of, witness: Witness
) -> None:
    got = outcome(client, case)
    assert got.raised is None, got.text
    assert events_of(case, case.document) == events_of(case, got.value)
    assert case.attempts == got.attempts == witness(got, case)
    assert got.seconds < BOUND


def tail(case: Broken, error: Mapping[str, object]) -> bytes:
    """The bytes of the error, as one SDK or another needs them: compact, on one line, `error` first."""
    document: dict[str, object] = {"error": error}
    name = ""
    if case.sequence is not None:
        flat = {key: error[key] for key in ("code", "message", "param")}
        document |= {"type": "error", "sequence_number": case.sequence, **flat}
        name = "event: error\n"
    return f"{name}data: {json.dumps(document, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


@each_broken_stream
def test_a_broken_stream_is_its_whole_events_and_one_error_and_ends_properly(case: Broken, outcome: Of) -> None:
    got = outcome("curl", case)
    assert (None, 200) == (got.raised, got.status), got.text  # 18 were an end without its terminator, 28 none at all
    assert case.passed == got.value[: len(case.passed)]
    end = got.value[len(case.passed) :]
    data = [line.removeprefix(b"data: ") for line in end.splitlines() if line.startswith(b"data: ")]
    assert 1 == len(data), end
    error = json.loads(data[0])["error"]
    assert ["message", "type", "param", "code"] == list(error)
    told(error, case, got.headers["x-request-id"])
    assert tail(case, error) == end


@pytest.mark.parametrize("case", [case for case in WHOLE_STREAMS if not case.first], ids=lambda case: case.name)
def test_a_whole_stream_is_passed_on_as_it_came_or_mended(case: Whole, outcome: Of) -> None:
    got = outcome("curl", case)
    assert (None, 200) == (got.raised, got.status), got.text
    assert case.passed == got.value


@pytest.mark.parametrize("case", [*BROKEN_STREAMS, *WHOLE_STREAMS], ids=lambda case: case.name)
def test_a_stream_has_the_head_of_one(case: Broken | Whole, outcome: Of) -> None:
    got = outcome("curl", case)
    if got.status == 200:
        assert "text/event-stream" == got.headers["content-type"].partition(";")[0]
        assert "chunked" == got.headers["transfer-encoding"]
        assert {"content-length", "content-encoding"}.isdisjoint(got.headers)
    else:
        assert isinstance(case, Whole)
        assert case.first, "only the first attempt of two is refused"
