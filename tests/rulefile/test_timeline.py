from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from postel.rulefile.timeline import StepEntry, Wait, Write, compact, sse_event

STEP: TypeAdapter[Any] = TypeAdapter(StepEntry)


@pytest.mark.parametrize(
    ("step", "means"),
    [
        ("worker 3 lost", Write(b"worker 3 lost")),
        ("data: x\n\n", Write(b"data: x\n\n")),
        ({"data": {"a": "ü"}}, Write('data: {"a":"ü"}\n\n'.encode())),
        ({"data": "[DONE]"}, Write(b"data: [DONE]\n\n")),
        ({"data": {"a": 1}, "event": "error"}, Write(b'event: error\ndata: {"a":1}\n\n')),
        ({"data": "a\nb"}, Write(b"data: a\ndata: b\n\n")),
        ({"data": None}, Write(b"data: null\n\n")),
        ({"base64": "/w=="}, Write(b"\xff")),
        ({"wait": "500ms"}, Wait(0.5)),
    ],
)
def test_each_form_of_a_step_has_its_bytes_or_its_time(step: object, means: object) -> None:
    assert means == STEP.validate_python(step)


@pytest.mark.parametrize(
    ("step", "says", "loc"),
    [
        (5, "this is no step", ()),
        ({}, "this is no step", ()),
        ({"dta": 1}, "unknown key `dta`", ("dta",)),
        ({"data": 1, "wait": "5s"}, "this is no step", ()),
        ({"wait": 5}, "`5` is no duration", ("wait",)),
        ({"base64": "?"}, "this is no base64", ("base64",)),
        ({"data": 1, "event": 5}, "an event name is a text", ("event",)),
    ],
)
def test_a_wrong_step_is_refused_with_its_place(step: object, says: str, loc: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refusal:
        STEP.validate_python(step)

    (problem,) = refusal.value.errors()[0]["ctx"]["problems"]
    assert (says, loc) == (problem.text, problem.loc)


def test_json_is_written_without_spaces() -> None:
    assert '{"a":[1,true,"ü"]}' == compact({"a": [1, True, "ü"]})
    assert b"event: e\ndata: 1\n\n" == sse_event(1, "e")
