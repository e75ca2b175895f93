from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.stream.event import Event
from postel.core.stream.ndjson import LineReader

BOM = b"\xef\xbb\xbf"
CHUNK = b'{"message":{"content":"Hel"},"done":false}'

WORDS = [CHUNK, b"{", b"}", b"[1]", b"x", b" ", b"\t", b"\n", b"\n\n", b"\r\n", b"\r", b"\x1e", BOM, b"\xff", b"\x0b"]
streams = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=24).map(b"".join),
    st.lists(st.sampled_from([CHUNK, b"{}", b"", b"x"])).map(lambda lines: b"".join(line + b"\n" for line in lines)),
    st.binary(),
)
cuttings = st.one_of(st.just(range(1000)), st.lists(st.integers(min_value=0), max_size=12))


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(stream)} | {cut % (len(stream) + 1) for cut in cuts})
    return [stream[start:end] for start, end in pairwise(places)]


def by_hand(stream: bytes) -> list[Event]:
    """The lines of a stream, the last of which has no end, a byte at a time."""
    raws = [b""]
    for byte in stream:
        raws[-1] += bytes([byte])
        if byte == 0x0A:
            raws.append(b"")
    events = []
    for number, raw in enumerate(raws):
        text = list(raw)
        bom = number == 0 and text[:3] == list(BOM)
        if bom:
            del text[:3]
        if text[-1:] == [0x0A]:
            text.pop()
        if text[-1:] == [0x0D]:
            text.pop()
        while text[:1] == [0x1E]:
            text.pop(0)
        blank = not set(text) - set(b" \t\r")
        events.append(Event(raw, None if blank else bytes(text), bom=bom))
    return events


def read(*received: bytes) -> tuple[list[Event], LineReader]:
    reader = LineReader()
    return [event for data in received for event in reader.receive(data)], reader


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (CHUNK + b"\n", CHUNK),
        (CHUNK + b"\r\n", CHUNK),
        (b"\x1e" + CHUNK + b"\n", CHUNK),
        (b"\x1e\x1e" + CHUNK + b"\r\n", CHUNK),
        (b"data: {}\n", b"data: {}"),
        (b"worker 3 lost\n", b"worker 3 lost"),
        (b'{"a":\r1}\n', b'{"a":\r1}'),
        (b" {} \n", b" {} "),
        (b"}\n", b"}"),
        (b"{\n", b"{"),
    ],
)
def test_a_line_is_an_event_and_its_end_and_separator_are_no_data(raw: bytes, data: bytes) -> None:
    assert [Event(raw, data)] == read(raw)[0]
    assert [Event(b"{}\n", b"{}"), Event(raw, data)] == read(b"{}\n" + raw)[0]


@pytest.mark.parametrize("raw", [b"\n", b"\r\n", b"\x1e\n", b" \n", b"\t\r\n", b"\r\r\n"])
def test_a_blank_line_has_no_data(raw: bytes) -> None:
    assert [Event(raw), Event(CHUNK + b"\n", CHUNK)] == read(raw + CHUNK + b"\n")[0]


def test_a_cr_alone_ends_no_line() -> None:
    events, reader = read(CHUNK + b"\r", CHUNK + b"\r")

    assert [] == events
    assert CHUNK + b"\r" + CHUNK + b"\r" == reader.rest


@pytest.mark.parametrize("cut", range(8))
def test_a_byte_order_mark_is_seen_before_the_first_line_and_stays_in_raw(cut: int) -> None:
    stream = BOM + b"{}\n"
    events, _ = read(stream[:cut], stream[cut:] + BOM + b"{}\n")

    assert [Event(stream, b"{}", bom=True), Event(BOM + b"{}\n", BOM + b"{}")] == events


def test_a_byte_order_mark_before_the_second_line_is_none() -> None:
    assert [Event(b"{}\n", b"{}"), Event(BOM + b"{}\n", BOM + b"{}")] == read(b"{}\n" + BOM + b"{}\n")[0]


def test_what_is_no_whole_line_is_held() -> None:
    reader = LineReader()

    assert [Event(b"{}\n", b"{}")] == reader.receive(b'{}\n{"a"')
    assert (b'{"a"', 4) == (reader.rest, reader.held)
    assert [] == reader.receive(b"")
    assert [] == reader.receive(b":1}")
    assert [Event(b'{"a":1}\n', b'{"a":1}')] == reader.receive(b"\n")
    assert (b"", 0) == (reader.rest, reader.held)


