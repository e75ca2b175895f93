"""The engine that fails on demand plays its scripts byte for byte."""

import asyncio

import pytest

from postel.misbehave import SCRIPTS, End, Engine, Received, Script, Step, answer, by_path, chunk
from tests.wire.harness import post, wired


async def straight(script: Script, *requests: bytes) -> tuple[bytes, Engine]:
    """What a client reads from the engine itself until it closes (or is silent for a while)."""
    engine = Engine(lambda _: script)
    port = await engine.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        for request in requests:
            writer.write(request)
            async with asyncio.timeout(0.3):
                while data := await reader.read(65536):
                    got += data
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
        await engine.stop()
    return got, engine


@pytest.mark.parametrize(
    ("steps", "bytes_sent"),
    [
        ([answer("200 OK", "{}"), End.FIN], answer("200 OK", "{}")),
        ([b"one", 0.05, b"two", End.FIN], b"onetwo"),
        ([b"one", End.STALL, b"two"], b"one"),
        ([End.RST], b""),
        ([], b""),
    ],
)
@wired
async def test_a_script_is_played_step_by_step(steps: list[Step], bytes_sent: bytes) -> None:
    got, engine = await straight(Script("", steps), post())

    assert bytes_sent == got
    assert (1, 1) == (engine.connections, engine.gone)


@wired
async def test_what_was_received_is_kept() -> None:
    chunked = b"POST /x HTTP/1.1\r\nA: 1\r\na: 2\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n"
    _, engine = await straight(Script("", [answer("200 OK")]), chunked + post("/y", b"body"))

    first, second = engine.received
    assert ("POST /x HTTP/1.1", "/x", ["1", "2"], b"abc") == (first.line, first.path, first.get("a"), first.body)
    assert ("/y", b"body") == (second.path, second.body)


def test_an_answer_has_a_true_length_and_a_chunk_a_true_size() -> None:
    assert b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX: 1\r\nContent-Length: 3\r\n\r\n\xe2\x82\xac" == answer(
        "200 OK", "€", "a/b", "X: 1"
    )
    assert b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n" == answer("204 No Content", b"", None)
    assert b"3\r\n\xe2\x82\xac\r\n" == chunk("€")


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("/fault/cut/v1/chat/completions", SCRIPTS["cut"]),
        ("/fault/cut?x=1", SCRIPTS["cut"]),
        ("/v1/chat/completions", SCRIPTS["healthy"]),
        ("/", SCRIPTS["healthy"]),
    ],
)
def test_a_path_chooses_a_failure_whatever_follows(path: str, script: Script) -> None:
    assert script is by_path(Received(f"POST {path} HTTP/1.1", []))


def test_an_unknown_failure_is_told_with_the_known_ones() -> None:
    (told,) = by_path(Received("GET /fault/nonsense HTTP/1.1", [])).steps

    assert isinstance(told, bytes)
    assert told.startswith(b"HTTP/1.1 404 ")
    assert all(name.encode() in told for name in SCRIPTS)


def test_every_failure_has_a_summary_of_its_own() -> None:
    assert len(SCRIPTS) == len({script.summary for script in SCRIPTS.values() if script.summary})
