"""What events mean: whose they are, whether there is output, whether the answer is complete."""

from typing import Any

import pytest

from postel.core.stream.protocol import (
    Progress,
    Protocol,
    has_output,
    is_json_path,
    is_openai_path,
)


def choice(finish: str | None = None, index: int | None = 0, **delta: object) -> dict[str, Any]:
    numbered = {} if index is None else {"index": index}
    return {**numbered, "delta": delta, "finish_reason": finish}


def after(*events: dict[str, Any]) -> Progress:
    progress = Progress()
    for event in events:
        progress.note(event)
    return progress


@pytest.mark.parametrize(
    ("event", "protocol"),
    [
        ({"choices": [choice(content="a")]}, Protocol.OPENAI),
        ({"choices": [], "usage": {}}, Protocol.OPENAI),
        ({"choices": [{"text": "a", "index": 0, "finish_reason": None}]}, Protocol.OPENAI),
        ({"type": "response.created", "sequence_number": 0}, Protocol.RESPONSES),
        ({"type": "response.output_text.delta", "delta": "a"}, Protocol.RESPONSES),
        ({"type": "message_start", "message": {}}, Protocol.MESSAGES),
        ({"type": "content_block_delta", "delta": {}}, Protocol.MESSAGES),
        ({"model": "m", "message": {"content": "a"}, "done": False}, Protocol.OLLAMA),
        ({"token": {"text": "a"}, "generated_text": None}, Protocol.NATIVE),
        ({"token": "a"}, Protocol.OTHER),
        ({"type": "ping"}, Protocol.OTHER),
        ({"type": "transcript.text.delta", "delta": "a"}, Protocol.OTHER),
        ({"text": "a", "done": False}, Protocol.OTHER),
    ],
)
def test_an_event_tells_whose_protocol_it_is(event: dict[str, Any], protocol: Protocol) -> None:
    assert protocol is after(event).protocol


def test_a_protocol_once_known_is_not_forgotten_over_an_odd_event() -> None:
    assert Protocol.OPENAI is after({"choices": [choice(content="a")]}, {"usage": {"total_tokens": 3}}).protocol
    assert Protocol.OPENAI is after({"choices": [choice(content="a")]}, {"type": "ping"}).protocol
    assert Protocol.OPENAI is after({"choices": [choice(content="a")]}, {"type": "message_stop"}).protocol
    assert Protocol.OPENAI is after({"hello": "there"}, {"choices": [choice(content="a")]}).protocol


@pytest.mark.parametrize(
    "events",
    [
        [{"choices": [choice(content="a")]}, {"choices": [choice("stop")]}],
        [{"choices": [choice("length", content="a")]}],
        [{"choices": [choice("tool_calls")]}],
        [{"choices": [choice("content_filter")]}],
        [{"choices": [choice("eos_token")]}],
        [{"choices": [choice("stop", index=None)]}],
        [{"choices": [{"text": "a", "index": 0, "finish_reason": "stop"}]}],
        [
            {"choices": [choice(content="a"), choice(content="b", index=1)]},
            {"choices": [choice("stop"), choice("stop", 1)]},
        ],
        [{"type": "response.created"}, {"type": "response.completed"}],
        [{"type": "response.incomplete"}],
        [{"type": "response.cancelled"}],
        [{"type": "message_start"}, {"type": "message_stop"}],
        [{"model": "m", "done": False}, {"model": "m", "done": True}],
        [{"token": {"text": "</s>"}, "generated_text": "a"}],
        [{"text": "a", "meta_info": {"finish_reason": {"type": "stop"}}}],
        [{"content": "", "stop": True}],
        [{"candidates": [{"finishReason": "STOP"}]}],
        [{"output": {"text": "a", "finish_reason": "stop"}}],
        [{"type": "content-delta", "delta": {}}, {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}],
        [{"text": "a", "is_finished": False}, {"text": "", "is_finished": True, "finish_reason": "COMPLETE"}],
    ],
)
def test_a_stream_is_finished_by_a_reason_on_each_choice_or_by_its_last_event(events: list[dict[str, Any]]) -> None:
    assert after(*events).is_finished
    assert not after(*events[:-1]).is_finished


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [choice(None, content="a")]},
        {"choices": [choice("")]},
        {"choices": [choice("error")]},
        {"choices": [choice("abort")]},
        {"choices": [choice("stop"), choice(index=1, content="b")]},
        {"choices": []},
        {"type": "response.output_text.done"},
        {"type": "response.failed"},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"model": "m", "done": False},
        {"token": {"text": "a"}, "generated_text": None},
        {"output": {"text": "a", "finish_reason": "null"}},
    ],
)
def test_anything_less_is_not_finished(event: dict[str, Any]) -> None:
    assert not after(event).is_finished


