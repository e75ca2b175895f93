import logging

import pytest

from postel.proxy.addon import Postel
from postel.proxy.master import SlimMaster
from postel.run import normaliser
from postel.settings import load
from tests.wire.harness import wired


def postel(**given: object) -> Postel:
    settings = load({"upstream": "http://localhost:1", "listen": "127.0.0.1:0", **given}, {})
    return Postel(settings, normaliser(settings)[0])


@wired
async def test_only_what_a_reverse_proxy_needs_is_loaded() -> None:
    plain, tls = SlimMaster(postel()), SlimMaster(postel(upstream="https://localhost:1"))

    assert ["Proxyserver", "Postel"] == [type(addon).__name__ for addon in plain.addons.chain]
    assert ["Proxyserver", "UpstreamTls", "Postel"] == [type(addon).__name__ for addon in tls.addons.chain]


@wired
async def test_a_healthy_start_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    SlimMaster(postel())

    assert [] == caplog.messages
