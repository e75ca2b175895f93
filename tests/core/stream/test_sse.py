import re
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.stream import sse
from postel.core.stream.event import Event
from postel.core.stream.sse import SseReader

BOM = b"\xef\xbb\xbf"
CHUNK = b'{"choices":[{"index":0,"delta":{"content":"Hel"}}]}'

# What goes wrong goes wrong where these meet.
WORDS = [
    *(b"data: ", b"data:", b"data", b"data:  ", b" data: ", b"datum: x", b"Data: x", b"event: ", b"event:", b"event"),
    *(
        b"event: ping",
        b"id: 7",
        b"id",
        b"idle: 1",
        b"retry: 5",
        b"retry",
        b":",
        b": ping",
        b" ",
        b"{}",
        b"x",
        b"[DONE]",
    ),
    *(b"error: {}", b"<html>", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", BOM, b"\xef", b"\xff"),
    *("é".encode(), b"\xc3", b"\0", b"\x0b", b"\x85", "\u2028".encode()),
]
USUAL = [
    *(b"data: " + CHUNK, b"data:" + CHUNK, b"data: [DONE]", b"data:", b"event: message\ndata: " + CHUNK),
    *(b": ping", b"data: a\ndata: b", b"event: a\ndata: b\nid: 7"),
]
streams = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=24).map(b"".join),
    st.lists(st.sampled_from(USUAL)).map(lambda events: b"".join(event + b"\n\n" for event in events)),
    st.lists(st.sampled_from(USUAL)).map(
        lambda events: b"".join(event + b"\n\n" for event in events).replace(b"\n", b"\r\n")
    ),
    st.lists(st.one_of(st.sampled_from(USUAL), st.sampled_from(WORDS)), max_size=12).map(b"\n\n".join),
    st.binary(),
)


class Block(NamedTuple):
    """What the specification makes of the lines between two blank ones."""

    data: str | None
    name: str | None
    stray: str


def by_the_specification(stream: bytes) -> tuple[list[Block], Block | None]:
    """The blocks of a stream, by the words of the HTML standard, 9.2.5 and 9.2.6; last, the one that has no end.

    One step more than there: a line that is ignored because its field name is unknown is kept as `stray`.
    """
    # "Streams must be decoded using the UTF-8 decode algorithm", which "strips one leading BOM".
    text = stream.removeprefix(BOM).decode("utf-8", "replace")

    # end-of-line = ( cr lf / cr / lf )
    lines, line, at = [], "", 0
    while at < len(text):
        if text[at] not in "\r\n":
            line += text[at]
            at += 1
            continue
        lines.append(line)
        line = ""
        at += 2 if text[at : at + 2] == "\r\n" else 1

    blocks: list[Block] = []
    block: list[str] = []
    for whole in lines:
        if whole:
            block.append(whole)
        elif block:
            blocks.append(interpret(block))
            block = []
    if line:
        block.append(line)
    return blocks, interpret(block) if block else None


def interpret(lines: list[str]) -> Block:
    data, event_type, stray = "", "", []
    for line in lines:
        if line.startswith(":"):  # "Ignore the line."
            continue
        # "Collect the characters on the line before the first U+003A COLON character"; without one, "the whole line
        # as the field name, and the empty string as the field value".
        field, _, value = line.partition(":")
        # "If value starts with a U+0020 SPACE character, remove it from value."
        value = value.removeprefix(" ")
        match field:
            case "event":
                event_type = value
            case "data":
                data += value + "\n"
            case "id" | "retry":
                pass
            case _:
                stray.append(line)
    # "If the data buffer is an empty string", there is no event; else its last LF is removed.
    return Block(data[:-1] if data else None, event_type or None, "\n".join(stray))


def block(event: Event) -> Block:
    data = None if event.data is None else event.data.decode("utf-8", "replace")
    return Block(data, event.name, event.stray.decode("utf-8", "replace"))


def has_text(event: Event) -> bool:
    """Not just a blank line."""
    return bool(event.raw.removeprefix(BOM if event.bom else b"").strip(b"\r\n"))


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(stream)} | {cut % (len(stream) + 1) for cut in cuts})
    return [stream[start:end] for start, end in pairwise(places)]


cuttings = st.one_of(st.just(range(1000)), st.lists(st.integers(min_value=0), max_size=12))


