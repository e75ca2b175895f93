"""Starting and stopping: settings and rules in, a listening proxy out.

Owns the event loop of `postel run` and what signals do. Called by `cli`, and by tests that want a proxy in their own
loop (`serving`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from postel.core.dialect import Dialect
from postel.core.normalise import Normaliser
from postel.core.redact import Redactor
from postel.core.render import Policy
from postel.proxy.addon import Postel
from postel.proxy.master import SlimMaster
from postel.rulefile.load import Loaded, load_rules
from postel.settings import Settings, SettingsError


def normaliser(settings: Settings) -> tuple[Normaliser, list[str]]:
    """Rules and dialects as the settings name them, and what was left out of them, a line each.

    Raises RuleFileError if a file is broken (under `rules_invalid: skip` only if it is a built-in one), SettingsError
    for a dialect that is not there or a `redact` that is no expression.
    """
    spoken = dict.fromkeys((settings.dialect, *(route.dialect for route in settings.routes)))
    files = [Path(dialect) for dialect in spoken if _is_file(dialect)]
    loaded = load_rules(
        [*map(Path, settings.rules), *files],
        packs=settings.packs,
        skip_invalid=settings.rules_invalid == "skip",
        lean=True,
    )
    dialects = {dialect: _dialect(dialect, loaded, settings) for dialect in spoken}
    try:
        redactor = Redactor(settings.redact)
    except ValueError as error:
        raise SettingsError(f"--redact: is no RE2 expression: {error}") from None
    made = Normaliser(
        rules=loaded.rules,
        dialect=dialects[settings.dialect],
        redactor=redactor,
        policy=Policy(provenance=settings.provenance, keep_headers=settings.keep_lower(), keep=settings.keep),
        dialects=dialects,
    )
    told = [f"left out: {each}" if each.severity == "error" else str(each) for each in loaded.problems]
    return made, told


def _is_file(dialect: str) -> bool:
    return dialect.endswith((".yaml", ".yml"))


def _dialect(said: str, loaded: Loaded, settings: Settings) -> Dialect:
    """The dialect that a setting names, by name or by the file that is named after it."""
    name = Path(said).stem if _is_file(said) else said
    if name not in loaded.dialects:
        where = (f"routes.{at}.dialect" for at, route in enumerate(settings.routes) if route.dialect == said)
        source = "--dialect" if settings.dialect == said else next(where)
        known = ", ".join(sorted(loaded.dialects))
        raise SettingsError(
            f"{source}: there is no dialect `{name}`; known are {known} (a file is named after its own)"
        )
    return loaded.dialects[name]


@contextlib.asynccontextmanager
async def serving(settings: Settings, made: Normaliser) -> AsyncIterator[tuple[str, int]]:
    """A proxy in the running loop; gives the address it really listens on.

    Raises StartError if that cannot be had. mitmproxy's `ctx` is global: one at a time.
    """
    master = SlimMaster(Postel(settings, made))
    task = asyncio.create_task(master.run(), name="postel master")
    await master.started(task)
    try:
        yield master.address
    finally:
        master.shutdown()
        await task


async def until_signal() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)  # a second one does not wait for what is in progress


async def serve(settings: Settings, made: Normaliser, started: Callable[[str, int], None]) -> None:
    """Serve until a signal; `started` is told the address."""
    async with serving(settings, made) as address:
        started(*address)
        await until_signal()
