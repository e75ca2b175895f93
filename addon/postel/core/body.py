"""What an upstream's body says: the error object in it, wherever it is and however deep it was wrapped.

Owns the reading of bytes, decided by trial and never by the content type: RULES.md, "What the reader found". Knows no
upstream's meanings (that is what rules are for) and cleans nothing (`message` does). Called by `match` once for each
answer or event. Never raises, for any bytes; linear in the length of the body.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from postel.core import errorobject, html, jsontext
from postel.core.errorobject import IsOwn
from postel.core.evidence import BODY_LIMIT, Headers
from postel.core.found import Found, Scalar
from postel.core.jsontext import MISSING, Json, Missing
from postel.core.phrase import is_phrase

Kind = Literal["json", "html", "xml", "text", "empty"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one body and the headers beside it.

    `document` is the JSON document as sent, the outermost one: what the rule key `json` looks at. `message`, `type`,
    `code`, `param` come from the innermost error object, and where that one is silent from the ones around it; they
    are raw, so `message` may hold markup, paths and traces. `error` is the innermost error object. A healthy document
    has none of these.
    """

    kind: Kind
    text: str
    document: Json | Missing
    message: str | None
    type: Scalar | None
    code: Scalar | None
    param: str | None
    error: dict[str, Json] | None

    @property
    def tells_error(self) -> bool:
        """Whether any of the four was found."""
        return not (self.message is None and self.type is None and self.code is None and self.param is None)


def read(body: bytes, headers: Headers, reason: str = "", is_own: IsOwn | None = None) -> Reading:
    """Read one body: of an answer, or of one event of a stream with its framing (`data: {...}`).

    `reason` is the reason phrase of the status line; it counts as words only if it is not an ordinary one. JSON in
    prose that `is_own` calls the client's is left in the prose.
    """
    text = _decode(body[:BODY_LIMIT], headers)
    kind, document, found = _read_text(text, is_own)
    if not found.message or is_phrase(found.message):
        words = _header_words(headers) or ("" if is_phrase(reason) else reason.strip())
        found = Found(message=words).over(found) if words else found
    named, numbered = _header_type(headers), _header_code(headers)
    if named or numbered:
        found = found.over(Found(type=named, code=numbered))
    message = jsontext.writable(found.message) if found.message else None
    return Reading(kind, text, document, message, found.type, found.code, found.param, found.error)


# --- text -------------------------------------------------------------------------------------------------------------

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Only plain character sets: Python's registry also knows `zlib`, `idna` and other codecs that do work.
_CHARSETS = ("iso8859", "cp125", "latin", "gb", "big5", "euc", "shift_jis", "koi8", "utf-16", "utf-32")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def _decode(body: bytes, headers: Headers) -> str:
    for bom, codec in _BOMS:
        if body.startswith(bom):
            return body.decode(codec, "replace").removeprefix("\ufeff")
    named = _charset(headers)
    if named and named.startswith("utf-"):
        return body.decode(named, "replace")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        cut = len(body) == BODY_LIMIT and error.start >= BODY_LIMIT - 3  # the limit went through a character
        return body.decode(named if named and not cut else "utf-8", "ignore" if cut else "replace")


def _charset(headers: Headers) -> str | None:
    match = _CHARSET.search(headers.get("content-type") or "")
    try:
        name = codecs.lookup(match[1]).name if match else ""
    except (LookupError, ValueError):
        return None
    return name if name.startswith(_CHARSETS) else None


# --- kinds ------------------------------------------------------------------------------------------------------------

_FIELD_LINE = re.compile(r"(data|event|id|retry|error)?:", re.ASCII)
_DOCUMENTS = 64
"""Events of a stream, or lines of NDJSON, that are looked at."""


def _read_text(text: str, is_own: IsOwn | None) -> tuple[Kind, Json | Missing, Found]:
    stripped = text.strip()
    if not stripped:
        return "empty", MISSING, Found()
    if html.is_page(stripped):
        return "html", MISSING, Found(message=html.words(stripped))
    if html.is_xml(stripped):
        return "xml", MISSING, _read_xml(stripped)
    if _FIELD_LINE.match(stripped) and (payloads := _payloads(text)) is not None:
        return _first_error(payloads, is_own)
    return _read_json_or_words(stripped, is_own)


def _read_xml(text: str) -> Found:
    """S3-like `<Error><Code/><Message/>`, SOAP `<faultstring>`, or just the text between the tags."""
    found = html.elements(text)
    spoken = ("message", "faultstring", "text", "description", "detail", "reason", "error", "title")
    words = next((found[name] for name in spoken if name in found), None)
    rest = " ".join(re.sub(r"<[^<>]*>", " ", text).split())
    kind = found.get("type")
    return Found(
        message=words or rest or None,
        type=None if kind in ("Sender", "Receiver") else kind,
        code=found.get("code") or found.get("faultcode"),
    )


