"""`postel demo`: the misbehaving engine, the proxy before it, and what a client sees with and without.

Owns the table and the little client that fills it. Called by `cli`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from postel.misbehave import SCRIPTS, Engine, by_path
from postel.run import normaliser, serving, until_signal
from postel.settings import Address, Settings

PATIENCE = 2.0
"""Seconds until the proxy of the demo gives up on an answer; the client without it waits a second longer."""

_BODY = b'{"model":"demo","messages":[{"role":"user","content":"Hello"}]}'
_STREAM = _BODY[:-1] + b',"stream":true}'


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer as a raw client sees it; `problem` where there was none."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    problem: str = ""

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


async def ask(port: int, path: str, patience: float) -> Seen:
    """POST a chat completion to `path` on this machine; a streamed one where the failure is of a stream."""
    body = _STREAM if "/stream" in path else _BODY
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    raw, problem = b"", ""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(patience):
            while data := await reader.read(65536):
                raw += data
                if _whole(raw):
                    break
            else:
                problem = "connection closed without an answer" if not raw else "answer cut short"
    except TimeoutError:
        problem = f"no answer in {patience:.0f} s"
    except ConnectionError:
        problem = "connection reset" if raw else "connection reset without an answer"
    finally:
        writer.close()
    return _parse(raw, problem)


def _parse(raw: bytes, problem: str) -> Seen:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) < 2 or not parts[1].isdigit() or not parts[0].startswith("HTTP/"):
        return Seen(problem=f"not HTTP: {raw[:24]!r}" if raw else problem)
    fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]))
    text = (_unchunked(body) if _is_chunked(head) else body).decode("utf-8", "replace")
    return Seen(int(parts[1]), fields, text, problem if problem and not _whole(raw) else "")


def _whole(raw: bytes) -> bool:
    head, found, body = raw.partition(b"\r\n\r\n")
    if _is_chunked(head):
        return body.endswith(b"0\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if found and line.startswith(b"content-length:"):
            return len(body) >= int(line[15:])
    return False


def _is_chunked(head: bytes) -> bool:
    return b"\r\ntransfer-encoding: chunked" in head.lower()


def _unchunked(body: bytes) -> bytes:
    """What came of a chunked body."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        whole += rest[:length]
        body = rest[length + 2 :]
    return whole


def _streamed(seen: Seen) -> str:
    """A stream as its reader sees it: the words, and what came beside them."""
    words, beside = "", []
    for event in seen.body.split("\n\n"):
        try:
            document = json.loads(event.removeprefix("data: "))
        except ValueError:
            beside.append(" ".join(event.removeprefix("data: ").split()))
            continue
        for choice in document.get("choices", ()):
            words += choice["delta"].get("content", "")
            beside.append(choice["finish_reason"] or "")
        if error := document.get("error"):
            beside.append(f"{error.get('code', 'error')}: {error['message']}")
    how = f"[{seen.problem}]" if seen.problem else "" if any(beside) else "[ends]"
    return " ".join(part for part in (f'{seen.status} "{words}"', *beside, how) if part)


def _before(seen: Seen) -> str:
    if seen.problem and not seen.status:
        return seen.problem
    if seen.get("content-type").startswith("text/event-stream"):
        return _streamed(seen)
    text = " ".join(seen.body.split()) or "(empty body)"
    return f"{seen.status} {text}" + (f"  [{seen.problem}]" if seen.problem else "")


def _after(seen: Seen) -> str:
    try:
        error = json.loads(seen.body)["error"]
    except (ValueError, KeyError, TypeError):
        return _before(seen)
    wait = f"; retry after {seen.get('retry-after')} s" if seen.get("retry-after") else ""
    return f"{seen.status} {error['code']}: {error['message']}{wait}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


@dataclass(frozen=True, slots=True)
class Row:
    """A failure by its name in `SCRIPTS` and in words, and what a client sees of it."""

    name: str
    summary: str
    before: str
    after: str


_HEADER = Row("failure", "failure", "without Postel", "with Postel")
_WIDE = 120
"""Columns from which three stand side by side and each still says something."""


def table(rows: Iterable[Row], width: int) -> str:
    """Before and after in `width` characters: side by side, or, where that is too narrow, one above the other."""
    rows = [_HEADER, *rows]
    first = max(len(row.summary if width >= _WIDE else row.name) for row in rows)
    if width < _WIDE:
        rest = max(width - first - 4, 24)
        return "\n".join(
            f"{row.name:{first}}  - {_cut(row.before, rest)}\n{'':{first}}  + {_cut(row.after, rest)}" for row in rows
        )
    rest = width - first - 4
    left = rest * 2 // 5
    return "\n".join(
        f"{row.summary:{first}}  {_cut(row.before, left):{left}}  {_cut(row.after, rest - left)}" for row in rows
    )


async def compare() -> str:
    """Play every script twice, straight and through Postel, and put the answers side by side."""
    engine = Engine(by_path)
    port = await engine.start()
    settings = Settings(
        upstream=f"http://127.0.0.1:{port}",
        listen=Address(host="127.0.0.1", port=0),
        first_byte_timeout=PATIENCE,
        idle_timeout=PATIENCE,
    )
    try:
        async with serving(settings, normaliser(settings)[0]) as (_, proxy):
            rows = []
            for name, script in SCRIPTS.items():
                path = f"/fault/{name}/v1/chat/completions"
                straight = await ask(port, path, PATIENCE + 1)
                through = await ask(proxy, path, PATIENCE + 1)
                rows.append(Row(name, script.summary, _before(straight), _after(through)))
    finally:
        await engine.stop()
    return table(rows, shutil.get_terminal_size((140, 40)).columns)


async def serve(listen: Address) -> None:
    """The engine and the proxy, until a signal; prints three requests to try."""
    engine = Engine(by_path)
    port = await engine.start()
    upstream = f"http://127.0.0.1:{port}"
    settings = Settings(upstream=upstream, listen=listen, first_byte_timeout=PATIENCE, idle_timeout=PATIENCE)
    try:
        async with serving(settings, normaliser(settings)[0]) as (host, proxy):
            base = f"http://{host}:{proxy}"
            print(f"Postel on {base}, in front of an engine that fails on demand (http://127.0.0.1:{port}). Try:\n")
            for name in ("nginx-502", "vllm-context", "busy", "stream-cut"):
                print(f"  curl -i {base}/fault/{name}/v1/chat/completions -d '{{}}'   # {SCRIPTS[name].summary}")
            print(f"\nAll failures: {', '.join(SCRIPTS)}. Ctrl-C ends.", flush=True)
            await until_signal()
    finally:
        await engine.stop()
