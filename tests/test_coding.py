import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from postel.coding import PIECE, Decoder, decode, decoder

PLAIN = b'{"error":{"message":"no"}}' * 40


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("br", partial(brotli.compress, quality=5)),
    ("zstd", zstandard.compress),
]


@pytest.mark.parametrize(("coding", "pack"), PACKED)
def test_each_coding_is_undone(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert PLAIN == decode(pack(PLAIN), coding, 10_000)
    assert PLAIN[:100] == decode(pack(PLAIN), coding, 100)


@pytest.mark.parametrize(("coding", "pack"), PACKED)
def test_a_cut_body_gives_what_could_be_read(coding: str, pack: Callable[[bytes], bytes]) -> None:
    noise = random.Random(1).randbytes(400_000)
    packed = pack(noise)

    got = decode(packed[: len(packed) * 3 // 4], coding, 1_000_000)

    assert noise.startswith(got)
    assert len(got) > 1000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity", "made-up", "", None, ", ,"])
def test_a_body_that_is_not_packed_stays_as_it_is(coding: str | None) -> None:
    assert PLAIN == decode(PLAIN, coding, 10_000)
    assert b"" == decode(b"", coding, 10_000)


def test_several_codings_are_undone_from_the_last_to_the_first() -> None:
    assert PLAIN == decode(brotli.compress(gzip.compress(PLAIN)), "gzip, br", 10_000)


def test_more_than_three_codings_leave_the_body_alone() -> None:
    thrice = gzip.compress(gzip.compress(gzip.compress(PLAIN)))

    assert PLAIN == decode(thrice, "gzip, , gzip, gzip", 10_000)
    assert thrice == decode(thrice, "gzip, gzip, gzip, identity", 10_000)
    assert thrice == decode(thrice, "identity, gzip, gzip, gzip", 10_000)


@pytest.mark.parametrize(("coding", "pack"), PACKED)
def test_a_bomb_costs_no_more_memory_than_it_may(coding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(50_000_000))
    tracemalloc.start()
    try:
        got = decode(bomb, coding, 65_536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert bytes(65_536) == got
    assert peak < 20_000_000


@given(
    st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, br", "x"]), st.integers(0, 200)
)
def test_no_bytes_raise_and_none_exceed_the_limit(body: bytes, coding: str, limit: int) -> None:
    assert len(decode(body, coding, limit)) <= limit


@given(st.binary(min_size=1, max_size=2000), st.sampled_from(PACKED))
def test_what_was_packed_comes_back(body: bytes, packed: tuple[str, Callable[[bytes], bytes]]) -> None:
    coding, pack = packed

    assert body == decode(pack(body), coding, 10_000)


# --- streams ----------------------------------------------------------------------------------------------------------

EVENTS = [b'data: {"choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % number for number in range(30)]


def undone(made: Decoder | None, data: bytes) -> bytes:
    assert made
    return b"".join(made.feed(data))


def zlib_writer(wbits: int) -> Callable[[bytes], bytes]:
    packer = zlib.compressobj(wbits=wbits)
    return lambda data: packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def br_writer() -> Callable[[bytes], bytes]:
    packer = brotli.Compressor(quality=4)
    return lambda data: packer.process(data) + packer.flush()


def zstd_writer() -> Callable[[bytes], bytes]:
    packer = zstandard.ZstdCompressor().compressobj()
    return lambda data: packer.compress(data) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


WRITERS: list[tuple[str, Callable[[], Callable[[bytes], bytes]]]] = [
    ("gzip", lambda: zlib_writer(zlib.MAX_WBITS | 16)),
    ("deflate", lambda: zlib_writer(zlib.MAX_WBITS)),
    ("deflate", lambda: zlib_writer(-zlib.MAX_WBITS)),
    ("br", br_writer),
    ("zstd", zstd_writer),
]


@pytest.mark.parametrize(("coding", "writer"), WRITERS)
def test_an_event_that_was_flushed_comes_out_at_once(
    coding: str, writer: Callable[[], Callable[[bytes], bytes]]
) -> None:
    write, made = writer(), decoder(coding)

    assert EVENTS == [undone(made, write(event)) for event in EVENTS]


@pytest.mark.parametrize(("coding", "writer"), WRITERS)
def test_a_large_event_that_was_flushed_comes_out_whole(
    coding: str, writer: Callable[[], Callable[[bytes], bytes]]
) -> None:
    event = b"data: " + bytes(3_000_000) + random.Random(2).randbytes(300_000) + b"\n\n"

    assert event == undone(decoder(coding), writer()(event))


@pytest.mark.parametrize(("coding", "writer"), WRITERS)
def test_a_stream_may_arrive_byte_by_byte(coding: str, writer: Callable[[], Callable[[bytes], bytes]]) -> None:
    write, made = writer(), decoder(coding)
    packed = b"".join(write(event) for event in EVENTS)

    assert b"".join(EVENTS) == b"".join(undone(made, packed[at : at + 1]) for at in range(len(packed)))


@pytest.mark.parametrize("coding", [None, "", " , ", "identity", "Identity, identity"])
def test_where_there_is_nothing_to_undo_a_stream_passes(coding: str | None) -> None:
    made = decoder(coding)

    assert made
    assert ((), b"\x1f\x8b", False) == (made.codings, undone(made, b"\x1f\x8b"), made.broken)
    assert [] == list(made.finish())


@pytest.mark.parametrize("coding", ["compress", "aws-chunked", "gzip, made-up", "gzip, gzip, gzip, gzip", "dcb"])
def test_what_cannot_be_undone_has_no_decoder(coding: str) -> None:
    assert decoder(coding) is None


def test_several_codings_of_a_stream_are_undone_from_the_last_to_the_first() -> None:
    inner, outer = zlib_writer(zlib.MAX_WBITS | 16), br_writer()
    made = decoder("x-gzip, identity, BR")

    assert EVENTS == [undone(made, outer(inner(event))) for event in EVENTS]
    assert made
    assert ("gzip", "br") == made.codings


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_members_and_frames_that_follow_each_other_are_one_stream(coding: str, pack: Callable[[bytes], bytes]) -> None:
    made = decoder(coding)

    assert b"".join(EVENTS) == undone(made, b"".join(map(pack, EVENTS)))
    assert EVENTS == [undone(made, pack(event)) for event in EVENTS]
    assert made
    assert not made.broken


def test_zeros_after_a_gzip_member_are_padding() -> None:
    made = decoder("gzip")

    assert PLAIN == undone(made, gzip.compress(PLAIN) + bytes(100))
    assert b"" == undone(made, bytes(100))
    assert made
    assert not made.broken


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    "text",
    [
        b"".join(EVENTS),
        PLAIN,
        b"<html><head><title>502 Bad Gateway</title></head></html>",
        b"\xef\xbb\xbf" + PLAIN,
        '{"error":"Größe überschritten, bitte kürzen"}'.encode(),
        b"no",
    ],
)
def test_text_that_is_called_packed_passes_as_text(coding: str, text: bytes, step: int) -> None:
    made = decoder(coding)
    assert made

    got = b"".join(undone(made, text[at : at + step]) for at in range(0, len(text), step))

    assert (text, False) == (got + b"".join(made.finish()), made.broken)


def test_text_is_known_by_its_first_32_bytes() -> None:
    assert PLAIN[:32] == undone(decoder("gzip"), PLAIN[:32])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_neither_packed_nor_text_breaks_the_stream_for_good(coding: str) -> None:
    made = decoder(coding)

    assert b"" == undone(made, bytes([0xFF, 0xFE]) * 500)
    assert made
    assert made.broken
    assert b"" == undone(made, gzip.compress(PLAIN)) + b"".join(made.finish())


@pytest.mark.parametrize(("coding", "writer"), WRITERS)
def test_what_came_before_a_stream_broke_is_out(coding: str, writer: Callable[[], Callable[[bytes], bytes]]) -> None:
    write, made = writer(), decoder(coding)

    assert EVENTS[0] == undone(made, write(EVENTS[0]))
    assert b"" == undone(made, b"\xff" * 200)
    assert made
    assert made.broken
    assert b"" == undone(made, write(EVENTS[1]))


@pytest.mark.parametrize(("coding", "pack"), PACKED)
def test_bytes_after_the_end_of_what_was_packed_break_the_stream(coding: str, pack: Callable[[bytes], bytes]) -> None:
    made = decoder(coding)

    assert PLAIN == undone(made, pack(PLAIN))
    assert made
    assert not made.broken
    assert b"" == undone(made, b"more of something else")
    assert made.broken


@pytest.mark.parametrize(("coding", "pack"), PACKED)
def test_a_stream_is_decoded_in_bounded_pieces_as_they_are_asked_for(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb, made = pack(bytes(50_000_000)), decoder(coding)
    assert made
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece, _ in zip(made.feed(bomb), range(50), strict=False)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(sizes) >= 50
    assert max(sizes) <= PIECE
    assert peak < 20_000_000


@pytest.mark.parametrize(("coding", "pack"), PACKED[-2:])
def test_a_bomb_ends_when_it_has_grown_beyond_all_measure(coding: str, pack: Callable[[bytes], bytes]) -> None:
    made = decoder(coding)
    assert made

    size = sum(len(piece) for piece in made.feed(pack(bytes(60_000_000))))

    assert made.broken
    assert 4_000_000 < size < 8_000_000


def test_a_bomb_inside_a_coding_that_gives_nothing_out_ends_too() -> None:
    endless_name = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"a" * 60_000_000  # RFC 1952 section 2.3.1: FNAME
    made = decoder("gzip, br")

    assert b"" == undone(made, brotli.compress(endless_name, quality=1))
    assert made
    assert made.broken


@given(
    st.lists(st.binary(max_size=80), max_size=6),
    st.sampled_from([None, "gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate, gzip"]),
)
def test_no_bytes_of_a_stream_raise(parts: list[bytes], coding: str | None) -> None:
    made = decoder(coding)
    assert made

    got = b"".join([undone(made, part) for part in parts] + list(made.finish()))

    assert coding or b"".join(parts) == got


@given(st.binary(min_size=1, max_size=2000), st.sampled_from(PACKED), st.integers(1, 300))
def test_what_was_packed_comes_back_however_it_is_cut(
    body: bytes, packed: tuple[str, Callable[[bytes], bytes]], step: int
) -> None:
    coding, pack = packed
    data, made = pack(body), decoder(coding)
    assert made

    got = b"".join(undone(made, data[at : at + step]) for at in range(0, len(data), step))

    assert (body, False) == (got + b"".join(made.finish()), made.broken)