def read(*received: bytes) -> tuple[list[Event], SseReader]:
    reader = SseReader()
    return [event for data in received for event in reader.receive(data)], reader


def one(stream: bytes) -> Event:
    """The event that a stream consists of; the same one comes later in a stream, and beside others."""
    (event,), reader = read(stream)
    assert b"" == reader.rest
    assert [Event(b":\n\n"), event] == read(b":\n\n", stream)[0]
    assert [Event(b":\n\n"), event, event] == read(b":\n\n", stream + stream)[0]
    return event


@pytest.mark.parametrize(
    "raw",
    [
        b"data: " + CHUNK + b"\n\n",
        b"data:" + CHUNK + b"\n\n",
        b"data: " + CHUNK + b"\r\n\r\n",
        b"data: " + CHUNK + b"\r\r",
        b"data: " + CHUNK + b"\n\r\n",
        b"data: " + CHUNK + b"\r\n\n",
        b"id: 7\nretry: 500\n: why not\ndata: " + CHUNK + b"\n\n",
        b"data: " + CHUNK + b"\nid: 7\r\n\r\n",
        b"data: " + CHUNK + b"\rid: 7\r\n\r\n",
        b"data: " + CHUNK + b"\rid: 7\n\n",
    ],
)
def test_data_is_found_whatever_the_line_ends_and_whatever_stands_beside_it(raw: bytes) -> None:
    assert Event(raw, CHUNK) == one(raw)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_that_come_together_come_apart(end: bytes) -> None:
    raws = [end.join([b"data: %d" % number, b"", b""]) for number in range(20)]
    events, reader = read(end.join([b"event: first", b"data: 0", b"", b""]), b"".join(raws))

    assert raws == [event.raw for event in events[1:]]
    assert [b"%d" % number for number in range(20)] == [event.data for event in events[1:]]
    assert ["first", *[None] * 20] == [event.name for event in events]
    assert 0 == reader.held


def test_several_data_lines_are_joined_by_lf() -> None:
    assert b"{\n\n}" == one(b"data: {\r\ndata\r\ndata: }\r\n\r\n").data


@pytest.mark.parametrize(
    ("line", "data"),
    [(b"data:x", b"x"), (b"data: x", b"x"), (b"data:  x", b" x"), (b"data:\tx", b"\tx"), (b"data: x ", b"x ")],
)
def test_one_space_after_the_colon_is_dropped(line: bytes, data: bytes) -> None:
    assert data == one(line + b"\n\n").data
    assert data == one(b"event: e\n" + line + b"\n\n").data
    assert data == one(line + b"\nid: 1\n\n").data


@pytest.mark.parametrize("line", [b"data", b"data:", b"data: "])
def test_a_data_line_may_be_empty(line: bytes) -> None:
    assert Event(line + b"\n\n", b"") == one(line + b"\n\n")
    assert Event(line + b"\r\n\r\n", b"") == one(line + b"\r\n\r\n")


@pytest.mark.parametrize("line", [b": ping", b":", b"id: 7", b"id", b"retry: 5", b"retry"])
def test_comments_and_numbers_have_neither_data_nor_anything_stray(line: bytes) -> None:
    assert Event(line + b"\n\n") == one(line + b"\n\n")


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (b"event: error", "error"),
        (b"event:error", "error"),
        (b"event:  error", " error"),
        (b"event: a\nevent: b", "b"),
        (b"event: a\nevent", None),
        (b"event:", None),
        (b"event", None),
        (b"event: z\xc3\xbc \xff", "zü \ufffd"),
    ],
)
def test_the_last_event_line_is_the_name_unless_it_is_empty(lines: bytes, name: str | None) -> None:
    for raw in (
        lines + b"\ndata: x\n\n",
        b"data: x\n" + lines + b"\n\n",
        lines.replace(b"\n", b"\r") + b"\rdata:x\r\r",
    ):
        assert Event(raw, b"x", name) == one(raw)


@pytest.mark.parametrize(
    "line",
    [b'{"error":"x"}', b"error: {}", b"<html>", b"worker 3 lost", b" data: x", b"Data: x", b"database", b"dat", b"ids"],
)
def test_a_line_that_is_no_field_is_stray(line: bytes) -> None:
    assert Event(line + b"\n\n", stray=line) == one(line + b"\n\n")
    assert (b"x", line + b"\n" + line) == (
        (event := one(line + b"\r\ndata: x\r\n" + line + b"\r\n\r\n")).data,
        event.stray,
    )


