"""What clients of several APIs get from one proxy: a dialect for each route, old keys beside the error."""

import json
import uuid
from typing import Any

import pytest

from postel.misbehave import End, Received, Script, answer
from tests.wire.harness import Answer, head, post, rig, says, wired

ROUTES = [
    {"path": "/v1/messages*", "dialect": "anthropic"},
    {"path": "/problems/*", "dialect": "problem"},
    {"path": "/router/*", "dialect": "siati-router", "keep": "detail"},
    {"path": "/budget/*", "dialect": "budget-gateway"},
]
BUSY = answer("503 Service Unavailable", '{"detail":"queue is full"}', "application/json", "Retry-After: 7")


async def several(*paths: str, script: Script | None = None, **settings: Any) -> list[Answer]:
    """What clients on these paths get of one upstream, by default of one that is busy."""
    settings = {"routes": ROUTES, "provenance": False, **settings}
    async with rig(script or says(BUSY), **settings) as wire:
        return [await wire.ask(post(path, x_request_id="mine-1")) for path in paths]


@wired
async def test_each_route_speaks_its_own_dialect() -> None:
    chat, messages, problem, router, budget = await several(
        "/v1/chat/completions", "/v1/messages", "/problems/x", "/router/x", "/budget/x"
    )

    assert (503, "server_error", "server_is_overloaded") == (chat.status, chat.error["type"], chat.error["code"])
    assert 529 == messages.status
    assert {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "queue is full"},
        "request_id": "mine-1",
    } == json.loads(messages.body)
    assert (503, "application/problem+json") == (problem.status, problem.get("content-type"))
    assert {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "queue is full",
        "instance": "#mine-1",
        "param": None,
        "code": "server_is_overloaded",
        "request_id": "mine-1",
        "retry_after": 7,
    } == json.loads(problem.body)
    assert (503, "service_unavailable") == (router.status, json.loads(router.body)["error"]["type"])
    assert (503, "server_error") == (budget.status, json.loads(budget.body)["error"]["type"])


@wired
async def test_whatever_the_shape_the_headers_say_the_same() -> None:
    for got in await several("/v1/chat/completions", "/v1/messages", "/problems/x", "/router/x"):
        assert ["mine-1"] == got.get_all("x-request-id")
        assert ("7", "true", "no-store") == (
            got.get("retry-after"),
            got.get("x-should-retry"),
            got.get("cache-control"),
        )
        assert str(len(got.body)) == got.get("content-length")
        assert got.clean


@wired
async def test_claudes_sdks_find_the_request_in_their_own_header() -> None:
    theirs = answer("500 Internal Server Error", "{}", "application/json", "request-id: req_theirs")
    messages, chat = await several("/v1/messages", "/v1/chat/completions", script=says(theirs))

    assert (["mine-1"], ["req_theirs"]) == (messages.get_all("request-id"), messages.get_all("x-upstream-request-id"))
    assert ["req_theirs"] == chat.get_all("request-id")


@wired
async def test_a_dead_upstream_is_told_in_the_routes_dialect() -> None:
    (got,) = await several("/v1/messages", script=says(End.FIN))

    assert (502, "api_error") == (got.status, json.loads(got.body)["error"]["type"])


@wired
async def test_old_keys_are_carried_only_where_the_settings_say_so() -> None:
    chat, router = await several("/v1/chat/completions", "/router/x")
    (everywhere,) = await several("/v1/chat/completions", keep="detail,object")

    assert ["error"] == list(json.loads(chat.body))
    for got in (router, everywhere):
        assert "queue is full" == json.loads(got.body)["detail"]
        assert ["error", "detail"] == list(json.loads(got.body))


