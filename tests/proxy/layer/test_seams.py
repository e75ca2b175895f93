import pytest
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream

from postel.proxy.layer import SeamError, check_seams


def test_the_installed_mitmproxy_is_the_one_this_was_written_against() -> None:
    check_seams()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (HttpStream, "make_server_connection"),
        (HttpLayer, "register_connection"),
        (HttpLayer, "event_to_child"),
    ],
)
def test_another_mitmproxy_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    monkeypatch.delattr(owner, name)

    with pytest.raises(SeamError, match=rf"{owner.__name__}\.{name}.*mitmproxy>=12"):
        check_seams()