def test_a_blank_line_that_ends_nothing_stays_with_an_event_without_data() -> None:
    events, reader = read(b"data: a\n\n\n\n\ndata: b\n\n\n")

    assert [b"a", b"b"] == [event.data for event in events if event.data is not None]
    assert b"data: a\n\n\n\n\ndata: b\n\n\n" == b"".join(event.raw for event in events)
    assert all(Event(event.raw) == event for event in events if event.data is None)
    assert b"" == reader.rest


@pytest.mark.parametrize("cut", range(8))
def test_a_byte_order_mark_is_seen_however_it_comes_and_stays_in_raw(cut: int) -> None:
    stream = BOM + b"data: x\n\n"
    events, _ = read(stream[:cut], stream[cut:], BOM + b"data: y\n\n")

    assert Event(stream, b"x", bom=True) == events[0]
    assert Event(BOM + b"data: y\n\n", stray=BOM + b"data: y") == events[1]


def test_a_byte_order_mark_before_a_blank_line_or_nothing_is_told_as_well() -> None:
    assert [Event(BOM + b"\n", bom=True)] == read(BOM, b"\n")[0]
    assert [Event(BOM + b"\n", bom=True), Event(b"data: x\n\n", b"x")] == read(BOM + b"\ndata: x\n\n")[0]
    assert Event(BOM, bom=True) == read(BOM)[1].finish()
    assert Event(BOM[:2], stray=BOM[:2]) == read(BOM[:2])[1].finish()


def test_an_event_does_not_wait_for_the_lf_of_a_cr() -> None:
    reader = SseReader()

    assert [Event(b"data: x\r\n\r", b"x")] == reader.receive(b"data: x\r\n\r")
    assert [] == reader.receive(b"\n")
    assert b"\n" == reader.rest
    assert [Event(b"\ndata: y\r\n\r", b"y")] == reader.receive(b"data: y\r\n\r")
    assert [Event(b"data: z\n\n", b"z")] == reader.receive(b"data: z\n\n")


def test_a_lf_that_ends_the_end_of_an_event_is_no_blank_line_and_the_next_one_is() -> None:
    reader = SseReader()
    reader.receive(b"data: x\r\r")

    assert [Event(b"\n\n")] == reader.receive(b"\n\n")
    assert [Event(b"data: y\n\n", b"y")] == reader.receive(b"data: y\n\n")


def test_a_lf_that_ends_the_end_of_an_event_is_no_event_at_the_end() -> None:
    reader = SseReader()
    reader.receive(b"data: x\r\n\r")
    reader.receive(b"\n")

    assert Event(b"\n") == reader.finish()
    assert b"" == reader.rest


def test_what_is_no_whole_event_is_held() -> None:
    reader = SseReader()

    assert [Event(b"data: a\n\n", b"a")] == reader.receive(b"data: a\n\nda")
    assert (b"da", 2) == (reader.rest, reader.held)
    assert [] == reader.receive(b"ta: b\n")
    assert (b"data: b\n", 8) == (reader.rest, reader.held)
    assert [] == reader.receive(b"")
    assert [Event(b"data: b\n\n", b"b")] == reader.receive(b"\n")
    assert (b"", 0) == (reader.rest, reader.held)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("cut", range(1, 31))
def test_an_event_is_whole_wherever_it_is_cut_behind_another(end: bytes, cut: int) -> None:
    stream = end.join([b"data: x", b"", b"event: error", b"data: x", b"", b""])
    events, reader = read(b":\n\n", stream[:cut], stream[cut:])

    assert [b"x", b"x"] == [event.data for event in events if event.data is not None]
    assert [None, "error"] == [event.name for event in events if event.data is not None]
    assert b":\n\n" + stream == b"".join(event.raw for event in events) + reader.rest


@pytest.mark.parametrize(
    ("rest", "event"),
    [
        (b"", None),
        (b"data: x", Event(b"data: x", b"x")),
        (b"data: x\n", Event(b"data: x\n", b"x")),
        (b"data: x\r\n", Event(b"data: x\r\n", b"x")),
        (b"data: x\r", Event(b"data: x\r", b"x")),
        (b"data", Event(b"data", b"")),
        (b"event: e\ndata: x\n{}", Event(b"event: e\ndata: x\n{}", b"x", "e", b"{}")),
        (b"worker 3 lost", Event(b"worker 3 lost", stray=b"worker 3 lost")),
    ],
)
def test_at_the_end_the_rest_is_read_as_if_it_were_whole(rest: bytes, event: Event | None) -> None:
    _, reader = read(b"data: before\n\n" + rest)

    assert event == reader.finish()
    assert (b"", 0) == (reader.rest, reader.held)
    assert reader.finish() is None


