"""Which events the rules are asked about."""

from typing import Any

import pytest

from postel.core.stream.suspicion import is_failed_name, may_be_error


def choice(finish: str | None = None, **delta: object) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"error": {"message": "x"}}, None),
        ({"error": "x", "error_type": "generation"}, None),
        ({"error": {"message": "x"}, "choices": [choice("error")]}, None),
        ({"code": 424, "error": "x"}, None),
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": None, "error": {"message": "x"}}]}, None),
        ({"type": "error", "code": "server_error", "message": "x"}, None),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "error"),
        ({"code": 500, "message": "x", "type": "server_error"}, "error"),
        ({"type": "response.failed", "response": {"error": {"message": "x"}}}, "response.failed"),
        ({"object": "error", "message": "x"}, None),
        ({"text": "x", "error_code": 50002}, None),
        ({"detail": "x"}, None),
        ({"base_resp": {"status_code": 1008, "status_msg": "x"}}, None),
        ({"code": "DataInspectionFailed", "message": "x", "request_id": "r"}, None),
        ({"errors": [{"message": "x"}]}, None),
        ({"error": True, "message": "x"}, None),
        ({"ModelStreamError": {"Message": "x"}}, None),
        ({"error_msg": "timeout"}, None),
        ({"errcode": -1, "errmsg": "server busy"}, None),
        ({"event": "error", "data": "x"}, None),
        ({"type": "message-end", "delta": {"error": "x", "finish_reason": "ERROR"}}, None),
        ({"Response": {"Error": {"Code": "LimitExceeded"}}}, None),
        ({"code": 13, "message": "x"}, "stream.error"),
        ({"last_error": {"message": "x"}}, "thread.run.failed"),
        ({"code": "429", "message": "x"}, None),
        ({"fault": {"faultstring": "x", "detail": {}}}, None),
        ({"internalServerException": {"message": "x"}}, None),
        ({"InternalStreamFailure": {"message": "x"}}, None),
        ({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 8}}, None),
    ],
)
def test_an_error_in_any_shape_is_worth_asking_about(event: dict[str, Any], name: str | None) -> None:
    assert may_be_error(event, name, api=False)
    assert may_be_error(event, name, api=True)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"choices": [choice(content="error: CUDA out of memory")], "error": None}, None),
        ({"choices": [choice(content="a")], "error": {}, "message": "", "code": 0}, None),
        ({"text": "a", "error_code": 0}, None),
        ({"candidates": [{"content": {}}], "promptFeedback": {"blockReason": "OTHER"}}, None),
        ({"candidates": [{"content": {}}], "promptFeedback": {"safetyRatings": []}}, None),
        ({"reply": "a", "base_resp": {"status_code": 0, "status_msg": ""}}, None),
        (
            {"type": "response.code_interpreter_call_code.done", "code": "raise"},
            "response.code_interpreter_call_code.done",
        ),
        ({"type": "content_block_delta", "delta": {"text": "error"}}, "content_block_delta"),
        ({"model": "m", "message": {"role": "assistant", "content": "a"}, "done": False}, None),
        ({"message": "a word of a private protocol"}, None),
        ({"detail": "a", "step": 1, "of": 3}, None),
        ({"choices": [choice(content="a")], "error": "null"}, None),
        ({"token": "a", "error": {"message": "", "code": 0, "param": None}}, None),
        ({"error_code": "0", "error_message": "none", "token": "a"}, None),
        ({"errcode": 0, "errmsg": "ok", "token": "a"}, None),
        ({"name": "disk", "error": 0.25}, None),
        ({"done": 5, "errors": 3}, None),
        ({"type": "tool-output-error", "errorText": "HTTP 500"}, None),
        ({"message": "deprecated", "code": "W1"}, "warning"),
        ({"message": "salut", "code": "fr-FR"}, None),
        ({"message": "let x", "code": "no-var"}, None),
        ({"message": "GET /", "status": 200}, None),
    ],
)
def test_a_healthy_event_asks_no_rule(event: dict[str, Any], name: str | None) -> None:
    assert not may_be_error(event, name, api=False)


def test_words_alone_are_no_token_where_events_have_choices() -> None:
    assert may_be_error({"message": "no healthy upstream"}, None, api=True)


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("error", True),
        ("thread.run.failed", True),
        ("x_error", True),
        ("stream:exception", True),
        ("errors", False),
        ("warning", False),
        ("delta", False),
        (None, False),
    ],
)
def test_an_event_may_say_by_its_name_that_something_failed(name: str | None, failed: bool) -> None:
    assert failed is is_failed_name(name)
