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

from postel.core.normalise import Normaliser
from postel.core.redact import Redactor
from postel.core.render import Policy
from postel.proxy.addon import Postel
from postel.proxy.master import SlimMaster
from postel.rulefile.load import load_rules
from postel.settings import Settings, SettingsError


def normaliser(settings: Settings) -> tuple[Normaliser, list[str]]:
    """Rules and dialect as the settings name them, and what was left out of them, a line each.

    Raises RuleFileError if a file is broken (under `rules_invalid: skip` only if it is a built-in one), SettingsError
    for a dialect that is not there or a `redact` that is no expression.
    """
    paths = [Path(path) for path in settings.rules]
    dialect = settings.dialect
    if dialect.endswith((".yaml", ".yml")):
        paths.append(Path(dialect))
        dialect = Path(dialect).stem
    loaded = load_rules(paths, packs=settings.packs, skip_invalid=settings.rules_invalid == "skip")
    if dialect not in loaded.dialects:
        known = ", ".join(sorted(loaded.dialects))
        raise SettingsError(
            f"--dialect: there is no dialect `{dialect}`; known are {known} (a file is named after its own)"
        )
    try:
        redactor = Redactor(settings.redact)
    except ValueError as error:
        raise SettingsError(f"--redact: is no RE2 expression: {error}") from None
    made = Normaliser(
        rules=loaded.rules,
        dialect=loaded.dialects[dialect],
        redactor=redactor,
        policy=Policy(provenance=settings.provenance, keep_headers=settings.keep_lower()),
    )
    return made, [str(problem) for problem in loaded.problems]


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
