import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import html

NGINX = (
    "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n"
    "<center><h1>400 Bad Request</h1></center>\r\n<center>The plain HTTP request was sent to HTTPS port</center>\r\n"
    "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
APACHE = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n<html><head>\n'
    "<title>502 Proxy Error</title>\n</head><body>\n<h1>Proxy Error</h1>\n<p>The proxy server received an invalid\r\n"
    "response from an upstream server.<br />\r\nThe proxy server could not handle the request<p>Reason: <strong>Error "
    "reading from remote server</strong></p></p>\n</body></html>\n"
)
FASTLY = (
    "<html>\n<head><title>503 first byte timeout</title></head>\n<body>\n<h1>Error 503 first byte timeout</h1>\n"
    "<p>first byte timeout</p>\n<h3>Guru Mediation:</h3>\n<p>Details: cache-ams4123-AMS 1538987618</p>\n<hr>\n"
    "<p>Varnish cache server</p>\n</body>\n</html>"
)
GOOGLE = (
    "<!DOCTYPE html>\n<html lang=en>\n<title>Error 502 (Server Error)!!1</title>\n<style>*{margin:0}html{font:15px}"
    "</style>\n<p><b>502.</b> <ins>That’s an error.</ins>\n<p>The server encountered a temporary error.<p>Please try "
    "again in 30 seconds. <ins>That’s all we know.</ins>\n"
)
EXPRESS = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<title>Error</title>\n</head>\n<body>\n<pre>PayloadTooLargeError: '
    "request entity too large<br> &nbsp; &nbsp;at readStream (/app/node_modules/raw-body/index.js:163:17)</pre>\n"
)
CLOUDFLARE = (
    '<!DOCTYPE html>\n<!--[if gt IE 8]><!--> <html class="no-js" lang="en-US"> <!--<![endif]-->\n<head>\n<title>'
    'api.example.com | 523: Origin is unreachable</title></head><body><h1><span class="a">Origin is unreachable'
    '</span>\n<span class="b">Error code 523</span></h1><script>var h = "<p>no</p>";</script>'
)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (NGINX, "400 Bad Request: The plain HTTP request was sent to HTTPS port"),
        (
            APACHE,
            (
                "Proxy Error: The proxy server received an invalid response from an upstream server. The proxy server"
                " could not handle the request. Reason: Error reading from remote server"
            ),
        ),
        (FASTLY, "Error 503 first byte timeout"),
        (
            GOOGLE,
            (
                "Error 502 (Server Error)!!1: 502. That’s an error. The server encountered a temporary error."
                " Please try again in 30 seconds. That’s all we know."
            ),
        ),
        (EXPRESS, "PayloadTooLargeError: request entity too large"),
        (CLOUDFLARE, "Origin is unreachable Error code 523"),
        ("<h1>Oops</h1><pre>Cannot POST /nope</pre>", "Cannot POST /nope"),
        ("<html><title>500: Boom</title><body>500: Boom</body></html>", "500: Boom"),
        ("<html><body><p>AT&amp;T &lt;3</p></body></html>", "AT&T <3"),
        ("<html><head><style>p{}</style></head><body></body></html>", None),
        (
            "<title>Werkzeug</title><h1>ValueError</h1><p>bad</p><p>Traceback (most recent call last)</p><p>x</p>",
            "ValueError: bad",
        ),
    ],
)
def test_a_page_says_its_heading_and_first_sentences(page: str, words: str | None) -> None:
    assert html.is_page(page)
    assert words == html.words(page)


@pytest.mark.parametrize(
    "text", ["", "a < b", "<class 'str'>", "<ak-1> is suspended", "{'a': '<p>'}", "<Error><Code>X</Code></Error>", "<3"]
)
def test_what_only_has_angle_brackets_is_no_page(text: str) -> None:
    assert not html.is_page(text)


def test_an_xml_document_gives_the_first_of_each_telling_element() -> None:
    document = (
        '<?xml version="1.0"?>\n<e:ErrorResponse xmlns:e="x"><Error><Code>ServiceUnavailable</Code>'
        "<Message>Try &amp; try <![CDATA[again]]>.</Message></Error><Code>second</Code></e:ErrorResponse>"
    )

    assert html.is_xml(document)
    assert {"code": "ServiceUnavailable", "message": "Try & try again."} == html.elements(document)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Bad <b>luck</b>,&nbsp;<br/>friend", "Bad  luck ,\xa0 friend"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;x", " x"),
        ("options: <class 'str'> or <ak-1>, 1 < 2", "options: <class 'str'> or <ak-1>, 1 < 2"),
    ],
)
def test_stripping_takes_html_elements_and_nothing_else(text: str, plain: str) -> None:
    assert plain == html.strip(text)


def test_references_to_references_come_to_an_end() -> None:
    assert html.strip("&" + "amp;" * 40 + "lt;b>") == " " + "amp;" * 34 + "lt;b>"


def test_letters_that_grow_when_lowered_do_no_harm() -> None:
    assert html.words("<h1>İstanbul</h1><script>x</script><p>kapalı</p>") == "İstanbul: kapalı"


@given(st.text(alphabet="<>/!-&;ampltgscrh1 \n\"='", max_size=200))
def test_stripping_twice_is_stripping_once_and_leaves_no_tag(text: str) -> None:
    plain = html.strip(text)

    assert plain == html.strip(plain)
    assert "<script>" not in plain
    html.words(text)
    html.elements(text)
