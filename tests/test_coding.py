import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from postel.coding import decode

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
    ("br", brotli.compress),
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