def test_a_usage_event_after_the_end_changes_nothing() -> None:
    usage = {"choices": [], "usage": {"total_tokens": 3}}

    assert after({"choices": [choice("stop")]}, usage).is_finished
    assert after({"choices": [choice("stop")]}, {"choices": [choice(content="")]}).is_finished


def test_only_an_unusual_finish_reason_is_handed_back() -> None:
    told = [
        Progress().note({"choices": [choice(reason)]}) for reason in ("stop", "abort", "error", "network_error", None)
    ]

    assert [None, "abort", "error", "network_error", None] == told


def test_the_last_finish_reason_is_remembered_whatever_it_means() -> None:
    assert "abort" == after({"choices": [choice("abort")]}).finish_reason


@pytest.mark.parametrize(
    ("events", "following"),
    [
        ([], 0),
        ([{"type": "response.created", "sequence_number": 0}], 1),
        (
            [
                {"type": "response.created", "sequence_number": 7},
                {"type": "response.in_progress", "sequence_number": 8},
            ],
            9,
        ),
        ([{"type": "response.created", "sequence_number": 3}, {"type": "response.in_progress"}], 4),
    ],
)
def test_the_next_number_of_a_responses_stream_is_known(events: list[dict[str, Any]], following: int) -> None:
    assert following == after(*events).sequence


def test_a_stream_that_invents_choices_does_not_fill_the_memory() -> None:
    progress = Progress()
    for index in range(5000):
        progress.note({"choices": [choice(content="a", index=index)]})

    assert len(progress._choices) <= 1024


@pytest.mark.parametrize(
    ("event", "output"),
    [
        ({"choices": [choice(role="assistant", content="")]}, False),
        ({"choices": [choice(role="assistant", content=None, tool_calls=None)]}, False),
        ({"choices": []}, False),
        ({"type": "response.created"}, False),
        ({"type": "response.in_progress"}, False),
        ({"type": "response.queued"}, False),
        ({"type": "message_start"}, False),
        ({"type": "ping"}, False),
        ({"choices": [choice(role="assistant", content="a")]}, True),
        ({"choices": [choice(reasoning_content="a")]}, True),
        ({"choices": [choice(tool_calls=[{"index": 0}])]}, True),
        ({"choices": [choice("stop")]}, True),
        ({"choices": [{"index": 0, "text": "a", "finish_reason": None}]}, True),
        ({"choices": [{"index": 0, "text": "", "finish_reason": None}]}, False),
        ({"type": "response.output_item.added"}, True),
        ({"type": "content_block_start"}, True),
        ({"token": {"text": "a"}}, True),
        ({"model": "m", "message": {"content": ""}, "done": False}, True),
    ],
)
def test_what_only_opens_a_stream_has_no_output(event: dict[str, Any], output: bool) -> None:
    assert output is has_output(event)


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/openai/deployments/x/completions", "/v1/responses", "/v1/responses/"]
)
def test_a_stream_on_an_openai_path_must_finish(path: str) -> None:
    assert is_openai_path(path)
    assert is_json_path(path)


@pytest.mark.parametrize("path", ["/generate_stream", "/api/chat", "/v1/chat", "/"])
def test_other_paths_have_their_own_ends(path: str) -> None:
    assert not is_openai_path(path)
    assert not is_json_path(path)


def test_messages_and_gemini_speak_json_and_are_not_openai() -> None:
    for path in ("/v1/messages", "/v1beta/models/gemini-2.0-flash:streamGenerateContent"):
        assert is_json_path(path)
        assert not is_openai_path(path)
