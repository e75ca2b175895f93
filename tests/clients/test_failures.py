"""Whatever the upstream did, the user of an SDK catches the exception that OpenAI's own API would have raised."""

import json
from collections.abc import Callable, Mapping
from typing import Literal

import pytest

from tests.clients.case import Failure
from tests.clients.playbook import FAILURES
from tests.clients.stage import CLIENTS, SDKS, Outcome

Half = Literal["engine", "nginx"]
Of = Callable[[str, Failure], Outcome]
Batch = Callable[[str, Half], Mapping[str, Outcome]]
Witness = Callable[[Outcome, Failure], int]

PYTHON: Mapping[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    **dict.fromkeys((500, 501, 502, 503, 504), "InternalServerError"),
}


def exception(client: str, status: int) -> str:
    """The class an SDK raises for a status (openai-python `_make_status_error`, openai-node `APIError.generate`)."""
    return PYTHON.get(status, "APIError" if client == "node" else "APIStatusError")


def text(client: str, status: int, error: object) -> str:
    """What an SDK prints for an envelope: the 1.x and 2.x Python ones the whole document, the others its message."""
    assert isinstance(error, dict)
    if client == "node":
        return f"{status} {error['message']}"
    if client.startswith("openai-3"):
        return f"Error code: {status} - {error['message']}"
    document = {"error": error}
    return f"Error code: {status} - {document}"


def envelope(client: str, got: Outcome) -> dict[str, object]:
    """The error object as it was sent; the SDKs keep it without its wrapping."""
    document = {"error": got.error} if client != "curl" else json.loads(got.value)
    assert list(document) == ["error"]
    error = document["error"]
    assert isinstance(error, dict)
    return error


def failures(half: Half) -> list[Failure]:
    return [case for case in FAILURES if (case.where == "nginx") == (half == "nginx")]


def within(wait: tuple[int, int] | None, header: str | None) -> bool:
    if wait is None or header is None:
        return wait is None and header is None
    return header.isdecimal() and wait[0] <= int(header) <= wait[1]


each_failure = pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.name)
each_client = pytest.mark.parametrize("client", CLIENTS)
each_sdk = pytest.mark.parametrize("client", SDKS)
each_half = pytest.mark.parametrize("half", ["engine", "nginx"])


@each_failure
@each_sdk
def test_an_sdk_raises_what_openai_would_make_it_raise(client: str, case: Failure, outcome: Of) -> None:
    got = outcome(client, case)
    assert (exception(client, case.status), case.status) == (got.raised, got.status), got.text
    assert (case.type, case.param) == (got.type, got.param), got.text
    assert got.code in (case.code if isinstance(case.code, tuple) else (case.code,)), got.text
    assert text(client, case.status, got.error) == got.text


@each_failure
def test_curl_gets_a_whole_answer(case: Failure, outcome: Of) -> None:
    got = outcome("curl", case)
    assert (None, case.status) == (got.raised, got.status), got.text
    assert str(len(got.value)) == got.headers["content-length"]
    assert "application/json" == got.headers["content-type"]
    assert "no-store" == got.headers["cache-control"]
    assert "content-encoding" not in got.headers


@each_failure
@each_client
def test_the_message_is_one_clean_line(client: str, case: Failure, outcome: Of) -> None:
    error = envelope(client, outcome(client, case))
    assert {"message", "type", "param", "code"} == set(error)
    message = error["message"]
    assert isinstance(message, str)
    assert message.strip() == message != ""
    assert message.isprintable(), "one line without control characters"
    assert len(message) <= 500
    assert message[0] not in "{[<"
    for part in case.says:
        assert part in message
    for part in ("<html", "<h1>", "</", "Traceback", "127.0.0.1", *case.hides):
        assert part not in json.dumps(error)


@each_half
@each_client
def test_each_answer_says_whether_to_ask_again_and_when(client: str, half: Half, batch: Batch) -> None:
    got, cases = batch(client, half), failures(half)
    assert {case.name: str(case.retried).lower() for case in cases} == {
        case.name: got[case.name].headers.get("x-should-retry") for case in cases
    }
    waits = {case.name: got[case.name].headers.get("retry-after") for case in cases}
    assert {case.name: case.wait for case in cases if not within(case.wait, waits[case.name])} == {}, waits
    assert [] == [case.name for case in cases if "retry-after-ms" in got[case.name].headers]


@each_half
@each_sdk
def test_an_sdk_asks_as_often_as_it_helps(client: str, half: Half, batch: Batch, witness: Witness) -> None:
    got, cases = batch(client, half), failures(half)
    expected = {case.name: case.attempts for case in cases}
    assert expected == {case.name: got[case.name].attempts for case in cases}
    asked = {case.name: witness(got[case.name], case) for case in cases if case.where != "nobody"}
    assert {name: expected[name] for name in asked} == asked, "the proxy itself repeats nothing"


@each_half
@each_client
def test_what_the_upstreams_headers_say_to_the_client_stays(client: str, half: Half, batch: Batch) -> None:
    got = batch(client, half)
    for case in failures(half):
        assert case.keeps.items() <= got[case.name].headers.items(), case.name
        assert "server" not in got[case.name].headers, case.name
