"""The faster hook table behaves as mitmproxy's own."""

import logging

import pytest
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import tflow

from postel.proxy.dispatch import Dispatch
from tests.wire.harness import wired


class Hooked:
    """Notes that its hook ran; may raise or halt."""

    def __init__(self, name: str, seen: list[str], error: Exception | None = None) -> None:
        self.name = name
        self.seen = seen
        self.error = error

    def request(self, _flow: object) -> None:
        self.seen.append(self.name)
        if self.error:
            raise self.error


class Awaited(Hooked):
    async def request(self, _flow: object) -> None:  # type: ignore[override]
        self.seen.append(self.name)


async def run(*addons: object) -> None:
    master = Master(Options())
    master.addons = Dispatch(master)
    master.addons.add(*addons)
    await master.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))


@wired
async def test_hooks_run_in_order_and_are_awaited() -> None:
    seen: list[str] = []
    await run(Hooked("a", seen), Awaited("b", seen), object(), Hooked("c", seen))

    assert ["a", "b", "c"] == seen


@wired
async def test_a_hook_that_raises_is_logged_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    seen: list[str] = []
    await run(Hooked("a", seen, ValueError("a bug")), Hooked("b", seen))

    assert ["a", "b"] == seen
    assert "request" in caplog.text
    assert "a bug" in caplog.text


@wired
async def test_a_hook_may_halt_the_rest() -> None:
    seen: list[str] = []
    await run(Hooked("a", seen, AddonHalt()), Hooked("b", seen))

    assert ["a"] == seen


@wired
async def test_an_addon_that_is_added_or_removed_later_counts() -> None:
    seen: list[str] = []
    first, second = Hooked("a", seen), Hooked("b", seen)
    master = Master(Options())
    master.addons = Dispatch(master)
    for change in (
        lambda: master.addons.add(first),
        lambda: master.addons.add(second),
        lambda: master.addons.remove(first),
    ):
        change()
        await master.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))

    assert ["a", "a", "b", "b"] == seen
