"""X-Request-Id: one for each exchange, the client's own where it serves, the same on both sides."""

import uuid

import pytest

from postel.misbehave import End, answer
from tests.wire.harness import Answer, head, post, rig, says, wired

OK = says(answer("200 OK", "{}"))
UUID = "0b0f4f4e-8a53-4f5b-9d7b-0d6f1a4d5c11"


def is_uuid(value: str | None) -> bool:
    return value is not None and str(uuid.UUID(value)) == value


def raw(*values: str) -> bytes:
    lines = "".join(f"X-Request-ID: {value}\r\n" for value in values)
    return f"POST /v1/x HTTP/1.1\r\nhost: a\r\n{lines}content-length: 0\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize("value", ["a", "req_1/2:3~!", "x" * 128, UUID, "{[,]}"])
@wired
async def test_the_clients_own_id_goes_both_ways(value: str) -> None:
    async with rig({"/v1/x": OK, "/bad": says(End.FIN)}) as wire:
        healthy = await wire.ask(raw(value))
        error = await wire.ask(post("/bad", x_request_id=value))

    assert [value] == healthy.get_all("x-request-id") == error.get_all("x-request-id")
    assert [[value]] * 2 == [received.get("x-request-id") for received in wire.engine.received]
    assert [] == wire.engine.received[0].get("x-client-request-id")


@wired
async def test_without_one_a_fresh_uuid_goes_both_ways() -> None:
    async with rig(OK) as wire:
        first, second = [await wire.ask(raw()) for _ in range(2)]

    assert is_uuid(first.get("x-request-id"))
    assert is_uuid(second.get("x-request-id"))
    assert first.get("x-request-id") != second.get("x-request-id")
    assert [[first.get("x-request-id")], [second.get("x-request-id")]] == [
        received.get("x-request-id") for received in wire.engine.received
    ]


@pytest.mark.parametrize("value", ["two words", 'quo"te', "x" * 129, "caf\xe9", "tab\there"])
@wired
async def test_an_unusable_id_travels_on_under_another_name(value: str) -> None:
    async with rig(OK) as wire:
        got = await wire.ask(raw(value))

    (received,) = wire.engine.received
    assert is_uuid(got.get("x-request-id"))
    assert [got.get("x-request-id")] == received.get("x-request-id")
    assert [value] == [
        text.encode("latin-1").decode("utf-8", "replace") if "�" in text else text
        for text in received.get("x-client-request-id")
    ]


@wired
async def test_two_different_ids_name_nothing_and_two_equal_ones_are_one() -> None:
    async with rig(OK) as wire:
        different = await wire.ask(raw("a", "b"))
        equal = await wire.ask(raw("a", "a"))
        empty = await wire.ask(raw(""))

    assert is_uuid(different.get("x-request-id"))
    assert ["a, b"] == wire.engine.received[0].get("x-client-request-id")
    assert ["a"] == equal.get_all("x-request-id") == wire.engine.received[1].get("x-request-id")
    assert is_uuid(empty.get("x-request-id"))


@wired
async def test_an_upstreams_differing_id_comes_back_beside_ours() -> None:
    scripts = {
        "/ok": says(answer("200 OK", "{}", "application/json", "X-Request-ID: theirs")),
        "/stream": says(answer("200 OK", "data: {}\n\n", "text/event-stream", "X-Request-ID: theirs")),
        "/error": says(answer("503 Service Unavailable", "{}", "application/json", "X-Request-ID: theirs")),
        "/inside": says(answer("200 OK", '{"error":{"message":"x"}}', "application/json", "X-Request-ID: theirs")),
        "/cut": says(head("503 Service Unavailable", "X-Request-ID: theirs", "Content-Length: 9"), b"x", End.FIN),
    }
    async with rig(scripts) as wire:
        for path in scripts:
            got = await wire.ask(post(path, x_request_id="mine"))
            assert (["mine"], ["theirs"]) == (got.get_all("x-request-id"), got.get_all("x-upstream-request-id")), path


@wired
async def test_an_upstream_that_repeats_our_id_adds_nothing() -> None:
    async with rig({"/ok": OK, "/echo": says(answer("200 OK", "{}", None, "X-Request-ID: mine"))}) as wire:
        got = await wire.ask(post("/echo", x_request_id="mine"))

    assert (["mine"], None) == (got.get_all("x-request-id"), got.get("x-upstream-request-id"))


@wired
async def test_an_observed_or_passed_answer_has_our_id_too() -> None:
    script = says(answer("500 Internal Server Error", "x", None, "X-Request-ID: theirs"))
    async with rig(script, mode="observe") as wire:
        observed = await wire.ask(post(x_request_id="mine"))
    async with rig(script) as wire:
        passed = await wire.ask(post("/health", x_request_id="mine"))

    for got in (observed, passed):
        assert ("mine", "theirs") == (got.get("x-request-id"), got.get("x-upstream-request-id"))


async def forwarded(policy: str, *sent: str) -> tuple[Answer, list[str]]:
    async with rig(OK, forward_request_id=policy) as wire:
        got = await wire.ask(raw(*sent))
    return got, wire.engine.received[0].get("x-request-id")


@wired
async def test_which_ids_the_upstream_gets_is_a_setting() -> None:
    got, upstream = await forwarded("always", "mine")
    assert ("mine", ["mine"]) == (got.get("x-request-id"), upstream)
    got, upstream = await forwarded("uuid", "mine")
    assert ("mine", []) == (got.get("x-request-id"), upstream)
    got, upstream = await forwarded("uuid", UUID)
    assert (UUID, [UUID]) == (got.get("x-request-id"), upstream)
    got, upstream = await forwarded("uuid")
    assert [got.get("x-request-id")] == upstream
    got, upstream = await forwarded("never", UUID)
    assert (UUID, []) == (got.get("x-request-id"), upstream)
