"""Where Postel keeps out: passthrough paths, observe mode, and its own failures."""

import asyncio
import logging

import pytest

from postel import metrics
from postel.core import normalise
from postel.misbehave import End, Script, answer, chunk
from postel.proxy import addon as proxy_addon
from postel.proxy import observe
from postel.proxy.budget import Budget
from tests.wire.harness import head, post, request, rig, says, unused_port, wired

CHAT = post()
PROBES = ["/health", "/healthz", "/health/ready", "/ready", "/readyz", "/live", "/livez", "/metrics", "/ping"]
PROBES += ["/version", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/"]


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "500 Oops", "503 Not Ready"])
@wired
async def test_a_probe_sees_what_the_engine_said(status: str) -> None:
    async with rig(says(answer(status, "<h1>as it is</h1>", "text/html", "X-Odd: 1", "Retry-After: 0"))) as wire:
        for path in PROBES:
            got = await wire.ask(request("GET", f"{path}?verbose=1"))
            assert (status, b"<h1>as it is</h1>") == (f"{got.status} {got.reason}", got.body)
            assert ("1", "0") == (got.get("x-odd"), got.get("retry-after"))
            assert got.get("x-request-id")


@pytest.mark.parametrize("path", ["/v1/health", "/metrics/x", "/v1/models", "/healt", "/pingpong", "/Health"])
@wired
async def test_no_other_path_is_a_probe(path: str) -> None:
    async with rig(says(answer("503 Not Ready", "no"))) as wire:
        assert (503, "unavailable") == (await wire.ask(request("GET", path))).told


@wired
async def test_passthrough_paths_can_be_chosen() -> None:
    async with rig(says(answer("503 Not Ready", "no")), passthrough="/v1/files*") as wire:
        assert b"no" == (await wire.ask(request("GET", "/v1/files/1"))).body
        assert (503, "unavailable") == (await wire.ask(request("GET", "/health"))).told


@pytest.mark.parametrize("steps", [[End.FIN], [b"garbage\r\n\r\n"], [b"HTTP/1.1 200 OK\r\nX: y", End.FIN]])
@wired
async def test_a_probe_of_a_dead_engine_gets_the_envelope(steps: list[bytes | End]) -> None:
    async with rig(says(*steps)) as wire:
        assert (502, "bad_gateway") == (await wire.ask(request("GET", "/health"))).told


# Observe --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        answer("500 Internal Server Error", "Traceback (most recent call last):", "text/plain", "Retry-After: 0"),
        answer("429 Too Many Requests", '{"error":"x"}', "application/json", "retry-after-ms: 5", "Server: engine"),
        answer("200 OK", '{"error":{"message":"inside"}}'),
        answer("200 OK", "<title>Sign in</title>", "text/html"),
    ],
)
@wired
async def test_observe_changes_nothing_that_was_sent(sent: bytes) -> None:
    opening, _, body = sent.partition(b"\r\n\r\n")
    async with rig(says(sent), mode="observe") as wire:
        got = await wire.ask(CHAT)

    assert opening.split(b"\r\n")[0].decode() == f"HTTP/1.1 {got.status} {got.reason}"
    told = [f"{name}: {value}" for name, value in got.headers if name != "x-request-id"]
    assert [line.decode() for line in opening.split(b"\r\n")[1:]] == told
    assert body == got.body
    assert got.get("x-request-id")


@wired
async def test_observe_delays_nothing_and_ends_nothing() -> None:
    opening = head("200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked")
    async with rig(says(opening, chunk("{"), 1.0, chunk("}"), b"0\r\n\r\n"), mode="observe", idle_timeout=0.3) as wire:
        client = await wire.connect()
        start = asyncio.get_running_loop().time()
        await client.send(CHAT)
        await client.reader.readuntil(b"{")
        first = asyncio.get_running_loop().time() - start
        rest = await client.reader.readuntil(b"0\r\n\r\n")

    assert first < 0.5
    assert b"}" in rest


@wired
async def test_observe_lets_a_cut_answer_be_cut() -> None:
    async with rig(says(head("200 OK", "Content-Length: 100"), b"part", End.FIN), mode="observe") as wire:
        got = await wire.ask(CHAT)

    assert (200, b"part", False) == (got.status, got.body, got.clean)


@wired
async def test_observe_answers_where_nothing_was_sent() -> None:
    async with rig(upstream=f"http://127.0.0.1:{unused_port()}", mode="observe") as wire:
        assert (502, "upstream_unreachable") == (await wire.ask(CHAT)).told
    async with rig(says(End.STALL), mode="observe", first_byte_timeout=0.3) as wire:
        assert (504, "timeout") == (await wire.ask(CHAT)).told


