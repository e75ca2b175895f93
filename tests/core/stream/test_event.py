"""The shape that both readers make."""

from postel.core.stream.event import Event
from postel.core.stream.ndjson import LineReader
from postel.core.stream.sse import SseReader


def test_bytes_alone_are_an_event_without_data() -> None:
    event = Event(b": ping\n\n")

    assert (None, None, b"", False, False) == (event.data, event.name, event.stray, event.bom, event.loose)


def test_both_readers_tell_the_same_of_the_same_document() -> None:
    (event,) = SseReader().receive(b'data: {"a":1}\n\n')
    (line,) = LineReader().receive(b'{"a":1}\n')

    assert event.data == line.data == b'{"a":1}'
    assert (b'data: {"a":1}\n\n', b'{"a":1}\n') == (event.raw, line.raw)
