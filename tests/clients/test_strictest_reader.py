"""The strictest reader of streams is Go's: it reads lines and not events, and knows an error by its first characters.

sashabaranov/go-openai cannot be had from a package registry, so its rules stand here, as its stream reader (3d58ac5,
stream_reader.go) was seen to follow them: a line that begins with `data:` and then `{"error":` is an error, any other
`data:` line is a chunk, and what is no `data:` line at all, be it a comment or `event: error`, is kept and stands in
front of the error's JSON, which then cannot be read.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.clients.broken_streams import BROKEN_STREAMS
from tests.clients.calls import COMPLETIONS_STREAM, HELPER, STREAM
from tests.clients.case import Broken, Case, Whole
from tests.clients.stage import Outcome
from tests.clients.whole_streams import WHOLE_STREAMS

Of = Callable[[str, Case], Outcome]

KNOWN = (STREAM, HELPER, COMPLETIONS_STREAM)
"""What it streams; of the Responses API it knows nothing."""


@dataclass(slots=True)
class Reading:
    """What a Go program has of a stream. `error` is the error object; `is_done`: `[DONE]` was there."""

    chunks: list[Any] = field(default_factory=list)
    error: Any = None
    is_done: bool = False


def read(body: bytes) -> Reading:
    """Read as it does; raises ValueError where it can say no more than that it could not read."""
    reading, kept = Reading(), b""
    for line in map(bytes.strip, body.split(b"\n")):
        if re.match(rb'data:\s*{"error":', line):
            reading.error = json.loads(kept + line.removeprefix(b"data:"))["error"]
            break
        if not line.startswith(b"data:"):
            kept += line
        elif (data := line.removeprefix(b"data:").strip()) == b"[DONE]":
            reading.is_done = True
            break
        else:
            reading.chunks.append(json.loads(data))
    return reading


def known(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.operation in KNOWN and not getattr(case, "first", ())]


@pytest.mark.parametrize("case", known(BROKEN_STREAMS), ids=lambda case: case.name)
def test_it_reads_our_error_behind_all_that_came(case: Broken, outcome: Of) -> None:
    body = outcome("curl", case).value
    reading = read(body)
    assert case.document == reading.chunks
    assert isinstance(reading.error, dict), "silence"
    assert reading.error["code"] in case.code
    types = {key: type(value) for key, value in reading.error.items()}
    assert {"message": str, "type": str, "param": type(None), "code": str} == types
    assert body.endswith(b"}\n\n"), "it tells an error only with the line after it"


@pytest.mark.parametrize("case", known(WHOLE_STREAMS), ids=lambda case: case.name)
def test_it_reads_a_whole_stream(case: Whole, outcome: Of) -> None:
    reading = read(outcome("curl", case).value)
    assert (case.document, None) == (reading.chunks, reading.error)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'data: {"a":1}\n\ndata: {"error":{"message":"no"}}\n\n', {"message": "no"}),
        (b'data: {"a":1}\n\ndata: {"id":"x","error":{"message":"no"}}\n\n', None),
        (b'data: {"a":1}\n\ndata: { "error":{"message":"no"}}\n\n', None),
    ],
    ids=["error first", "error later", "a blank before it"],
)
def test_it_sees_an_error_only_where_it_stands_first(body: bytes, expected: object) -> None:
    assert expected == read(body).error


@pytest.mark.parametrize("before", [b"event: error\n", b": ping\n\n", b"<html>\n"])
def test_it_cannot_read_an_error_behind_a_line_that_is_no_data(before: bytes) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        read(b'data: {"a":1}\n\n' + before + b'data: {"error":{"message":"no"}}\n\n')