# Postel's own failures ------------------------------------------------------------------------------------------------


def failures() -> float:
    return float(metrics.INTERNAL_ERRORS._value.get())


def refused_holds() -> float:
    return float(metrics.HOLDS_REFUSED._value.get())


def explode(*_args: object, **_kwargs: object) -> None:
    raise RuntimeError("a bug in Postel")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(normalise.Normaliser, "answer", explode)
    caplog.set_level(logging.CRITICAL, "postel")


@pytest.mark.parametrize("status", ["500 Internal Server Error", "404 Not Found", "200 OK"])
@wired
async def test_a_failure_of_ours_lets_the_answer_through_as_it_came(broken: None, status: str) -> None:
    before = failures()
    async with rig(says(answer(status, "<p>theirs</p>", "text/html", "X-Odd: 1")), crashing=True) as wire:
        got = await wire.ask(post(x_request_id="mine-1"))

    assert (status, b"<p>theirs</p>", "1") == (f"{got.status} {got.reason}", got.body, got.get("x-odd"))
    assert "mine-1" == got.get("x-request-id")
    assert before + 1 == failures()


@wired
async def test_a_failure_of_ours_where_nothing_came_is_the_fixed_envelope(broken: None) -> None:
    before = failures()
    async with rig(says(End.FIN), crashing=True, provenance=False) as wire:
        got = await wire.ask(post(x_request_id="mine-1"))
        refused = await wire.ask(b"nonsense\r\n\r\n")

    assert 502 == got.status
    assert {"message", "type", "param", "code"} == set(got.error)
    assert "mine-1" == got.get("x-request-id")
    assert refused.error
    assert before + 2 == failures()


@pytest.mark.parametrize("name", ["choose", "_stay_on_http1", "without_query"])
@wired
async def test_a_failure_of_ours_on_the_request_lets_the_exchange_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(proxy_addon, name, explode)
    scripts = {"/ok": says(answer("200 OK", "{}")), "/closed": says(End.FIN)}
    async with rig(scripts, crashing=True) as wire:
        assert 200 == (await wire.ask(post("/ok"))).status
        assert 502 == (await wire.ask(post("/closed"))).status


@wired
async def test_a_failure_of_ours_after_the_head_came_lets_the_answer_through(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(observe, "held", explode)
    async with rig(says(answer("200 OK", "{}")), crashing=True) as wire:
        assert (200, b"{}") == ((got := await wire.ask(CHAT)).status, got.body)


# The hold budget ------------------------------------------------------------------------------------------------------


def hold_at_most(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_addon, "Budget", lambda: Budget(limit=size))


@wired
async def test_beyond_the_hold_budget_answers_pass_unexamined_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_at_most(100, monkeypatch)
    before = refused_holds()
    inside = '{"error":{"message":"inside a 200"},"filler":"' + "x" * 200 + '"}'
    async with rig(says(answer("200 OK", inside))) as wire:
        got = await wire.ask(CHAT)

    assert (200, inside.encode()) == (got.status, got.body)
    assert before < refused_holds()


@wired
async def test_beyond_the_hold_budget_an_error_is_still_told_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_at_most(100, monkeypatch)
    async with rig(says(answer("503 Service Unavailable", "x" * 500, "text/plain"))) as wire:
        got = await wire.ask(CHAT)

    assert 503 == got.status


@wired
async def test_holds_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_at_most(1000, monkeypatch)
    inside = '{"error":{"message":"inside a 200"},"filler":"' + "x" * 500 + '"}'
    scripts: dict[str, Script] = {
        "/inside": says(answer("200 OK", inside)),
        "/cut": says(head("200 OK", "Content-Type: application/json", "Content-Length: 900"), b"x" * 600, End.FIN),
        "/error": says(answer("500 Internal Server Error", "x" * 700)),
    }
    async with rig(scripts) as wire:
        for path in ("/inside", "/cut", "/error", "/inside", "/cut", "/error", "/inside"):
            assert 400 <= (await wire.ask(post(path))).told[0]


@wired
async def test_a_client_that_leaves_gives_back_its_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_at_most(1000, monkeypatch)
    scripts = {
        "/slow": says(head("200 OK", "Content-Type: application/json", "Content-Length: 900"), b"x" * 600, End.STALL),
        "/inside": says(answer("200 OK", '{"error":{"message":"inside a 200"},"filler":"' + "x" * 500 + '"}')),
    }
    async with rig(scripts) as wire:
        client = await wire.connect()
        await client.send(post("/slow"))
        await asyncio.sleep(0.1)
        client.writer.close()
        await asyncio.sleep(0.1)
        assert 400 <= (await wire.ask(post("/inside"))).told[0]
