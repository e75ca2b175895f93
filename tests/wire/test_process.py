"""Postel as a process: what it says, how it ends, and `mitmdump -s` as another way to run it."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postel.misbehave import End, Engine, answer, by_path
from tests.imports import ROOT
from tests.wire.harness import Answer, Client, head, post, says, unused_port, wired

ADDON = ROOT / "addon" / "postel_addon.py"
MITMDUMP = Path(sys.executable).with_name("mitmdump")


@dataclass(slots=True)
class Running:
    """A process that serves on `port`; `said` is what it printed until then."""

    process: Process
    port: int
    said: str

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))

    async def ask(self, request: bytes) -> Answer:
        client = await self.connect()
        try:
            await client.send(request)
            return await client.answer()
        finally:
            client.writer.close()

    async def end(self, number: int) -> tuple[int, str]:
        """Send a signal; the exit code and what was printed after the start."""
        self.process.send_signal(number)
        out, err = await asyncio.wait_for(self.process.communicate(), 10)
        return self.process.returncode or 0, (out + err).decode()


async def spawn(*command: str | Path, **environ: str) -> Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POSTEL_")}
    path = os.pathsep.join([str(ROOT / "addon"), clean.get("PYTHONPATH", "")])
    return await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, stdin=asyncio.subprocess.DEVNULL, env=clean | {"PYTHONPATH": path} | environ
    )


async def reap(process: Process) -> None:
    """Leave neither a process nor an open pipe."""
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def until_exit(*command: str | Path, **environ: str) -> tuple[int, str]:
    """Exit code and everything printed by a process that ends by itself."""
    process = await spawn(*command, **environ)
    try:
        out, err = await asyncio.wait_for(process.communicate(), 15)
    finally:
        await reap(process)
    return process.returncode or 0, (out + err).decode()


def postel(*argv: str) -> list[str]:
    return [sys.executable, "-m", "postel", *argv]


@contextlib.asynccontextmanager
async def running(*argv: str, **environ: str) -> AsyncIterator[Running]:
    """`postel ARGV`, up to the line that names its address."""
    process = await spawn(*postel(*argv), **environ)
    assert process.stderr
    try:
        line = (await asyncio.wait_for(process.stderr.readline(), 15)).decode()
        address = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert address, line
        yield Running(process, int(address[1]), line)
    finally:
        await reap(process)


@contextlib.asynccontextmanager
async def engine(scripts: object = by_path) -> AsyncIterator[tuple[Engine, int]]:
    made = Engine(scripts if callable(scripts) else lambda _: scripts)  # type: ignore[arg-type,return-value]
    port = await made.start()
    try:
        yield made, port
    finally:
        await made.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@wired
async def test_postel_run_says_where_it_serves_and_ends_cleanly_on_a_signal(number: int) -> None:
    async with (
        engine() as (_, port),
        running("run", "--upstream", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0") as proxy,
    ):
        assert 200 == (await proxy.ask(post())).status
        code, said = await proxy.end(number)

    assert f"-> http://127.0.0.1:{port} (enforce, " in proxy.said
    assert (0, "") == (code, said)


@wired
async def test_an_answer_in_progress_is_finished_before_the_process_ends() -> None:
    opening = head("200 OK", "Content-Type: application/octet-stream", "Content-Length: 12")
    slow = says(opening, b"first", 0.6, b"-second", End.STALL)
    async with (
        engine(slow) as (_, port),
        running("run", "--upstream", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0") as proxy,
    ):
        client, idle = await proxy.connect(), await proxy.connect()
        await client.send(post())
        await client.reader.readuntil(b"first")
        proxy.process.send_signal(signal.SIGTERM)
        rest = await client.reader.read()
        code = await proxy.process.wait()
        client.writer.close()
        idle.writer.close()

    assert (b"-second", 0) == (rest, code)


@wired
async def test_a_second_signal_waits_for_nothing() -> None:
    async with (
        engine(
            says(head("200 OK", "Content-Type: application/octet-stream", "Content-Length: 9"), b"x", End.STALL)
        ) as (
            _,
            port,
        ),
        running("run", "--upstream", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0") as proxy,
    ):
        client = await proxy.connect()
        await client.send(post())
        await client.reader.readuntil(b"x")
        proxy.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.5)
        assert proxy.process.returncode is None
        proxy.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(4):
            await proxy.process.wait()
        client.writer.close()


@wired
async def test_a_second_process_on_the_same_port_says_so_in_one_line() -> None:
    async with running("run", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0") as first:
        listen = f"127.0.0.1:{first.port}"
        code, said = await until_exit(*postel("run", "--upstream", "http://127.0.0.1:1", "--listen", listen))

    assert 2 == code
    assert 1 == len(said.splitlines())
    assert str(first.port) in said
    assert "in use" in said


@pytest.mark.parametrize(("scheme", "status"), [("http", 200), ("https", 502)])
@wired
async def test_no_upstream_needs_a_home_to_write_to(scheme: str, status: int) -> None:
    """A container's file system is read-only; mitmproxy would want a folder for a CA."""
    async with (
        engine(says(answer("200 OK", "{}"))) as (_, port),
        running(
            *("run", "--upstream", f"{scheme}://127.0.0.1:{port}", "--listen", "127.0.0.1:0"),
            *("--connect-timeout", "0.3"),
            HOME="/dev/null",
        ) as proxy,
    ):
        assert status == (await proxy.ask(post())).status
        code, said = await proxy.end(signal.SIGTERM)

    assert 0 == code
    assert "Traceback" not in proxy.said + said