@wired
async def test_what_a_client_sent_does_not_come_back_in_an_old_key() -> None:
    prompt = "My name is Anna and I live in Zug"
    item = {"type": "string_type", "loc": ["body", "messages"], "msg": "Input should be a list", "input": prompt}
    script = says(answer("422 Unprocessable Entity", json.dumps({"detail": [item], "body": {"prompt": prompt}})))
    async with rig(script, keep="detail,body,error_code") as wire:
        got = await wire.ask(post(body=json.dumps({"messages": prompt}).encode()))

    document = json.loads(got.body)
    assert [{"type": "string_type", "loc": ["body", "messages"], "msg": "Input should be a list"}] == document["detail"]
    assert b"Anna" not in got.body
    assert str(len(got.body)) == got.get("content-length")


@pytest.mark.parametrize("request_id", [str(uuid.UUID(int=7)), "billing/2026-11-21:42"])
@wired
async def test_a_billing_key_goes_to_the_router_once_and_comes_back(request_id: str) -> None:
    """docs of the router, "X-Request-Id: Idempotency key for billing": the same one on both sides, whatever happens."""
    stream = head("200 OK", "Content-Type: text/event-stream", "Connection: close")
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    scripts = {
        "/healthy": says(answer("200 OK", '{"choices":[]}')),
        "/error": says(answer("502 Bad Gateway", "<html>", "text/html", "X-Request-Id: theirs")),
        "/cut": says(End.FIN),
        "/stream": says(stream, chunk, End.FIN),
    }
    async with rig(scripts, dialect="siati-router") as wire:
        got = {path: await wire.ask(post(path, x_request_id=request_id)) for path in scripts}

    assert [[request_id]] * len(scripts) == [each.get_all("x-request-id") for each in got.values()]
    assert [[request_id]] * len(scripts) == [received.get("x-request-id") for received in wire.engine.received]
    assert "theirs" == got["/error"].get("x-upstream-request-id")
    assert f"request id {request_id})" in got["/stream"].body.decode()


@wired
async def test_a_stream_that_breaks_behind_the_gateway_is_the_engines_fault_and_has_no_done() -> None:
    stream = head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    good = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    bad = b'data: {"error":{"message":"Upstream timeout","code":"timeout"}}\n\ndata: [DONE]\n\n'

    def piece(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    (got,) = await several("/budget/v1/chat/completions", script=says(stream, piece(good), piece(bad), b"0\r\n\r\n"))

    assert (200, True) == (got.status, got.clean)
    begun, error = got.body.split(b"\n\n")[:2]
    assert (good[:-2], b"") == (begun, got.body.split(b"\n\n")[2])
    assert {
        "message": "Upstream timeout (1 event delivered, request id mine-1)",
        "type": "engine_error",
        "code": "timeout",
        "param": None,
    } == json.loads(error.removeprefix(b"data: "))["error"]


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("/v1/messages", b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"'),
        ("/problems/v1/chat/completions", b'data: {"error":{"message":"'),
    ],
)
@wired
async def test_inside_a_stream_the_protocol_decides_the_shape(path: str, begins: bytes) -> None:
    kind = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}'
    if "chat" in path:
        kind = b'{"choices":[{"index":0,"delta":{"content":"Hel"}}]}'
    stream = head("200 OK", "Content-Type: text/event-stream", "Connection: close")
    (got,) = await several(path, script=says(stream, b"data: " + kind + b"\n\n", End.FIN))

    assert (200, True) == (got.status, got.clean)
    assert got.body.startswith(b"data: " + kind + b"\n\n" + begins)


@wired
async def test_observing_changes_nothing_that_came_in_any_dialect() -> None:
    sent = b'{"detail":"queue is full"}'

    def script(received: Received) -> Script:
        return says(End.FIN) if received.path == "/v1/messages/gone" else says(BUSY)

    async with rig(script, routes=ROUTES, keep="detail", mode="observe") as wire:
        passed = await wire.ask(post("/v1/messages"))
        told = await wire.ask(post("/v1/messages/gone"))

    assert (503, sent) == (passed.status, passed.body)
    assert (502, "error") == (told.status, json.loads(told.body)["type"])