@given(streams, cuttings)
def test_events_are_those_of_the_specification(stream: bytes, cuts: list[int]) -> None:
    blocks, unfinished = by_the_specification(stream)
    events, reader = read(*pieces(stream, cuts))
    last = reader.finish()

    assert blocks == [block(event) for event in events if has_text(event)]
    assert unfinished == (block(last) if last is not None and has_text(last) else None)


@given(streams, cuttings)
def test_no_byte_is_lost_or_doubled(stream: bytes, cuts: list[int]) -> None:
    reader, received, raw = SseReader(), b"", b""
    for piece in pieces(stream, cuts):
        received += piece
        raw += b"".join(event.raw for event in reader.receive(piece))

        assert received == raw + reader.rest
        assert len(reader.rest) == reader.held
    last = reader.finish()
    assert stream == raw + (last.raw if last else b"")


@given(streams, cuttings)
def test_however_a_stream_is_cut_the_events_are_the_same(stream: bytes, cuts: list[int]) -> None:
    whole, cut = read(stream)[0], read(*pieces(stream, cuts))[0]

    assert [(*block(event), event.bom) for event in whole] == [(*block(event), event.bom) for event in cut]
    # Where no CR LF is cut, neither is what was received shared out otherwise.
    if not any(before.endswith(b"\r") for before in pieces(stream, cuts)[:-1]):
        assert whole == cut


@given(streams)
def test_an_event_is_told_with_the_byte_that_ends_it(stream: bytes) -> None:
    reader = SseReader()
    told = 0
    for at in range(len(stream)):
        told += sum(map(has_text, reader.receive(stream[at : at + 1])))

        assert len(by_the_specification(stream[: at + 1])[0]) == told


def test_an_event_that_is_let_go_passes_as_it_comes_and_the_next_is_read_again() -> None:
    reader = SseReader()
    reader.receive(b"data: a\n\ndata: " + b"x" * 100)

    assert b"data: " + b"x" * 100 == reader.let_go()
    assert (True, b"", 0) == (reader.is_loose, reader.rest, reader.held)
    assert [Event(b"xx\n", loose=True)] == reader.receive(b"xx\n")
    assert reader.is_loose
    assert [] == reader.receive(b"")
    assert [Event(b"data: y\n\n", loose=True), Event(b"data: b\n\n", b"b")] == reader.receive(
        b"data: y\n\ndata: b\n\ndata:"
    )
    assert (False, b"data:") == (reader.is_loose, reader.rest)
    assert [Event(b"data: c\n\n", b"c")] == reader.receive(b" c\n\n")


@pytest.mark.parametrize(("before", "after"), [(b"\n", b"\n"), (b"\r\n", b"\r\n"), (b"\r", b"\r"), (b"\r", b"\n\n")])
def test_a_loose_event_ends_at_a_blank_line_that_was_cut(before: bytes, after: bytes) -> None:
    reader = SseReader()
    reader.receive(b"data: x" + before)
    reader.let_go()

    assert [Event(after, loose=True), Event(b"data: y\n\n", b"y")] == reader.receive(after + b"data: y\n\n")
    assert not reader.is_loose


def test_the_lf_of_a_loose_event_s_last_cr_is_no_blank_line() -> None:
    reader = SseReader()
    reader.receive(b"data: x")
    reader.let_go()

    assert [Event(b"\r\n\r", loose=True)] == reader.receive(b"\r\n\r")
    assert not reader.is_loose
    assert [Event(b"\ndata: y\n\n", b"y")] == reader.receive(b"\ndata: y\n\n")


def test_where_no_event_has_begun_none_is_let_go() -> None:
    reader = SseReader()

    assert (b"", False) == (reader.let_go(), reader.is_loose)
    reader.receive(BOM)
    assert (BOM, False) == (reader.let_go(), reader.is_loose)
    assert [Event(b"data: x\r\r", b"x")] == reader.receive(b"data: x\r\r")
    reader.receive(b"\n")
    assert (b"\n", False) == (reader.let_go(), reader.is_loose)
    assert [Event(b"\n"), Event(b"data: y\n\n", b"y")] == reader.receive(b"\ndata: y\n\n")


