from mitmproxy.options import Options

from postel.proxy.options import pinned
from postel.settings import load


def pins(**given: object) -> dict[str, object]:
    return pinned(load({"upstream": "http://engine:8000", **given}, {}))


def test_each_pin_is_an_option_of_the_installed_mitmproxy() -> None:
    from mitmproxy.addons import proxyserver, tlsconfig
    from mitmproxy.test import taddons

    with taddons.context(proxyserver.Proxyserver(), tlsconfig.TlsConfig(), options=Options()) as ctx:
        assert set() == set(pins()) - set(ctx.options.keys())


def test_a_dead_upstream_is_an_answer_and_no_reset() -> None:
    assert "lazy" == pins()["connection_strategy"]


def test_the_one_mode_is_a_reverse_proxy_whose_listener_binds_no_udp() -> None:
    assert ["reverse:http://engine:8000"] == pins()["mode"]
    assert ["reverse:http://engine:443"] == pins(upstream="https://engine")["mode"]
    assert (False, False) == (pins()["http2"], pins()["http3"])


def test_the_only_timer_of_mitmproxy_never_comes_first() -> None:
    for name in ("first_byte_timeout", "idle_timeout", "connect_timeout"):
        assert int(str(pins(**{name: 3000})["tcp_timeout"])) >= 6000


def test_smuggling_is_looked_for() -> None:
    assert True is pins()["validate_inbound_headers"]