@pytest.mark.parametrize(
    ("rest", "event"),
    [
        (b"", None),
        (b"{}", Event(b"{}", b"{}")),
        (b"{}\r", Event(b"{}\r", b"{}")),
        (b"\x1e{}", Event(b"\x1e{}", b"{}")),
        (b"\x1e", Event(b"\x1e")),
        (BOM + b"{}", Event(BOM + b"{}", b"{}", bom=True)),
    ],
)
def test_at_the_end_the_rest_is_read_as_if_it_were_whole(rest: bytes, event: Event | None) -> None:
    _, reader = read(rest)

    assert event == reader.finish()
    assert (b"", 0) == (reader.rest, reader.held)
    assert reader.finish() is None


@given(streams, cuttings)
def test_events_are_the_lines_however_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    events, reader = read(*pieces(stream, cuts))
    *lines, last = by_hand(stream)

    assert lines == events
    assert (last if last.raw else None) == reader.finish()


@given(streams, cuttings)
def test_no_byte_is_lost_or_doubled(stream: bytes, cuts: list[int]) -> None:
    reader, received, raw = LineReader(), b"", b""
    for piece in pieces(stream, cuts):
        received += piece
        raw += b"".join(event.raw for event in reader.receive(piece))

        assert received == raw + reader.rest
        assert len(reader.rest) == reader.held


def test_a_line_that_is_let_go_passes_as_it_comes_and_the_next_is_read_again() -> None:
    reader = LineReader()
    reader.receive(b'{}\n{"a":"')

    assert b'{"a":"' == reader.let_go()
    assert (True, b"", 0) == (reader.is_loose, reader.rest, reader.held)
    assert [Event(b"xx", loose=True)] == reader.receive(b"xx")
    assert [] == reader.receive(b"")
    assert reader.is_loose
    assert [Event(b'"}\n', loose=True), Event(b"{}\n", b"{}")] == reader.receive(b'"}\n{}\n{')
    assert (False, b"{") == (reader.is_loose, reader.rest)
    assert [Event(b"{}\n", b"{}")] == reader.receive(b"}\n")


def test_after_a_line_that_was_let_go_a_byte_order_mark_is_none() -> None:
    reader = LineReader()
    reader.receive(b"{")
    reader.let_go()

    assert [Event(b"}\n", loose=True), Event(BOM + b"{}\n", BOM + b"{}")] == reader.receive(b"}\n" + BOM + b"{}\n")


def test_where_no_line_has_begun_none_is_let_go() -> None:
    reader = LineReader()

    assert (b"", False) == (reader.let_go(), reader.is_loose)
    assert [Event(BOM + b"{}\n", b"{}", bom=True)] == reader.receive(BOM + b"{}\n")


def test_a_stream_that_ends_inside_a_loose_line_has_no_rest() -> None:
    reader = LineReader()
    reader.receive(b"{")
    reader.let_go()
    reader.receive(b"x")

    assert reader.finish() is None
    assert reader.is_loose


@given(streams, cuttings, cuttings)
def test_letting_go_costs_no_byte_and_no_other_line(stream: bytes, cuts: list[int], let_go_after: list[int]) -> None:
    reader, sent, lines, line = LineReader(), b"", by_hand(stream), 0
    for number, piece in enumerate(pieces(stream, cuts)):
        for event in reader.receive(piece):
            sent += event.raw
            if event.loose:
                assert Event(event.raw, loose=True) == event
                line += event.raw.endswith(b"\n")
            else:
                assert lines[line] == event
                line += 1
        if number in let_go_after:
            sent += reader.let_go()
        assert stream.startswith(sent + reader.rest)

    assert len(stream) == len(sent) + reader.held
    assert stream.count(b"\n") == line


@pytest.mark.parametrize("more", [b"y", b"\r", b"y" * 100])
def test_what_was_searched_is_neither_searched_nor_copied_again(more: bytes) -> None:
    reader = LineReader()
    reader.receive(b"{}\n{" + b"x" * 100)
    held = reader._rest
    held[6:50] = b"\n" * 44  # whoever looks here again finds lines

    assert [] == reader.receive(more)
    assert [] == reader.receive(more)
    assert held is reader._rest
