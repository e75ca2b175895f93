import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http import http1

from postel.proxy.layer.heads import request_of, response_of

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"") or b"x"), max_size=4)
REQUEST_LINES = [
    b"GET / HTTP/1.1",
    b"POST http://a:1/x?y HTTP/1.0",
    b"CONNECT a:443 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET",
    b"GET / HTTP/9",
]
STATUS_LINES = [b"HTTP/1.1 200 OK", b"HTTP/1.0 404", b"HTTP/1.1 x", b"ICY 200 OK", b"HTTP/1.1 200 two words"]


def outcome(parse: object, lines: list[bytes]) -> object:
    try:
        state = parse(lines).get_state()  # type: ignore[operator]
    except ValueError as error:
        return str(error)
    return {key: value for key, value in state.items() if not key.startswith("timestamp")}


@given(st.sampled_from(REQUEST_LINES) | st.binary(max_size=40), LINES)
def test_a_request_is_what_mitmproxy_makes_of_the_same_lines(first: bytes, rest: list[bytes]) -> None:
    assert outcome(http1.read_request_head, [first, *rest]) == outcome(request_of, [first, *rest])


@given(st.sampled_from(STATUS_LINES) | st.binary(max_size=40), LINES)
def test_an_answer_is_what_mitmproxy_makes_of_the_same_lines(first: bytes, rest: list[bytes]) -> None:
    assert outcome(http1.read_response_head, [first, *rest]) == outcome(response_of, [first, *rest])


@pytest.mark.parametrize("parse", [request_of, response_of])
def test_a_message_can_be_copied_and_kept(parse: object) -> None:
    first = b"GET / HTTP/1.1" if parse is request_of else b"HTTP/1.1 200 OK"
    message = parse([first, b"a: b"])  # type: ignore[operator]

    assert message.get_state() == message.copy().get_state()
    assert "b" == message.headers["A"]
