"""The processes of these tests: the scripted engine, Postel as `postel run` starts it, and the clients.

Owns how they start, stop and talk: a client gets a list of calls on stdin and prints a list of outcomes, once for all
cases, because starting an SDK takes longer than using it. Knows no case. Used by the fixtures in conftest.

A call is the `document` of a `Call`; an outcome is an `Outcome` with its `id`. The id travels as the header `x-call`,
by which engine and nginx know who asks and what they have to play.
"""

import asyncio
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postel.misbehave import Engine, Received, Script, Step
from tests.clients.calls import Operation
from tests.clients.case import Where
from tests.clients.claude import PREFIX

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TIMEOUT = 15.0
"""Seconds after which a client gives up on a call: never in a passing test."""

SETTINGS = {
    "routes": [
        {"path": "/impatient/*", "first_byte_timeout": 1},
        {"path": "/stalling/*", "idle_timeout": 1},
        {"path": f"{PREFIX}/*", "dialect": "anthropic"},
    ]
}
"""Postel's settings. Elsewhere it keeps its patience, so that a busy machine is not a slow upstream."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one client: what is asked, under which name, of which base URL."""

    id: str
    base_url: str
    operation: Operation
    headers: Mapping[str, str] = field(default_factory=dict)
    max_retries: int = 2

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "base_url": self.base_url,
            "method": self.operation.method,
            "path": self.operation.path,
            "arguments": self.operation.arguments,
            "helps": self.operation.helps,
            "headers": self.headers,
            "max_retries": self.max_retries,
            "timeout": TIMEOUT,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended, as the client's user sees it.

    `raised` is the exception's class and `text` what it prints; `error` is what the SDK kept of the body. `answers` are
    status and headers of every HTTP answer. `value` is the document, or of a stream the list of its events, also of one
    that then failed. `spread` is the time from the first to the last of these and `seconds` that of the whole call.
    `finish` is the reason by which the AI SDK says that a stream ended.
    """

    id: str
    attempts: int
    answers: Sequence[tuple[int, Mapping[str, str]]]
    raised: str | None = None
    text: str = ""
    status: int | None = None
    error: Any = None
    code: Any = None
    type: Any = None
    param: Any = None
    request_id: Any = None
    value: Any = None
    spread: float = 0.0
    seconds: float = 0.0
    finish: str | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the last answer, names in lower case."""
        return self.answers[-1][1] if self.answers else {}


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would lead a client elsewhere than to loopback."""
    strange = re.compile(r"(?i).*_proxy$|openai_|postel_|python|node_")
    kept = {name: value for name, value in os.environ.items() if not strange.match(name)}
    return {**kept, "NO_PROXY": "*", "no_proxy": "*", **more}


# Upstream -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as the engine saw it, and when, on the monotonic clock."""

    time: float
    request_id: str | None


class Upstream:
    """The scripted engine on a thread of its own. Plays by the case in `x-call`, an attempt at a time."""

    def __init__(self, plays: Mapping[str, Sequence[Sequence[Step]]]) -> None:
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self._plays = plays
        self._loop = asyncio.new_event_loop()
        self._engine = Engine(self._choose)
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted engine", daemon=True)

    def _choose(self, received: Received) -> Script:
        name = received.get("x-call")[0]
        before = self.arrivals[name]
        play = self._plays[name.partition("/")[2]]
        steps = play[min(len(before), len(play) - 1)]
        before.append(Arrival(time.monotonic(), next(iter(received.get("x-request-id")), None)))
        return Script(name, steps)

    @contextlib.contextmanager
    def playing(self) -> Iterator[int]:
        """Gives the port."""
        self._thread.start()
        try:
            yield asyncio.run_coroutine_threadsafe(self._engine.start(), self._loop).result(10)
        finally:
            asyncio.run_coroutine_threadsafe(self._engine.stop(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()


# Postel ---------------------------------------------------------------------------------------------------------------


def await_line(log: Path, pattern: str, process: subprocess.Popen[bytes], patience: float = 20) -> re.Match[str]:
    """Wait until the log of a process that starts has this line."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text("utf-8", "replace")):
            return found
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"did not start: {log.read_text('utf-8', 'replace')}")


@contextlib.contextmanager
def running(command: Sequence[str | Path], log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server as a child process, its output in `log`; ended by SIGTERM."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(**more)
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def warm_up(url: str, path: str = "/v1/models") -> None:
    """Ask once, on nobody's behalf: whoever cannot even answer should fail here and not in every call."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"x-call": "nobody/warm-up"})
        connection.getresponse().read()


@contextlib.contextmanager
def postel(upstream_port: int, folder: Path) -> Iterator[str]:
    """`postel run` with the interpreter under test and the library as shipped; gives its URL."""
    folder.mkdir()
    config, log = folder / "postel.yaml", folder / "log"
    config.write_text(json.dumps(SETTINGS))
    upstream = f"http://127.0.0.1:{upstream_port}"
    flags = ["--upstream", upstream, "--listen", "127.0.0.1:0", "--config", str(config)]
    with running([sys.executable, "-m", "postel", "run", *flags], log, PYTHONPATH=str(ROOT / "addon")) as process:
        url = await_line(log, r"(http://127\.0\.0\.1:\d+) ->", process)[1]
        warm_up(url)
        yield url
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


@dataclass(frozen=True, slots=True)
class Stage:
    """The engine, and the URLs of a Postel before it and of one before a port where nobody listens."""

    upstream: Upstream
    engine_port: int
    dead_port: int
    urls: Mapping[Where, str]
    folder: Path


# Clients --------------------------------------------------------------------------------------------------------------

SDKS = (*(f"openai-{major}-{mode}" for major in (1, 2, 3) for mode in ("sync", "async")), "node")
AI_SDKS = ("ai-openai", "ai-compatible")
CLIENTS = (*SDKS, "curl")

Play = Callable[[Sequence[Call]], list[Outcome]]


def drive(command: Sequence[str | Path], calls: Sequence[Call]) -> list[Outcome]:
    """Start a driver, hand it the calls, read the outcomes."""
    done = subprocess.run(
        command,
        input=json.dumps([call.document() for call in calls]),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=TIMEOUT + 30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Outcome(**outcome) for outcome in json.loads(done.stdout)]


def curl(program: str, calls: Sequence[Call]) -> list[Outcome]:
    """curl, once for each call: it never retries, and `value` is the body as it came."""

    def make(call: Call) -> Outcome:
        operation = call.operation
        command = [program, "-q", "-sS", "-i", "--max-time", str(TIMEOUT), "-X", operation.verb]
        for name, value in {"x-call": call.id, "content-type": "application/json", **call.headers}.items():
            command += ["-H", f"{name}: {value}"]
        body = json.dumps(operation.body).encode() if operation.body else None
        command += ["--data-binary", "@-"] if body else []
        done = subprocess.run(
            [*command, call.base_url + operation.path], input=body, capture_output=True, env=environment(), check=False
        )
        if done.returncode:
            return Outcome(call.id, 1, [], raised=f"exit {done.returncode}", text=done.stderr.decode())
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):  # curl asks for it above 1 MiB, and shows it
            head, _, content = content.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Outcome(call.id, 1, [(int(first.split()[1]), fields)], status=int(first.split()[1]), value=content)

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(make, calls))
