"""Connections over their life: reuse, stale ones, clients that leave or are slow, deadlines, and many at once."""

import asyncio
import gc
import json
from collections import Counter
from typing import Any

import pytest
from mitmproxy.connection import Server
from mitmproxy.http import HTTPFlow

from postel.misbehave import End, Received, Script, Step, answer, chunk
from postel.proxy.layer import RescueStream
from tests.wire.harness import Client, Wire, head, post, request, rig, says, wired

CHAT = post()
OK = answer("200 OK", '{"ok":1}')


# Upstream connections -------------------------------------------------------------------------------------------------


@wired
async def test_an_upstream_connection_idle_for_over_a_second_is_not_used_again() -> None:
    async with rig(says(OK)) as wire:
        client = await wire.connect()
        for pause in (0.0, 0.3, 1.3):
            await asyncio.sleep(pause)
            await client.send(CHAT)
            assert 200 == (await client.answer()).status

    assert 2 == wire.engine.connections


async def second_meets_a_closed_connection(
    second: bytes, reply: list[Step] | None = None, **settings: Any
) -> tuple[int, list[str]]:
    """Status of a second request on a client connection whose upstream connection just closed; what was sent on."""
    seen: list[str] = []

    def choose(received: Received) -> Script:
        seen.append(received.line.split(" ")[0])
        return says(*(reply or [End.FIN])) if len(seen) == 2 else says(OK)

    async with rig(choose, **settings) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        assert 200 == (await client.answer()).status
        await client.send(second)
        got = await client.answer(head=second.startswith(b"HEAD"))
    return got.status, seen[1:]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@wired
async def test_what_changes_nothing_is_sent_once_more_on_a_stale_connection(method: str) -> None:
    assert (200, [method] * 2) == await second_meets_a_closed_connection(request(method, "/v1/models"))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@wired
async def test_what_may_bill_is_never_sent_twice(method: str) -> None:
    assert (502, [method]) == await second_meets_a_closed_connection(request(method, "/v1/files", b"{}"))


@wired
async def test_a_route_may_allow_a_post_to_be_repeated() -> None:
    routes = [{"path": "/v1/embed*", "retry_stale": True}]
    assert (200, ["POST"] * 2) == await second_meets_a_closed_connection(post("/v1/embeddings"), routes=routes)
    assert (502, ["POST"]) == await second_meets_a_closed_connection(post("/v1/other"), routes=routes)


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n", OK[:-3]])
@wired
async def test_nothing_is_repeated_once_an_answer_byte_came(begun: bytes) -> None:
    get = request("GET", "/v1/models")
    assert (502, ["GET"]) == await second_meets_a_closed_connection(get, [begun, End.FIN])


@wired
async def test_nothing_is_repeated_on_a_fresh_connection_and_nothing_twice() -> None:
    async with rig(says(End.FIN)) as wire:
        assert 502 == (await wire.ask(request("GET", "/v1/models"))).status
        assert 1 == len(wire.engine.received)

    def choose(_: Received) -> Script:
        return says(OK) if len(wire.engine.received) == 1 else says(End.FIN)

    async with rig(choose) as wire:
        client = await wire.connect()
        statuses = []
        for _ in range(2):
            await client.send(request("GET", "/v1/models"))
            statuses.append((await client.answer()).status)
        assert [200, 502] == statuses
        assert 3 == len(wire.engine.received)


@wired
async def test_an_upstream_that_closes_an_idle_connection_costs_the_client_nothing() -> None:
    async with rig(says(OK, 0.1, End.FIN)) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert 200 == (await client.answer()).status
            await asyncio.sleep(0.3)

    assert 2 == wire.engine.connections


# Client connections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [[End.FIN], [b"junk\r\n\r\n"], [answer("503 Service Unavailable", "no")]])
@wired
async def test_the_connection_goes_on_after_an_error(steps: list[Step]) -> None:
    async with rig({"/bad": says(*steps), "/ok": says(OK)}) as wire:
        client = await wire.connect()
        for path, status in (("/bad", 500), ("/ok", 200), ("/bad", 500), ("/ok", 200)):
            await client.send(post(path))
            got = await client.answer()
            assert status == got.status - got.status % 100
            assert got.get("connection") in {None, "keep-alive"}


@wired
async def test_a_client_that_asks_to_close_is_closed_after_an_error_too() -> None:
    async with rig(says(End.FIN)) as wire:
        client = await wire.connect()
        await client.send(post(connection="close"))
        assert (502, "bad_gateway") == (await client.answer()).told
        assert await client.closed(2)


async def gone(wire: Wire, seconds: float = 1) -> bool:
    """Whether the upstream loses its connection within `seconds`."""
    for _ in range(int(seconds / 0.02)):
        if wire.engine.gone:
            return True
        await asyncio.sleep(0.02)
    return False


STREAM = head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([End.STALL], id="before the head"),
        pytest.param([head("200 OK", "Content-Length: 100"), b"{", End.STALL], id="in a held body"),
        pytest.param([STREAM, *[chunk("data: {}\n\n"), 0.02] * 300], id="in a stream"),
    ],
)
@wired
async def test_a_client_that_leaves_ends_the_upstreams_work_at_once(steps: list[Step]) -> None:
    async with rig(says(*steps)) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        await asyncio.sleep(0.1)
        assert 0 == wire.engine.gone
        client.writer.close()
        assert await gone(wire)


