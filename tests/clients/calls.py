"""What the clients are made to ask: one table of operations that every client has.

Owns the requests of these tests as an SDK and as curl name them. Knows no failure and no process. Read by the cases and
by the stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

_QUESTION = [{"role": "user", "content": "Say hello."}]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint: `method` is the SDKs' (`chat.completions.create`), `arguments` are the JSON body of the request."""

    method: str
    path: str
    arguments: Json = field(default_factory=dict)

    @property
    def verb(self) -> str:
        return "POST" if self.arguments else "GET"

    @property
    def helps(self) -> bool:
        """Whether this is the SDKs' `.stream()`, which asks for a stream by itself and gathers what comes."""
        return self.method.endswith(".stream")

    @property
    def body(self) -> Json:
        """What an SDK sends."""
        return {**self.arguments, "stream": True} if self.helps else self.arguments


CHAT = Operation("chat.completions.create", "/chat/completions", {"model": "demo", "messages": _QUESTION})
STREAM = Operation(CHAT.method, CHAT.path, {**CHAT.arguments, "stream": True})
HELPER = Operation("chat.completions.stream", CHAT.path, CHAT.arguments)
COMPLETIONS = Operation("completions.create", "/completions", {"model": "demo", "prompt": "Say hello."})
COMPLETIONS_STREAM = Operation(COMPLETIONS.method, COMPLETIONS.path, {**COMPLETIONS.arguments, "stream": True})
# Without encoding_format the SDKs ask for base64 and unpack it, and then the answer cannot be compared as it was sent.
EMBEDDINGS = Operation(
    "embeddings.create", "/embeddings", {"model": "demo", "input": ["hello"], "encoding_format": "float"}
)
RESPONSES = Operation("responses.create", "/responses", {"model": "demo", "input": "Say hello."})
RESPONSES_STREAM = Operation(RESPONSES.method, RESPONSES.path, {**RESPONSES.arguments, "stream": True})
RESPONSES_HELPER = Operation("responses.stream", RESPONSES.path, RESPONSES.arguments)
MODELS = Operation("models.list", "/models")


def chat_of(characters: int) -> Operation:
    """A chat completion whose question has so many characters."""
    messages = [{"role": "user", "content": "hello " * (characters // 6)}]
    return Operation(CHAT.method, CHAT.path, {**CHAT.arguments, "messages": messages})
