"""What streams may cost, what is counted of them, and what happens where Postel itself keeps out or fails."""

import asyncio
import gc
import json
import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from mitmproxy.connection import Server
from mitmproxy.http import HTTPFlow

from postel import metrics
from postel.core import normalise
from postel.core.stream.guard import Guard
from postel.misbehave import End, Step
from postel.misbehave import chunk as framed
from postel.proxy import addon as proxy_addon
from postel.proxy.budget import Budget
from postel.proxy.layer import RescueStream
from tests.streams import CHATTING, DONE, ROLE, STOP, error_told, sse, word
from tests.wire.harness import head, post, rig, says, wired
from tests.wire.streaming import BEGUN, CHAT, CHUNKED, END, ERROR, broken, ended, repairs, stream, tail_of

# Bounds ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Budget:
    made = Budget(limit=100_000)
    monkeypatch.setattr(proxy_addon, "Budget", lambda: made)
    return made


@wired
async def test_what_a_stream_holds_is_accounted_for_and_given_back(budget: Budget) -> None:
    opening = [CHUNKED, framed(ROLE * 40)]
    async with rig(says(*opening, 0.3, *map(framed, [*BEGUN, STOP, DONE]), END)) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        await asyncio.sleep(0.15)
        assert len(ROLE * 40) <= budget.held <= len(ROLE * 40) + 8192
        got = await client.answer()
        await asyncio.sleep(0.05)
        assert 0 == budget.held

    assert got.clean


@pytest.mark.parametrize("how", ["leaves", "stalls", "breaks"])
@wired
async def test_what_a_stream_holds_is_given_back_however_it_ends(budget: Budget, how: str) -> None:
    end: Step = {"leaves": End.STALL, "stalls": End.STALL, "breaks": End.FIN}[how]
    for events in ([ROLE], BEGUN, [*BEGUN, ROLE[:30]]):
        async with rig(stream(*events, end=end), idle_timeout=0.3, first_byte_timeout=0.3) as wire:
            client = await wire.connect()
            await client.send(CHAT)
            if how == "leaves":
                await asyncio.sleep(0.1)
                client.writer.close()
                await asyncio.sleep(0.1)
            else:
                await client.answer()
                await asyncio.sleep(0.05)
            assert 0 == budget.held


@wired
async def test_without_room_to_hold_a_stream_passes_at_once_and_still_ends_well(budget: Budget) -> None:
    budget.take(100_000)
    scripts = {
        "/v1/whole": stream(*CHATTING.events),
        "/v1/cut": stream(*BEGUN, end=End.FIN),
        "/v1/slow": says(CHUNKED, framed(ROLE), End.STALL),
    }
    async with rig(scripts) as wire:
        whole = await wire.ask(post("/v1/whole"))
        cut = await wire.ask(post("/v1/cut"))
        slow = await wire.connect()
        await slow.send(post("/v1/slow"))
        async with asyncio.timeout(2):
            await slow.reader.readuntil(ROLE)

    assert (CHATTING.raw, True) == (whole.body, whole.clean)
    assert "stream_interrupted" == tail_of(cut, *BEGUN)["fault"]


@wired
async def test_of_a_long_prompt_only_the_end_stays_while_its_answer_streams(budget: Budget) -> None:
    async with rig(stream(*BEGUN, end=End.STALL)) as wire:
        client = await wire.connect()
        await client.send(post(body=b"x" * 90_000))
        await client.reader.readuntil(BEGUN[-1])
        assert 16 * 1024 == budget.held