@wired
async def test_a_client_that_leaves_in_an_upload_ends_it_too() -> None:
    async with rig(says(OK)) as wire:
        client = await wire.connect()
        await client.send(post(body=b"x" * 4_000_000)[:2_000_000])
        await asyncio.sleep(0.1)
        assert 1 == wire.engine.connections
        client.writer.close()
        assert await gone(wire)


@wired
async def test_a_client_that_is_slow_to_read_does_not_look_like_a_silent_upstream() -> None:
    block = b"x" * 100_000
    opening = head("200 OK", "Content-Type: application/octet-stream", f"Content-Length: {len(block) * 100}")
    async with rig(says(opening, *[block] * 100), idle_timeout=0.4) as wire:
        reader, writer = await asyncio.open_connection(wire.host, wire.port, limit=4096)
        client = Client(reader, writer)
        await client.send(CHAT)
        await asyncio.sleep(1.5)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(100):
            assert block == await reader.readexactly(len(block))
        writer.close()


# Deadlines ------------------------------------------------------------------------------------------------------------


@wired
async def test_each_route_has_its_own_timers() -> None:
    routes = [
        {"path": "/v1/slow*", "first_byte_timeout": 5},
        {"path": "/v1/body", "idle_timeout": "300ms"},
    ]
    scripts = {
        "/v1/slow": says(0.8, OK),
        "/v1/fast": says(0.8, OK),
        "/v1/body": says(head("200 OK", "Content-Length: 100"), b"{", 0.9, End.FIN),
    }
    async with rig(scripts, first_byte_timeout=0.3, routes=routes) as wire:
        slow, fast, body = await asyncio.gather(*(wire.ask(post(f"{path}?x=1")) for path in scripts))

    assert 200 == slow.status
    assert (504, "timeout") == fast.told
    assert (504, "timeout") == body.told


@wired
async def test_a_timeout_leaves_the_client_connection_usable() -> None:
    async with rig({"/mute": says(End.STALL), "/ok": says(OK)}, first_byte_timeout=0.3) as wire:
        client = await wire.connect()
        for path, status in (("/mute", 504), ("/ok", 200), ("/mute", 504), ("/ok", 200)):
            await client.send(post(path))
            assert status == (await client.answer()).status


@wired
async def test_a_slow_upload_is_not_the_upstreams_silence() -> None:
    async with rig(says(OK), first_byte_timeout=0.4) as wire:
        client = await wire.connect()
        sent = post(body=b"x" * 3_000_000)
        for start in range(0, len(sent), 600_000):
            await client.send(sent[start : start + 600_000])
            await asyncio.sleep(0.3)
        assert 200 == (await client.answer()).status


@wired
async def test_an_idle_client_is_not_cut_off_by_the_timers_of_its_last_request() -> None:
    timers: dict[str, Any] = {"first_byte_timeout": 0.3, "idle_timeout": 0.3, "connect_timeout": 0.3}
    async with rig(says(OK), **timers) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert 200 == (await client.answer()).status
            await asyncio.sleep(0.6)


@wired
async def test_a_client_that_stays_costs_no_more_memory_with_every_request() -> None:
    scripts = {"/ok": says(OK), "/bad": says(End.FIN), "/mute": says(End.STALL), "/end": says(OK, End.FIN)}
    async with rig(scripts, first_byte_timeout=0.2) as wire:
        client = await wire.connect()
        for path in [*["/ok", "/bad", "/end"] * 10, "/mute", "/mute"]:
            await client.send(post(path))
            await client.answer()
        gc.collect()
        kept = [type(thing) for thing in gc.get_objects() if isinstance(thing, RescueStream | Server | HTTPFlow)]

    assert len(kept) <= 12, Counter(kept)


# Many at once ---------------------------------------------------------------------------------------------------------


@wired
async def test_fifty_clients_each_get_their_own_right_answers() -> None:
    """A worker each that mixes healthy answers, errors, cuts and timeouts on one kept connection."""
    expected = {
        "/ok": 200,
        "/busy": 503,
        "/cut": 502,
        "/closed": 502,
        "/inside": 400,
        "/large": 200,
        "/mute": 504,
    }

    def choose(received: Received) -> Script:
        path = received.path.split("?")[0]
        name = received.path.split("=")[1]
        body = json.dumps({"name": name})
        scripts: dict[str, list[Step]] = {
            "/ok": [answer("200 OK", body)],
            "/busy": [0.02, answer("503 Service Unavailable", body)],
            "/cut": [head("200 OK", "Content-Type: application/json", "Content-Length: 900"), b"{", 0.02, End.FIN],
            "/closed": [End.RST],
            "/inside": [answer("200 OK", json.dumps({"error": {"message": f"for {name}"}}))],
            "/large": [head("200 OK", "Transfer-Encoding: chunked"), *[chunk("x" * 20_000)] * 5, b"0\r\n\r\n"],
            "/mute": [End.STALL],
        }
        return says(*scripts[path])

    async def worker(wire: Wire, number: int) -> None:
        client = await wire.connect()
        for turn in range(14):
            path = list(expected)[(number + turn) % len(expected)]
            name = f"w{number}t{turn}"
            await client.send(post(f"{path}?n={name}", x_request_id=name))
            got = await client.answer()
            assert name == got.get("x-request-id")
            assert got.clean
            if path == "/inside":
                assert got.status >= 400
                assert f"for {name}" in got.error["message"]
            else:
                assert expected[path] == got.status, path
            if path == "/ok":
                assert {"name": name} == json.loads(got.body)

    async with rig(choose, first_byte_timeout=0.5) as wire:
        await asyncio.gather(*(worker(wire, number) for number in range(50)))
