import pytest
from mitmproxy.proxy.layers.http import HttpStream

from postel.proxy.layer import SeamError, check_seams


def test_the_installed_mitmproxy_is_the_one_this_was_written_against() -> None:
    check_seams()


def test_another_mitmproxy_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(HttpStream, "make_server_connection")

    with pytest.raises(SeamError, match=r"HttpStream\.make_server_connection.*mitmproxy>=12"):
        check_seams()
