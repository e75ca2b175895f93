import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.body import Reading, read
from postel.core.evidence import BODY_LIMIT, Headers
from postel.core.jsontext import MISSING

ERROR = {"error": {"message": "queue is full", "type": "overloaded", "param": "model", "code": 429}}


def of(body: bytes | str, reason: str = "", **headers: str) -> Reading:
    fields = ((name.replace("_", "-"), value) for name, value in headers.items())
    return read(body.encode() if isinstance(body, str) else body, Headers.of(fields), reason)


def test_an_error_object_is_read_whatever_the_content_type_says() -> None:
    for content_type in ("application/json", "text/plain", "text/html", "image/png"):
        reading = of(json.dumps(ERROR), content_type=content_type)

        assert ("json", ERROR, "queue is full") == (reading.kind, reading.document, reading.message)
        assert ("overloaded", 429, "model") == (reading.type, reading.code, reading.param)
        assert ERROR["error"] == reading.error


def test_the_document_is_the_outermost_one_and_the_error_the_innermost() -> None:
    reading = of(json.dumps(json.dumps({"detail": json.dumps(ERROR)})))

    assert json.dumps({"detail": json.dumps(ERROR)}) == reading.document
    assert ERROR["error"] == reading.error


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"error":"zu spät"}'.encode(), "application/json"),
        (b"\xef\xbb\xbf" + '{"error":"zu spät"}'.encode(), "application/json"),
        ('{"error":"zu spät"}'.encode("utf-16"), "application/json"),
        ('{"error":"zu spät"}'.encode("utf-32"), "application/json"),
        ('{"error":"zu spät"}'.encode("utf-16-le"), "application/json; charset=utf-16-le"),
        ('{"error":"zu spät"}'.encode("latin-1"), "application/json; charset=ISO-8859-1"),
        ('{"error":"zu spät"}'.encode(), "application/json; charset=iso-8859-1"),
    ],
)
def test_bytes_are_decoded_by_their_mark_as_utf_8_or_as_named(body: bytes, content_type: str) -> None:
    reading = of(body, content_type=content_type)

    assert ('{"error":"zu spät"}', "zu spät") == (reading.text, reading.message)


@pytest.mark.parametrize("charset", ["zlib", "idna", "unicode_escape", "no-such", "utf-7"])
def test_only_character_sets_are_taken_from_a_content_type(charset: str) -> None:
    assert of(b"\xff", content_type=f"text/plain; charset={charset}").text == "\ufffd"


def test_a_character_that_the_limit_cuts_is_left_out() -> None:
    assert of("x" * (BODY_LIMIT - 1) + "é").text == "x" * (BODY_LIMIT - 1)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("", "empty", None),
        (" \r\n", "empty", None),
        ("pending request queue full\n", "text", "pending request queue full"),
        ("500 Internal Server Error\nno slot", "text", "500 Internal Server Error\nno slot"),
        ("[ERROR] no slot", "text", "[ERROR] no slot"),
        ("<html><h1>502 Bad Gateway</h1></html>", "html", "502 Bad Gateway"),
        ("<Error><Code>Slow</Code><Message>Slow down</Message></Error>", "xml", "Slow down"),
        ("data: <Error><Code>Slow</Code><Message>Slow down</Message></Error>\n\n", "xml", "Slow down"),
        (
            "data: <turbo-stream><template>500</template></turbo-stream>\n\n",
            "text",
            "<turbo-stream><template>500</template></turbo-stream>",
        ),
        ('<soap:Fault xmlns:soap="x"><faultstring>boom</faultstring></soap:Fault>', "xml", "boom"),
        ('"bad input"', "json", "bad input"),
        ('Prefill failed: {"error": {"message": "too long"}}', "text", "too long"),
        ("{'error': 'queue is full'}", "text", "queue is full"),
        ('{"id": "x"}request timeout', "text", "request timeout"),
        ('{"id":"x","choices":[', "text", None),
        ("[" * 9000, "text", None),
        ("\x00\x01\x02\x03\x04" * 9, "text", None),
        ("5", "json", None),
    ],
)
def test_every_kind_of_body_has_its_words(body: str, kind: str, message: str | None) -> None:
    reading = of(body)

    assert (kind, message) == (reading.kind, reading.message)