def _payloads(text: str) -> list[str] | None:
    """The data of each server-sent event (WHATWG HTML 9.2.6); None if some line is no field.

    llama.cpp wrote errors in a field of its own, `error: {...}` (server.cpp, 2024 to mid-2025).
    """
    payloads: list[str] = []
    data: list[str] = []
    for line in (*text.split("\n"), ""):
        line = line.rstrip("\r")
        if line:
            field = _FIELD_LINE.match(line)
            if not field:
                return None
            if field[1] in ("data", "error"):
                data.append(line[field.end() :].removeprefix(" "))
        elif data:
            payloads.append("\n".join(data))
            data = []
    return payloads


def _first_error(payloads: list[str], is_own: IsOwn | None) -> tuple[Kind, Json | Missing, Found]:
    """The first event with an error's words in it, else with an error's name, else the first one."""
    reads: list[tuple[Kind, Json | Missing, Found]] = []
    for payload in payloads[:_DOCUMENTS]:
        text = payload.strip()
        read = _read_payload(text, is_own)
        if read[2].message and text != "[DONE]":
            return read
        reads.append((*read[:2], read[2] if read[0] == "json" else Found()))
    named = (read for read in reads if read[2] != Found())
    return next(named, reads[0] if reads else ("text", MISSING, Found()))


def _read_payload(text: str, is_own: IsOwn | None) -> tuple[Kind, Json | Missing, Found]:
    """JSON or words; an object store answers with XML wherever it is asked, but a stream of markup is no error."""
    if html.is_xml(text) and html.elements(text).keys() & {"code", "faultcode", "faultstring"}:
        return "xml", MISSING, _read_xml(text)
    return _read_json_or_words(text, is_own)


def _read_json_or_words(text: str, is_own: IsOwn | None) -> tuple[Kind, Json | Missing, Found]:
    decoded = jsontext.decode(text)
    if not decoded:
        return "text", MISSING, _words(text, is_own)
    document, end = decoded
    rest = text[end:].strip()
    if rest and not isinstance(document, dict):
        return "text", MISSING, _words(text, is_own)  # "[ERROR] out of memory", "500 Internal Server Error"
    found = errorobject.find(document, is_own)
    for _ in range(_DOCUMENTS):
        if found or not rest:
            break
        decoded = jsontext.decode(rest)
        if not decoded or not isinstance(decoded[0], dict):
            # Knative appends bare words to what the server had begun to send
            return "text", document, _words(rest, is_own)
        found = errorobject.find(decoded[0], is_own)
        document = decoded[0] if found else document
        rest = rest[decoded[1] :].strip()
    return "json", document, found or Found()


def _words(text: str, is_own: IsOwn | None) -> Found:
    """Words that are no JSON; nothing if they are the beginning of a healthy document, or no words at all."""
    found = errorobject.unwrap(text, is_own)
    if found.error is None and found.message:
        sample = found.message[:400]
        if 4 * sum(map(str.isprintable, sample.replace("\n", " "))) < 3 * len(sample) or _is_cut_json(text):
            return Found()
    return found


def _is_cut_json(text: str) -> bool:
    return re.match(r"[{\[]\s*(?:[\"{\[]|$)", text) is not None


# --- beside the body --------------------------------------------------------------------------------------------------

_AUTH_WORDS = re.compile(r'\berror_description="([^"]{1,400})"')
_AUTH_ERROR = re.compile(r'\berror="([\w.-]{1,60})"', re.ASCII)


def _header_words(headers: Headers) -> str | None:
    """The words of gRPC (percent-encoded), Linkerd, llm-d, or a bearer challenge (RFC 6750 section 3)."""
    if words := headers.get("grpc-message"):
        return unquote(words[:4096]).strip() or None
    for name in ("l5d-proxy-error", "x-llm-d-request-dropped-reason"):
        if (words := headers.get(name)) and words.strip():
            return words.strip()
    match = _AUTH_WORDS.search(headers.get("www-authenticate") or "")
    return match[1] if match else None


def _header_type(headers: Headers) -> str | None:
    """The exception's bare name: `ThrottlingException:http://internal.amazon.com/coral/...` has it before the colon."""
    name = headers.get("x-amzn-errortype") or ""
    return name.split(":")[0].rpartition("#")[2].strip() or None


def _header_code(headers: Headers) -> str | None:
    for name in ("x-smg-error-code", "x-ms-error-code"):
        if code := headers.get(name):
            return code.strip() or None
    match = _AUTH_ERROR.search(headers.get("www-authenticate") or "")
    return match[1] if match else None