def test_a_stream_that_ends_inside_a_loose_event_has_no_rest() -> None:
    reader = SseReader()
    reader.receive(b"data: x")
    reader.let_go()
    reader.receive(b"x\n")

    assert reader.finish() is None
    assert reader.is_loose


@given(streams, cuttings, cuttings)
def test_letting_go_costs_no_byte_and_no_other_event(stream: bytes, cuts: list[int], let_go_after: list[int]) -> None:
    reader, sent, blocks, seen = SseReader(), b"", by_the_specification(stream)[0], 0
    for number, piece in enumerate(pieces(stream, cuts)):
        for event in reader.receive(piece):
            sent += event.raw
            if event.loose:
                assert Event(event.raw, loose=True) == event
            elif has_text(event):
                assert blocks[seen] == block(event)
                seen += 1
        # Half a mark that is sent on is text.
        if number in let_go_after and (sent or reader.rest not in (BOM[:1], BOM[:2])):
            was_loose = reader.is_loose
            sent += reader.let_go()
            seen += reader.is_loose and not was_loose
        assert stream.startswith(sent + reader.rest)

    assert len(stream) == len(sent) + reader.held
    assert len(blocks) == seen - reader.is_loose


@pytest.mark.parametrize("more", [b"y", b"y\n", b"y\r", b"y\r\n", b"y" * 100, b"\ry" * 20])
def test_what_was_searched_is_neither_searched_nor_copied_again(more: bytes) -> None:
    reader = SseReader()
    reader.receive(b":\n\ndata: " + b"x" * 100)
    held = reader._rest
    held[6:50] = b"\n" * 44  # whoever looks here again finds events

    assert [] == reader.receive(more)
    assert [] == reader.receive(b"y")
    assert held is reader._rest


@pytest.mark.parametrize(
    "stream",
    [
        b"data: x\n\n" * 1000,
        b"data: x\r\n\r\n" * 1000,
        b"data: x\r\r" * 1000,
        b"data: x\n\n" * 1000 + b"\r",
        b"data: x\r\r" * 1000 + b"\n",
        b"data: x\r\n\r\n" * 1000 + b"\n",
        b"event: x\ndata: x\n\n" * 1000,
        b"event: x\ndata: x\nid: 1\n\n" * 1000,
        b"\n" * 1000,
        b"\r" * 1000,
        b"event: x\n" * 1000,
        b"data: x\r" * 1000,
        b"data: x\n\n: x\n\n" * 500 + b"data: " + b"x" * 5000,
        b"data: " + b"x" * 10000,
    ],
)
def test_many_events_in_one_piece_are_each_looked_at_a_few_times(
    stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    class Piece(bytes):
        __slots__ = ()

        def find(self, *where: Any) -> int:
            nonlocal looked_at
            found = bytes(self).find(*where)
            looked_at += (len(self) if found < 0 else found + 1) - where[1]
            return found

        def __getitem__(self, place: Any) -> Any:
            nonlocal looked_at
            found = bytes(self)[place]
            looked_at += len(found) if isinstance(found, bytes) else 1
            return found

    class Pattern(NamedTuple):
        pattern: re.Pattern[bytes]

        def search(self, text: bytes, start: int) -> re.Match[bytes] | None:
            nonlocal looked_at
            found = self.pattern.search(text, start)
            looked_at += (found.end() if found else len(text)) - start
            return found

    monkeypatch.setattr(sse, "_BLANK_LINE", Pattern(sse._BLANK_LINE))
    reader = SseReader()
    reader.receive(b":\n\n")
    reader.receive(Piece(stream))

    assert len(stream) <= looked_at <= 6 * len(stream)


@pytest.mark.parametrize("line", [b"aa\n", b"data:aa\n", b"data:\r", b":\n"])
def test_a_large_event_of_tiny_lines_does_not_become_many_times_its_size(line: bytes) -> None:
    event = line * (256 * 1024 // len(line)) + line[-1:]
    tracemalloc.start()
    try:
        assert 1 == len(read(event)[0])
        assert tracemalloc.get_traced_memory()[1] < 6 * len(event)
    finally:
        tracemalloc.stop()