@wired
async def test_flags_reach_the_running_proxy() -> None:
    async with (
        engine(says(answer("503 Service Unavailable", "busy", "text/plain"))) as (_, port),
        running(
            "run", "--upstream", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0", "--mode", "observe"
        ) as proxy,
    ):
        got = await proxy.ask(post())

    assert (503, b"busy") == (got.status, got.body)
    assert "(observe, " in proxy.said


@wired
async def test_postel_demo_serve_prints_what_to_try_and_serves_it() -> None:
    process = await spawn(*postel("demo", "--serve", "--listen", "127.0.0.1:0"))
    assert process.stdout
    try:
        text = (await asyncio.wait_for(process.stdout.readuntil(b"Ctrl-C ends.\n"), 15)).decode()
        address = re.search(r"Postel on http://127\.0\.0\.1:(\d+)", text)
        assert address
        proxy = Running(process, int(address[1]), text)
        assert "nginx-502" in text
        assert 502 == (await proxy.ask(post("/fault/nginx-502/v1/chat/completions"))).status
        assert 0 == (await proxy.end(signal.SIGINT))[0]
    finally:
        await reap(process)


# mitmdump -s ----------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def mitmdump(tmp_path: Path, upstream: str, *options: str, **environ: str) -> AsyncIterator[Running]:
    """Stock mitmdump with the addon file, once it accepts connections."""
    port = unused_port()
    process = await spawn(
        MITMDUMP,
        *("-q", "-s", str(ADDON), "--mode", f"reverse:{upstream}@127.0.0.1:{port}"),
        *("--set", f"confdir={tmp_path}", *options),
        **environ,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.05)
        yield Running(process, port, "")
    finally:
        await reap(process)


@wired
async def test_stock_mitmdump_serves_the_same_answers(tmp_path: Path) -> None:
    async with engine() as (upstream, port), mitmdump(tmp_path, f"http://127.0.0.1:{port}") as proxy:
        healthy = await proxy.ask(post(x_request_id="mine"))
        bad = await proxy.ask(post("/fault/nginx-502/v1/chat/completions"))
        closed = await proxy.ask(post("/fault/closed/v1/chat/completions"))
        cut = await proxy.ask(post("/fault/cut/v1/chat/completions"))
        await upstream.stop()
        dead = await proxy.ask(post())
        code, _ = await proxy.end(signal.SIGTERM)

    assert (200, "mine") == (healthy.status, healthy.get("x-request-id"))
    for got in (bad, closed, cut, dead):
        assert 502 == got.status
        assert got.error
    assert 0 == code


@wired
async def test_options_of_mitmdump_reach_postel(tmp_path: Path) -> None:
    async with (
        engine() as (_, port),
        mitmdump(
            tmp_path, f"http://127.0.0.1:{port}", "--set", "postel_provenance=true", POSTEL_FIRST_BYTE_TIMEOUT="0.3"
        ) as proxy,
    ):
        got = await proxy.ask(post("/fault/slow/v1/chat/completions"))

    assert (504, "timeout") == got.told


@pytest.mark.parametrize("mode", ["regular", "upstream:http://127.0.0.1:1", "reverse:tcp://127.0.0.1:1"])
@wired
async def test_mitmdump_in_another_mode_is_refused(tmp_path: Path, mode: str) -> None:
    port = str(unused_port())
    code, said = await until_exit(
        MITMDUMP, "-s", str(ADDON), "--mode", mode, "--listen-port", port, "--set", f"confdir={tmp_path}"
    )

    assert 0 != code
    assert "reverse:http" in said


@wired
async def test_mitmdump_with_a_broken_setting_is_refused(tmp_path: Path) -> None:
    arguments = ["-s", str(ADDON), "--mode", f"reverse:http://127.0.0.1:1@127.0.0.1:{unused_port()}"]
    code, said = await until_exit(
        MITMDUMP, *arguments, "--set", f"confdir={tmp_path}", "--set", "postel_dialect=klingon"
    )

    assert 0 != code
    assert "klingon" in said
