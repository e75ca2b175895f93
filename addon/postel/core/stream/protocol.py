"""What the events of a stream mean: whose protocol it is, whether there was output, whether it is complete.

Owns what Postel knows of the streaming APIs (OpenAI chat, legacy completions and Responses, Anthropic messages, Ollama,
and the marks by which native APIs end), all of it from events that are JSON objects. Knows no bytes, no rule and no
time. Asked by `guard` for each event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from postel.core.jsontext import Json

Document = Mapping[str, Json]


class Protocol(Enum):
    """Whose events these are; UNKNOWN until one told.

    NATIVE is an engine's or a provider's own API, OTHER is JSON of none that is known here, TEXT is no JSON at all.
    """

    UNKNOWN = "unknown"
    OPENAI = "openai"
    RESPONSES = "responses"
    MESSAGES = "messages"
    OLLAMA = "ollama"
    NATIVE = "native"
    OTHER = "other"
    TEXT = "text"


FINISHED = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})
"""OpenAI's finish reasons: nobody need ask what they mean."""

FAILED = frozenset({"error", "abort"})
"""Finish reasons of engines that gave up; no SDK looks at them (facts: SGLang and vLLM, OpenRouter and LMDeploy)."""

ANTHROPIC = frozenset(
    "message_start content_block_start content_block_delta content_block_stop message_delta message_stop ping".split()
)
# What only events of a model have: TGI, SGLang, Gemini, DashScope, llama.cpp, Triton, Cohere.
_NATIVE = frozenset("generated_text meta_info candidates output slot_id text_output is_finished".split())
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.cancelled", "message_stop"})
_OPENING = frozenset({"response.created", "response.in_progress", "response.queued", "message_start", "ping"})

_CHOICES = 1024
"""Choices that are kept count of. OpenAI allows 128; a stream that invents more must not fill the memory."""

_COUNT = 1 << 53
"""Numbers that JSON readers agree on (RFC 8259 section 6); Python would not even write one of 5,000 digits."""

_OPENAI_PATHS = ("/chat/completions", "/completions", "/responses")
_JSON_PATHS = (*_OPENAI_PATHS, "/messages", ":streamGenerateContent")


def is_openai_path(path: str) -> bool:
    """Whether a stream on this path must end with a finish reason or a terminal event."""
    return path.rstrip("/").endswith(_OPENAI_PATHS)


def is_json_path(path: str) -> bool:
    """Whether every event on this path is JSON, so that anything else is broken."""
    return path.rstrip("/").endswith(_JSON_PATHS)


class Progress:
    """How far one stream has come.

    `finish_reason` is the last one seen, whatever it means. `terminal` is set by the protocol's own last event.
    `sequence` is the number that the next event of a Responses stream would have.
    """

    __slots__ = ("_choices", "_marked", "finish_reason", "protocol", "sequence", "terminal")

    def __init__(self) -> None:
        self.protocol = Protocol.UNKNOWN
        self.finish_reason: str | None = None
        self.terminal = False
        self.sequence = 0
        self._choices: dict[object, bool] = {}
        self._marked = False

    @property
    def is_finished(self) -> bool:
        """Whether the events alone say that the answer is complete."""
        if self.terminal or self._marked:
            return True
        return bool(self._choices) and all(self._choices.values())

    @property
    def ends_silently(self) -> bool:
        """Whether this API has no mark of its end, so that a clean end of the body is one."""
        return self.protocol in (Protocol.NATIVE, Protocol.OTHER, Protocol.TEXT)

    def note(self, event: Document) -> str | None:
        """Take account of an event. Returns a finish reason in it that is none of OpenAI's, for somebody to explain."""
        choices = event.get("choices")
        if isinstance(choices, list):
            self.protocol = Protocol.OPENAI
            return self._note_choices(choices) if choices else None
        kind = event.get("type")
        new = self.protocol in (Protocol.UNKNOWN, Protocol.NATIVE, Protocol.OTHER)
        if isinstance(kind, str):
            if kind.startswith("response."):
                self.protocol = Protocol.RESPONSES if new else self.protocol
                number = event.get("sequence_number")
                if type(number) is int and 0 <= number < _COUNT:
                    self.sequence = number + 1
            elif new and kind in ANTHROPIC and kind != "ping":  # many an application pings
                self.protocol = Protocol.MESSAGES
            if kind in _TERMINAL:
                self.terminal = True
        if isinstance(done := event.get("done"), bool) and "model" in event:
            if self.protocol is Protocol.UNKNOWN:
                self.protocol = Protocol.OLLAMA
            self.terminal = self.terminal or (done and self.protocol is Protocol.OLLAMA)
        if self.protocol in (Protocol.UNKNOWN, Protocol.OTHER):
            self.protocol = Protocol.OTHER if _NATIVE.isdisjoint(event) else Protocol.NATIVE
        if self.protocol in (Protocol.NATIVE, Protocol.OTHER):
            return self._note_native(event)
        return None

    def _note_choices(self, choices: list[Json]) -> str | None:
        odd: str | None = None
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                continue
            reason = choice.get("finish_reason")
            index = choice.get("index", position)
            if not isinstance(index, int):
                index = position
            if isinstance(reason, str) and reason and reason != "null":
                self.finish_reason = reason
                if reason not in FINISHED:
                    odd = reason
                self._finish(index, reason not in FAILED)
            elif index not in self._choices:
                self._finish(index, False)
        return odd

    def _finish(self, index: int, finished: bool) -> None:
        if index in self._choices or len(self._choices) < _CHOICES:
            self._choices[index] = finished

    def _note_native(self, event: Document) -> str | None:
        for reason in _native_ends(event):
            self._marked = reason.lower() not in FAILED
            self.finish_reason = reason
            return reason if reason.lower() not in FINISHED else None
        return None


def _native_ends(event: Document) -> Iterator[str]:
    """The finish reason of an event of a native API, in that API's words; nothing while it goes on."""
    if isinstance(event.get("generated_text"), str):  # TGI, LMI
        yield "stop"
    if event.get("stop") is True:  # llama.cpp
        yield "stop"
    # SGLang, DashScope, Cohere 2, Gemini; and at the top Cohere 1, vLLM's api_server
    places: list[Json | Document] = [event.get("meta_info"), event.get("output"), event.get("delta"), event]
    candidates = event.get("candidates")
    if isinstance(candidates, list):
        places += candidates[:1]
    for place in places:
        if isinstance(place, Mapping):
            reason = place.get("finish_reason") or place.get("finishReason")
            if isinstance(reason, dict):
                reason = reason.get("type")
            if isinstance(reason, str) and reason and reason != "null":
                yield reason


def has_output(event: Document) -> bool:
    """Whether a client has something of this event; what opens a stream has nothing yet."""
    choices = event.get("choices")
    if isinstance(choices, list):
        return any(isinstance(choice, dict) and _speaks(choice) for choice in choices)
    kind = event.get("type")
    return not (isinstance(kind, str) and kind in _OPENING)


def _speaks(choice: dict[str, Json]) -> bool:
    if choice.get("finish_reason") or choice.get("text") or choice.get("message"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")
