"""From mitmproxy's words and objects to evidence."""

import gzip

import pytest
from mitmproxy.http import Headers, Response
from mitmproxy.proxy.layers.http._events import ErrorCode
from mitmproxy.test import tflow

from postel.core.evidence import BODY_LIMIT, Cause, Phase
from postel.proxy import observe
from postel.proxy.exchange import Tee

# facts: what asyncio, glibc and OpenSSL say, as mitmproxy 12.2.3 hands it on.
CONNECTING = [
    ("[Errno 111] Connect call failed ('127.0.0.1', 1)", Cause.REFUSED),
    ("[Errno 111] Connection refused", Cause.REFUSED),
    (
        (
            "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), "
            "[Errno 111] Connect call failed ('127.0.0.1', 1)"
        ),
        Cause.REFUSED,
    ),
    ("[Errno -2] Name or service not known", Cause.DNS),
    ("[Errno -3] Temporary failure in name resolution", Cause.DNS),
    ("[Errno -5] No address associated with hostname", Cause.DNS),
    ("[Errno 101] Network is unreachable", Cause.UNREACHABLE),
    ("[Errno 113] No route to host", Cause.UNREACHABLE),
    ("[Errno 110] Connection timed out", Cause.CONNECT_TIMEOUT),
    ("Certificate verify failed: self-signed certificate", Cause.TLS),
    ("Certificate verify failed: certificate has expired", Cause.TLS),
    ("The remote server does not speak TLS.", Cause.TLS),
    ("OpenSSL Error([('SSL routines', '', 'wrong version number')])", Cause.TLS),
    ("Server TLS handshake failed. connection closed", Cause.TLS),
    ("Connection killed: Request destination unknown. Unable to figure out where to forward.", Cause.UNREACHABLE),
    ("something new", Cause.UNREACHABLE),
]


@pytest.mark.parametrize(("message", "cause"), CONNECTING)
def test_why_a_connection_was_not_made_is_read_from_the_words(message: str, cause: Cause) -> None:
    assert cause is observe.cause_of(ErrorCode.CONNECT_FAILED.name, message, heard=False)


@pytest.mark.parametrize(
    ("code", "message", "heard", "cause"),
    [
        ("GENERIC_SERVER_ERROR", "server closed connection", False, Cause.CLOSED),
        ("GENERIC_SERVER_ERROR", "unexpected server response: b'HTTP/1.1 2'", False, Cause.CLOSED),
        (
            "GENERIC_SERVER_ERROR",
            "HTTP/1 protocol error: peer closed connection without sending complete message body",
            True,
            Cause.BODY_CUT,
        ),
        (
            "RESPONSE_VALIDATION_FAILED",
            "Received both a Transfer-Encoding and a Content-Length",
            False,
            Cause.BAD_FRAMING,
        ),
        (
            "REQUEST_VALIDATION_FAILED",
            "Received both a Transfer-Encoding and a Content-Length",
            False,
            Cause.BAD_REQUEST,
        ),
        ("REQUEST_TOO_LARGE", "", False, Cause.REQUEST_TOO_LARGE),
        ("RESPONSE_TOO_LARGE", "", True, Cause.ANSWER_TOO_LARGE),
    ],
)
def test_every_other_failure_has_its_cause(code: str, message: str, heard: bool, cause: Cause) -> None:
    assert code in ErrorCode.__members__
    assert cause is observe.cause_of(code, message, heard=heard)


def test_an_answer_is_evidence_without_its_coding_and_up_to_the_limit() -> None:
    flow = tflow.tflow(
        resp=Response.make(503, b"", Headers([(b"Content-Encoding", b"gzip"), (b"X-A", b"caf\xc3\xa9")]))
    )
    flow.request.path = "/v1/models?key=secret"

    evidence = observe.response(flow, gzip.compress(b"x" * 100_000))

    assert (Phase.RESPONSE, 503, "Service Unavailable") == (evidence.phase, evidence.status, evidence.reason)
    assert b"x" * BODY_LIMIT == evidence.body
    assert ("caf\xe9", "/v1/models") == (evidence.headers.get("x-a"), evidence.request.path)


def test_no_answer_is_evidence_of_its_cause() -> None:
    evidence = observe.transport(tflow.tflow(), Cause.REFUSED, "[Errno 111]")

    assert (Phase.TRANSPORT, Cause.REFUSED, "[Errno 111]") == (evidence.phase, evidence.cause, evidence.detail)


def test_of_a_streamed_request_what_was_kept_is_seen() -> None:
    flow = tflow.tflow()
    tee = Tee(lambda _: True, room=5)
    assert [b"abc", b"defg", b""] == [tee(data) for data in (b"abc", b"defg", b"")]
    flow.request.stream = tee

    assert b"abcde" == observe.request(flow).body


def test_a_compressed_request_is_seen_unpacked() -> None:
    flow = tflow.tflow()
    flow.request.headers["content-encoding"] = "gzip"
    flow.request.raw_content = gzip.compress(b'{"model":"m"}')

    assert b'{"model":"m"}' == observe.request(flow).body
