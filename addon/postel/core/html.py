"""What an HTML or XML error page says, without its markup.

Owns the recognition of pages and the choice of their telling words: the heading and the first sentences, never scripts,
styles, comments, server signatures or stack traces. Called by `body` and `message` for whole pages, by `redact` for
markup inside a message. Never raises; linear in the length of the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_TAGS = (
    "a|abbr|address|article|aside|b|big|blockquote|body|br|button|center|cite|code|dd|del|details|div|dl|dt|em|fieldset|font"
    "|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|label|legend|li|link|main|meta|nav|noscript|object|ol"
    "|option|p|path|pre|s|script|section|select|small|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|textarea"
    "|tfoot|th|thead|title|tr|tt|u|ul|var"
)
# `[^<>]`: a tag ends before the next one begins, so that a text of nothing but `<a` is read once and not n times.
_TAG = re.compile(rf"<(/?)({_TAGS})(?:[\s/][^<>]*)?>|<!doctype\b[^<>]*>|<\?[^<>]*>", re.IGNORECASE)
_PAGE = re.compile(rf"\s*(?:<\?xml[^<>]*>\s*)?(?:<!--|<!doctype\s+html|<(?:{_TAGS})[\s/>])", re.IGNORECASE)
_XML = re.compile(r"\s*<(?:\?xml\b|[A-Za-z][\w.-]*(?::[\w.-]+)?(?:\s[^<>]*)?/?>)")

_DROPPED = (("<!--", "-->"), ("<script", "</script"), ("<style", "</style"), ("<svg", "</svg"))
_BLOCKS = frozenset(
    "address article blockquote body center dd div dl dt footer form h1 h2 h3 h4 h5 h6 head header hr html li main ol p"
    " pre section table td th title tr ul".split()
)


def is_page(text: str) -> bool:
    """Whether the text begins as an HTML page, or a fragment of one, does."""
    return _PAGE.match(text) is not None


def is_xml(text: str) -> bool:
    """Whether the text begins as an XML document does (and not as an HTML page)."""
    return not is_page(text) and _XML.match(text) is not None


def strip(text: str) -> str:
    """The text without HTML tags, comments, scripts and styles, character references resolved.

    Only names of HTML elements count as tags: `<class 'str'>`, `<ak-1>` and `a < b` stay. Idempotent.
    """
    if "<" not in text and "&" not in text:
        return text
    for _ in range(_ROUNDS):
        plain = html.unescape(_TAG.sub(" ", _without_dropped(text) if "<" in text else text))
        if plain == text:
            return text
        text = plain
    return text.replace("&", " ").replace("<", " ")  # references to references to ...: nobody's error message


_ROUNDS = 6


def words(text: str) -> str | None:
    """The heading and the first few sentences of a page as one line, at most about 600 characters; None without any."""
    title = heading = None
    said: list[str] = []
    after_rule = False
    for tag, block in _blocks(_without_dropped(text)[:_READ]):
        if tag == "hr":
            after_rule = True
        if tag == "pre":
            block = block.split("\n")[0]
        block = " ".join(block.split())
        if not any(map(str.isalnum, block)):
            continue
        if tag == "title":
            title = title or block
        elif tag == "h1" and heading is None:
            heading = block
        elif (heading and tag in _ASIDES) or block.startswith(("Traceback", 'File "')):
            break
        elif not (after_rule and len(block.split()) < _SIGNATURE_WORDS) and not _said(block, [heading or "", *said]):
            said.append(block)
        if len(said) == _SENTENCES:
            break
    first = heading or title
    if first and said and (first.lower().strip(" !:.") in _EMPTY_HEADINGS or (not heading and _said(first, said))):
        first = None
    parts = [part for part in (first, *said) if part]
    return _join(parts)[:_LENGTH] or None


_SENTENCES = 3
_ASIDES = ("h3", "h4", "h5", "h6")  # "Guru Meditation:", then the id of the request
_EMPTY_HEADINGS = ("error", "oops", "whitelabel error page")
_LENGTH = 600
_READ = 32 * 1024  # characters of a page, scripts and styles apart, that are looked at
_SIGNATURE_WORDS = 5  # below a rule: "nginx/1.22.1", "Varnish cache server"; CloudFront puts its words there


def _said(block: str, before: list[str]) -> bool:
    return any(block.lower() in text.lower() for text in before)


def _join(parts: list[str]) -> str:
    """`Proxy Error: The server ... . The proxy ...`: a colon after the heading, full stops between sentences."""
    joined = ""
    for index, part in enumerate(parts):
        between = ": " if index == 1 and joined[-1] not in ".!?:" else " " if joined and joined[-1] in ".!?:" else ". "
        joined += between + part if joined else part
    return joined


def _without_dropped(text: str) -> str:
    """The text without comments, scripts, styles and drawings; what is never closed is dropped to the end."""
    for opening, closing in _DROPPED:
        lowered = text.lower()
        if len(lowered) != len(text):  # a few letters grow when lowered: fall back to what keeps the offsets
            lowered = text
        at = lowered.find(opening)
        if at < 0:
            continue
        kept, end = [], 0
        while at >= 0:
            kept.append(text[end:at])
            close = lowered.find(closing, at + len(opening))
            if close < 0:
                end = len(text)
                break
            end = lowered.find(">", close + len(closing) - 1) + 1 or len(text)
            at = lowered.find(opening, end)
        text = " ".join((*kept, text[end:]))
    return text


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The text between block tags, each with the block it stands in; a rule comes as an empty `hr` block."""
    block, pieces, end = "", list[str](), 0
    for tag in _TAG.finditer(text):
        pieces.append(text[end : tag.start()])
        end = tag.end()
        name = (tag[2] or "").lower()
        if name == "br":
            pieces.append("\n")
        elif name in _BLOCKS:
            yield block, html.unescape("".join(pieces))
            pieces.clear()
            if name == "hr":
                yield "hr", ""
            block = "" if tag[1] else name
        elif name:
            # inline: no space, `<b>502</b>.` is one word; but two spans side by side are two
            pieces.append(" " if name == "span" else "")
    yield block, html.unescape("".join((*pieces, text[end:])))


_ELEMENT = re.compile(
    r"<(?:[\w.-]+:)?(code|message|faultstring|faultcode|reason|text|detail|description|error|title|type)\b[^<>]*>([^<]*)</",
    re.IGNORECASE,
)


def elements(text: str) -> dict[str, str]:
    """The telling elements of an XML document, names in lower case without prefix: the first of each that has text."""
    found: dict[str, str] = {}
    for element in _ELEMENT.finditer(text.replace("<![CDATA[", "").replace("]]>", "")):
        if value := " ".join(html.unescape(element[2]).split()):
            found.setdefault(element[1].lower(), value)
    return found