@wired
async def test_words_of_the_prompt_still_prove_nothing_while_its_answer_streams() -> None:
    words = "CUDA error: device-side assert triggered"
    error = sse(json.dumps({"error": {"message": f"cannot parse: {words}", "code": 400}}))
    asked = post(body=json.dumps({"model": "m", "messages": [{"role": "user", "content": words}]}).encode())
    async with rig(stream(*BEGUN, error, end=End.STALL)) as wire:
        quoted = tail_of(await wire.ask(asked), *BEGUN)["fault"]
        said = tail_of(await wire.ask(CHAT), *BEGUN)["fault"]

    assert ("invalid_parameter", "engine_crashed") == (quoted, said)


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        pytest.param([End.STALL], 504, id="before the head"),
        pytest.param([head("200 OK", "Content-Type: application/json", "Content-Length: 100"), b"{"], 504, id="held"),
        pytest.param([head("200 OK", "Content-Type: audio/mpeg", "Content-Length: 100"), b"x"], 200, id="passing"),
        pytest.param([CHUNKED, framed(ROLE)], 504, id="a stream's head"),
        pytest.param([CHUNKED, *map(framed, BEGUN)], 200, id="a stream"),
    ],
)
@wired
async def test_an_answer_has_its_time_as_a_whole(steps: list[Step], status: int) -> None:
    trickle: list[Step] = [*steps]
    if steps != [End.STALL]:
        piece = framed(b": still here\n\n") if steps[0] is CHUNKED else b" "
        trickle += [step for _ in range(40) for step in (piece, 0.1)]
    async with rig(says(*trickle, End.STALL), total_timeout=0.6) as wire:
        got = await wire.ask(CHAT)

    assert status == got.status
    assert 0.5 < got.seconds < 1.6
    if status == 504:
        assert "timeout" == got.error["fault"]
    elif steps[0] is CHUNKED:
        assert "timeout" == error_told(b"data: {" + got.body.rpartition(b"data: {")[2], "chat")["fault"]
    else:
        assert not got.clean


@wired
async def test_an_answer_that_its_client_does_not_read_has_its_time_as_a_whole() -> None:
    events = [word(json.dumps("x" * 20_000))] * 2000
    async with rig(stream(*events), total_timeout=0.6, idle_timeout=0.3) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        await asyncio.sleep(0.4)
        assert 0 == wire.engine.gone
        await asyncio.sleep(0.8)
        assert 1 == wire.engine.gone


@pytest.mark.parametrize(("size", "judged"), [(900, True), (1100, False)])
@wired
async def test_how_much_of_a_plain_answer_is_held_can_be_set(size: int, judged: bool) -> None:
    body = json.dumps({"error": {"message": "inside"}, "filler": "x" * (size - 50)}).encode()
    opening = head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked")
    async with rig(says(opening, framed(body), END), hold_body=1000) as wire:
        got = await wire.ask(CHAT)

    assert judged == (got.status >= 400)
    assert judged or body == got.body


# Counting -------------------------------------------------------------------------------------------------------------


@wired
async def test_what_was_mended_is_counted_once() -> None:
    before = repairs("empty_data"), repairs("bom"), ended("complete")
    events = [b"\xef\xbb\xbf" + ROLE, b"data:\n\n", *BEGUN[1:], b"data:\n\n", STOP, DONE]
    async with rig(stream(*events)) as wire:
        got = await wire.ask(CHAT)

    assert (b"".join([*BEGUN, STOP, DONE]), True) == (got.body, got.clean)
    assert (before[0] + 2, before[1] + 1, before[2] + 1) == (repairs("empty_data"), repairs("bom"), ended("complete"))


@pytest.mark.parametrize(
    ("events", "end", "hook"),
    [
        pytest.param(CHATTING.events, END, "response", id="complete"),
        pytest.param([*BEGUN, STOP], End.FIN, "response", id="complete and cut"),
        pytest.param([*BEGUN, ERROR], End.STALL, "response", id="an error event"),
        pytest.param([ROLE, ERROR], End.STALL, "response", id="an error event at first"),
        pytest.param(BEGUN, END, "response", id="ended early"),
        pytest.param(BEGUN, End.FIN, "error", id="cut"),
        pytest.param([ROLE], End.FIN, "error", id="cut at first"),
        pytest.param(BEGUN, End.STALL, "error", id="silent"),
    ],
)
@wired
async def test_each_stream_ends_in_one_hook_of_mitmproxy(
    monkeypatch: pytest.MonkeyPatch, events: list[bytes], end: Step, hook: str
) -> None:
    called: list[str] = []
    response = proxy_addon.Postel.response

    def responded(self: proxy_addon.Postel, flow: HTTPFlow) -> None:
        called.append("response")
        response(self, flow)

    monkeypatch.setattr(proxy_addon.Postel, "response", responded)
    monkeypatch.setattr(proxy_addon.Postel, "error", lambda _self, _flow: called.append("error"), raising=False)
    async with rig(stream(*events, end=end), idle_timeout=0.3, first_byte_timeout=0.3) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert (await client.answer()).clean

    assert [hook, hook] == called


