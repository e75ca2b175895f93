"""The timeline of a streamed answer in a case: what is written, and how long nothing is.

Owns the four forms of a step and the bytes each stands for. Knows no clock and plays nothing: whoever plays a case has
both. Called by `case_schema`.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from postel.core.retry import parse_duration
from postel.rulefile.finding import Problem, did_you_mean, refusal


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the upstream."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing comes for some seconds of simulated time."""

    seconds: float


Step = Write | Wait


def compact(value: object) -> str:
    """JSON as APIs write it: no spaces, no escapes that are not needed."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse_event(data: object, event: str | None = None) -> bytes:
    """One server-sent event. A text is sent as it is, line by line; anything else as JSON."""
    text = data if isinstance(data, str) else compact(data)
    lines = [f"event: {event}"] if event is not None else []
    lines += [f"data: {line}" for line in text.split("\n")]
    return "\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass")


def decoded(text: object, loc: tuple[str, ...] = ()) -> bytes:
    """The bytes of a `base64` key."""
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise refusal([Problem("this is no base64", "encode the bytes with `base64 -w0`", loc)]) from None


def _read_step(data: object) -> Step:
    match data:
        case str():
            return Write(data.encode("utf-8", "surrogatepass"))
        case {"wait": wait, **rest} if not rest:
            seconds = parse_duration(wait) if isinstance(wait, str) else None
            if seconds is None:
                raise refusal([Problem(f"`{wait}` is no duration", "write `500ms` or `5s`", ("wait",))])
            return Wait(seconds)
        case {"base64": text, **rest} if not rest:
            return Write(decoded(text, ("base64",)))
        case {"data": payload, **rest} if rest.keys() <= {"event"}:
            name = rest.get("event")
            if name is not None and not isinstance(name, str):
                raise refusal([Problem("an event name is a text", "quote it", ("event",))])
            return Write(sse_event(payload, name))
        case dict():
            known = ("data", "event", "base64", "wait")
            unknown = next((key for key in data if key not in known), None)
            if unknown is not None:
                raise refusal([Problem(f"unknown key `{unknown}`", did_you_mean(str(unknown), known), (unknown,))])
    raise refusal([Problem("this is no step", "a text, `{data: …, event: …}`, `{base64: …}` or `{wait: 5s}`")])


StepEntry = Annotated[
    Step,
    PlainValidator(_read_step),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "description": "These very bytes."},
                {
                    "type": "object",
                    "description": "One SSE event; a text is sent as it is, anything else as JSON.",
                    "properties": {"data": {}, "event": {"type": "string"}},
                    "required": ["data"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"base64": {"type": "string"}},
                    "required": ["base64"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"wait": {"type": "string", "examples": ["500ms", "5s"]}},
                    "required": ["wait"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