def test_a_body_cut_by_the_limit_still_tells_its_error() -> None:
    detail = [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": "x" * BODY_LIMIT}]
    reading = of(json.dumps({"detail": detail}))

    assert ("messages: Field required", "missing", "messages") == (reading.message, reading.type, reading.param)
    assert reading.document is MISSING


@pytest.mark.parametrize(
    "event",
    [
        "data: {}\n\n",
        "data:{}\n\n",
        "event: error\r\ndata: {}\r\n\r\n",
        ": keep-alive\nid: 7\ndata: {}\n\n",
        "error: {}\n\n",
        'data: {"id": "x", "choices": []}\n\ndata: {}\n\ndata: [DONE]\n\n',
        "{}\n",
        '{"result": {"text": "Hel"}}\n{}\n',
    ],
)
def test_an_error_is_found_in_the_framing_of_a_stream(event: str) -> None:
    reading = of(event.replace("{}", json.dumps(ERROR)))

    assert ("json", ERROR, "queue is full") == (reading.kind, reading.document, reading.message)


def test_a_healthy_event_has_a_document_and_no_error() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": '{"error": "x"}'}}]}
    reading = of(f"data: {json.dumps(chunk)}\n\n")

    assert ("json", chunk, None, None) == (reading.kind, reading.document, reading.message, reading.error)
    assert of("data: [DONE]\n\n").message is None
    assert of(": keep-alive\n\n").message is None


def test_words_in_an_event_and_words_with_a_colon_are_words() -> None:
    assert of("event: error\ndata: upstream connect error\n\n").message == "upstream connect error"
    assert of("proxy error: no connection").message == "proxy error: no connection"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"grpc_message": "no%20healthy%20upstream"}, "no healthy upstream"),
        ({"l5d_proxy_error": "endpoint 10.0.7.136:8000: timed out"}, "endpoint 10.0.7.136:8000: timed out"),
        ({"x_llm_d_request_dropped_reason": "shed"}, "shed"),
        ({"www_authenticate": 'Bearer error="invalid_token", error_description="It expired"'}, "It expired"),
        ({}, "custom words"),
    ],
)
@pytest.mark.parametrize("body", ["", "Service Unavailable", "<title>503 Service Unavailable</title>"])
def test_a_telling_header_or_reason_speaks_for_a_body_that_does_not(
    body: str, headers: dict[str, str], message: str
) -> None:
    assert message == of(body, "custom words" if not headers else "Service Unavailable", **headers).message


def test_an_ordinary_reason_phrase_says_nothing_and_a_body_outranks_the_rest() -> None:
    assert of("", "Service Unavailable").message is None
    assert of("", "SERVICE UNAVAILABLE").message is None
    assert of(json.dumps(ERROR), "custom words", grpc_message="x").message == "queue is full"


def test_headers_name_the_type_and_the_code_where_the_body_does_not() -> None:
    aws = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/"

    assert of('{"message":"m"}', x_amzn_errortype=aws).type == "ThrottlingException"
    assert of("", x_amzn_errortype="com.amazon.coral#Throttled").type == "Throttled"
    assert of("", x_smg_error_code="no_worker").code == "no_worker"
    assert of("", www_authenticate='Bearer error="invalid_token"').code == "invalid_token"
    assert of(json.dumps(ERROR), x_amzn_errortype=aws, x_smg_error_code="x").type == "overloaded"


FRAGMENTS = (
    json.dumps(ERROR),
    str(ERROR),
    *"data: |event: error\n|\n\n|<html>|<!--|<p>|</|NaN|error|\\ud800".split("|"),
)
BODIES = st.binary(max_size=400) | st.lists(
    st.sampled_from(FRAGMENTS) | st.sampled_from("{}[]()=:,\"'\\\x009"), max_size=20
).map("".join).map(str.encode)


@given(BODIES, st.binary(max_size=3))
def test_no_bytes_make_it_raise_and_what_it_found_can_be_written(body: bytes, junk: bytes) -> None:
    for data in (body, junk + body, body + junk):
        of(data, content_type="text/plain; charset=utf-16")
        reading = of(data)

        assert reading.message is None or reading.message.strip().encode()
        assert (reading.kind == "empty") == (not reading.text.strip())


@pytest.mark.parametrize(
    "unit",
    ["[", "{", '{"a":', "{'a':", '["', '"\\', "<a", "<p>", "<!--", "data: {}\n\n", '{"a":1}\n', "f(a=", "{ ", "&amp;"],
)
def test_no_body_of_full_length_takes_long(unit: str) -> None:
    body = unit * (BODY_LIMIT // len(unit))
    before = time.process_time()
    of(body)

    assert time.process_time() - before < 0.5  # some 20 ms are usual; what is quadratic takes minutes