@wired
async def test_a_client_that_stays_costs_no_more_memory_with_every_stream() -> None:
    scripts = {
        "/v1/whole": stream(*CHATTING.events),
        "/v1/cut": stream(*BEGUN, end=End.FIN),
        "/v1/first": stream(ROLE, ERROR, end=End.STALL),
        "/v1/error": stream(*BEGUN, ERROR, end=End.STALL),
    }
    async with rig(scripts) as wire:
        client = await wire.connect()
        for path in [*scripts] * 8:
            await client.send(post(path))
            assert (await client.answer()).clean
        gc.collect()
        kept = [
            type(thing) for thing in gc.get_objects() if isinstance(thing, RescueStream | Server | HTTPFlow | Guard)
        ]

    assert len(kept) <= 12, Counter(kept)


# Where Postel keeps out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["closed in chunks", "ended early", "an error event", "inside an event"])
@wired
async def test_observe_lets_a_stream_be_what_it_is(how: str) -> None:
    steps = [step for step in broken(*BEGUN)[how] if step is not End.STALL]
    raw = b"".join(BEGUN) + {"an error event": ERROR, "inside an event": word('"x"')[:30]}.get(how, b"")
    outcomes = [ended(name) for name in ("complete", "failed", "refused", "unguarded")]
    async with rig(says(*steps, End.FIN), mode="observe") as wire:
        got = await wire.ask(CHAT)

    assert (200, raw, how == "ended early") == (got.status, got.body, got.clean)
    assert outcomes == [ended(name) for name in ("complete", "failed", "refused", "unguarded")]


def explode(*_args: object, **_kwargs: object) -> None:
    raise RuntimeError("a bug in Postel")


def failures() -> float:
    return float(metrics.INTERNAL_ERRORS._value.get())


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "postel")


@pytest.mark.parametrize("call", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("size", [50, 150])
@wired
async def test_a_guard_that_fails_lets_the_stream_through_as_it_is(
    monkeypatch: pytest.MonkeyPatch, quiet: None, call: int, size: int
) -> None:
    calls: Iterator[int] = iter(range(1000))
    receive = Guard.receive

    def fails(self: Guard, data: bytes, now: float) -> bytes:
        if next(calls) >= call:
            raise RuntimeError("a bug in Postel")
        return receive(self, data, now)

    monkeypatch.setattr(Guard, "receive", fails)
    before, unguarded = failures(), ended("unguarded")
    pieces = [CHATTING.raw[at : at + size] for at in range(0, len(CHATTING.raw), size)]
    async with rig(
        says(CHUNKED, *[step for piece in pieces for step in (framed(piece), 0.01)], END), crashing=True
    ) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        got = await client.answer()

    assert (200, CHATTING.raw, True) == (got.status, got.body, got.clean)
    assert (before + 1, unguarded + 1) == (failures(), ended("unguarded"))


@pytest.mark.parametrize("name", ["end", "tick"])
@wired
async def test_a_guard_that_fails_to_end_a_stream_leaves_it_as_the_upstream_did(
    monkeypatch: pytest.MonkeyPatch, quiet: None, name: str
) -> None:
    monkeypatch.setattr(Guard, name, explode)
    how = "closed in chunks" if name == "end" else "silent"
    async with rig(says(*broken(*BEGUN)[how]), crashing=True, idle_timeout=0.3) as wire:
        got = await wire.ask(CHAT)

    assert (200, b"".join(BEGUN), False) == (got.status, got.body, got.clean)


@wired
async def test_a_guard_that_cannot_be_made_lets_the_stream_through(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    monkeypatch.setattr(Guard, "__init__", explode)
    unguarded = ended("unguarded")
    async with rig(stream(*BEGUN, end=End.FIN), crashing=True) as wire:
        got = await wire.ask(post(x_request_id="mine-1"))

    assert (200, b"".join(BEGUN), False, "mine-1") == (got.status, got.body, got.clean, got.get("x-request-id"))
    assert unguarded + 1 == ended("unguarded")


@wired
async def test_where_nothing_can_be_judged_events_are_healthy_and_an_early_end_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    monkeypatch.setattr(normalise.Normaliser, "answer", explode)
    async with rig(stream(*BEGUN, ERROR, end=End.FIN), crashing=True, provenance=False) as wire:
        got = await wire.ask(CHAT)

    assert got.clean
    assert got.body.startswith(b"".join([*BEGUN, ERROR]))
    assert error_told(got.body[len(b"".join([*BEGUN, ERROR])) :], "chat")
